"""Output keeps to the width of the terminal, and stays what can be pasted."""

import json
import os

import pytest

from reconcile.report import width
from reconcile.report.line import Line, plain
from tests.support import pasted
from tests.unit.test_cli import SAME, WORLD, users, write  # noqa: F401

LONG = "a-rather-long-name-of-a-device-that-somebody-gave-it"


WHY = ["access", "why", "tag:second-" + LONG, "nas:9"]


def a_wide_plan(write):  # noqa: F811
    tags = [f"tag:{word}-{LONG}" for word in ("first", "second", "third")]
    policy = {
        "tagOwners": {tag: [] for tag in tags},
        "acls": [
            {"action": "accept", "src": ["alice@", *tags], "dst": [f"{tag}:22,443"]}
            for tag in tags
        ],
    }
    nodes = [{"id": 9, "name": LONG, "user": 1, "tags": tags[:1]}]
    write(
        "version: 1\nusers: { alice: {}, bob: {} }\n"
        f"nodes: {{ nas: {{ tags: {json.dumps(tags)} }}, {LONG}-x: {{}} }}\n"
        "removed: ['node:gone-long-ago']\npolicy: { file: policy.hujson }\n",
        {"nodes": [*WORLD["nodes"], *nodes]},
        policy_hujson=json.dumps(policy),
    )


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(write, command, monkeypatch, columns):  # noqa: F811
    a_wide_plan(write)
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (
        ["plan"],
        ["drift"],
        ["access", "list"],
        ["access", "diff"],
        WHY,
        ["doctor"],
    ):
        out = command(*arguments)[1]
        lines = [line for line in out.splitlines() if not line.endswith(": {}")]
        widest = max(lines, key=len)  # YAML to be pasted is not cut
        assert len(widest) <= columns, (arguments, widest)
    assert command("apply", "--auto-approve")[0] == 0


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_printed_command_works_in_several_lines(
    write,  # noqa: F811
    command,
    monkeypatch,
    tmp_path,
    columns,
):
    write("version: 1\nusers: { alice: {}, bob: {} }\nnodes: { nas: {} }\n")
    monkeypatch.setenv("COLUMNS", str(columns))
    limits = ("--exclude", "node:nas.tags", "--exclude", "node:nas.routes")
    out = command("plan", *limits)[1]
    text = out.partition("Apply exactly this with:")[2]
    assert ("\\\n" in text) is (columns < 100)
    assert command(*pasted(text))[0] == 0
    assert users(tmp_path) == ["alice", "bob"]


@pytest.mark.parametrize("columns", [70, 100])
def test_messages_keep_to_a_width_that_is_given(
    write,  # noqa: F811
    command,
    monkeypatch,
    columns,
):
    a_wide_plan(write)
    long = command("plan")[2]
    assert max(map(len, long.splitlines())) > 100  # a log is not cut
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (["plan"], ["plan", "-f", "x" * 90], ["access", "who", "y" * 90]):
        err = command(*arguments)[2]
        assert err
        lines = [line for line in err.splitlines() if "-->" not in line]  # a place
        assert max(map(len, lines)) <= columns, max(lines, key=len)


def test_the_width_is_columns_or_between_80_and_120(monkeypatch):
    assert width.width() == 120  # it is no terminal
    sizes = {40: 80, 100: 100, 300: 120}
    for terminal, expected in sizes.items():
        size = os.terminal_size((terminal, 25))
        monkeypatch.setattr(os, "get_terminal_size", lambda *_, size=size: size)
        assert width.width() == expected
    for given, expected in {"70": 70, "200": 200, "0": 120, "wide": 120}.items():
        monkeypatch.setenv("COLUMNS", given)
        assert width.width() == expected


def test_a_column_wraps_inside_itself(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    rows = [["alice", "one two three four five six seven eight nine", "acls[0]"]]
    (lines,) = width.table(rows, ("  ", " -> ", "   "))
    assert lines == [
        "  alice -> one two three four five six seven eight   acls[0]",
        "           nine",
    ]
    drawn = Line("~", "node:nas", "word " * 12).draw(plain).splitlines()
    assert [len(line) - len(line.lstrip()) for line in drawn] == [2, 24]


def test_what_is_pasted_is_not_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = "some words before it, write match: { hostname: nas, user: alice } then"
    assert "match: { hostname: nas, user: alice }" in "\n".join(width.filled(text))
    text = "what to do next in this case: reconcile plan --out my.json, and look"
    assert "reconcile plan --out my.json" in "\n".join(width.filled(text))
    (lines,) = width.table([["src + group:aaaaaa - group:bbbbb - b@"]], [" " * 20])
    assert [line.strip() for line in lines] == [
        "src + group:aaaaaa",
        "- group:bbbbb - b@",
    ]


# -- words -----------------------------------------------------------------------------


def test_names_stand_in_the_order_of_people(write, command):  # noqa: F811
    names = [10, 2, 1, 11]
    nodes = [
        {"id": i, "name": f"web-{n}", "user": 1, "addresses": [f"100.64.0.{i}"]}
        for i, n in enumerate(names, 1)
    ]
    stored = {"text": '{"acls": []}', "updated": "2030-01-01T00:00:00Z"}
    world = {"nodes": nodes, "policy": stored}
    rule = '{"action": "accept", "src": ["100.64.0.1", "100.64.0.2"], "dst": ["*:22"]}'
    write(
        "version: 1\nusers: { u10: {}, u9: {} }\npolicy: { file: policy.hujson }\n"
        "nodes: { web-10: { exit_node: false, expiry: 2090-01-01 },"
        " web-2: { expiry: 2090-01-01 }, p10: {}, p9: {} }\n",
        world,
        policy_hujson=f'{{"acls": [{rule}]}}',
    )
    out = command("plan")[1]
    order = [
        "user:u9",
        "user:u10",
        "node:web-2 ",
        "node:web-10 ",
        "node:p9",
        "node:p10",
    ]
    order += ["web-1: {}", "web-11: {}"]
    assert sorted(order, key=out.index) == order


def test_a_stale_plan_speaks_no_python(write, command, tmp_path):  # noqa: F811
    write("version: 1\nnodes: { nas: { expiry: 2090-01-01 } }\n")
    command("plan", "--out", "saved.json")
    nodes = [{**WORLD["nodes"][0], "user": None, "tags": ["tag:web"]}]
    (tmp_path / "world.json").write_text(json.dumps({**WORLD, "nodes": nodes}))
    code, _, err = command("apply", "saved.json")
    assert code == 3
    assert "user was alice when planned, is (none) now" in err
    assert "None" not in err


@pytest.mark.parametrize("port", ["\x1b[31m", "a'b"])
def test_odd_input_is_shown_as_text(write, command, port):  # noqa: F811
    write()
    _, _, err = command("access", "who", f"nas:{port}")
    assert "is not a port" in err
    assert "\\x1b" not in err
    assert "\x1b" not in err


def test_a_strange_character_is_no_python_text(write, command):  # noqa: F811
    write(SAME + "policy: { file: policy.hujson }\n", policy_hujson='{"acls": [\x1b]}')
    _, _, err = command("validate")
    assert 'unexpected "\\u001b"' in err


def test_the_usual_widths_of_a_table_are_found_once(monkeypatch):
    asked, usual = [], width._usual

    def count(rows):
        asked.append(rows)
        return usual(rows)

    monkeypatch.setattr(width, "_usual", count)
    rows = [[f"a{n}", "b"] for n in range(100)]
    assert len(width.table(rows, ("", " "))) == 100
    assert len(asked) == 1

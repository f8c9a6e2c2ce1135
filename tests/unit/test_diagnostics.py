"""Findings in five formats; nothing in a file or a name can forge a line of them."""

import json
from pathlib import Path

import pytest

from reconcile.codes import TITLES
from reconcile.errors import Diagnostic, Position, Related
from reconcile.report.diagnostics import LIMIT, render, summary
from reconcile.report.excerpt import WIDTH, excerpt
from reconcile.source.text import Lines

EXPECTED = Path(__file__).with_name("diagnostics")
FORMATS = ("text", "json", "github", "gitlab", "sarif")
LINE = "    tags: [tag:routr, tag:prod]"


def at(file: str, line: int, column: int, length: int, text: str) -> Position:
    """Return a position in a file that has one line only, whatever its number."""
    lines = Lines("\n" * (line - 1) + text, file)
    return Position(file, line, column, length, lines)


TAG = Diagnostic(
    "RC0107",
    "tag:routr has no tagOwners entry",
    at("tailnet.yaml", 34, 12, 9, LINE),
    label="not defined in policy.hujson",
    why='Headscale refuses it ("invalid or not permitted")',
    help="correct the tag",
    related=(
        Related(
            at("policy.hujson", 12, 5, 12, '    "tag:router": ["group:admins"],'),
            "did you mean this one?",
        ),
    ),
)
PLAIN = Diagnostic(
    "RC0207",
    "node:nas is matched by hostname only, and gets tag:storage",
    Position("teams/a b.yaml", 7, 3),
    severity="warning",
)
NOWHERE = Diagnostic("RC0305", "user:bob cannot be removed", address="user:bob")
HOSTILE = Diagnostic(
    "RC0008",
    "100% of a\x1b[31m::error::b, \u202ec\r is not possible",
    at("we:ird,name%.yaml", 2, 9, 4, "name:\t\x1b[2J\u202edéja 世界 e\u0301 #"),
    help="first\nsecond",
)


@pytest.mark.parametrize("format", FORMATS)
def test_formats(format):
    text = render([TAG, PLAIN, NOWHERE, HOSTILE], format)
    suffix = "txt" if format in ("text", "github") else "json"
    file = EXPECTED / f"{format}.{suffix}"
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_can_steer_a_terminal_or_start_a_command(format):
    text = render([HOSTILE], format)
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    if format == "github":
        assert text.count("\n") == 1
        assert text.startswith("::error file=we%3Aird%2Cname%25.yaml,line=2,col=9,")


def test_no_findings():
    assert render([], "text") == ""
    assert json.loads(render([], "json")) == {
        "diagnostics": [],
        "errors": 0,
        "warnings": 0,
    }
    assert render([], "github") == ""
    assert json.loads(render([], "gitlab")) == []
    assert json.loads(render([], "sarif"))["runs"][0]["results"] == []
    assert summary([]) == "No findings."


def test_many_findings_are_counted():
    many = [Diagnostic("RC0003", f"{n} is null") for n in range(LIMIT + 7)]
    text = render(many)
    assert text.count("error[RC0003]") == LIMIT
    assert "… and 7 more, not shown.\n\n57 errors.\n" in text
    assert len(json.loads(render(many, "json"))["diagnostics"]) == LIMIT + 7


def test_colour_is_the_callers_business():
    text = render([TAG], "text", style=lambda words, name: f"<{name}>{words}</>")
    assert "<red>error[RC0107]</>: <bold>tag:routr has no" in text
    assert "<red>^^^^^^^^^ not defined in policy.hujson</>" in text
    assert "<blue>------------ did you mean this one?</>" in text


@pytest.mark.parametrize(
    ("text", "column", "length", "line", "start", "marked"),
    [
        ("abc", 2, 1, "abc", 1, 1),
        ("\tabc", 2, 3, "    abc", 4, 3),
        ("世界: x", 1, 2, "世界: x", 0, 4),
        ("世界: x", 5, 1, "世界: x", 6, 1),
        ("e\u0301x", 3, 1, "e\u0301x", 1, 1),
        ("a\x1bb", 3, 1, "a\\u001bb", 7, 1),
        ("abc", 4, 1, "abc", 3, 1),
        ("", 1, 1, "", 0, 1),
    ],
)
def test_marks_stand_under_what_they_mean(text, column, length, line, start, marked):
    drawn = excerpt(at("f", 1, column, length, text))
    assert (drawn.line, drawn.mark_start, drawn.mark_length) == (line, start, marked)


@pytest.mark.parametrize("column", [1, 50, 99, 101, 500, 9_990, 10_000])
def test_long_lines_are_cut_around_the_mark(column):
    text = "x" * (column - 1) + "Y" + "x" * (10_000 - column)
    drawn = excerpt(at("f", 1, column, 1, text))
    assert len(drawn.line) <= WIDTH + 2
    assert drawn.line[drawn.mark_start] == "Y"


def test_fingerprints_survive_moved_lines_and_tell_twins_apart():
    def prints(*findings):
        return [item["fingerprint"] for item in json.loads(render(findings, "gitlab"))]

    moved = Diagnostic(TAG.code, TAG.message, Position("tailnet.yaml", 99, 1))
    assert prints(TAG) == prints(moved)
    assert len(set(prints(TAG, moved, PLAIN))) == 3


def test_paths_are_relative_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside = Diagnostic("RC0003", "x", Position(str(tmp_path / "a.yaml"), 1, 1))
    outside = Diagnostic("RC0003", "x", Position("/etc/a.yaml", 1, 1))
    assert "  --> a.yaml:1:1" in render([inside])
    assert "  --> /etc/a.yaml:1:1" in render([outside])


def test_sarif_holds_what_code_scanning_needs():
    log = json.loads(render([TAG, PLAIN, NOWHERE], "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["shortDescription"]["text"] == TITLES[rule["id"]]
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 34, "startColumn": 12, "endColumn": 21}
    uri = run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert uri == {"uri": "teams/a%20b.yaml"}

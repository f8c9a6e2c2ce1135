"""Exit codes, flags, colour and pipes of the command line."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconcile import cli as command_line
from reconcile.cli import cli
from reconcile.source.hujson import parse

ROOT = Path(__file__).parents[2]
POLICY = '{"tagOwners": {"tag:web": []}, "acls": []}\n'
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}],
    "nodes": [{"id": 1, "name": "nas", "user": 1}],
    "policy": {"text": POLICY, "updated": "2030-01-01T00:00:00Z"},
}
CHANGE = "version: 1\nusers: { alice: {}, bob: {} }\n"
SAME = "version: 1\nusers: { alice: {} }\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the desired state and a simulated world."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")

    def files(yaml=CHANGE, world=None, **more):
        (tmp_path / "tailnet.yaml").write_text(yaml)
        (tmp_path / "world.json").write_text(json.dumps({**WORLD, **(world or {})}))
        for name, text in more.items():
            (tmp_path / name.replace("_", ".")).write_text(text)

    return files


def users(tmp_path):
    world = json.loads((tmp_path / "world.json").read_text())
    return [user["name"] for user in world["users"]]


# -- exit codes ------------------------------------------------------------------------


def test_0_nothing_to_do(write, command):
    write(SAME)
    for arguments in (
        ["plan"],
        ["plan", "--detailed-exitcode"],
        ["plan", "--check"],
        ["drift"],
        ["apply"],
        ["validate"],
    ):
        assert command(*arguments)[0] == 0, arguments


def test_0_a_plan_with_changes_succeeds(write, command):
    write()
    assert command("plan")[0] == 0


def test_0_everything_applied(write, command, tmp_path):
    write()
    code, out, _ = command("apply", "--auto-approve")
    assert (code, users(tmp_path)) == (0, ["alice", "bob"])
    assert "\nApplied 1 of 1.\n" in out
    assert command("plan", "--check")[0] == 0


@pytest.mark.parametrize("arguments", [["plan"], ["apply"], ["drift"], ["validate"]])
def test_1_the_file_is_wrong(write, command, arguments):
    write("version: 1\nusers: null\n")
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert "error[RC0003]" in err
    assert "tailnet.yaml:2:" in err


def test_1_a_plan_that_the_server_cannot_follow(write, command, tmp_path):
    write("version: 1\nusers: { alice: { email: a@example.com }, bob: {} }\n")
    code, out, err = command("plan")
    assert code == 1
    assert "+ user:bob" in out  # shown all the same
    assert "error[RC0304]" in err
    code, _, err = command("apply", "--auto-approve")
    assert (code, users(tmp_path)) == (1, ["alice"])
    assert "Nothing was changed." in err


@pytest.mark.parametrize("flag", ["--detailed-exitcode", "--check"])
def test_2_changes_present(write, command, flag):
    write()
    assert command("plan", flag)[0] == 2


def test_2_drift_names_its_code_and_the_flag(write, command):
    write()
    code, out, err = command("drift")
    assert code == 2
    assert "Drift: 1 object" in out
    assert "Exit code 2 says that something differs (--drift-exit-code N" in err


@pytest.mark.parametrize("chosen", ["0", "1", "9"])
def test_drift_exit_code_is_chosen(write, command, chosen):
    write()
    code, _, err = command("drift", "--drift-exit-code", chosen)
    assert code == int(chosen)
    assert f"Exit code {chosen} says" in err
    write(SAME)
    assert command("drift", "--drift-exit-code", chosen)[0] == 0


def checksum(command):
    return json.loads(command("plan", "--format", "json")[1])["checksum"]


def test_0_a_checksum_that_holds_needs_no_question(write, command, tmp_path):
    write()
    code, _, _ = command("apply", "--checksum", checksum(command))
    assert (code, users(tmp_path)) == (0, ["alice", "bob"])


def test_3_the_checksum_no_longer_holds(write, command, tmp_path):
    write()
    old = checksum(command)
    write("version: 1\nusers: { alice: {}, carol: {} }\n")
    code, out, err = command("apply", "--checksum", old)
    assert (code, users(tmp_path)) == (3, ["alice"])
    assert "+ user:carol" in out
    assert f"now, not {old}" in err


def test_0_a_saved_plan_is_applied_without_a_question(write, command, tmp_path):
    write()
    code, _, err = command("plan", "--out", "saved.json")
    assert "Apply it with: reconcile apply saved.json" in err
    code, _, _ = command("apply", "saved.json")
    assert (code, users(tmp_path)) == (0, ["alice", "bob"])


NODE = "version: 1\nnodes: { nas: { routes: { approve: [10.0.0.0/8] } } }\n"


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ({"approved": ["172.16.0.0/12"]}, "routes was [] when planned"),
        ({"name": "box"}, "node:nas is not as it was"),
    ],
)
def test_3_what_a_saved_plan_touches_has_moved(write, command, tmp_path, moved, words):
    write(NODE)
    command("plan", "--out", "saved.json")
    write(NODE, {"nodes": [{"id": 1, "name": "nas", "user": 1, **moved}]})
    before = (tmp_path / "world.json").read_text()
    code, _, err = command("apply", "saved.json")
    assert code == 3
    assert words in err
    assert "stale: " in err
    assert "= help: make a new plan: reconcile plan" in err
    assert json.loads((tmp_path / "world.json").read_text()) == json.loads(before)


def test_0_what_a_saved_plan_does_not_touch_may_move(write, command):
    write(NODE)
    command("plan", "--out", "saved.json")
    other = {"id": 2, "name": "tv", "user": 1, "online": True, "tags": ["tag:web"]}
    write(NODE, {"nodes": [*WORLD["nodes"], other]})
    assert command("apply", "saved.json")[0] == 0


def test_3_the_file_changed_after_the_plan_was_saved(write, command, tmp_path):
    write()
    command("plan", "--out", "saved.json")
    write(CHANGE + "# a word more\n")
    code, _, err = command("apply", "saved.json")
    assert (code, users(tmp_path)) == (3, ["alice"])
    assert "tailnet.yaml changed after this plan was saved" in err


def test_3_a_plan_for_another_server(write, command, monkeypatch, tmp_path):
    write()
    command("plan", "--out", "saved.json")
    (tmp_path / "other.json").write_text(json.dumps(WORLD))
    monkeypatch.setenv("HEADSCALE_URL", "simulator:other.json")
    code, _, err = command("apply", "saved.json")
    assert code == 3
    assert "this plan is for world at simulator:world.json" in err


def test_1_a_plan_that_was_edited(write, command, tmp_path):
    write()
    command("plan", "--out", "saved.json")
    text = (tmp_path / "saved.json").read_text()
    (tmp_path / "saved.json").write_text(text.replace('"bob"', '"mallory"'))
    code, _, err = command("apply", "saved.json")
    assert (code, users(tmp_path)) == (1, ["alice"])
    assert "it was edited after it was saved" in err


def test_4_the_server_reads_its_policy_from_a_file(write, command, tmp_path):
    write(
        "version: 1\nusers: { alice: {}, bob: {} }\npolicy: { acls: [] }\n",
        {"policy": {"mode": "file", "text": POLICY}},
    )
    code, out, err = command("apply", "--auto-approve")
    assert (code, users(tmp_path)) == (4, ["alice"])
    assert "policy.mode: file" in out
    assert "reconcile apply --exclude policy" in err
    assert command("plan")[0] == 0
    assert command("drift")[0] == 2
    code, _, _ = command("apply", "--auto-approve", "--exclude", "policy")
    assert (code, users(tmp_path)) == (0, ["alice", "bob"])


# -- usage -----------------------------------------------------------------------------

WRONG = [
    [],
    ["nosuch"],
    ["--nosuch"],
    ["--color", "purple", "plan"],
    ["plan", "--color", "purple"],
    ["plan", "--format", "yaml"],
    ["plan", "--timeout", "soon"],
    ["plan", "--timeout", "0"],
    ["plan", "--out"],
    ["plan", "extra"],
    ["apply", "--parallelism", "0"],
    ["apply", "--progress", "loud"],
    ["apply", "a.json", "b.json"],
    ["drift", "--drift-exit-code", "256"],
    ["import", "--kind", "device"],
    ["import", "extra"],
    ["validate", "--format", "xml"],
    ["show"],
    ["schema", "nosuch"],
    ["snapshot", "extra"],
    ["doctor", "extra"],
    *[[name, "--nosuch"] for name in sorted(cli.commands)],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_64_usage_errors_are_never_2(command, arguments):
    code, _, err = command(*arguments)
    assert code == 64
    assert "Usage: reconcile" in err or "requires an argument" in err


def test_64_no_file_and_no_server(command):
    code, _, err = command("plan")
    assert code == 64
    assert "reconcile import" in err
    code, _, err = command("import")
    assert code == 64
    assert "export HEADSCALE_URL" in err


def test_64_apply_without_a_terminal_has_nobody_to_ask(write, command, tmp_path):
    write()
    code, out, err = command("apply")
    assert (code, users(tmp_path)) == (64, ["alice"])
    assert "+ user:bob" in out
    assert "--checksum SUM of a reviewed plan, a saved plan, or --auto-approve" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [("y\n", 0, ["alice", "bob"]), ("n\n", 1, ["alice"]), ("\n", 1, ["alice"])],
)
def test_on_a_terminal_apply_asks(
    write, command, monkeypatch, tmp_path, typed, code, left
):
    write()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert command("apply")[0] == code
    assert users(tmp_path) == left


class Slow(Terminal):
    """Somebody who says yes after somebody else wrote to the server."""

    def __init__(self, world, change):
        super().__init__("y\n")
        self.world, self.change = world, change

    def readline(self, *limit):
        known = json.loads(self.world.read_text())
        self.change(known)
        self.world.write_text(json.dumps(known))
        return super().readline(*limit)


@pytest.mark.parametrize(
    ("change", "code", "tags"),
    [
        (lambda world: world["nodes"][0].update(tags=["tag:db"]), 3, ["tag:db"]),
        (lambda world: world["users"].append({"id": 2, "name": "eve"}), 0, ["tag:web"]),
    ],
    ids=["the same node", "something else"],
)
def test_what_changes_while_the_question_waits_is_not_overwritten(
    write, command, monkeypatch, tmp_path, change, code, tags
):
    write('version: 1\nnodes: { nas: { match: { id: "1" }, tags: ["tag:web"] } }\n')
    world = tmp_path / "world.json"
    monkeypatch.setattr(sys, "stdin", Slow(world, change))
    found, _, err = command("apply")
    assert found == code
    assert json.loads(world.read_text())["nodes"][0]["tags"] == tags
    assert ("tags was [] when planned, is [tag:db] now" in err) == (code == 3)


def test_the_end_of_input_at_the_question_is_a_no(
    write, command, monkeypatch, tmp_path
):
    write()
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    code, _, err = command("apply")
    assert (code, users(tmp_path)) == (1, ["alice"])
    assert "Interrupted." in err


def test_ctrl_c_while_planning(write, command, monkeypatch):
    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    write()
    monkeypatch.setattr("reconcile.jobs.several.make_plans", interrupted)
    code, out, err = command("plan")
    assert (code, out, err.strip()) == (1, "", "Interrupted.")


# -- output ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "environ", "coloured"),
    [
        ([], {}, False),  # no terminal
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (["--color", "auto"], {"NO_COLOR": ""}, False),
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after the command"])
def test_colour(write, command, monkeypatch, flags, environ, coloured, after):
    write()
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    arguments = ["plan", *flags] if after else [*flags, "plan"]
    _, out, _ = command(*arguments)
    assert ("\x1b[" in out) is coloured
    write("version: 1\nusers: null\n")
    _, _, err = command(*arguments)
    assert ("\x1b[" in err) is coloured


def test_colour_adds_nothing_but_colour(write, command):
    write()
    _, plain, _ = command("plan")
    _, painted, _ = command("--color", "always", "plan")
    assert re_colour(painted) == plain


def re_colour(text):
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("arguments", [["--quiet", "drift"], ["drift", "--quiet"]])
def test_quiet_leaves_the_result_and_drops_the_notes(write, command, arguments):
    write()
    code, out, err = command(*arguments)
    assert (code, err) == (2, "")
    assert "Drift: 1 object" in out


def test_quiet_keeps_errors(write, command):
    write("version: 1\nusers: null\n")
    assert "error[RC0003]" in command("--quiet", "plan")[2]


def test_json_output_is_one_document_and_warnings_go_to_stderr(write, command):
    write("version: 1\nusers: { alice: { display_name: A } }\nif_unsupported: warn\n")
    for name in ("plan", "drift"):
        _, out, err = command(name, "--format", "json")
        assert json.loads(out)["command"] == name
        assert "warning[RC0304]" in err or name == "drift"


def test_apply_as_json_is_one_document(write, command):
    write()
    code, out, _ = command("apply", "--auto-approve", "--format", "json")
    document = json.loads(out)
    assert (code, document["command"], document["applied"]) == (0, "apply", True)
    assert [o["address"] for o in document["operations"]] == ["user:bob"]


def test_several_servers_make_one_plan(write, command, tmp_path):
    (tmp_path / "lab.json").write_text(json.dumps(WORLD))
    write("""version: 1
servers:
  lab: { url: 'simulator:lab.json' }
  prod: { url: 'simulator:world.json' }
users: { alice: {}, bob: {} }
""")
    code, out, _ = command("plan", "--server", "all", "--format", "json")
    document = json.loads(out)
    assert [s["name"] for s in document["servers"]] == ["lab", "prod"]
    assert document["summary"]["add"] == 2
    sum_ = document["checksum"]
    code, _, _ = command("apply", "--server", "all", "--checksum", sum_)
    assert code == 0
    assert users(tmp_path) == ["alice", "bob"]
    assert command("plan", "--server", "lab", "--check")[0] == 0


# -- processes -------------------------------------------------------------------------


def child(*arguments, **options):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environ", {})}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_help_loads_nothing_heavy():
    """One process for all commands: what one loads would show for the next."""
    program = """
import sys
from reconcile.cli import cli, run
for name in ["", *cli.commands]:
    assert run([*name.split(), "--help"]) == 0
    heavy = {"httpx", "yaml", "jsonschema", "deepdiff", "httpcore"} & set(sys.modules)
    assert not heavy, (name, heavy)
assert run(["plan", "--nosuch"]) == 64
assert "reconcile.jobs.run" not in sys.modules
"""
    with child("-c", program) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_a_valid_file_is_read_without_jsonschema(tmp_path):
    (tmp_path / "t.yaml").write_text("version: 1\nusers: { alice: {} }\n")
    program = """
import sys
from reconcile.cli import run
assert run(["validate", "-f", "t.yaml"]) == 0
assert "jsonschema" not in sys.modules
"""
    with child("-c", program, cwd=tmp_path) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_a_reader_that_goes_away_is_no_failure():
    with child("-m", "reconcile", "schema") as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(60)
    assert (process.returncode, err) == (0, "")


def test_a_reader_that_goes_away_before_an_apply_stops_it(write, command, tmp_path):
    write()
    environ = {"HEADSCALE_URL": "simulator:world.json"}
    arguments = ["-m", "reconcile", "apply", "--auto-approve"]
    with child(*arguments, environ=environ, cwd=tmp_path) as process:
        process.stdout.close()
        process.stderr.read()
        process.wait(60)
    assert (process.returncode, users(tmp_path)) == (1, ["alice"])


def test_the_module_and_the_entry_point_are_the_same():
    with child("-m", "reconcile", "--version") as process:
        out, _ = process.communicate(timeout=60)
    assert out.startswith("reconcile ")
    assert command_line.run(["--version"]) == 0


def test_render_writes_an_inline_policy_as_the_server_gets_it(command):
    Path("tailnet.yaml").write_text(
        "version: 1\npolicy: { acls: [], groups: { 'group:a': ['alice@'] } }\n"
    )
    code, out, _ = command("render", "policy")
    assert code == 0
    assert parse(out).value == {"acls": [], "groups": {"group:a": ["alice@"]}}
    assert command("render", "policy", "-o", "p.hujson")[0] == 0
    assert Path("p.hujson").read_text() == out


def test_render_says_when_there_is_no_policy(command):
    Path("tailnet.yaml").write_text("version: 1\nusers: {}\n")
    code, _, err = command("render")
    assert (code, "no one policy" in err) == (64, True)


def test_logs_are_json_lines_on_request(command):
    code, out, err = command("plan", "-f", "absent.yaml", "--log-format", "json")
    (event,) = map(json.loads, err.splitlines())
    assert (code, out) == (1, "")
    assert (event["level"], event["code"], event["file"]) == (
        "error",
        "RC0001",
        "absent.yaml",
    )
    code, _, err = command("--log-format", "json", "doctor", "--server", "x")
    assert json.loads(err)["exit_code"] == code == 64


def test_progress_is_json_lines_on_request(command):
    Path("tailnet.yaml").write_text(
        "version: 1\n"
        "server: { type: headscale, url: 'simulator:world.json' }\n"
        "users: { alice: {}, bob: {} }\n"
    )
    code, _, err = command("apply", "--auto-approve", "--progress", "json")
    events = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert [(e["number"], e["of"], e["status"]) for e in events] == [
        (1, 2, "done"),
        (2, 2, "done"),
    ]
    assert {e["address"] for e in events} == {"user:alice", "user:bob"}


def test_flags_of_one_run_are_forgotten_by_the_next(command):
    command("plan", "--log-format", "json", "--quiet", "-f", "absent.yaml")
    _, _, err = command("plan", "-f", "absent.yaml")
    assert err.startswith("error[RC0001]")


def test_warnings_of_a_plan_stand_above_its_summary(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    node = "nas: { match: { hostname: nas }, tags: [tag:web] }"
    write(f"version: 1\nnodes: {{ {node} }}\n")
    program = "from reconcile.cli import run; run(['plan'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    (summary,) = [n for n, line in enumerate(lines) if line.startswith("Plan: ")]
    (warned,) = [n for n, line in enumerate(lines) if line == "1 warning."]
    assert warned < summary
    assert lines[-1].startswith("Checksum: ")

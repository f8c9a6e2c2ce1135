"""A policy for a server that reads it from a file: delivered by `apply`, read back."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reconcile.apply import deliver as delivery
from reconcile.report.json_plan import digest

ROOT = Path(__file__).parents[2]
OLD = '{"tagOwners": {"tag:web": []}, "acls": []}\n'
NEW = (
    "// as it is, to the byte\r\n"
    '{"tagOwners": {"tag:web": []}, "acls": [\n'
    '  {"action": "accept", "src": ["alice@"], "dst": ["*:*"]},\n'
    "]}"
)
# What a server does when it is told to read its file again, and one that tells what
# it was started with.
RELOAD = """\
import json, sys
world = json.load(open("world.json"))
world["policy"]["text"] = open("served.hujson", newline="").read()
json.dump(world, open("world.json", "w"))
"""
RECEIVE = (
    """\
import os, sys
text = sys.stdin.buffer.read()
open("served.hujson", "wb").write(text)
with open("runs.txt", "a") as runs:
    print(len(text), sys.argv[1:], "API_KEY" in str(os.environ), file=runs)
print("not for the standard output of reconcile")
"""
    + RELOAD
)
PYTHON = json.dumps(sys.executable)
COMMAND = f"command: [{PYTHON}, receive.py, two words]"


@pytest.fixture
def ground(tmp_path, monkeypatch):
    """A world in file mode, programs, and a function that writes the files anew."""
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    monkeypatch.setenv("RECONCILE_ALLOW_COMMANDS", "1")  # leave: see test_leave.py
    monkeypatch.setattr(delivery, "_PATIENCE", 0.5)
    (tmp_path / "reload.py").write_text(RELOAD)
    (tmp_path / "receive.py").write_text(RECEIVE)
    (tmp_path / "served.hujson").write_text(OLD)

    def write(deliver, form="file: policy.hujson", text=NEW, more="", **world):
        found = {
            "emulate": "0.29",
            "users": [{"id": 1, "name": "alice"}],
            "policy": {"mode": "file", "text": OLD},
        }
        (tmp_path / "world.json").write_text(json.dumps({**found, **world}))
        (tmp_path / "policy.hujson").write_bytes(text.encode())
        (tmp_path / "tailnet.yaml").write_text(
            f"version: 1\npolicy: {{ {form}, deliver: {{ {deliver} }} }}\n{more}"
        )
        return tmp_path

    return write


def stored(folder):
    return json.loads((folder / "world.json").read_text())["policy"]["text"]


def runs(folder):
    file = folder / "runs.txt"
    return file.read_text().splitlines() if file.exists() else []


TO_FILE = f"file: served.hujson, then: [{PYTHON}, reload.py]"
WAYS = {"file": TO_FILE, "command": COMMAND}


@pytest.mark.parametrize("way", WAYS)
def test_an_apply_delivers_the_bytes_and_reads_them_back(ground, command, way):
    folder = ground(WAYS[way])
    code, out, err = command("apply", "--auto-approve")
    assert code == 0, err
    assert "Applied 1 of 1." in out
    assert (folder / "served.hujson").read_bytes() == NEW.encode()
    assert stored(folder) == NEW
    assert command("plan", "--check")[0] == 0
    assert command("drift")[0] == 0


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        ("files: [policy.hujson]", '"alice@"'),
        ('acls: [{ action: accept, src: ["alice@"], dst: ["*:22"] }]', '"*:22"'),
    ],
)
def test_a_policy_that_was_put_together_is_delivered_too(ground, command, policy, sent):
    folder = ground(COMMAND, policy)
    assert command("apply", "--auto-approve")[0] == 0
    assert sent in stored(folder)
    assert "deliver" not in stored(folder).partition("\n")[2]
    assert command("plan", "--check")[0] == 0


def test_the_command_gets_the_text_on_standard_input_and_nothing_else(
    ground, command, monkeypatch
):
    key = "hskey-api-simulated000-" + "0" * 64
    monkeypatch.setenv("HEADSCALE_API_KEY", key)
    valid = {"id": 1, "key": key, "expiration": "2099-01-01T00:00:00Z"}
    folder = ground(COMMAND, api_keys=[valid])
    code, out, _ = command("apply", "--auto-approve", "--format", "json")
    assert code == 0
    assert runs(folder) == [f"{len(NEW)} ['two words'] False"]
    assert json.loads(out)["applied"] is True


def test_the_plan_says_how_and_is_not_blocked(ground, command):
    ground(COMMAND)
    code, out, _ = command("plan")
    assert code == 0
    assert "    Delivered by: " in out
    assert "receive.py 'two words'\n" in out
    assert "Order: policy      (1 call)" in out
    assert "Not possible" not in out
    assert "does not take" not in out
    document = json.loads(command("plan", "--format", "json")[1])
    (server,) = document["servers"]
    assert server["policy"]["delivery"].endswith("receive.py 'two words'")
    assert server["changes"][0]["blocked_by"] == []


def test_a_variable_is_shown_as_written(ground, command, monkeypatch):
    monkeypatch.setenv("PLACE", "served")
    folder = ground(f'file: "${{PLACE}}.hujson", then: [{PYTHON}, reload.py]')
    assert "Delivered to: ${PLACE}.hujson, then: " in command("plan")[1]
    command("apply", "--auto-approve")
    assert (folder / "served.hujson").read_bytes() == NEW.encode()


READS = [
    ["validate"],
    ["plan"],
    ["plan", "--out", "saved.json"],
    ["show", "saved.json"],
    ["drift"],
    ["snapshot", "-o", "live.json"],
    ["plan", "--from", "live.json"],
    ["test"],
    ["access", "list"],
    ["access", "diff"],
    ["render", "policy", "-o", "rendered.hujson"],
    ["doctor"],
]


def test_read_commands_deliver_nothing(ground, command):
    folder = ground(COMMAND)
    for arguments in READS:
        code, _, err = command(*arguments)
        assert code in (0, 2) or arguments == ["doctor"], (arguments, err)
    assert runs(folder) == []
    assert stored(folder) == OLD
    code, _, _ = command("apply")  # nobody says yes
    assert (code, runs(folder)) == (64, [])


def test_a_server_in_database_mode_is_written_over_the_api(ground, command):
    folder = ground(COMMAND, policy={"text": OLD, "updated": "2030-01-01T00:00:00Z"})
    out = command("plan")[1]
    assert "Note: policy.deliver is not used" in out
    assert "Delivered" not in out
    assert command("apply", "--auto-approve")[0] == 0
    assert (stored(folder), runs(folder)) == (NEW, [])


def test_a_saved_plan_holds_no_command_that_could_be_run(ground, command):
    """Even one that was forged with care: the files say what is run."""
    folder = ground(COMMAND)
    command("plan", "--out", "saved.json")
    file = folder / "saved.json"
    document = json.loads(file.read_text())
    document["servers"][0]["policy"]["delivery"] = "by: touch forged"
    del document["digest"]
    file.write_text(json.dumps({**document, "digest": digest(document)}))
    assert command("apply", "saved.json")[0] == 0
    assert len(runs(folder)) == 1
    assert not (folder / "forged").exists()
    assert stored(folder) == NEW


def test_a_saved_plan_is_stale_when_the_way_changed(ground, command):
    folder = ground(COMMAND)
    command("plan", "--out", "saved.json")
    ground(TO_FILE)
    assert command("apply", "saved.json")[0] == 3
    assert stored(folder) == OLD


# -- what goes wrong -------------------------------------------------------------------


def fails(program):
    return f"command: [{PYTHON}, -c, {json.dumps(program)}]"


LOUD = """\
import sys
key = "hskey" + "-api-abcdefghijkl-0123"
print("no", "one", "two\\x1b[2J", "with " + key, "x" * 999, sep="\\n", file=sys.stderr)
sys.exit(7)
"""


def test_5_the_command_fails(ground, command):
    folder = ground(
        f"command: [{PYTHON}, loud.py]", more="users: { alice: {}, bob: {} }\n"
    )
    (folder / "loud.py").write_text(LOUD)
    code, out, err = command("apply", "--auto-approve")
    assert code == 5
    assert "Applied 1 of 2. 1 failed" in out  # the user does not wait for the policy
    line = next(line for line in out.splitlines() if "failed: policy" in line)
    assert "ended with status 7: two\\u001b[2J | with hskey-… | xxx" in line
    assert "no" not in line.split("status 7")[1]
    assert len(line) < 400
    assert "abcdefghijkl" not in out + err
    assert "run it by hand" in out
    assert stored(folder) == OLD


def test_5_the_command_does_not_end(ground, command):
    folder = ground(fails("import os; os.system('sleep 1; touch late')"))
    code, out, _ = command("apply", "--auto-approve", "--timeout", "0.5")
    assert code == 5
    assert "did not end within 0.5 s and was stopped" in out
    time.sleep(1)
    assert not (folder / "late").exists()  # what it had started was stopped as well


def test_a_delivery_that_runs_outlives_ctrl_c(ground):
    """As every write does: half a delivery would be worse."""
    program = "open('begun', 'w'); import time; time.sleep(1); import receive"
    folder = ground(fails(program))
    apply = subprocess.Popen(
        [sys.executable, "-m", "reconcile", "apply", "--auto-approve"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while not (folder / "begun").exists():
        assert apply.poll() is None
        time.sleep(0.02)
    os.killpg(apply.pid, signal.SIGINT)  # as a terminal does
    out, _ = apply.communicate(timeout=30)
    assert "Applied 1 of 1." in out
    assert stored(folder) == NEW


@pytest.mark.parametrize("there", [True, False])
def test_5_what_follows_the_file_fails(ground, command, there):
    """The file is as it was: Headscale would show a file that it has not read."""
    folder = ground(f"file: served.hujson, then: [{PYTHON}, no-such-file.py]")
    if not there:
        (folder / "served.hujson").unlink()
    code, out, _ = command("apply", "--auto-approve")
    assert code == 5
    assert "ended with status 2" in out
    left = [p.read_text() for p in folder.glob("*served.hujson*")]
    assert left == ([OLD] if there else [])


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("command: [no-such-program]", "no-such-program did not run: No such file"),
        ('command: ["a\\0b"]', "cannot deliver the policy: embedded null byte"),
        ('file: served.hujson, then: ["a\\0b"]', "cannot deliver the policy"),
        ("file: .", "cannot read "),
        ("file: no/such/folder/p.hujson", "cannot write "),
        ('file: "a\\0b"', "cannot deliver the policy: embedded null byte"),
    ],
)
def test_5_it_cannot_be_delivered(ground, command, way, message):
    folder = ground(way)
    code, out, _ = command("apply", "--auto-approve")
    assert code == 5
    assert f"failed: policy: write: {message}" in out
    assert stored(folder) == OLD


def test_6_the_server_never_shows_it(ground, command):
    """What waits for the policy is not done then."""
    node = [{"id": 1, "name": "nas", "user": 1}]
    yaml = 'nodes: { nas: { match: { id: "1" }, tags: [tag:new] } }\n'
    folder = ground(
        "file: elsewhere.hujson", text=NEW.replace("web", "new"), more=yaml, nodes=node
    )
    code, out, _ = command("apply", "--auto-approve")
    assert code == 6
    assert "Applied 0 of 3. 1 accepted but not applied." in out
    assert "the server does not show it: it shows another policy" in out
    assert "skipped: node:nas: set tags: waits for policy" in out
    assert "policy.path" in out
    assert stored(folder) == OLD
    code, out, _ = command("apply", "--auto-approve", "--format", "json")
    document = json.loads(out)
    assert (code, document["not_applied"]) == (6, ["policy"])
    assert [o["status"] for o in document["operations"]] == [
        "unseen",
        "skipped",
        "skipped",
    ]


def test_a_slow_server_is_waited_for(ground, command, monkeypatch):
    monkeypatch.setattr(delivery, "_PATIENCE", 15)
    script = "import time; time.sleep(0.6); import runpy; runpy.run_path('reload.py')"
    late = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {script!r}])"
    )
    folder = ground(f"file: served.hujson, then: [{PYTHON}, -c, {json.dumps(late)}]")
    assert command("apply", "--auto-approve")[0] == 0
    assert stored(folder) == NEW


def test_a_policy_that_moved_since_the_plan_is_left_alone(ground, command, monkeypatch):
    folder = ground(COMMAND)
    from reconcile.apply import run as apply

    def meanwhile(self):
        world = json.loads((folder / "world.json").read_text())
        world["policy"]["text"] = OLD.replace("web", "db")
        (folder / "world.json").write_text(json.dumps(world))
        return run(self)

    run = apply.Apply.run
    monkeypatch.setattr(apply.Apply, "run", meanwhile)
    code, out, _ = command("apply", "--auto-approve")
    assert code == 5
    assert "is not the one that this plan was made from" in out
    assert runs(folder) == []


def test_both_writes_of_make_before_break_are_delivered(ground, command):
    old = (
        '{"tagOwners": {"tag:web": []}, "acls": [\n'
        '  {"action": "accept", "src": ["alice@"], "dst": ["tag:web:*"]}]}\n'
    )
    folder = ground(
        COMMAND,
        text=old.replace("tag:web", "tag:www"),
        more='nodes: { nas: { match: { id: "1" }, tags: [tag:www] } }\n',
        nodes=[{"id": 1, "name": "nas", "tags": ["tag:web"]}],
        policy={"mode": "file", "text": old},
    )
    assert "Written twice" in command("plan")[1]
    code, out, _ = command("apply", "--auto-approve")
    assert (code, out.count("Applied 3 of 3.")) == (0, 1)
    assert len(runs(folder)) == 2
    assert stored(folder) == old.replace("tag:web", "tag:www")
    assert command("plan", "--check")[0] == 0


# -- the file on this machine ----------------------------------------------------------


def test_a_file_keeps_owner_and_permissions_and_a_link_stays_one(ground, command):
    folder = ground("file: link.hujson")
    served = folder / "served.hujson"
    os.chmod(served, 0o640)
    if os.geteuid() == 0:
        os.chown(served, 1, 2)
    owner = served.stat().st_uid, served.stat().st_gid
    (folder / "link.hujson").symlink_to("served.hujson")
    command("apply", "--auto-approve")
    assert (folder / "link.hujson").is_symlink()
    assert served.read_bytes() == NEW.encode()
    assert stat.S_IMODE(served.stat().st_mode) == 0o640
    assert (served.stat().st_uid, served.stat().st_gid) == owner


def test_an_overlay_has_its_own_way(ground, command):
    folder = ground("file: base.hujson, then: [base]")
    file = folder / "tailnet.yaml"
    file.write_text(
        file.read_text()
        + "servers: { lab: { type: headscale, url: simulator:world.json } }\n"
        + "overlays: { lab: { policy: { deliver: { command: [lab] } } } }\n"
    )
    out = command("plan")[1]
    assert "policy.hujson, 1 rule added" in out
    assert "Delivered by: lab\n" in out


def test_a_delivery_needs_a_policy(ground, command):
    folder = ground("file: a")
    (folder / "tailnet.yaml").write_text("version: 1\npolicy: {deliver: {file: a}}\n")
    code, _, err = command("validate")
    assert code == 1
    assert "error[RC0022]: policy.deliver has no policy to deliver" in err
    assert "tailnet.yaml:2:10" in err


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("", "policy.deliver must have exactly one of: file, command"),
        ("file: a, command: [b]", "policy.deliver must have exactly one of"),
        ("command: [a], then: [b]", "policy.deliver cannot have both"),
        ("command: ssh hs", "policy.deliver.command must be a list, not text"),
        ("file: a, then: []", "policy.deliver.then is empty"),
        ("path: a", "`path` is not known in policy.deliver"),
    ],
)
def test_a_way_that_is_none(ground, command, way, message):
    ground(way)
    code, _, err = command("validate")
    assert code == 1
    assert message in err

"""A stranger's pull request runs nothing, sends nothing, and reads nothing outside.

Each of `attempts` meets each command. The table of docs/safety.md is what
they answer; to write it anew: SAFETY=write pytest tests/strangers
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from reconcile.cli import cli
from reconcile.report.json_plan import digest
from reconcile.source import variables
from reconcile.source.border import Border
from tests.strangers import attempts
from tests.strangers.attempts import ATTEMPTS, AWAY, CANARY, COMMANDS, KEY, SECRETS
from tests.support import call_git

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "safety.md"


class Trap:
    """A listener that notes every connection and all that arrives."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.got = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    self.got.append(connection.recv(65536).decode())
                    connection.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")


class Place:
    """A repository with the files of a stranger, and what lies around it."""

    def __init__(self, folder, command, repository, monkeypatch):
        self.away = folder.parent / f"{folder.name}-outside" / "away"
        self.folder = self.away.parent / "net"
        self.command, self.patch = command, monkeypatch
        self.trap = Trap()
        self.mark = self.away / "mark"
        self.world = folder / "world.json"
        self.begin_anew()

    def begin_anew(self):
        """Leave nothing of an earlier attempt."""
        shutil.rmtree(self.away.parent, ignore_errors=True)
        for path in (self.away, self.folder):
            path.mkdir(parents=True)
        for name, text in AWAY.items():
            (self.away / name).write_text(text)
        self.trap.got.clear()

    def forget(self):
        """Take the marks of what was done so far away."""
        self.mark.unlink(missing_ok=True)
        self.trap.got.clear()

    def said(self, text):
        for name in ("trap", "mark", "away"):
            value = self.trap.address if name == "trap" else str(getattr(self, name))
            text = text.replace(f"<{name}>", value)
        return text

    def put(self, files):
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            head = "version: 1\n" if name == "tailnet.yaml" else ""
            forged = text == "<forged>"
            path.write_text(self.forged() if forged else head + self.said(text))

    def forged(self):
        """Return the honest plan with another file in it, as careful as can be."""
        plan = json.loads((self.folder / "plan.json").read_text())
        plan["asked"]["files"] = [str(self.away / "x.yaml")]
        del plan["digest"]
        return json.dumps({**plan, "digest": digest(plan)})

    def commit(self):
        call_git("add", "-A")
        call_git("commit", "-qm", "change", "--allow-empty")
        return call_git("rev-parse", "HEAD")

    def prepare(self, attempt):
        """Commit and apply honest files, then put those of the attempt over them."""
        self.world.write_text(json.dumps({**attempts.WORLD, **attempt.world}))
        self.patch.chdir(self.folder)
        call_git("init", "-q")
        config = Path(".git/config")
        config.write_text(f"[{CANARY}]\n" * 2 + config.read_text())
        shutil.copy(self.world, self.folder / "in.json")
        self.put({"p.hujson": '{"acls": []}\n', "tailnet.yaml": attempts.HONEST})
        self.put(attempt.before)
        self.commit()
        for words in (
            ["plan", "--out", "plan.json", "--allow-commands"],
            ["snapshot", "-o", "live.json", "--allow-commands"],
            ["apply", "--auto-approve", "--allow-commands"],
        ):
            code, _, err = self.command(*words)
            assert code == 0 or attempt.world, err
        self.put({"tailnet.yaml": attempt.tailnet, **attempt.files})
        self.back_up()
        for name in attempt.pipes:
            os.mkfifo(self.folder / name)
        for name, target in attempt.links.items():
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / name).symlink_to(self.said(target))
        self.commit()

    def back_up(self):
        """Put a backup beside the files, of a policy that was another one then."""
        live = json.loads((self.folder / "live.json").read_text())
        now = (live["policy"] or {}).get("text") or ""
        live["policy"] = {"text": '{"acls": [ ]}\n', "writable": True}
        changed = {"kind": "policy", "action": "update", "id": "", "set_off": []}
        backup = {
            "backup_version": "1", "server": f"simulator:{self.world}", "commit": "",
            "before": "apply", "live": live,
            "changes": [{**changed, "after": {"text": now}}],
        }  # fmt: skip
        (self.folder / "backup.json").write_text(json.dumps(backup))

    def run(self, *words):
        """Run a command and return its exit code, its output, and what happened."""
        before = attempts.tree(self.away.parent)
        code, out, err = self.command(*words)
        after = attempts.tree(self.away.parent)
        made = {path for path in after if after[path] != before.get(path)}
        return code, out + err, made


@pytest.fixture
def place(tmp_path, command, repository, monkeypatch):
    found = Place(tmp_path, command, repository, monkeypatch)
    monkeypatch.setenv("HEADSCALE_URL", f"simulator:{found.world}")
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("reconcile.apply.deliver._PATIENCE", 0.1)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    yield found
    found.trap.socket.close()


def clean(place, made):
    """Take away what a command made, for the next one."""
    for path in sorted(made, reverse=True):
        thing = place.away.parent / path
        if thing.is_dir() and not thing.is_symlink():
            thing.rmdir()
        else:
            thing.unlink()


# What a person asks a command to write; and what an apply makes beside a world that
# is inside of the repository, or remembers of an apply that had nothing to do.
ASKED = ("net/result", "net/out")
BY_APPLY = (
    "net/new.json",
    "net/in.json.lock",
    "net/.git/refs/reconcile",
    "net/.git/logs",
)


def met(place, name):
    """Let one command meet the files; return its exit code. Nothing must happen."""
    sys.stdin = io.StringIO(CANARY + ": [\n")
    code, said, made = place.run(*COMMANDS[name])
    assert code in (0, 1, 2, 3, 4, 7, 64), said
    assert not place.mark.exists()
    assert place.trap.got == []
    assert CANARY not in said
    assert KEY not in said
    assert not {"\x1b", "\r", "\u202e"} & set(said)
    writes = name.startswith(("apply", "rollback"))
    allowed = BY_APPLY if writes else ASKED
    assert [path for path in made if not path.startswith(allowed)] == []
    for path in [path for path in made if ".git" not in path]:
        shutil.rmtree(place.away.parent / path, ignore_errors=True)
        (place.away.parent / path).unlink(missing_ok=True)
    return code


@pytest.mark.parametrize("tried", ATTEMPTS)
def test_nothing_happens(tried, place):
    place.prepare(ATTEMPTS[tried])
    codes = {name: met(place, name) for name in COMMANDS}
    stands(tried, [cell({codes[name] for name in names}) for names in GROUPS.values()])


BAIT = [name for name, attempt in ATTEMPTS.items() if attempt.bait]


@pytest.mark.parametrize("tried", BAIT)
def test_it_happens_where_it_may(tried, place, monkeypatch):
    """The marks, the listener and the canaries do show what they are there for."""
    attempt = ATTEMPTS[tried]
    place.prepare(attempt)
    if attempt.kind == "read":
        monkeypatch.setattr(Border, "outside", lambda self, path: "")
        monkeypatch.setattr(variables, "_SECRET", re.compile("(?!)"))
        words = ["apply", "plan.json"] if "saved plan" in tried else ["plan"]
        assert CANARY in place.run(*words, "--allow-commands")[1]
        return
    _, said, made = place.run("apply", "--auto-approve", "--allow-commands")
    if attempt.kind == "send":
        assert place.trap.got[0].startswith("GET /"), said
    else:
        assert place.mark.exists() or any("hooks/post-checkout" in m for m in made), (
            said
        )


# -- the tables ------------------------------------------------------------------------

GROUPS = {
    "`validate`, `render`": ["validate", "render"],
    "`show`, `import`": ["show", "import"],
    "with `--snapshot`": ["validate --snapshot", "plan --snapshot"],
    "`plan`, `drift`": ["plan", "drift"],
    "`test`, `access`, `upgrade`": [
        "test", "access list", "access diff", "access who", "access why", "access sees",
        "upgrade",
    ],
    "`snapshot`, `doctor`": ["snapshot", "doctor"],
    "`apply`": ["apply"],
    "`apply PLANFILE`": ["apply PLANFILE"],
    "`rollback`": ["rollback"],
}  # fmt: skip
LEAVE = {
    "a program for the key": "a program for the API key",
    "a program for the policy": "a program that delivers the policy",
    "the key to a new address": "another address",
}


def cell(codes):
    if codes == {4}:
        return "refused"
    return "not done" if 4 not in codes else "refused or not done"


def stands(name, row):
    """Hold a row against the page; or write it there."""
    line = f"| {name} | {' | '.join(row)} |"
    page = PAGE.read_text()
    if os.environ.get("SAFETY") == "write":
        page = re.sub(rf"^\| {re.escape(name)} \|.*$", lambda _: line, page, flags=re.M)
        PAGE.write_text(page)
    assert line in page.splitlines()


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_does_with_leave(name, tmp_path, place):
    """One row: for each thing that may need leave, whether the command ever does it."""
    row = []
    for tried in LEAVE.values():
        place.begin_anew()
        place.prepare(ATTEMPTS[tried])
        place.run("plan", "--out", "plan.json", "--allow-commands")
        place.forget()
        done = place.run(*COMMANDS[name], *allowing(name))
        happened = place.mark.exists() or place.trap.got
        row.append("with leave" if happened else "never")
        assert not happened or done[0] != 4
    stands(f"`{name}`", row)


def allowing(name):
    """Return the options with which a command has all leave that it can have."""
    command = cli
    for word in COMMANDS[name]:
        command = getattr(command, "commands", {}).get(word, command)
    options = {option for each in command.params for option in each.opts}
    return [o for o in ("--allow-commands", "--auto-approve") if o in options]


def test_the_tables_have_a_row_for_everything_and_no_other():
    rows = [line.split(" | ")[0][2:] for line in PAGE.read_text().splitlines()]
    of_tables = {row for row in rows if row in ATTEMPTS or row.strip("`") in COMMANDS}
    assert of_tables == {*ATTEMPTS, *(f"`{name}`" for name in COMMANDS)}
    assert len(ATTEMPTS) > 25


def test_modules_beside_the_files_are_not_imported(tmp_path):
    """The program that is installed looks for its modules where they are installed."""
    for name in (
        "click",
        "yaml",
        "httpx",
        "reconcile",
        "sitecustomize",
        "usercustomize",
    ):
        (tmp_path / f"{name}.py").write_text("open('mark', 'w')\n")
    (tmp_path / "tailnet.yaml").write_text("version: 1\n")
    program = Path(sys.executable).with_name("reconcile")
    done = subprocess.run([program, "validate"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists()

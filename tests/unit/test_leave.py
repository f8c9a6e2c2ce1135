"""Leave: what the files name is run, read and connected to only when it was given."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reconcile.apply import deliver as delivery
from reconcile.jobs.leave import _means
from reconcile.simulator.fronts import serve
from reconcile.source import programs
from tests.support import call_git, pasted

ROOT = Path(__file__).parents[2]
PYTHON = json.dumps(sys.executable)
KEY = "hskey-api-simulated000-" + "0" * 64
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}],
    "policy": {"text": '{"acls": []}\n', "updated": "2030-01-01T00:00:00Z"},
    "api_keys": [{"id": 1, "key": KEY, "expiration": "2099-01-01T00:00:00Z"}],
}
# A program that prints the key, and notes that it ran and what it was given.
ASK = f"""\
import json, os, sys
with open("ran.json", "w") as ran:
    json.dump(dict(os.environ), ran)
print({KEY!r})
"""
BY_PROGRAM = f"credentials: {{ api_key: {{ command: [{PYTHON}, ask.py] }} }}"


@pytest.fixture
def server(tmp_path):
    """Serve a simulated Headscale over HTTP; return its URL."""
    folder = tmp_path.parent / f"{tmp_path.name}-server"
    folder.mkdir()
    (folder / "world.json").write_text(json.dumps(WORLD))
    with serve(folder / "world.json") as running:
        yield running.url


@pytest.fixture
def net(repository, server, tmp_path, monkeypatch):
    """Commit files that name a server, and return its folder."""

    def write(more=BY_PROGRAM, url=server, users="alice: {}", section=""):
        (tmp_path / "ask.py").write_text(ASK)
        repository(
            tailnet_yaml=f"version: 1\n{section}server:\n  url: {url}\n  {more}\n"
            f"users: {{ {users} }}\n"
        )
        return tmp_path

    return write


@pytest.fixture
def answers(monkeypatch):
    """Put a person at the terminal who gives these answers; return what was asked."""
    asked, given = [], []

    def ask(question):
        asked.append(question)
        return given.pop(0)

    monkeypatch.setattr("reconcile.cli.options.asker", lambda: ask)
    return asked, given


def ran(folder):
    path = folder / "ran.json"
    found = json.loads(path.read_text()) if path.exists() else None
    path.unlink(missing_ok=True)
    return found


# -- a program that prints the key -----------------------------------------------------


def test_a_program_is_not_run_without_leave(net, command):
    folder = net()
    code, out, err = command("plan")
    assert (code, out, ran(folder)) == (4, "", None)
    assert "error[RC0701]: not done without leave: the files name a program" in err
    assert "--> tailnet.yaml:4:" in err
    assert "ask.py" in err


def test_the_way_that_is_told_works_when_pasted_and_allows_just_this(
    net, command, monkeypatch
):
    folder = net()
    monkeypatch.setenv("COLUMNS", "1000")
    way = re.search(r"(git config .*?);", command("plan")[2])[1]
    subprocess.run(["sh", "-c", way], check=True)
    assert command("plan")[0] == 0
    assert ran(folder)
    net(f"credentials: {{ api_key: {{ command: [{PYTHON}, ask.py, more] }} }}")
    assert (command("plan")[0], ran(folder)) == (4, None)


@pytest.mark.parametrize("way", ["--allow-commands", "RECONCILE_ALLOW_COMMANDS"])
def test_an_option_and_a_variable_allow_it_for_one_run(net, command, monkeypatch, way):
    folder = net()
    if way.startswith("--"):
        assert command("plan", way)[0] == 0
    else:
        monkeypatch.setenv(way, "1")
        assert command("plan")[0] == 0
        monkeypatch.setenv(way, "0")
    assert ran(folder)
    assert (command("plan")[0], ran(folder)) == (4, None)


def test_the_printed_commands_say_what_was_said(net, command, monkeypatch):
    folder = net(users="alice: {}, bob: {}")
    monkeypatch.setenv("COLUMNS", "1000")
    code, out, err = command("plan", "--allow-commands", "--out", "plan.json")
    assert code == 0
    saved = pasted(err.partition("Apply it with: ")[2].partition("\n")[0])
    assert saved == ["apply", "plan.json", "--allow-commands"]
    assert "allow" not in (folder / "plan.json").read_text()
    assert command("apply", "plan.json")[0] == 4  # a saved plan gives no leave
    exactly = pasted(out.partition("Apply exactly this with: ")[2])
    assert command(*exactly)[0] == 0
    assert "--allow-commands" in exactly


def test_a_yes_is_remembered_by_the_repository_for_this_program(net, command, answers):
    asked, given = answers
    folder = net()
    given.append(False)
    assert (command("plan")[0], ran(folder)) == (4, None)
    given.append(True)
    assert command("plan")[0] == 0
    assert ran(folder)
    assert command("drift")[0] == 0
    assert len(asked) == 2
    assert "tailnet.yaml:4:27: the files name a program" in asked[0]
    assert "ask.py" in asked[0]
    assert "a yes is remembered in this repository, for exactly this" in asked[0]
    assert call_git("config", "--local", "--get-all", "reconcile.allow")


def test_without_a_repository_a_yes_is_asked_for_each_time(
    command, answers, server, tmp_path
):
    asked, given = answers
    (tmp_path / "ask.py").write_text(ASK)
    (tmp_path / "tailnet.yaml").write_text(
        f"version: 1\nserver: {{ url: '{server}', {BY_PROGRAM} }}\n"
    )
    given += [True, True]
    assert [command("plan")[0], command("plan")[0]] == [0, 0]
    assert len(asked) == 2
    assert "a yes is remembered nowhere" in asked[0]


def test_what_steers_a_terminal_is_escaped_in_the_question(net, command, answers):
    asked, given = answers
    net('credentials: { api_key: { command: ["./x\\e[2K\\rok", "a\\nb"] } }')
    given.append(False)
    assert command("plan")[0] == 4
    assert "\x1b" not in asked[0]
    assert "\r" not in asked[0]
    assert "\\u001b[2K\\u000dok" in asked[0]
    assert "'a\\u000ab'" in asked[0]


def test_the_person_at_a_terminal_is_asked(net, tmp_path):
    net()
    main, side = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "reconcile", "plan"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=side,
    )
    os.write(main, b"y\n")
    out, _ = run.communicate(timeout=60)
    shown = os.read(main, 65536).decode()
    assert "ask.py" in shown
    assert "Allow it? [y/N]" in shown
    assert run.returncode == 0, (out, shown)
    assert ran(tmp_path)


def test_what_was_applied_needs_no_leave_until_it_changes(net, command, monkeypatch):
    folder = net(users="alice: {}, bob: {}")
    assert command("apply", "--auto-approve", "--allow-commands")[0] == 0
    assert "RECONCILE_ALLOW_COMMANDS" not in ran(folder)
    net(users="alice: {}, bob: {}, carol: {}")
    assert (command("plan")[0], bool(ran(folder))) == (0, True)
    net(f"credentials: {{ api_key: {{ command: [{PYTHON}, ask.py, x] }} }}")
    assert (command("plan")[0], ran(folder)) == (4, None)


def test_a_script_of_the_repository_is_part_of_what_was_applied(net, command):
    """The entry is the same, and what it runs is not."""
    folder = net()
    assert command("apply", "--auto-approve", "--allow-commands")[0] == 0
    ran(folder)
    (folder / "ask.py").write_text(ASK + "open('stolen', 'w')\n")
    assert (command("plan")[0], ran(folder)) == (4, None)
    assert not (folder / "stolen").exists()


def test_a_program_gets_no_secret(net, command, monkeypatch):
    monkeypatch.setenv("HEADSCALE_API_KEY", "hskey-api-other-server")
    monkeypatch.setenv("HEADSCALE_LAB_KEY", "of-the-lab")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws")
    monkeypatch.setenv("VAULT_ADDR", "https://vault")
    monkeypatch.setenv("COPY", "x hskey-api-other-server y")
    folder = net(section="variables: [VAULT_ADDR, COPY, HEADSCALE_API_KEY]\n")
    assert command("plan", "--allow-commands")[0] == 0
    got = ran(folder)
    assert got["VAULT_ADDR"] == "https://vault"
    assert got["PATH"] == os.environ["PATH"]
    assert not {"COPY", "AWS_SECRET_ACCESS_KEY"} & set(got)
    assert not [name for name in got if name.startswith(("HEADSCALE", "RECONCILE"))]


def test_more_variables_need_leave_again_and_are_shown(net, command, answers):
    asked, given = answers
    folder = net()
    given += [True, False]
    assert command("plan")[0] == 0
    ran(folder)
    net(section="variables: [VAULT_TOKEN]\n")
    assert (command("plan")[0], ran(folder)) == (4, None)
    assert "it gets the variables VAULT_TOKEN" in asked[1]


def test_a_short_key_takes_nothing_else_away():
    assert programs.environment({"PATH": "/any/bin"}, (), lambda v: v == "any")
    assert not programs.holds("/any/bin", "any")
    assert programs.holds(f"Bearer {KEY}", KEY)


# -- how a policy is delivered ---------------------------------------------------------

IN_FILE = {**WORLD, "policy": {"mode": "file", "text": "{}"}}
WAYS = {
    "command": f"command: [{PYTHON}, took.py]",
    "file": "file: ../took.hujson",
    "then": f"file: took.hujson, then: [{PYTHON}, took.py]",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_policy_is_delivered_only_with_leave(
    repository, command, tmp_path, monkeypatch, way, answers
):
    asked, given = answers
    monkeypatch.setattr(delivery, "_PATIENCE", 0.1)
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    repository(
        tailnet_yaml="version: 1\nserver: { url: 'simulator:world.json' }\n"
        f"policy: {{ acls: [], deliver: {{ {WAYS[way]} }} }}\n",
        world_json=json.dumps(IN_FILE),
        took_py="open('took.txt', 'w')\n",
    )
    code, _, err = command("plan")
    assert code == 0, err  # it delivers nothing
    given.append(False)
    code, out, err = command("apply", "--auto-approve")
    assert (code, len(asked)) == (4, 1)
    assert "Delivered" in out  # the plan was shown
    assert "tailnet.yaml:3:21: the files name how to deliver the policy" in asked[0]
    assert "RC0701" in err
    made = [
        tmp_path / "took.txt",
        tmp_path / "took.hujson",
        tmp_path.parent / "took.hujson",
    ]
    assert not any(path.exists() for path in made)
    given.append(True)
    assert command("apply", "--auto-approve")[0] == 6  # nothing tells the simulator
    assert any(path.exists() for path in made)
    for path in made:
        path.unlink(missing_ok=True)


def test_a_program_that_delivers_gets_no_key_wherever_it_is_from(
    repository, command, tmp_path, monkeypatch
):
    monkeypatch.setattr(delivery, "_PATIENCE", 0.1)
    monkeypatch.setenv("HEADSCALE_LAB_KEY", "hskey-api-of-the-lab")
    monkeypatch.setenv("COPY", f"Bearer {KEY}")
    monkeypatch.setenv("LAB", "hskey-api-of-the-lab")
    monkeypatch.setenv("SITE", "north")
    repository(
        tailnet_yaml="version: 1\nvariables: [COPY, LAB, SITE]\n"
        "servers:\n"
        "  prod: { url: 'simulator:world.json', credentials: { api_key: { file: key } } }\n"
        "  lab: { url: https://lab, credentials: { api_key: { env: HEADSCALE_LAB_KEY } } }\n"
        f"policy: {{ acls: [], deliver: {{ command: [{PYTHON}, ask.py] }} }}\n",
        world_json=json.dumps(IN_FILE),
        key=KEY,
        ask_py=ASK,
    )
    command("apply", "--server", "prod", "--auto-approve", "--allow-commands")
    got = ran(tmp_path)
    assert got["SITE"] == "north"
    assert not [value for value in got.values() if "hskey" in value]
    assert not [name for name in got if name.startswith(("HEADSCALE", "RECONCILE"))]


def test_a_delivery_that_was_applied_needs_leave_for_more_variables(
    repository, command, monkeypatch
):
    monkeypatch.setattr(delivery, "_PATIENCE", 0.1)
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    took = "import json; w = json.load(open('world.json')); "
    took += (
        "w['policy']['text'] = open(0).read(); json.dump(w, open('world.json', 'w'))\n"
    )

    def files(number, section=""):
        text = f"policy: {{ acls: [], groups: {{ 'group:a{number}': [] }}, deliver: {{ "
        text += f"command: [{PYTHON}, took.py] }} }}\n"
        repository(tailnet_yaml=f"version: 1\n{section}{text}")

    repository(took_py=took, world_json=json.dumps(IN_FILE), _gitignore="world.json*\n")
    files(1)
    assert command("apply", "--auto-approve")[0] == 4
    code, out, _ = command("apply", "--auto-approve", "--allow-commands")
    assert code == 0, out
    files(2)
    assert command("apply", "--auto-approve")[0] == 0
    files(3, "variables: [VAULT_TOKEN]\n")
    code, _, err = command("apply", "--auto-approve")
    assert (code, "it gets the variables VAULT_TOKEN" in " ".join(err.split())) == (
        4,
        True,
    )


# -- where the key goes ----------------------------------------------------------------


class Trap(ThreadingHTTPServer):
    """Something on this machine that notes all that is sent to it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Noting)
        self.got = []


class Noting(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.got.append(f"{self.path}\n{self.headers}")
        self.send_error(404)

    def log_message(self, format, *arguments):
        pass


@pytest.fixture
def trap():
    with Trap() as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        found.shutdown()


def url_of(trap):
    return f"http://127.0.0.1:{trap.server_port}"


def test_an_address_that_only_the_files_name_gets_no_key(
    net, command, trap, monkeypatch
):
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    net("type: headscale", url_of(trap))
    code, out, err = command("plan")
    assert (code, out, trap.got) == (4, "", [])
    assert "error[RC0702]" in err
    assert "--> tailnet.yaml:3:8" in err
    assert "no commit that was applied here says the same" in err
    command("plan", "--allow-commands")
    assert KEY in trap.got[0]  # the trap works


def test_a_changed_address_gets_no_key(net, command, trap, monkeypatch, server):
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    net("type: headscale", users="alice: {}, bob: {}")
    assert command("apply", "--auto-approve", "--allow-commands")[0] == 0
    assert command("plan", "--check")[0] == 0
    for other in (
        url_of(trap),
        f"{server}/x",
        server.replace("127.0.0.1", "localhost"),
    ):
        net("type: headscale", other)
        assert command("plan")[0] == 4
    assert trap.got == []


def test_another_key_for_the_same_server_needs_leave(net, command, monkeypatch):
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    monkeypatch.setenv("HEADSCALE_OTHER_KEY", KEY)
    net("type: headscale")
    assert command("apply", "--auto-approve", "--allow-commands")[0] == 0
    net("credentials: { api_key: { env: HEADSCALE_OTHER_KEY } }")
    assert command("plan")[0] == 4


def test_the_address_of_the_environment_needs_no_leave(
    net, command, monkeypatch, server
):
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    monkeypatch.setenv("HEADSCALE_URL", f"{server}/")
    net("type: headscale")
    assert command("plan")[0] == 0
    net("type: headscale", url="${HEADSCALE_URL}")
    assert command("plan")[0] == 0


def test_the_key_of_headscale_url_goes_nowhere_else(
    net, command, trap, monkeypatch, server
):
    """Even where an apply went: this key is of another server."""
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    net("type: headscale", users="alice: {}, bob: {}")
    assert command("apply", "--auto-approve", "--allow-commands")[0] == 0
    monkeypatch.setenv("HEADSCALE_URL", url_of(trap))
    code, _, err = command("plan")
    assert code == 4
    assert f"HEADSCALE_URL names another server: {url_of(trap)}" in err


def test_a_yes_does_not_hold_for_the_key_of_another_server(
    net, command, answers, monkeypatch, trap
):
    asked, given = answers
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    net("type: headscale")
    given += [True, False]
    assert command("plan")[0] == 0
    monkeypatch.setenv("HEADSCALE_URL", url_of(trap))
    assert (command("plan")[0], len(asked)) == (4, 2)
    assert "HEADSCALE_URL names another server" in asked[1]


def test_a_key_is_bound_to_a_host(net, command, monkeypatch, server, trap):
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "1000")
    net("type: headscale", url_of(trap))
    monkeypatch.setenv("HEADSCALE_API_KEY_HOST", "hs.example.com")
    monkeypatch.setenv("HEADSCALE_URL", url_of(trap))
    code, _, err = command("plan", "--allow-commands")
    assert (code, trap.got) == (4, [])
    assert "HEADSCALE_API_KEY_HOST binds the key to hs.example.com" in err
    way = re.search(r"export (HEADSCALE_API_KEY_HOST)=(\S+)", err)
    monkeypatch.setenv(way[1], shlex.split(way[2])[0])
    command("plan")
    assert KEY in trap.got[0]


def test_binding_the_key_is_the_way_that_is_told(net, command, monkeypatch):
    monkeypatch.setenv("HEADSCALE_LAB_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "1000")
    net("credentials: { api_key: { env: HEADSCALE_LAB_KEY } }")
    code, _, err = command("plan")
    way = re.search(r"export (HEADSCALE_LAB_KEY_HOST)=([^\s;]+)", err)
    assert code == 4
    monkeypatch.setenv(way[1], way[2])
    assert command("plan")[0] == 0


@pytest.mark.parametrize(
    ("host", "url", "same"),
    [
        ("hs.example.com", "https://hs.example.com", True),
        ("HS.Example.com", "https://hs.example.com/path", True),
        ("hs.example.com", "https://hs.example.com:8443", True),
        ("hs.example.com:8443", "https://hs.example.com:8443", True),
        ("hs.example.com:443", "https://hs.example.com", True),
        ("hs.example.com:8443", "https://hs.example.com", False),
        ("hs.example.com", "http://hs.example.com", False),
        ("http://hs.example.com", "http://hs.example.com", True),
        ("http://hs:8080", "http://hs:8080", True),
        ("127.0.0.1", "http://127.0.0.1:8080", True),
        ("[::1]:80", "http://[::1]", True),
        ("example.com", "https://hs.example.com", False),
        ("hs.example.com", "https://hs.example.com.evil.example", False),
        ("hs.example.com:x", "https://hs.example.com", False),
        ("[", "https://hs.example.com", False),
    ],
)
def test_what_a_host_means(host, url, same):
    assert _means(host, url) is same


def test_of_several_servers_the_others_go_on(repository, command, trap, monkeypatch):
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    repository(
        tailnet_yaml="version: 1\nusers: {}\n"
        f"servers: {{ a: {{ url: '{url_of(trap)}' }}, b: {{ url: 'simulator:b.json' }} }}\n",
        b_json=json.dumps(WORLD),
    )
    code, out, _ = command("plan", "--server", "all")
    assert (code, trap.got) == (4, [])
    assert "No plan: tailnet.yaml:3:22: error[RC0702]" in out
    assert "= help: if the key belongs there: export HEADSCALE_API_KEY_HOST=" in out
    assert "· b ·" in out


# -- files that are outside ------------------------------------------------------------


def test_a_key_outside_is_read_only_when_a_person_names_its_file(
    net, command, tmp_path, monkeypatch, server
):
    key = tmp_path.parent / f"{tmp_path.name}-server" / "my key"
    key.write_text(KEY)
    net(f'credentials: {{ api_key: {{ file: "{key}" }} }}')
    monkeypatch.setenv("HEADSCALE_URL", server)
    monkeypatch.setenv("COLUMNS", "1000")
    code, _, err = command("plan", "--allow-commands")
    assert code == 4
    assert "error[RC0703]" in err
    assert "--> tailnet.yaml:4:" in err
    way = pasted("reconcile plan " + re.search(r"--api-key-file .*", err)[0])
    assert command(*way)[0] == 0


def test_a_world_outside_is_used_only_when_a_person_names_it(
    net, command, tmp_path, monkeypatch
):
    world = tmp_path.parent / f"{tmp_path.name}-server" / "world.json"
    net("type: headscale", f"simulator:{world}")
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "1000")
    code, _, err = command("plan", "--allow-commands")
    assert code == 4
    assert "error[RC0703]" in err
    way = re.search(r"export (HEADSCALE_URL)=(\S+)", err)
    monkeypatch.setenv(way[1], way[2])
    code, _, err = command("plan")
    assert code == 0, err


# -- doctor ----------------------------------------------------------------------------


def test_doctor_tells_it_as_a_finding_with_its_exit_code(net, command):
    folder = net()
    code, out, _ = command("doctor")
    assert (code, ran(folder)) == (4, None)
    assert "RC0701" in out
    assert "git config --local --add reconcile.allow" in " ".join(out.split())
    assert command("doctor", "--allow-commands")[0] == 0

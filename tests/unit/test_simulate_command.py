"""The commands that change a world."""

import pytest
from click.testing import CliRunner

from reconcile.cli.simulate import simulate
from reconcile.errors import ReconcileError
from reconcile.simulator.world import Key, User
from reconcile.simulator.worldfile import parse


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `simulate` with arguments in an empty folder; errors are raised."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(simulate, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def world(tmp_path):
    """Read or replace the default world."""

    def access(new=None):
        path = tmp_path / "world.json"
        if new:
            path.write_text(new.as_json())
        return parse(path.read_text())

    return access


def test_add_lists_and_remove(run, world):
    said = run(
        "node", "add", "nas", "-u", "alice", "--route", "10.0.0.0/8", "--exit-node"
    )
    line = "nas (#1, alice, online, advertises 10.0.0.0/8, 0.0.0.0/0, ::/0)\n"
    assert said.output == f"Added {line}"
    assert run("node", "list").output == line
    assert world().nodes[0].routes == ["10.0.0.0/8", "0.0.0.0/0", "::/0"]
    assert run("node", "remove", "nas").output == "Removed nas (#1).\n"
    assert world().nodes == []


def test_a_tagged_device_needs_no_user(run, world):
    run("node", "add", "db", "--tag", "tag:db", "--offline")
    (node,) = world().nodes
    assert (node.user, node.tags, node.online) == (None, ["tag:db"], False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("node", "add", "x", "-u", "a", "--route", "10.0.0.1"), "no '/'"),
        (("node", "add", "x", "-u", "a", "--tag", "db"), "must start with"),
        (("--emulate", "0.25", "--port", "0"), "no version `0.25`"),
    ],
)
def test_wrong_arguments_change_nothing(run, tmp_path, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert (
        not list(tmp_path.glob("world.json"))
        or '"nodes"' not in (tmp_path / "world.json").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("node", "add", "x"), "node x needs a user", "give it tags"),
        (("node", "remove", "x"), "no node `x`", "its nodes are: none"),
        (("node", "join", "x", "--key", "y"), "no pre-auth key `y`", "preauthkey"),
        (("--world", "no/such/world.json"), "cannot use the world", "folder"),
    ],
)
def test_refusals_say_what_to_do(run, world, arguments, message, hint):
    world(parse("{}"))
    with pytest.raises(ReconcileError, match=message) as caught:
        run(*arguments)
    assert hint in caught.value.hint


def test_join_with_a_key(run, world):
    state = parse("{}")
    state.users.append(User(1, "alice"))
    key = Key(1, user=1, secret="s3cret", expiration="2099-01-01T00:00:00Z")
    state.keys.append(key)
    world(state)
    said = run("node", "join", "laptop", "--key", "s3cret")
    assert said.output == "Joined laptop (#1, alice, online)\n"
    assert world().nodes[0].key == 1


def test_restart_says_what_was_lost(run, world):
    state = parse('{"emulate": "0.28"}')
    world(state)
    run("node", "add", "nas", "-u", "alice")
    assert run("restart").output == "Restarted. Nothing was lost.\n"
    state = world()
    state.nodes[0].expiry = "2035-01-01T00:00:00Z"
    state.nodes[0].disk = {"expiry": None}
    world(state)
    assert "gone for: nas" in run("restart").output
    assert world().nodes[0].expiry is None


def test_the_world_may_be_named_before_or_after(run, tmp_path):
    run("--world", "a.json", "node", "add", "x", "-u", "u")
    run("node", "add", "y", "-u", "u", "--world", "b.json")
    assert '"name": "x"' in (tmp_path / "a.json").read_text()
    assert '"name": "y"' in (tmp_path / "b.json").read_text()


# -- worlds that are not there ---------------------------------------------------------

READS = [
    ("import",),
    ("plan",),
    ("drift",),
    ("snapshot",),
    ("doctor",),
    ("access", "list"),
    ("test",),
    ("simulate", "node", "list", "-w", "wrold.json"),
    ("simulate", "node", "remove", "nas", "-w", "wrold.json"),
    ("simulate", "restart", "-w", "wrold.json"),
]


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_a_missing_world_is_an_error_and_not_made(
    command, tmp_path, monkeypatch, arguments
):
    monkeypatch.setenv("HEADSCALE_URL", "simulator:wrold.json")
    if arguments[0] not in ("import", "access"):
        (tmp_path / "tailnet.yaml").write_text("version: 1\nusers: {}\n")
    before = sorted(tmp_path.iterdir())
    code, out, err = command(*arguments)
    assert (code, "there is no world wrold.json" in out + err) == (1, True)
    new = "reconcile simulate new --demo --world wrold.json"
    assert f"make one with: {new}" in out + err
    assert sorted(tmp_path.iterdir()) == before

    (tmp_path / "world.json").write_text("{}")
    _, out, err = command(*arguments)
    assert "did you mean simulator:world.json?" in out + err
    assert not (tmp_path / "wrold.json").exists()


def test_apply_and_simulate_make_a_world(command, tmp_path, monkeypatch, run):
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    (tmp_path / "tailnet.yaml").write_text("version: 1\nusers: { alice: {} }\n")
    assert command("apply", "--auto-approve")[0] == 0
    assert "alice" in (tmp_path / "world.json").read_text()
    assert command("simulate", "new", "--world", "new.json")[0] == 0
    assert command("simulate", "node", "add", "a", "-u", "b", "-w", "add.json")[0] == 0
    assert (tmp_path / "add.json").exists()


def test_the_first_minute_as_help_and_simulate_new_tell_it(
    command, tmp_path, monkeypatch
):
    _, out, _ = command("--help")
    assert "reconcile simulate new --demo" in out
    _, out, _ = command("simulate", "new", "--demo")
    first, export, step = out.splitlines()
    assert "with 4 users and 7 nodes. Use it with:" in first
    assert export == "  export HEADSCALE_URL=simulator:world.json"
    monkeypatch.setenv(*export.split()[1].split("=", 1))
    assert command(*step.split()[1:])[0] == 0
    assert command("plan", "--check")[0] == 0


def test_one_is_not_many(command, tmp_path):
    _, out, _ = command("simulate", "new", "--world", "my world.json")
    assert "with 0 users and 0 nodes." in out
    assert "export 'HEADSCALE_URL=simulator:my world.json'" in out


def test_a_server_that_runs_for_weeks_collects_its_garbage(tmp_path, monkeypatch):
    import gc

    from reconcile.cli import run

    seen = []

    def serve(*_):
        seen.append(gc.isenabled())
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reconcile.simulator.serve", serve)
    gc.disable()
    try:
        run(["simulate", "--port", "0"])
    finally:
        gc.enable()
    assert seen == [True]

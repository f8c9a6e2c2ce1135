"""Options mean what they say: addresses, saved plans, checksums, several servers."""

import json
import shlex

import pytest

from reconcile.plan.plan import build
from tests.support import live, node, pasted, problems, user
from tests.unit.test_cli import SAME, WORLD, users, write  # noqa: F401

# -- addresses that match nothing ------------------------------------------------------

MISSES = {
    "node:nass": "did you mean node:nas?",
    "nod:nas": "did you mean node:nas?",
    "node:nas.tgas": "did you mean node:nas.tags?",
    "user:robert": "addresses are user:NAME, node:NAME",
    "nas": "addresses are user:NAME, node:NAME",
    "server:*": "addresses are user:NAME, node:NAME",
    "elsewhere/user:bob": "addresses are user:NAME, node:NAME",
    "policies": "did you mean policy?",
}


@pytest.mark.parametrize("option", ["--target", "--exclude"])
@pytest.mark.parametrize(("address", "hint"), MISSES.items())
def test_an_address_that_matches_nothing_is_an_error(
    write,  # noqa: F811
    command,
    tmp_path,
    option,
    address,
    hint,
):
    write("version: 1\nusers: { bob: {} }\nnodes: { nas: {} }\npolicy: { acls: [] }\n")
    for verb in (["plan"], ["drift"], ["apply", "--auto-approve"]):
        code, out, err = command(*verb, option, address)
        assert (code, out) == (64, "")
        assert f"{option} {address} matches nothing" in err
        assert hint in err
    assert users(tmp_path) == ["alice"]


@pytest.mark.parametrize(
    "address",
    [
        "user:bob",  # wanted, not there
        "user:alice",  # there, not wanted
        "user:old",  # a former name
        "node:nas.tags",
        "node:n*",
        "world/node:nas",
        "node:gone",  # removed
        "policy",
        "*",
    ],
)
def test_what_is_wanted_or_there_can_be_named(write, command, address):  # noqa: F811
    write(
        "version: 1\nusers: { bob: { was: old } }\nnodes: { nas: {} }\n"
        "removed: ['node:gone']\n"
    )
    for option in ("--target", "--exclude"):
        assert command("plan", option, address)[0] == 0, option


def test_a_name_may_look_like_a_glob(wanted):
    state, here = wanted("users: {}\nmanage: { users: prune }"), live([user(1, "a[b]")])
    plan = build(state, here, name="hs", target=["user:a[b]"])
    assert (len(plan.changes), plan.unmatched) == (1, ())


def test_what_is_wrong_with_another_entry_is_left_out(wanted):
    """A target is for going on although something else cannot."""
    state = wanted(
        "nodes: { nas: { expiry: never }, tv: { match: { hostname: tv } },\n"
        "  box: { match: { user: mallory } }, one: { match: { id: 1 } } }"
    )
    there = [node(n, f"tv-{n}", hostname="tv") for n in (2, 3)]
    here = live([user(1, "alice")], [node(1, "nas"), *there])
    plan = build(state, here, name="hs")
    codes = {d.code: d.address for d in plan.errors}
    assert codes == {
        "RC0203": "node:tv",
        "RC0106": "node:box",
        "RC0204": "node:one",
    }
    assert build(state, here, name="hs", target=["node:nas"]).errors == ()


# -- removed ---------------------------------------------------------------------------


def test_a_misspelt_removal_is_an_error(wanted):
    state = wanted("removed: ['node:old-latpop', 'user:alcie']")
    here = live([user(1, "alice")], [node(1, "old-laptop")])
    plan = build(state, here, name="hs")
    assert [d.code for d in plan.errors] == ["RC0105", "RC0105"]
    assert [d.position.line for d in plan.errors] == [2, 2]
    helps = " ".join(d.help for d in plan.errors)
    assert "did you mean node:old-laptop?" in helps
    assert "did you mean user:alice?" in helps


def test_what_is_gone_may_stay_with_a_note(wanted):
    state = wanted("removed: ['node:old-laptop', 'user:max']")
    plan = build(state, live([user(1, "alice")], [node(1, "nas")]), name="hs")
    assert plan.errors == ()
    assert plan.notes[0] == (
        "node:old-laptop is not there: its line in `removed` (tailnet.yaml:2) can go"
    )


def test_one_of_a_row_is_no_misspelling_of_another(wanted):
    """After an apply the plan must not fail because a sibling is still there."""
    state = wanted("removed: ['node:web-1']")
    assert problems(state, live([], [node(2, "web-2")])) == {}


def test_what_the_last_apply_removed_is_not_mentioned(wanted):
    from reconcile.plan.compare import diff

    state = wanted("removed: ['node:old-latpop', 'node:gone']")
    here = live([], [node(1, "old-laptop")])
    found = diff(state, here, base=state)
    assert (found.problems, found.notes) == ((), ())


# -- a saved plan is self-contained ----------------------------------------------------

OWN = [
    ("-f", "other.yaml"),
    ("--server", "world"),
    ("--target", "user:bob"),
    ("--exclude", "user:bob"),
    ("--theirs",),
    ("--single-policy-write",),
]


@pytest.mark.parametrize("option", OWN, ids=" ".join)
def test_a_saved_plan_takes_no_option_of_its_own(write, command, tmp_path, option):  # noqa: F811
    write()
    command("plan", "--out", "saved.json")
    code, _, err = command("apply", "saved.json", *option)
    assert (code, users(tmp_path)) == (64, ["alice"])
    assert f"{option[0]} and a saved plan exclude each other" in err


def test_a_saved_plan_knows_files_server_and_selection(command, tmp_path):
    yaml = (
        "version: 1\nusers: { alice: {}, bob: {}, carol: {} }\n"
        "servers: { prod: { url: 'simulator:world.json' },"
        " lab: { url: 'simulator:lab.json' } }\n"
    )
    (tmp_path / "my files.yaml").write_text(yaml)
    for name in ("world.json", "lab.json"):
        (tmp_path / name).write_text(json.dumps(WORLD))
    chosen = ("-f", "my files.yaml", "--server", "prod", "--target", "user:b*")
    code, _, err = command("plan", *chosen, "--out", "the plan.json")
    assert code == 0, err
    assert "Apply it with: reconcile apply 'the plan.json'\n" in err
    assert "--target 'user:b*'" in command("show", "the plan.json")[1]
    line = err.partition("Apply it with: reconcile ")[2]
    assert command(*shlex.split(line))[0] == 0
    assert users(tmp_path) == ["alice", "bob"]
    asked = json.loads((tmp_path / "the plan.json").read_text())["asked"]
    assert asked["files"] == ["my files.yaml"]
    assert (asked["server"], asked["target"]) == ("prod", ["user:b*"])


# -- the printed command ---------------------------------------------------------------


def printed_command(out):
    return pasted(out.partition("Apply exactly this with:")[2])


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("-f", "my files.yaml"),
        ("-f", "tailnet.yaml", "-f", "my files.yaml"),
        ("--target", "user:*"),
        ("--exclude", "user:bob", "--exclude", "node:nas.tags"),
        ("--server", "all"),
        ("--single-policy-write",),
    ],
    ids=" ".join,
)
def test_the_printed_command_works_when_pasted(write, command, tmp_path, given):  # noqa: F811
    write("version: 1\nusers: { alice: {}, bob: {}, carol: {} }\nnodes: { nas: {} }\n")
    more = "manage: { users: report }\n"
    if given == ("-f", "my files.yaml"):
        more = (tmp_path / "tailnet.yaml").read_text()
    (tmp_path / "my files.yaml").write_text(more)
    code, out, _ = command("plan", *given)
    assert code == 0
    code, _, err = command(*printed_command(out))
    assert code == 0, err
    assert "carol" in users(tmp_path)


def test_what_is_blocked_can_be_left_out_as_it_is_printed(write, command, tmp_path):  # noqa: F811
    write(world={"policy": {"mode": "file", "text": '{"acls": []}'}})
    (tmp_path / "my files.yaml").write_text(
        "version: 1\nusers: { alice: {}, bob: {} }\npolicy: { grants: [] }\n"
    )
    code, _, err = command("apply", "--auto-approve", "-f", "my files.yaml")
    assert code == 4
    line = err.partition("everything else: reconcile ")[2]
    assert command(*shlex.split(line), "--auto-approve")[0] == 0
    assert users(tmp_path) == ["alice", "bob"]


# -- a checksum belongs to a server ----------------------------------------------------


def test_a_checksum_holds_for_one_server_only(write, command, monkeypatch, tmp_path):  # noqa: F811
    write()
    mark = json.loads(command("plan", "--format", "json")[1])["checksum"]
    (tmp_path / "other.json").write_text(json.dumps(WORLD))
    monkeypatch.setenv("HEADSCALE_URL", "simulator:other.json")
    code, _, err = command("apply", "--checksum", mark)
    assert (code, users(tmp_path)) == (3, ["alice"])
    assert "the plan's checksum is" in err


def test_a_snapshot_gives_the_checksum_of_its_server(write, command, monkeypatch):  # noqa: F811
    write(SAME + "server: { url: '${HEADSCALE_URL}' }\nremoved: []\n")
    mark = json.loads(command("plan", "--format", "json")[1])["checksum"]
    command("snapshot", "-o", "live.json")
    monkeypatch.delenv("HEADSCALE_URL")
    code, out, _ = command("plan", "--snapshot", "live.json", "--format", "json")
    assert (code, json.loads(out)["checksum"]) == (0, mark)


# -- several servers, one of which fails -----------------------------------------------

SEVERAL = """\
version: 1
users: { alice: {}, bob: {} }
servers:
  down: { url: 'http://127.0.0.1:9' }
  lab: { url: 'simulator:lab.json' }
  world: { url: 'simulator:world.json' }
"""


@pytest.fixture
def several(write, monkeypatch, tmp_path):  # noqa: F811
    write(SEVERAL)
    monkeypatch.setenv("HEADSCALE_API_KEY", "key")
    monkeypatch.setenv("HEADSCALE_API_KEY_HOST", "127.0.0.1:9")
    (tmp_path / "lab.json").write_text(json.dumps(WORLD))


def test_all_goes_on_without_a_server_that_fails(several, command):
    for verb in ("plan", "drift"):
        code, out, _ = command(verb, "--server", "all")
        assert code == 1
        assert out.count("user:bob") == 2
        section = out.partition(" · down · http://127.0.0.1:9\n")[2]
        assert "No plan: http://127.0.0.1:9: nothing listens there" in section
        assert "= help: check host and port" in section


def test_an_address_on_no_server_is_an_error_although_one_failed(several, command):
    for address, code in (("wrold/user:bob", 64), ("user:bob", 1), ("down/user:x", 1)):
        assert command("plan", "--server", "all", "--target", address)[0] == code


def test_a_finding_of_several_servers_stands_once_with_their_names(
    write,  # noqa: F811
    command,
    tmp_path,
):
    two = SEVERAL.replace("  down: { url: 'http://127.0.0.1:9' }\n", "")
    write(two.replace("alice: {}", "alice: { display_name: A }"))
    (tmp_path / "lab.json").write_text(json.dumps(WORLD))
    for server in ("all", "lab"):
        err = command("plan", "--server", server)[2]
        assert err.count("error[RC0304]: user:alice") == 1
        assert err.count("RC0304") == 1
    (tmp_path / "lab.json").write_text("{}")
    err = command("plan", "--server", "all")[2]
    assert err.count("RC0304") == 1
    assert "error[RC0304]: world: user:alice" in err


def test_all_as_json_names_what_failed(several, command):
    code, out, err = command("plan", "--server", "all", "--format", "json")
    document = json.loads(out)
    assert code == 1
    assert [server["name"] for server in document["servers"]] == ["lab", "world"]
    (failed,) = document["failed"]
    assert (failed["name"], failed["exit_code"]) == ("down", 1)
    assert document["errored"]
    assert "error: down: http://127.0.0.1:9" in err


def test_apply_to_all_does_what_it_can(several, command, tmp_path):
    code, out, _ = command("apply", "--server", "all", "--auto-approve")
    assert code == 1
    assert "Applied 2 of 2." in out
    assert "No plan: http://127.0.0.1:9" in out
    assert users(tmp_path) == ["alice", "bob"]


def test_the_worst_exit_code_is_that_of_all(several, command, tmp_path):
    assert command("plan", "--server", "world", "--check")[0] == 2
    assert command("plan", "--server", "all", "--check")[0] == 1
    code, out, err = command("plan", "--server", "down")
    assert (code, out) == (1, "")
    assert err.startswith("error: http://127.0.0.1:9")


def test_when_all_fail_there_is_still_a_section_for_each(several, command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text(
        SEVERAL.replace("simulator:lab.json", "http://127.0.0.1:9").replace(
            "simulator:world.json", "http://127.0.0.1:9"
        )
    )
    code, out, _ = command("plan", "--server", "all")
    assert (code, out.count("No plan: ")) == (1, 3)
    code, out, err = command("apply", "--server", "all", "--format", "json")
    assert (code, out, err.count("error: ")) == (1, "", 3)


def test_a_plan_of_all_that_was_saved_is_applied_whole(several, command, tmp_path):
    assert command("plan", "--server", "all", "--out", "saved.json")[0] == 1
    assert command("apply", "saved.json")[0] == 0
    assert users(tmp_path) == ["alice", "bob"]


# -- one name for one option -----------------------------------------------------------


def test_old_names_work_and_are_not_shown(write, command):  # noqa: F811
    write()
    assert command("snapshot", "-o", "live.json")[0] == 0
    for verb in ("plan", "drift", "validate", "test", ["access", "who"]):
        words = [verb] if isinstance(verb, str) else verb
        out = command(*words, "--help")[1]
        assert "--snapshot FILE" in out
        assert "--from" not in out
    assert command("plan", "--from", "live.json")[0] == 0
    assert command("access", "list", "--from", "live.json")[0] == 0
    assert "--detailed-exitcode" not in command("plan", "--help")[1]
    assert command("plan", "--detailed-exitcode")[0] == 2


def test_a_source_after_from_is_told_its_new_name(write, command):  # noqa: F811
    write()
    code, _, err = command("access", "list", "--from", "alice@")
    assert code == 64
    assert "a source is named with: --source alice@" in err
    assert command("access", "list", "--source", "alice@", "--to", "nas")[0] == 0


def test_snapshot_reads_the_files_as_all_others_do(command, tmp_path):
    (tmp_path / "w.json").write_text(json.dumps(WORLD))
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\nserver: { url: 'simulator:w.json' }\n"
    )
    code, out, _ = command("snapshot")
    assert (code, json.loads(out)["users"][0]["name"]) == (0, "alice")
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\nservers: { a: { url: 'simulator:w.json' },"
        " b: { url: 'simulator:w.json' } }\n"
    )
    code, _, err = command("snapshot", "--server", "all")
    assert (code, "one server at a time" in err) == (64, True)
    assert command("snapshot", "--server", "b")[0] == 0
    assert command("snapshot", "--url", "simulator:w.json")[0] == 0


# -- nothing hidden --------------------------------------------------------------------


def many(number, ports):
    """Return a world and files whose rules give each of many nodes a line."""
    names = [f"tag:t{i}" for i in range(number)]
    nodes = [{"id": i + 2, "name": f"t{i}", "tags": [t]} for i, t in enumerate(names)]
    rules = [
        {"action": "accept", "src": ["alice@"], "dst": [f"{tag}:{i + 1}"]}
        for i, tag in enumerate(names)
    ]
    owners = {name: [] for name in names}
    closed = json.dumps({"tagOwners": owners, "acls": []})
    open_ = json.dumps({"tagOwners": owners, "acls": rules})
    return nodes, closed, open_


@pytest.mark.parametrize("way", ["opens", "closes"])
def test_every_gain_is_printed_and_losses_are_folded(write, command, way):  # noqa: F811
    nodes, closed, open_ = many(130, 1)
    before, after = (closed, open_) if way == "opens" else (open_, closed)
    stored = {"text": before, "updated": "2030-01-01T00:00:00Z"}
    world = {"nodes": [*WORLD["nodes"], *nodes], "policy": stored}
    write(
        "version: 1\npolicy: { file: policy.hujson }\n",
        world,
        policy_hujson=after,
    )
    shown = {"opens": "+ gains", "closes": "- loses"}[way]
    command("plan", "--out", "saved.json")
    for verb in (["plan"], ["show", "saved.json"], ["access", "diff"]):
        out = command(*verb)[1]
        assert out.count(shown) == (130 if way == "opens" else 20), verb
        assert ("… and 110 more losses" in out) is (way == "closes")
        assert command(*verb, "--full")[1].count(shown) == 130
    assert command("drift", "--full")[0] == 2
    code, out, _ = command("apply", "saved.json", "--full")
    assert (code, out.count(shown)) == (0, 130)

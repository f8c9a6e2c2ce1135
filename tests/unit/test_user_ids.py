"""A user is an id: names are neither unique nor lasting, and may be empty."""

import json

import pytest

from reconcile import snapshot
from reconcile.effect import of_changes, scene_now
from reconcile.errors import InputError
from reconcile.model import user_labels
from tests.support import changes, live, node, problems, server, user

LOCAL = user(1, "max")
FOREIGN = user(
    2, "max", email="max@corp.example", provider="oidc", provider_id="https://idp/3"
)
NODES = (
    node(1, "max-old", user="1"),
    node(2, "max-pc", user="2"),
    node(3, "nas", tags=["tag:nas"]),
)
TO_NAS = """{"tagOwners": {"tag:nas": []}, "acls": [
  {"action": "accept", "src": ["max@corp.example"], "dst": ["tag:nas:22"]},
  {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:80"]}]}"""


def paths(state, *ports):
    """Return (source, target) of each path on some ports, node by node."""
    access = scene_now(state).access
    nodes = [f"node:{each.name}" for each in state.nodes]
    return {
        (one.removeprefix("node:"), other.removeprefix("node:"))
        for one in nodes
        for other in nodes
        for port in ports
        if one != other and access.why(one, other, port).allowed
    }


@pytest.mark.parametrize(
    ("users", "labels"),
    [
        ([user(1, "ann"), user(2, "ben")], ["ann", "ben"]),
        ([LOCAL, FOREIGN], ["max (local)", "max (oidc, max@corp.example)"]),
        ([user(1, "", email="eve@x", provider="oidc")], ["eve@x"]),
        (
            [user(1, "", provider="oidc", provider_id="https://idp/9")],
            ["https://idp/9"],
        ),
        ([user(1, "")], ["#1"]),
        (
            [
                user(1, "max", email="m@x", provider="oidc", provider_id="a"),
                user(2, "max", email="m@x", provider="oidc", provider_id="b"),
            ],
            ["max (oidc, m@x) (#1)", "max (oidc, m@x) (#2)"],
        ),
        (
            [
                user(1, "e@x"),
                user(2, "", email="e@x", provider="oidc", provider_id="b"),
            ],
            ["e@x (local)", "e@x (oidc, b)"],
        ),
    ],
)
def test_users_are_called_so_that_nobody_else_is_meant(users, labels):
    assert list(user_labels(users).values()) == labels


def test_two_users_of_one_name_are_two():
    """Seen on 0.29.2: its filter has the address of max-pc alone."""
    assert paths(live([LOCAL, FOREIGN], NODES, TO_NAS), 22, 80) == {("max-pc", "nas")}


def test_a_user_without_a_name_is_reached_by_e_mail():
    nameless = user(2, "", email="max@corp.example", provider="oidc")
    assert paths(live([LOCAL, nameless], NODES, TO_NAS), 22, 80) == {("max-pc", "nas")}


def test_a_user_goes_though_a_namesake_owns_nodes(wanted):
    """Seen on 0.29.2: the local user owns nothing, and deleting it succeeds."""
    state = live([user(1, "max"), FOREIGN], NODES[1:])
    desired = wanted("removed: [user:max]")
    assert changes(desired, state)["user:max"].server_id == "1"
    assert "RC0305" not in problems(desired, state)


def test_a_node_keeps_its_user_through_a_rename(wanted):
    policy = """{"tagOwners": {"tag:nas": []}, "acls": [
      {"action": "accept", "src": ["moritz@"], "dst": ["tag:nas:22"]}]}"""
    state = live([LOCAL], [NODES[0], *NODES[2:], node(4, "tv")], policy)
    desired = wanted("users: { moritz: { was: max } }")
    found = of_changes(desired, state, [*changes(desired, state).values()])
    (gain,) = found.gained
    assert (gain.sources, gain.targets) == (("moritz",), ("tag:nas",))
    assert gain.because == ("user:max is renamed moritz",)


TWINS = [
    user(1, "ann", email="one@example.com"),
    user(2, "ben", email="one@example.com"),
]
ONE = """{"acls": [
  {"action": "accept", "src": ["one@example.com"], "dst": ["*:22"]}]}"""


def test_removing_one_of_two_users_whom_a_token_fits_opens_access(wanted):
    state = live(TWINS, [node(1, "n1", user="1"), node(2, "n2", tags=["tag:x"])], ONE)
    desired = wanted("removed: [user:ben]")
    found = of_changes(desired, state, [*changes(desired, state).values()])
    (gain,) = found.gained
    assert (gain.sources, gain.because) == (("ann",), ("user:ben is removed",))


def test_a_new_user_whom_a_token_fits_too_closes_access(wanted):
    nodes = [node(1, "n1", user="1"), node(2, "n2", tags=["tag:x"])]
    state = live(TWINS[:1], nodes, ONE)
    desired = wanted("users: { ann: {}, ben: { email: one@example.com } }")
    found = of_changes(desired, state, [*changes(desired, state).values()])
    (loss,) = found.lost
    assert (loss.sources, loss.because) == (("ann",), ("user:ben is added",))


def test_a_new_user_whom_no_rule_names_moves_nothing(wanted):
    state = live(TWINS[:1], [node(1, "n1", user="1")], ONE)
    desired = wanted("users: { ann: {}, ben: {} }")
    assert of_changes(desired, state, [*changes(desired, state).values()]) is None


# -- tokens that fit two users ---------------------------------------------------------

WORLD = {
    "emulate": "0.29",
    "users": [
        {"id": 1, "name": "max"},
        {
            "id": 2,
            "name": "max",
            "email": "max@corp.example",
            "provider": "oidc",
            "provider_id": "https://idp/3",
        },
    ],
    "nodes": [
        {"id": 1, "name": "max-old", "user": 1, "addresses": ["100.64.0.1"]},
        {"id": 2, "name": "max-pc", "user": 2, "addresses": ["100.64.0.2"]},
        {"id": 3, "name": "nas", "tags": ["tag:nas"], "addresses": ["100.64.0.3"]},
    ],
}
TO_MAX = """{"tagOwners": {"tag:nas": []},
 "acls": [{"action": "accept", "src": ["max@"], "dst": ["tag:nas:22"]}]}"""
FITS = "max@ fits two users, max (local) and max (oidc, max@corp.example)"
WAYS = (
    "rename or remove max (local); "
    "write max@corp.example for max (oidc, max@corp.example)"
)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Write a world, a policy and the file that names both."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")

    def write(policy=TO_MAX, yaml="policy: { file: policy.hujson }", **more):
        policies = {"mode": "database", "text": '{"acls": []}'}
        document = {**WORLD, "policy": policies, **more}
        (tmp_path / "world.json").write_text(json.dumps(document))
        (tmp_path / "policy.hujson").write_text(policy)
        (tmp_path / "tailnet.yaml").write_text(f"version: 1\n{yaml}\n")

    return write


@pytest.mark.parametrize("release", ["0.29", "main"])
def test_a_token_that_fits_two_users_is_refused(world, command, release):
    world(emulate=release)
    assert command("snapshot", "-o", "live.json")[0] == 0
    code, out, err = command("validate", "--snapshot", "live.json")
    assert (code, "error[RC0602]" in err, "Valid" in out) == (1, True, False)
    assert (FITS in err, WAYS in err, "RC0508" in err) == (True, True, False)
    code, _, err = command("plan")
    assert (code, "error[RC0602]" in err, WAYS in err) == (1, True, True)
    assert 'multiple users found: token "max@" found: [ 1: max, 2: max,  ]' in err


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28"])
def test_until_028_a_token_that_fits_two_users_means_neither(world, command, release):
    world(emulate=release)
    code, _, err = command("plan")
    assert (code, "warning[RC0501]: acls[0] matches nothing" in err) == (0, True)
    assert f"{FITS}: {WAYS}" in err
    assert command("snapshot", "-o", "live.json")[0] == 0
    group = '{"groups": {"group:g": ["max@"]}, "acls": []}'
    world(group, emulate=release)
    code, _, err = command("validate", "--snapshot", "live.json")
    assert (code, f"warning[RC0508]: {FITS}" in err, WAYS in err) == (0, True, True)


def test_grants_are_not_looked_at_and_mean_neither(world, command):
    """Seen on 0.29.2 and main."""
    world('{"grants": [{"src": ["max@"], "dst": ["*"], "ip": ["22"]}]}')
    code, _, err = command("plan")
    assert (code, "error[" in err, FITS in err) == (0, False, True)


def test_a_question_about_a_token_that_fits_two_users(world, command):
    world()
    code, _, err = command("access", "why", "max@", "nas:22")
    assert (code, f"{FITS}: {WAYS}" in err) == (1, True)
    world(TO_NAS)
    user = "max (oidc, max@corp.example)"
    assert command("access", "why", user, "nas:22")[1].startswith("yes")
    assert command("access", "why", "max (local)", "nas:22")[1].startswith("no")


@pytest.mark.parametrize("release", ["0.26", "0.27", "0.28", "0.29", "main"])
def test_an_at_alone_is_the_one_user_without_an_e_mail(release):
    """Seen on all five."""
    policy = """{"tagOwners": {"tag:nas": []},
      "acls": [{"action": "accept", "src": ["@"], "dst": ["tag:nas:22"]}]}"""
    one = live([LOCAL, FOREIGN], NODES, policy, release=release)
    assert paths(one, 22) == {("max-old", "nas")}
    two = live([LOCAL, FOREIGN, user(3, "ann")], NODES, policy, release=release)
    assert paths(two, 22) == set()


# -- snapshots of before, in which a node says its user's name -------------------------


def old(state, *names):
    """Return a snapshot in the first format, with these names as the nodes' users."""
    document = json.loads(snapshot.dumps(state))
    document["snapshot_version"] = "1"
    for entry, name in zip(document["nodes"], names, strict=True):
        del entry["user_id"]
        entry["user"] = name
    return json.dumps(document)


def test_an_old_snapshot_names_its_users():
    state = live([user(1, "ann"), user(2, "ben")], [node(1, "a"), node(2, "b")])
    found = snapshot.loads(old(state, "ben", None), "live.json")
    assert [each.user_id for each in found.nodes] == ["2", None]


def test_an_old_snapshot_of_027_has_a_user_without_a_name():
    nameless = user(3, "", email="eve@x", provider="oidc")
    state = live([user(1, "ann"), nameless], [node(1, "a")], info=server("0.27"))
    found = snapshot.loads(old(state, None), "live.json")
    assert [each.user_id for each in found.nodes] == ["3"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("max", "2 users have the name 'max'"), ("moritz", "no user has the name")],
)
def test_an_old_snapshot_in_which_a_name_does_not_tell(name, reason):
    state = live([LOCAL, FOREIGN], [node(1, "a")])
    with pytest.raises(InputError) as caught:
        snapshot.loads(old(state, name), "live.json")
    assert reason in caught.value.diagnostics[0].why

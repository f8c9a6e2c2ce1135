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

"""A user is an id: names are neither unique nor lasting, and may be empty."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reconcile.errors import InputError
from reconcile.live import snapshot
from reconcile.model import user_labels
from reconcile.plan.compare import diff
from reconcile.review.access import of_changes, scene_now
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
        (
            [
                user(1, "zed", email="e@x"),
                user(2, "", email="e@x", provider="oidc", provider_id="b"),
            ],
            ["zed", "e@x (oidc, b)"],
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


# -- matches ---------------------------------------------------------------------------

EVE = user(
    3, "", email="eve@corp.example", provider="oidc", provider_id="https://idp/4"
)
OF = [LOCAL, FOREIGN, EVE, user(4, "bob")]
THEIRS = [
    node(1, "a", user="1"),
    node(2, "b", user="2"),
    node(3, "c", user="3"),
    node(4, "d", user="4"),
]


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("max@corp.example", "2"),
        ("https://idp/3", "2"),
        ("eve@corp.example", "3"),
        ("https://idp/4", "3"),
        ("bob", "4"),
    ],
)
def test_a_match_names_a_user_by_name_e_mail_or_provider_id(wanted, token, found):
    desired = wanted(f"nodes: {{ box: {{ match: {{ user: '{token}' }} }} }}")
    (change,) = changes(desired, live(OF, THEIRS)).values()
    assert change.server_id == found


@pytest.mark.parametrize(
    ("token", "message", "help"),
    [
        ("bobb", "the server has no user bobb", "did you mean `bob`?"),
        (
            "eve@corp.exampl",
            "the server has no user eve@corp.exampl",
            "did you mean `eve@corp.example`?",
        ),
        (
            "max",
            "max fits two users, max (local) and max (oidc, max@corp.example)",
            "rename or remove max (local); "
            "write max@corp.example for max (oidc, max@corp.example)",
        ),
    ],
)
def test_a_match_that_names_no_one_user_is_an_error(wanted, token, message, help):
    for yaml in (
        f"nodes: {{ box: {{ match: {{ user: '{token}' }} }} }}",
        f"node_rules: [{{ match: {{ user: '{token}' }}, expiry: never }}]",
    ):
        found = diff(wanted(yaml), live(OF, THEIRS))
        (problem,) = found.problems
        assert (problem.code, problem.severity) == ("RC0106", "error")
        assert (problem.message, problem.help) == (message, help)
        assert (found.changes, found.pending) == ((), ())


def test_a_match_may_name_a_user_that_the_file_makes(wanted):
    desired = wanted("users: { zoe: {} }\nnodes: { box: { match: { user: zoe } } }")
    found = diff(desired, live(OF, THEIRS))
    assert not found.problems
    assert [pending.address for pending in found.pending] == ["node:box"]


@pytest.mark.parametrize("token", ["bob", "robert"])
@pytest.mark.parametrize("name", ["bob", "robert"])
def test_a_match_may_name_a_renamed_user_by_both_names(wanted, token, name):
    """Before the rename and after it: no entry waits for a second apply."""
    desired = wanted(f"""
        users: {{ robert: {{ was: bob }} }}
        nodes: {{ box: {{ match: {{ user: {token} }} }} }}
    """)
    found = changes(desired, live([user(4, name)], THEIRS[3:]))
    assert found["node:box"].server_id == "4"


# -- who goes --------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["eve@corp.example", "https://idp/4"])
def test_a_user_of_a_provider_goes_by_what_is_hers_alone(wanted, token):
    found = diff(wanted(f"removed: ['user:{token}']"), live(OF, THEIRS[:2]))
    (change,) = found.changes
    assert (change.address, change.server_id) == (f"user:{token}", "3")
    assert "makes the account anew" in change.caveats[0]
    assert not found.problems


def test_a_name_removes_no_user_of_a_provider_and_says_so(wanted):
    """`user:max` stays in the file after the local max went: the other one stays."""
    found = diff(wanted("removed: [user:max]"), live([FOREIGN], THEIRS[1:2]))
    assert found.changes == ()
    assert [each.address for each in found.stuck] == ["user:max"]
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0211", "warning")
    assert 'write `removed: ["user:max@corp.example"]`' in problem.help


def test_a_removed_user_of_a_provider_is_no_silence(world, command):
    world(yaml="removed: [user:max]", nodes=[], users=WORLD["users"][1:])
    code, out, err = command("plan")
    assert (code, "No changes" in out, "RC0211" in err) == (0, False, True)
    assert "# user:max" in out
    world(yaml="removed: ['user:max@corp.example']", nodes=[])
    assert command("apply", "--auto-approve")[0] == 0
    assert command("plan")[1].count("No changes") == 1
    assert [each["id"] for each in world_now()["users"]] == [1]


def test_a_day_that_has_passed_stops_no_other_change(wanted):
    """The plan goes on, without her: her devices are named."""
    state = live([user(4, "bob")], [node(4, "tv-10", user="4"), node(5, "tv-2")])
    state = replace(state, nodes=tuple(replace(n, user_id="4") for n in state.nodes))
    desired = wanted("users: { bob: { until: 2029-12-31 }, zoe: {} }")
    found = diff(desired, state)
    assert [change.address for change in found.changes] == ["user:zoe"]
    (blocked,) = found.stuck
    assert (blocked.address, blocked.reason) == (
        "user:bob",
        "until 2029-12-31 has passed, but owns nodes",
    )
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0305", "warning")
    assert "it owns 2 nodes (tv-2, tv-10)" in problem.message
    assert problem.help.endswith("node:tv-2, node:tv-10")


# -- exchanged names -------------------------------------------------------------------

SWAP = "users: { ann: { was: ben }, ben: { was: ann } }"


@pytest.mark.parametrize(
    ("emails", "help"),
    [
        (("", ""), "go by a third name"),
        (("a@x", "b@x"), "write whom you mean: ann: { was: ben, email: b@x }"),
    ],
)
def test_an_exchange_of_names_that_nothing_tells_is_an_error(wanted, emails, help):
    people = [user(1, "ann", email=emails[0]), user(2, "ben", email=emails[1])]
    state = live(people)
    found = diff(wanted(SWAP), state)
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("RC0210", "error")
    assert problem.help == f"{help}; if it is done, remove `was` from both"


def test_an_exchange_goes_by_the_e_mail_that_the_error_proposes(wanted):
    people = [user(1, "ann", email="a@x"), user(2, "ben", email="b@x")]
    told = SWAP.replace("{ was: ben }", "{ was: ben, email: b@x }")
    found = diff(wanted(told), live(people))
    assert {c.address: c.after["name"] for c in found.changes} == {
        "user:ann": "ben",
        "user:ben": "ann",
    }
    swapped = [user(1, "ben", email="a@x"), user(2, "ann", email="b@x")]
    found = diff(wanted(told), live(swapped))
    assert (found.changes, found.problems) == ((), ())


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


def world_now():
    """Return the world file as it is now."""
    return json.loads(Path("world.json").read_text())


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
    assert 'multiple users found: token "max@" within "/acls/0/src/0"' in err


ONE_MAIL = [
    {"id": 1, "name": "max", "email": "team@x.example"},
    {"id": 2, "name": "zoe", "email": "team@x.example"},
]


@pytest.mark.parametrize("release", ["0.29", "main"])
def test_a_token_that_fits_two_users_until_one_goes_is_refused(world, command, release):
    """Seen on main: users are removed after the policy is written, which is refused."""
    policy = TO_MAX.replace("max@", "team@x.example")
    asked = "policy: { file: policy.hujson }\nremoved: [user:zoe]"
    world(policy, asked, emulate=release, users=ONE_MAIL, nodes=[])
    known = world_now()
    known["policy"]["updated"] = "2031-02-03T04:05:06Z"  # else it comes from a file
    Path("world.json").write_text(json.dumps(known))
    assert command("snapshot", "-o", "live.json")[0] == 0
    code, _, err = command("plan", "--from", "live.json")
    assert (code, "error[RC0602]" in err) == (1, True)
    assert "--> policy.hujson:" in err
    way = "or remove users first, on their own: reconcile apply --target user:zoe"
    assert way in " ".join(err.split())
    assert command("apply", "--auto-approve", "--target", "user:zoe")[0] == 0
    assert command("apply", "--auto-approve")[0] == 0


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

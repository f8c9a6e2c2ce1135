"""Access in words: who reaches what, what a change opens, and why."""

from dataclasses import replace
from typing import Any

import pytest

from reconcile.model import Node, User
from reconcile.policy.access.access import SILENT, Access
from reconcile.policy.access.assertions import Assertions
from reconcile.policy.access.claims import Paths, Port
from reconcile.policy.access.difference import AccessDiff, diff
from reconcile.policy.language.document import Policy
from reconcile.policy.language.sets import prefix
from reconcile.policy.meaning.resolve import INTERNET
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from tests.support import owned

USERS = tuple(User(str(i), name) for i, name in enumerate(["ann", "ben", "cy"]))
EXITS = frozenset({"0.0.0.0/0", "::/0"})


def node(number: int, name: str, user: str = "", *tags: str, routes: Any = ()) -> Node:
    return Node(
        str(number),
        name,
        user_id=user or None,
        tags=frozenset(tags),
        available=frozenset(routes),
        approved=frozenset(routes),
        addresses=(f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"),
    )


NODES = (
    node(1, "laptop", "ann"),
    node(2, "phone", "ann"),
    node(3, "desk", "ben"),
    node(4, "nas", "cy"),
    node(5, "db-1", "", "tag:db"),
    node(6, "db-2", "", "tag:db"),
    node(7, "router", "", "tag:router", routes=["10.1.0.0/16"]),
    node(8, "exit", "", "tag:exit", routes=EXITS),
)
NAMES = {
    "groups": {"group:ops": ["ann@", "ben@"]},
    "tagOwners": {f"tag:{t}": [] for t in ("db", "router", "exit", "storage")},
}


def policy(*rules: dict[str, Any], **more: Any) -> Policy:
    found = read({**NAMES, "acls": list(rules), **more}, "main")
    assert not found.errors, found.errors
    return found


def acl(src: str, dst: str, **more: Any) -> dict[str, Any]:
    return {"action": "accept", "src": [src], "dst": [dst], **more}


def tailnet(*nodes: Node) -> Tailnet:
    return Tailnet(USERS, owned(nodes or NODES, USERS))


def lines(entries: Any) -> list[str]:
    return [
        f"{', '.join(e.sources)} -> {', '.join(e.targets)} {' '.join(e.services)}"
        f" ({sum(e.source_size)}x{sum(e.target_size)})"
        for e in entries
    ]


def because(found: AccessDiff) -> list[tuple[str, ...]]:
    return [entry.because for entry in (*found.gained, *found.lost)]


DB = acl("group:ops", "tag:db:5432", proto="tcp")


def test_list() -> None:
    found = Access(policy(DB), tailnet())
    assert lines(found.entries()) == ["group:ops -> tag:db tcp 5432 (3x2)"]
    assert found.paths == 6
    assert [str(rule) for rule in found.entries()[0].rules] == ["acls[0]"]


def test_everything() -> None:
    found = Access(policy(acl("*", "*:*")), tailnet())
    entry, inside = found.entries()
    assert entry.sources == ("group:ops", "tag:db", "cy", "node:router")
    assert entry.targets == ("everything",)
    # Neither what is behind a subnet router nor an exit node chooses an exit node.
    assert inside.sources == ("node:exit", "10.1.0.0/16")
    assert "autogroup:internet" not in inside.targets
    assert entry.services == ("*",)
    assert Access(read({}, "main"), tailnet()).entries()[0].rules == (None,)
    assert Access(policy(), tailnet()).entries() == []


def test_a_node_that_reaches_all_others_reaches_everything() -> None:
    """A node to itself is no path, and no exception worth a word."""
    (entry,) = Access(policy(acl("cy@", "*:*")), tailnet()).entries()
    assert (entry.sources, entry.targets) == (("cy",), ("everything",))
    assert entry.target_size == (7, 2)


def test_a_word_that_nobody_wrote_is_not_used_for_nearly_everything() -> None:
    rules = acl("ann@", "*:*"), acl("autogroup:member", "autogroup:internet:*")
    found = diff(
        (policy(*rules), tailnet()),
        (policy(*rules, acl("cy@", "*:*")), tailnet()),
    )
    assert lines(found.gained) == [
        "cy -> group:ops, tag:db, node:exit, node:router, 10.1.0.0/16 * (1x8)"
    ]


def test_a_user_with_one_node_goes_by_the_user() -> None:
    rule = acl("*", "tag:db:22") | {"src": ["cy@", "ann@"]}
    assert Access(policy(rule), tailnet()).entries()[0].sources == ("cy", "ann")


def test_subnets_and_internet() -> None:
    rules = acl("ann@", "10.1.2.0/24:443"), acl("ben@", "autogroup:internet:*")
    assert lines(Access(policy(*rules), tailnet()).entries()) == [
        "ann -> 10.1.2.0/24 tcp/udp 443 icmp/ipv6-icmp (2x1)",
        "ben -> autogroup:internet * (1x1)",
    ]
    assert Access(policy(acl("ann@", "10.2.0.0/16:1")), tailnet()).entries() == []


def test_families_do_not_mix() -> None:
    four, six = "100.64.0.1", "fd7a:115c:a1e0::5"
    assert Access(policy(acl(four, f"{six}:1")), tailnet()).paths == 0
    assert Access(policy(acl(four, "tag:db:1", proto="tcp")), tailnet()).paths == 2


def test_a_source_of_one_family_opens_nothing_on_the_other() -> None:
    wide = acl("*", "*:80", proto="tcp") | {"src": ["fd7a:115c:a1e0::1"]}
    found = Access(policy(wide), tailnet())
    assert found.entries(1 << found.find("10.1.0.0/16").bit_length() - 1) == []
    assert not found.entries(found.find("laptop"), found.find("10.1.0.0/16"))
    assert found.entries(found.find("laptop"), found.find("desk"))


def test_nodes_of_different_families_cannot_talk() -> None:
    four, six = NODES[2], NODES[3]
    four = replace(four, addresses=four.addresses[:1])
    six = replace(six, addresses=six.addresses[1:])
    found = Access(
        policy(acl("*", "*:80", proto="tcp")), tailnet(*NODES[:2], four, six)
    )
    desk, nas, laptop = (found.find(name) for name in ("desk", "nas", "laptop"))
    assert found.missing(desk, nas, -1)
    assert found.missing(nas, desk, -1)
    assert not found.missing(laptop, desk | nas, -1)
    assert not found.missing(desk | nas, laptop, -1)
    fd = policy(acl("cy@", "100.64.0.1:80"), acl("ben@", "100.64.0.1:80"))
    found = Access(fd, tailnet(*NODES[:2], four, six))
    assert found.missing(found.find("nas"), found.find("laptop"), -1)
    assert not found.missing(found.find("desk"), found.find("laptop"), -1)


def test_a_node_of_one_family_stands_beside_those_of_both() -> None:
    single = replace(NODES[2], addresses=NODES[2].addresses[:1])
    rule = policy(acl("group:ops", "tag:db:80", proto="tcp"))
    found = Access(rule, tailnet(*NODES[:2], single, *NODES[3:]))
    assert lines(found.entries()) == ["group:ops -> tag:db tcp 80 (3x2)"]


def test_what_one_address_alone_opens_stands_apart_from_what_both_open() -> None:
    one = policy(acl("ann@", "100.64.0.5:*", proto="tcp"))
    everything = policy(acl("*", "*:*", proto="tcp"))
    gained = diff((one, tailnet()), (everything, tailnet())).gained
    assert [line for line in lines(gained) if line.startswith("ann ->")] == [
        "ann -> group:ops, cy, node:db-2, node:exit, node:router, autogroup:internet,"
        " 10.1.0.0/16 tcp * (2x9)",
        "ann -> node:db-1 (fd7a:115c:a1e0::5) tcp * (2x1)",
    ]


def test_ssh_needs_port_22() -> None:
    rules = [
        {"action": "accept", "src": ["ann@"], "dst": ["tag:db"], "users": ["root"]},
        {"action": "check", "src": ["ann@"], "dst": ["tag:db"], "users": ["root"]},
    ]
    closed = Access(policy(DB, ssh=rules), tailnet())
    assert not any("ssh" in line for line in lines(closed.entries()))
    opened = policy(acl("ann@", "tag:db:22", proto="tcp"), ssh=rules)
    assert lines(Access(opened, tailnet()).entries()) == [
        "ann -> tag:db tcp 22 ssh as root (check) (2x2)"
    ]


def test_own_devices() -> None:
    found = Access(policy(acl("autogroup:member", "autogroup:self:22")), tailnet())
    assert lines(found.entries()) == [
        "autogroup:member -> autogroup:self tcp/udp 22 icmp/ipv6-icmp (4x4)",
    ]
    assert found.paths == 2  # no path to itself


def test_rule_added() -> None:
    found = diff(
        (policy(DB), tailnet()),
        (policy(DB, acl("cy@", "tag:db:5432", proto="tcp")), tailnet()),
    )
    assert lines(found.gained) == ["cy -> tag:db tcp 5432 (1x2)"]
    assert (found.lost, found.totals.opened, found.totals.before) == ((), 2, 6)
    assert because(found) == [("acls[1]",)]
    assert found.gained[0].cause == "policy"


def test_group_member_gone() -> None:
    after = policy(DB, groups={"group:ops": ["ann@"]})
    found = diff((policy(DB), tailnet()), (after, tailnet()))
    assert lines(found.lost) == ["ben -> tag:db tcp 5432 (1x2)"]
    assert because(found) == [('groups."group:ops"',)]


def test_node_becomes_tagged() -> None:
    rule = policy(acl("group:ops", "tag:storage:445", proto="tcp"))
    tagged = replace(NODES[3], user_id=None, tags=frozenset({"tag:storage"}))
    after = tailnet(*NODES[:3], tagged, *NODES[4:])
    found = diff((rule, tailnet()), (rule, after))
    assert lines(found.gained) == ["group:ops -> node:nas tcp 445 (3x1)"]
    assert because(found) == [("node:nas becomes tag:storage",)]
    assert found.gained[0].cause == "nodes"


def test_node_removed_and_route_approved() -> None:
    rule = policy(DB, acl("ann@", "10.1.0.0/16:80", proto="tcp"))
    gone = diff((rule, tailnet()), (rule, tailnet(*NODES[:2], *NODES[3:])))
    assert because(gone) == [("node:desk is removed",)]
    closed = replace(NODES[6], approved=frozenset())
    opened = diff((rule, tailnet(*NODES[:6], closed)), (rule, tailnet()))
    assert lines(opened.gained) == ["ann -> 10.1.0.0/16 tcp 80 (2x1)"]
    assert because(opened) == [("node:router routes 10.1.0.0/16",)]


def test_no_policy_any_more() -> None:
    after = read(NAMES, "main")
    found = diff((policy(DB), tailnet()), (after, tailnet()))
    assert because(found)[0] == ("there are neither acls nor grants",)
    assert not found.lost


def test_policy_and_nodes_at_once_are_told_apart() -> None:
    tagged = replace(NODES[3], user_id=None, tags=frozenset({"tag:db"}))
    after = policy(DB, acl("cy@", "tag:router:22", proto="tcp"))
    nodes = tailnet(*NODES[:3], tagged, *NODES[4:], node(9, "new", "cy"))
    found = diff((policy(DB), tailnet()), (after, nodes))
    assert [(e.cause, lines([e])[0]) for e in found.gained] == [
        ("nodes", "group:ops -> node:nas tcp 5432 (3x1)"),
        ("both", "node:new -> tag:router tcp 22 (1x1)"),
    ]
    assert because(found)[1] == ("acls[1]", "node:new is added")


def test_same_ports_in_other_words_change_nothing() -> None:
    other = policy(
        acl("ann@", "tag:db:5432", proto="tcp"), acl("ben@", "tag:db:5432", proto="6")
    )
    assert not diff((policy(DB), tailnet()), (other, tailnet()))


def test_limit() -> None:
    rules = [acl("ann@", f"100.64.0.{n}:{n}", proto="tcp") for n in (3, 5, 6)]
    found = diff((policy(), tailnet()), (policy(*rules), tailnet()), limit=1)
    assert (len(found.gained), found.hidden, found.totals.opened) == (1, 2, 6)


def test_the_new_side_of_a_difference_answers_as_if_it_were_alone() -> None:
    nodes = [*NODES[:4], *NODES[5:]]  # one is removed, and the rule moves
    new = policy(acl("cy@", "tag:db:22", proto="tcp"))
    beside = diff((policy(DB), tailnet()), (new, tailnet(*nodes))).access
    alone = Access(new, tailnet(*nodes))
    assert lines(beside.entries()) == lines(alone.entries())
    assert lines(beside.who("db-2", 22)) == lines(alone.who("db-2", 22))
    for found in (beside, alone):
        assert found.why("cy@", "tag:db", 22).allowed
        assert not found.why("ann@", "tag:db", 5432).allowed
        with pytest.raises(LookupError):
            found.find("db-1")


def test_why() -> None:
    found = Access(policy(DB, acl("cy@", "tag:db:22")), tailnet())
    yes = found.why("laptop", "db-1", 5432)
    assert yes.allowed
    (match,) = yes.rules
    assert (str(match.rule), match.sources, match.targets) == (
        "acls[0]",
        ("group:ops",),
        ("tag:db:5432".rpartition(":")[0],),
    )
    no = found.why("node:laptop", "tag:db", 22)
    assert not no.allowed
    assert not no.rules
    assert {(str(m.rule), m.missing) for m in no.nearest} == {
        ("acls[0]", ("port",)),
        ("acls[1]", ("source",)),
    }


def test_the_internet_is_the_same_beside_an_address() -> None:
    public = node(9, "public", "", "tag:db", routes=["203.0.113.0/24", "fd00:1::/64"])
    everyone = {"src": ["autogroup:danger-all"], "ip": ["*"]}
    alone, beside = (
        Access(policy(DB, grants=[{**everyone, "dst": dst}]), tailnet(*NODES, public))
        for dst in (["autogroup:internet"], ["100.64.0.3", "autogroup:internet"])
    )
    for target in ("203.0.113.9", "internet"):
        found = [each.who(target, 443)[0].source_size for each in (alone, beside)]
        assert found[0] == found[1]


def test_why_names_the_routers_that_lead_there() -> None:
    def through(policy: Policy, target: str) -> tuple[str, ...]:
        spare = node(9, "spare", "", "tag:db", routes=["10.1.2.0/24"])
        return Access(policy, tailnet(*NODES, spare)).why("laptop", target, 80).through

    everywhere = policy(acl("ann@", "*:*"))
    assert through(everywhere, "db-1") == ()
    assert through(everywhere, "10.1.2.3") == ("node:router", "node:spare")
    assert through(everywhere, "10.1.7.7") == ("node:router",)
    assert through(everywhere, "internet") == ("node:exit",)
    assert through(policy(DB), "10.1.2.3") == ()  # for a no there is none
    grant = {"src": ["ann@"], "dst": ["10.1.0.0/16"], "ip": ["*"], "via": ["tag:db"]}
    assert through(policy(DB, grants=[grant]), "10.1.2.3") == ("node:spare",)
    beside = policy(acl("ann@", "10.1.0.0/16:*"), grants=[grant])
    assert through(beside, "10.1.2.3") == ("node:router", "node:spare")


def test_who() -> None:
    found = Access(policy(DB, acl("*", "10.1.2.0/24:443", proto="tcp")), tailnet())
    assert lines(found.who("db-1", 5432)) == ["group:ops -> node:db-1 tcp 5432 (3x1)"]
    assert found.who("db-1", 22) == []
    (entry,) = found.who("10.1.2.7", 443)
    assert entry.source_size == (8, 1)  # one network, however rules cut it up
    with pytest.raises(LookupError):
        found.who("nobody", 22)
    assert found.who("192.168.0.1", 22) == []
    assert "no approved route leads there" in found.absent("192.168.0.1")
    assert found.absent("db-1") == ""


DRIVE = "tailscale.com/cap/drive"


def grant(app: dict[str, Any], *to: str, **more: Any) -> dict[str, Any]:
    return {"src": ["ann@"], "dst": list(to or ["tag:db"]), "app": app, **more}


def test_capabilities_are_access_of_their_own() -> None:
    found = Access(policy(grants=[grant({DRIVE: [{"shares": ["*"]}]})]), tailnet())
    assert lines(found.entries()) == [f"ann -> tag:db can use {DRIVE} (2x2)"]
    assert found.why("laptop", "db-1", DRIVE).allowed
    assert [str(m.rule) for m in found.why("desk", "db-1", DRIVE).nearest] == [
        "grants[0]"
    ]
    assert not found.who("db-1", 22)  # a capability opens no port
    assert found.who("db-1", DRIVE)
    with_ports = Access(policy(grants=[grant({DRIVE: []}, ip=["tcp:445"])]), tailnet())
    assert lines(with_ports.entries()) == [
        f"ann -> tag:db tcp 445 can use {DRIVE} (2x2)"
    ]


def test_capabilities_not_given() -> None:
    exits = [grant({DRIVE: []}, "*")]
    (entry,) = Access(policy(grants=exits), tailnet()).entries()
    assert "the internet" not in entry.targets
    steered = [grant({DRIVE: []}, "10.1.0.0/16", via=["tag:router"])]
    assert Access(policy(grants=steered), tailnet()).entries() == []


def test_a_capability_with_another_value_is_a_difference() -> None:
    old = policy(grants=[grant({DRIVE: [{"access": "ro"}]})])
    new = policy(grants=[grant({DRIVE: [{"access": "rw"}]})])
    found = diff((old, tailnet()), (new, tailnet()))
    assert lines(found.gained) == [
        f'ann -> tag:db can use {DRIVE} [{{"access": "rw"}}] (2x2)'
    ]
    assert lines(found.lost) == [
        f'ann -> tag:db can use {DRIVE} [{{"access": "ro"}}] (2x2)'
    ]
    assert because(found) == [("grants[0]",), ("grants[0]",)]
    removed = diff((old, tailnet()), (policy(), tailnet()))
    assert lines(removed.lost) == [f"ann -> tag:db can use {DRIVE} (2x2)"]


def test_each_change_has_its_own_line() -> None:
    """A tag, a route and a removal at once, and nodes that both ends belong to."""
    rule = policy(
        acl("group:ops", "tag:db:22,5432", proto="tcp"), acl("ann@", "10.1.0.0/16:80")
    )
    tagged = replace(NODES[3], user_id=None, tags=frozenset({"tag:db"}))
    closed = replace(NODES[6], approved=frozenset())
    after = tailnet(NODES[0], NODES[2], tagged, *NODES[4:6], closed, NODES[7])
    found = diff((rule, tailnet()), (rule, after), None)
    assert [(lines([e])[0], e.because) for e in (*found.gained, *found.lost)] == [
        ("group:ops -> node:nas tcp 22,5432 (2x1)", ("node:nas becomes tag:db",)),
        ("node:phone -> everything  (1x0)", ("node:phone is removed",)),
        (
            "node:laptop -> 10.1.0.0/16 tcp/udp 80 icmp/ipv6-icmp (1x1)",
            ("node:router no longer routes 10.1.0.0/16",),
        ),
        (
            "node:phone -> 10.1.0.0/16 tcp/udp 80 icmp/ipv6-icmp (1x1)",
            ("node:phone is removed", "node:router no longer routes 10.1.0.0/16"),
        ),
    ]


def test_a_login_that_a_port_opens_is_put_down_to_the_port() -> None:
    ssh = {"action": "accept", "src": ["ann@"], "dst": ["tag:db"], "users": ["root"]}
    closed = policy(DB, ssh=[ssh])
    opened = policy(DB, acl("ann@", "tag:db:22", proto="tcp"), ssh=[ssh])
    found = diff((closed, tailnet()), (opened, tailnet()))
    assert lines(found.gained) == ["ann -> tag:db tcp 22 ssh as root (2x2)"]
    assert because(found) == [("acls[1]",)]


def test_what_each_of_two_changes_opens_alone_names_both() -> None:
    """The new rule no longer opens it once the tag is there, but would without it."""
    rule = acl("ann@", "autogroup:tagged:*", proto="tcp")
    wider = acl("autogroup:danger-all", "ann@:*", proto="tcp")
    tagged = replace(NODES[0], user_id=None, tags=frozenset({"tag:db"}))
    found = diff(
        (policy(rule), tailnet()),
        (policy(rule, wider), tailnet(tagged, *NODES[1:])),
    )
    entry = next(e for e in found.gained if e.targets == ("node:laptop",))
    assert entry.sources == ("ann",)
    assert set(entry.because) == {"acls[1]", "node:laptop becomes tag:db"}


def test_a_node_that_goes_loses_the_internet_because_it_goes() -> None:
    rule = acl("autogroup:danger-all", "autogroup:internet:53", proto="udp")
    exit_ = replace(NODES[-1], tags=frozenset({"tag:storage"}))
    before, after = tailnet(), tailnet(*NODES[1:-1], exit_)
    found = diff((policy(rule), before), (policy(rule), after))
    (entry,) = (e for e in found.lost if "node:laptop" in e.sources)
    assert entry.because == ("node:laptop is removed",)


def test_a_login_on_some_own_nodes_is_not_one_on_all() -> None:
    login = {"action": "accept", "src": ["ann@"], "dst": ["autogroup:self"]}
    port = acl("ann@", "100.64.0.1:22", proto="tcp")
    access = Access(policy(port, ssh=[{**login, "users": ["root"]}]), tailnet())
    told = [(e.targets, e.services) for e in access.entries()]
    assert told == [(("100.64.0.1",), ("tcp 22", "ssh as root"))]


def test_what_happened_to_a_node_names_it_before_its_user() -> None:
    route = frozenset({"10.2.0.0/16"})
    plain = replace(NODES[0], available=route)
    before, after = (
        owned((node, *NODES[1:]), USERS)
        for node in (plain, replace(plain, approved=route))
    )
    renamed = (replace(USERS[0], name="zoe"), *USERS[1:])
    rule = policy(acl("ben@", "10.2.0.0/16:443", proto="tcp"))
    found = diff((rule, Tailnet(USERS, before)), (rule, Tailnet(renamed, after)))
    assert because(found) == [
        ("node:laptop routes 10.2.0.0/16, user:ann is renamed zoe",)
    ]


def test_a_group_that_shrinks_on_both_sides_of_a_rule_loses_both_ways() -> None:
    rule = acl("group:ops", "group:ops:22", proto="tcp")
    fewer = policy(rule, groups={"group:ops": ["ben@"]})
    found = diff((policy(rule), tailnet()), (fewer, tailnet()))
    assert lines(found.lost) == [
        "ann -> group:ops tcp 22 (2x3)",
        "ben -> group:ops tcp 22 (1x2)",
    ]
    assert set(because(found)) == {('groups."group:ops"',)}
    back = diff((fewer, tailnet()), (policy(rule), tailnet()))
    assert lines(back.gained) == lines(found.lost)


@pytest.mark.parametrize(
    ("action", "gained", "lost"),
    [
        ("accept", "ssh as autogroup:nonroot but ops", "ssh as root"),
        ("check", "ssh as autogroup:nonroot (check)", "ssh as ops ssh as root"),
    ],
)
def test_every_login_but_root_holds_those_that_were_open(
    action: str, gained: str, lost: str
) -> None:
    named = {"action": "accept", "src": ["ann@"], "dst": ["tag:db"]}
    wider = {**named, "action": action, "users": ["autogroup:nonroot"]}
    port = acl("ann@", "tag:db:22", proto="tcp")
    found = diff(
        (policy(port, ssh=[{**named, "users": ["ops", "root"]}]), tailnet()),
        (policy(port, ssh=[wider]), tailnet()),
    )
    assert lines(found.gained) == [f"ann -> tag:db {gained} (2x2)"]
    assert lines(found.lost) == [f"ann -> tag:db {lost} (2x2)"]


def test_a_check_of_every_login_asks_for_those_that_another_rule_names() -> None:
    rule = {"action": "accept", "src": ["ann@"], "dst": ["tag:db"], "users": ["ops"]}
    every = {**rule, "action": "check", "users": ["autogroup:nonroot"]}
    port = acl("ann@", "tag:db:22", proto="tcp")
    access = Access(policy(port, ssh=[rule, every]), tailnet())
    assert lines(access.entries()) == [
        "ann -> tag:db tcp 22 ssh as autogroup:nonroot (check) (2x2)"
    ]


# Addresses.

LAPTOP4, LAPTOP6 = NODES[0].addresses


@pytest.mark.parametrize(("address", "said"), [(LAPTOP4, True), (LAPTOP6, False)])
def test_an_address_is_asked_for_itself(address: str, said: bool) -> None:
    """The other address of its node is another one."""
    found = Access(policy(acl("ben@", f"{LAPTOP4}:443")), tailnet())
    judge = Assertions(found)
    assert found.why("ben@", address, 443).allowed is said
    claims = [Paths(a, "ben@", address, Port(443)) for a in (True, False)]
    assert [not judge.answer(claim).reasons for claim in claims] == [said, not said]
    assert found.why("ben@", "node:laptop", 443).allowed


def test_only_a_router_of_the_grant_is_a_cause() -> None:
    """An exit node that the `via` of a grant does not mean opens nothing by it."""
    via = {
        "src": ["ann@"],
        "dst": ["autogroup:internet"],
        "ip": ["*"],
        "via": ["tag:db"],
    }
    exits = {"available": EXITS, "approved": EXITS}
    nas, db = replace(NODES[3], **exits), replace(NODES[4], **exits)
    rules = policy(acl("ann@", f"{db.addresses[0]}:22"), grants=[via])
    before = (
        replace(nas, approved=frozenset()),
        replace(db, tags=frozenset({"tag:exit"})),
    )
    sides = [(rules, tailnet(*NODES[:3], *nodes)) for nodes in (before, (nas, db))]
    assert because(diff(*sides)) == [
        ("node:db-1 becomes tag:db, is no longer tag:exit",),
    ]


_STEERED = {"src": ["ann@"], "dst": ["autogroup:internet"], "ip": ["tcp:22"]}
_BESIDE = {
    "nothing": ((), True),
    "the exit node": (("tag:db:1",), True),
    "the other router": (("tag:db:1", "100.64.0.4:1"), True),
    "its network": (("tag:db:1", "8.8.8.0/24:1"), False),
    "another node": (("100.64.0.6:1",), False),
}


@pytest.mark.parametrize("beside", _BESIDE)
def test_via_opens_what_the_client_is_sent_through_the_router(beside: str) -> None:
    """Seen on clients of 0.29.2 and main, by TCP to 8.8.8.77.

    With any other rule, a rule makes the exit node a peer or nothing does. A network of
    another router that is shown takes its addresses away from the exit node.
    """
    targets, open_ = _BESIDE[beside]
    exits = replace(NODES[4], available=EXITS, approved=EXITS)
    route = frozenset({"8.8.8.0/24"})
    nas = replace(NODES[3], available=route, approved=route)
    via = {**_STEERED, "via": ["tag:db"]}
    rules = policy(*(acl("ann@", target) for target in targets), grants=[via])
    found = Access(rules, tailnet(*NODES[:3], nas, exits, NODES[5]))
    assert found.why("node:laptop", "8.8.8.77", 22).allowed is open_
    assert (found.why("node:laptop", "8.8.8.77", 22).not_shown == ()) is open_
    assert not found.why("node:desk", "8.8.8.77", 22).allowed


_NETWORK = {
    "alone": ([acl("10.1.0.0/16", "db-1:22")], False),
    "with its router": (
        [acl("10.1.0.0/16", "db-1:22"), acl("db-1", "tag:router:1")],
        True,
    ),
    "as everybody": ([acl("*", "db-1:22")], True),
}


@pytest.mark.parametrize("name", _NETWORK)
@pytest.mark.parametrize("release", ["0.27", "0.28", "0.29", "main"])
def test_a_network_sends_by_its_router(name: str, release: str) -> None:
    """Seen on clients of 0.28.0: packets and answers go between peers alone."""
    rules, open_ = _NETWORK[name]
    known = {"hosts": {"db-1": "100.64.0.5"}, **NAMES, "acls": rules}
    found = Access(read(known, release), tailnet())
    why = found.why("10.1.2.3", "node:db-1", 22)
    assert why.allowed is (open_ or release in ("0.29", "main"))
    assert why.apart == (() if why.allowed else ("node:router",))


@pytest.mark.parametrize("release", ["0.27", "0.28"])
def test_a_network_reaches_each_of_its_routers(release: str) -> None:
    """Also the one in reserve: its hosts need no tailnet for that."""
    second = node(9, "spare", "", "tag:router", routes=["10.1.0.0/16"])
    rules = [acl("10.1.0.0/16", "tag:router:22")]
    found = Access(read({**NAMES, "acls": rules}, release), tailnet(*NODES, second))
    assert found.why("10.1.2.3", "node:spare", 22).allowed


def test_the_internet_sends_nothing_into_the_tailnet() -> None:
    found = Access(policy(acl("*", "*:*")), tailnet())
    why = found.why("8.8.8.8", "node:desk", 443)
    assert (why.allowed, why.notes) == (False, (SILENT,))
    claims = [Paths(a, "8.8.8.8", "node:desk", Port(443)) for a in (True, False)]
    answers = [[r.text for r in Assertions(found).answer(c).reasons] for c in claims]
    assert answers == [[f"8.8.8.8: {SILENT}"], []]
    everything = Paths(True, "0.0.0.0/0", "node:desk", Port(443))
    assert Assertions(found).answer(everything).reasons == ()


@pytest.mark.parametrize("asked", ["0.0.0.0/1", "64.0.0.0/2", "1.1.1.0/24"])
def test_a_part_of_the_internet_is_asked_for_alone(asked: str) -> None:
    """The stretches that rules leave begin inside of it, before it, or end after it."""
    found = Access(policy(acl("ann@", "autogroup:internet:443")), tailnet()).asking(
        [asked]
    )
    network = prefix(asked)
    bits = found.matrix.universe.split(found.find(asked))[1]
    assert bits
    served = INTERNET | prefix("10.1.0.0/16")
    assert found.matrix.universe.addresses(bits) == network & served
    for entry in found.who(asked, 443):
        assert all(prefix(text) <= network for text in entry.targets)


def test_a_set_of_two_families_does_not_reach_itself() -> None:
    four = replace(NODES[4], addresses=NODES[4].addresses[:1])
    six = replace(NODES[5], addresses=NODES[5].addresses[1:])
    found = Access(policy(acl("*", "*:*")), tailnet(four, six))
    why = found.why("tag:db", "tag:db", 22)
    assert not why.allowed
    assert "no address of one family" in why.notes[0]
    every = Paths(True, "tag:db", "tag:db", Port(22))
    assert Assertions(found).answer(every).reasons

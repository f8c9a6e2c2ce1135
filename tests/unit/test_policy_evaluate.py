"""What a policy means for each node: filters, logins, tests, attributes, peers."""

from typing import Any

import pytest

from reconcile.model import Node, User
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.language.releases import release
from reconcile.policy.language.sets import texts
from reconcile.policy.meaning.tailnet import Machine
from reconcile.policy.reading import read
from tests.support import tailnet

USERS = (
    User("1", "ann", email="ann@example.com"),
    User("2", "ben", email="ben@example.org"),
)
EXITS = ("0.0.0.0/0", "::/0")


def node(number: int, name: str, user: str = "", *tags: str, **more: Any) -> Node:
    routes = frozenset(more.get("routes", ()))
    return Node(
        str(number),
        name,
        user_id=user or None,
        tags=frozenset(tags),
        available=routes | frozenset(more.get("advertised", ())),
        approved=routes,
        addresses=(f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"),
        created=f"2026-01-0{number}T00:00:00Z",
    )


NODES = (
    node(1, "laptop", "ann"),
    node(2, "phone", "ann"),
    node(3, "desk", "ben"),
    node(4, "web", "", "tag:web"),
    node(5, "both", "ann", "tag:web", "tag:db"),
    node(6, "router", "", "tag:router", routes=["10.1.0.0/16"]),
    node(7, "spare", "", "tag:router", routes=["10.1.0.0/16"]),
    node(8, "exit", "", "tag:exit", routes=EXITS),
    node(9, "lazy", "", "tag:lazy", advertised=["10.9.0.0/16", *EXITS]),
)
NAMES = {
    "groups": {"group:a": ["ann@", "nobody@"], "group:none": []},
    "hosts": {"site": "10.1.2.0/24", "host": "100.64.0.4"},
    "tagOwners": {
        f"tag:{t}": [] for t in ("web", "db", "router", "exit", "lazy", "empty")
    },
}


def evaluator(policy: dict[str, Any], server: str = "main") -> Evaluator:
    found = read({**NAMES, **policy}, server)
    assert not found.errors, found.errors
    advertised = release(server).advertised_routes
    return Evaluator(found, tailnet(USERS, NODES, advertised=advertised))


def acl(src: list[str], dst: list[str], server: str = "main", **more: Any) -> Evaluator:
    rule = {"action": "accept", "src": src, "dst": dst, **more}
    return evaluator({"acls": [rule]}, server)


def grant(**fields: Any) -> Evaluator:
    return evaluator({"grants": [{"src": ["*"], "dst": ["*"], **fields}]})


def at(found: Evaluator, name: str) -> Machine:
    return next(m for m in found.tailnet.machines if m.name == name)


def open_on(found: Evaluator, name: str) -> list[tuple[str, ...]]:
    """Return the destinations in a node's filter."""
    rules = found.filter(at(found, name))
    return sorted(tuple(texts(o.addresses)) for r in rules for o in r.openings)


def sources_on(found: Evaluator, name: str) -> list[str]:
    rules = found.filter(at(found, name))
    return [text for rule in rules for text in texts(rule.sources)]


def where(found: Evaluator) -> set[str]:
    return {m.name for m in found.tailnet.machines if found.filter(m)}


WILDCARD = [
    "10.1.0.0/16",
    "100.64.0.0-100.115.91.255",
    "100.115.94.0-100.127.255.255",
    "fd7a:115c:a1e0::/48",
]


def test_wildcards() -> None:
    found = acl(["*"], ["*:*"])
    assert sources_on(found, "web") == WILDCARD
    assert open_on(found, "web") == [("*",)]
    assert where(found) == {n.name for n in NODES}
    assert sources_on(acl(["*"], ["*:*"], "0.28"), "web") == ["*"]
    assert sources_on(acl(["autogroup:danger-all"], ["*:*"]), "web") == ["*"]


def test_no_rules_at_all() -> None:
    assert sources_on(evaluator({}), "web") == ["*"]
    assert sources_on(evaluator({}, "tailscale"), "web") == WILDCARD
    assert where(evaluator({"acls": []})) == set()


def test_identity() -> None:
    assert where(acl(["*"], ["group:a:22"])) == {"laptop", "phone"}
    assert where(acl(["*"], ["ann@:22"])) == {"laptop", "phone"}
    assert where(acl(["*"], ["ann@example.com:22"])) == {"laptop", "phone"}
    assert where(acl(["*"], ["tag:db:22"])) == {"both"}
    assert where(acl(["*"], ["autogroup:member:22"])) == {"laptop", "phone", "desk"}
    assert where(acl(["*"], ["tag:empty:22", "group:none:22", "x@:22"])) == set()
    assert where(acl(["tag:empty", "x@"], ["*:*"])) == set()


def test_routers() -> None:
    assert where(acl(["*"], ["site:22"])) == {"router", "spare"}
    assert open_on(acl(["*"], ["10.0.0.0/8:22"]), "router") == [("10.0.0.0/8",)]
    assert where(acl(["*"], ["10.9.0.0/16:22"])) == set()
    assert where(acl(["*"], ["10.9.0.0/16:22"], "0.28")) == {"lazy", "exit"}
    assert where(acl(["*"], ["8.8.8.8:53"])) == {"exit"}
    assert where(acl(["*"], ["8.8.8.8:53"], "tailscale")) == set()
    assert where(acl(["*"], ["128.0.0.0/1:53"])) == set()


def test_internet() -> None:
    found = acl(["*"], ["autogroup:internet:*"])
    assert where(found) == {"exit"}
    ((first, *_),) = open_on(found, "exit")
    assert first == "0.0.0.0-9.255.255.255"
    # A network behind a router can be a part of the internet, but is no exit.
    public = node(4, "public", "", "tag:web", routes=["203.0.113.0/24"])
    rules = [{"src": ["ann@"], "dst": ["autogroup:internet"], "ip": ["443"]}]
    policy = read({**NAMES, "grants": rules}, "main")
    found = Evaluator(policy, tailnet(USERS, [NODES[0], public]))
    assert where(found) == {"public"}
    assert shown(found, "laptop") == {"public": ["203.0.113.0/24"]}
    through = read({**NAMES, "grants": [{**rules[0], "via": ["tag:web"]}]}, "main")
    assert where(Evaluator(through, tailnet(USERS, [public]))) == set()


def test_own_devices() -> None:
    found = acl(["autogroup:member"], ["autogroup:self:*"])
    assert where(found) == {"laptop", "phone", "desk"}
    assert sources_on(found, "desk") == ["100.64.0.3", "fd7a:115c:a1e0::3"]
    assert where(acl(["ben@"], ["autogroup:self:*"])) == {"desk"}


def test_families_of_literals() -> None:
    assert sources_on(acl(["host"], ["*:*"]), "web") == ["100.64.0.4"]
    widened = ["100.64.0.4", "fd7a:115c:a1e0::4"]
    assert sources_on(acl(["host"], ["*:*"], "0.28"), "web") == widened
    assert sources_on(acl(["100.64.0.4/31"], ["*:*"], "0.28"), "web") == [
        "100.64.0.4/31"
    ]
    both = ["100.64.0.4/31", "fd7a:115c:a1e0::4/127"]
    assert sources_on(acl(["100.64.0.4/31"], ["*:*"], "0.26"), "web") == both


@pytest.mark.parametrize(
    ("proto", "server", "numbers"),
    [
        (None, "main", {6, 17, 1, 58}),
        (None, "0.28", {6, 17}),
        (None, "0.26", {6, 17, 1, 58}),
        ("icmp", "main", {1}),
        ("icmp", "0.28", {1, 58}),
        ("sctp", "main", {132}),
        ("47", "main", {47}),
    ],
)
def test_protocols(proto: str, server: str, numbers: set[int]) -> None:
    found = acl(["*"], ["tag:db:*"], server, **({"proto": proto} if proto else {}))
    ((rule,),) = [found.filter(at(found, "both"))]
    assert rule.openings[0].services[0].protocols == numbers


def test_via() -> None:
    found = grant(dst=["site", "tag:web"], ip=["*"], via=["tag:router"])
    assert where(found) == {"router", "spare"}
    assert where(grant(dst=["autogroup:internet"], ip=["*"], via=["tag:exit"])) == {
        "exit"
    }
    assert where(grant(dst=["*"], ip=["*"], via=["tag:router"])) == set()


def test_capabilities() -> None:
    found = grant(src=["ann@"], dst=["tag:web"], app={"tailscale.com/cap/drive": [{}]})
    assert where(found) == set()  # no port
    (forward,) = found.capabilities(at(found, "web"))
    assert texts(forward.sources) == [
        "100.64.0.1-100.64.0.2",
        "fd7a:115c:a1e0::1-fd7a:115c:a1e0::2",
    ]
    (back,) = found.capabilities(at(found, "phone"))
    assert dict(back.capabilities) == {"tailscale.com/cap/drive-sharer": None}
    assert {p.name for p in found.peers(at(found, "web"))} == {"laptop", "phone"}


def ssh(*rules: dict[str, Any], server: str = "main", **more: Any) -> Evaluator:
    base = {"action": "accept", "src": ["ann@"], "dst": ["tag:web"], "users": ["root"]}
    return evaluator({"ssh": [{**base, **rule} for rule in rules], **more}, server)


def logins(found: Evaluator, name: str) -> list[tuple[str, dict[str, str]]]:
    return [(r.action, dict(r.users)) for r in found.ssh(at(found, name))]


def test_ssh() -> None:
    found = ssh({"users": ["autogroup:nonroot", "git"]}, {"action": "check"})
    assert logins(found, "web") == [
        ("check", {"root": "root"}),
        ("accept", {"root": "", "*": "=", "git": "git"}),
    ]
    assert logins(found, "exit") == []
    assert logins(ssh({"action": "check"}, server="0.28"), "web") == [
        ("accept", {"root": "root"})
    ]
    rule = found.ssh(at(found, "web"))[1]
    assert rule.admits("100.64.0.1", "bob")
    assert not rule.admits("100.64.0.1", "root")
    assert not rule.admits("100.64.0.3", "bob")


def test_ssh_to_own_devices() -> None:
    found = ssh({"src": ["autogroup:member"], "dst": ["autogroup:self"]})
    (rule,) = found.ssh(at(found, "desk"))
    assert rule.principals == ("100.64.0.3", "fd7a:115c:a1e0::3")
    assert logins(found, "both") == []


def test_ssh_local_parts() -> None:
    rule = {"src": ["autogroup:member"], "users": ["localpart:*@example.com"]}
    found = ssh(rule)
    assert [users for _, users in logins(found, "web")] == [
        {"root": ""},
        {"ann": "ann"},
        {"root": ""},
    ]
    assert len(logins(found, "laptop")) == 2  # the sources get them for themselves
    old = ssh(rule, server="0.28")
    assert [users for _, users in logins(old, "web")] == [
        {"localpart:*@example.com": "localpart:*@example.com"}
    ]


def test_ssh_before_029() -> None:
    rule = {"users": ["autogroup:nonroot"], "src": ["tag:web"], "dst": ["tag:db"]}
    assert logins(ssh(rule, server="0.28"), "both") == [
        ("accept", {"root": "", "*": "="})
    ]
    # There it is a login name like any other, so nobody gets in.
    found = ssh(rule, server="0.26")
    assert logins(found, "both") == [("accept", {"autogroup:nonroot": "="})]
    # A source with two tags counts twice from 0.29 on.
    assert len(found.ssh(at(found, "both"))[0].principals) == 4
    found = ssh(rule)
    assert len(found.ssh(at(found, "both"))[0].principals) == 6


def test_blanks() -> None:
    assert where(acl(["*"], [" tag:db:22 "], "tailscale")) == {"both"}
    for text in (" tag:db:22", "tag:db :22", "tag:db:22 "):
        rule = {"action": "accept", "src": ["*"], "dst": [text]}
        assert read({**NAMES, "acls": [rule]}, "main").errors
    assert where(acl([" ann@ "], ["tag:db:22"])) == {"both"}
    assert where(acl([" ann@ "], ["tag:db:22"], "0.28")) == set()
    assert where(acl(["*"], ["ann@ :22"])) == set()
    rule = {"action": "accept", "src": ["group:a"], "dst": ["tag:db:22"]}
    policy = {"acls": [rule], "groups": {"group:a": [" ann@ "]}}
    assert where(evaluator(policy, "tailscale")) == {"both"}
    assert where(evaluator(policy)) == set()


def verdicts(tests: list[dict[str, Any]], **policy: Any) -> list[bool]:
    rule = {"action": "accept", "src": ["ann@"], "dst": ["tag:web:80"], "proto": "tcp"}
    found = evaluator({"acls": [rule], "tests": tests, **policy})
    return [verdict.passed for verdict in found.tests()]


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        ({"accept": ["tag:web:80"]}, True),
        ({"accept": ["host:80", "100.64.0.4:80", "[fd7a:115c:a1e0::4]:80"]}, True),
        ({"accept": ["tag:web:80"], "proto": "6"}, True),
        ({"accept": ["tag:web:80"], "proto": "udp"}, False),
        ({"deny": ["tag:web:80"], "proto": "udp"}, True),
        ({"deny": ["tag:web:80"], "proto": "icmp"}, False),
        ({"accept": ["tag:web:81"]}, False),
        ({"deny": ["tag:web:81", "ben@:80"]}, True),
        ({"src": "group:none", "deny": ["tag:web:80"]}, False),
        ({"src": "", "deny": ["tag:web:80"]}, False),
        ({"src": "tag:no", "deny": ["tag:web:80"]}, False),
        ({}, False),
        ({"deny": ["tag:web:80,81"]}, False),
        ({"deny": ["tag:web:*"]}, False),
        ({"deny": ["tag:web:80-81"]}, False),
        ({"deny": ["site:80"]}, False),
        ({"deny": ["100.64.0.4/32:80"]}, False),
        ({"deny": ["autogroup:internet:80"]}, False),
        ({"deny": ["autogroup:self:80"]}, False),
        ({"deny": ["tag:no:80"]}, False),
        ({"deny": ["tag:empty:80"]}, False),
        ({"deny": ["100.64.0.99:80"]}, True),
    ],
)
def test_tests(test: dict[str, Any], passed: bool) -> None:
    assert verdicts([{"src": "ann@", **test}]) == [passed]


def test_reasons() -> None:
    found = evaluator({"acls": [], "tests": [{"src": "ann@", "accept": ["host:80"]}]})
    (verdict,) = found.tests()
    (failure,) = verdict.failures
    assert failure.path == ("tests", 0, "accept", 0)
    assert failure.reason == "ann@ -> host:80: expected ALLOWED, got DENIED"


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        ({"dst": ["tag:web"], "accept": ["root"]}, True),
        ({"dst": ["tag:web"], "accept": ["git"]}, False),
        ({"dst": ["tag:web"], "deny": ["git"]}, True),
        ({"dst": ["tag:web"], "check": ["root"]}, False),
        ({"dst": ["tag:db"], "check": ["adm"]}, True),
        (
            {"dst": ["host", "100.64.0.4", "fd7a:115c:a1e0::4"], "accept": ["root"]},
            True,
        ),
        ({"dst": ["autogroup:self"], "deny": ["root"]}, True),
        ({"dst": ["autogroup:self"], "src": "tag:web", "deny": ["root"]}, False),
        ({"dst": ["tag:empty"], "deny": ["root"]}, False),
        ({"dst": [], "deny": ["root"]}, False),
        ({"dst": ["tag:web"]}, False),
        ({"dst": ["tag:web"], "accept": [""]}, False),
        ({"dst": ["tag:web"], "src": "ben@", "deny": ["root"]}, True),
        ({"dst": ["tag:web"], "src": "x@", "deny": ["root"]}, False),
    ],
)
def test_ssh_tests(test: dict[str, Any], passed: bool) -> None:
    found = ssh(
        {},
        {"action": "check", "dst": ["tag:db"], "users": ["adm"]},
        sshTests=[{"src": "ann@", **test}],
    )
    assert [verdict.passed for verdict in found.tests()] == [passed]


def test_attributes() -> None:
    entries = [
        {"target": ["ann@", "host"], "attr": ["disable-ipv4", "x"]},
        {"target": ["tag:exit"], "attr": ["suggest-exit-node"]},
        {"target": ["*"]},
    ]
    found = evaluator({"nodeAttrs": entries, "randomizeClientPort": True})
    assert found.attributes(at(found, "web")) == {
        "disable-ipv4",
        "x",
        "randomize-client-port",
    }
    assert found.attributes(at(found, "desk")) == {"randomize-client-port"}
    assert texts(found.addresses(at(found, "web"))) == ["fd7a:115c:a1e0::4"]
    assert found.peer_attributes(at(found, "exit")) == {"suggest-exit-node"}
    assert not found.peer_attributes(at(found, "web"))


def test_attributes_with_values() -> None:
    connectors = {"tailscale.com/app-connectors": [{"domains": ["example.com"]}]}
    entry = {"target": ["tag:web"], "attr": ["x"], "app": connectors}
    found = evaluator({"nodeAttrs": [entry]}, "tailscale")
    assert found.attributes(at(found, "web")) == {"tailscale.com/app-connectors", "x"}


def shown(found: Evaluator, viewer: str) -> dict[str, list[str]]:
    machine = at(found, viewer)
    routes = {p.name: found.routes(machine, p) for p in found.peers(machine)}
    return {name: seen for name, seen in routes.items() if seen}


def test_peers_and_routes() -> None:
    found = acl(["ann@"], ["tag:web:80", "site:22"])
    assert {p.name for p in found.peers(at(found, "web"))} == {"laptop", "phone"}
    assert shown(found, "laptop") == {"router": ["10.1.0.0/16"]}
    assert shown(acl(["ann@"], ["tag:router:22"]), "laptop") == {}
    everything = acl(["*"], ["*:*"])
    assert shown(everything, "web") == {
        "router": ["10.1.0.0/16"],
        "exit": ["0.0.0.0/0", "::/0"],
    }


def test_a_capability_shows_the_route_to_where_it_holds() -> None:
    app = {"example.com/cap/read": [{}]}
    found = grant(src=["ann@"], dst=["site"], app=app)
    assert shown(found, "laptop") == {"router": ["10.1.0.0/16"]}
    assert shown(found, "desk") == {}
    # `*` is the tailnet; who sees an exit node is shown its routes.
    exits = {"exit": ["0.0.0.0/0", "::/0"]}
    assert shown(grant(src=["ann@"], app=app), "laptop") == exits


def peers(rule: dict[str, Any], server: str) -> set[str]:
    grants = [{"src": ["ann@"], "app": {"example.com/cap/read": [{}]}, **rule}]
    found = evaluator({"grants": grants}, server)
    return {peer.name for peer in found.peers(at(found, "laptop"))}


def test_a_capability_with_via_shows_routers_on_the_hosted_service() -> None:
    through = {"via": ["tag:router"]}
    routers = {"router", "spare"}
    assert peers({"dst": ["site"], **through}, "tailscale") == routers
    assert peers({"dst": ["site"], **through}, "main") == set()
    assert peers({"dst": ["site"], "via": ["tag:exit"]}, "tailscale") == set()
    # What overlaps no route of a router goes through none.
    assert peers({"dst": ["*", "tag:web"], **through}, "tailscale") == set()


SITE = "10.1.0.0/16"
STEERED = (
    node(1, "laptop", "ann"),
    node(2, "first", "", "tag:a", routes=[SITE]),
    node(3, "second", "", "tag:b", routes=[SITE]),
    node(4, "third", "", "tag:a", "tag:b", routes=[SITE]),
    node(5, "exit", "", "tag:x", routes=EXITS),
)


def routers(viewer: str, *rules: dict[str, Any]) -> set[str]:
    """Return the routers that show the site to a node; rules as the server reads them."""
    grants = [{"dst": [SITE], "ip": ["*"], **rule} for rule in rules]
    tags = {f"tag:{name}": [] for name in ("a", "b", "x", "none")}
    policy = read({"tagOwners": tags, "grants": grants}, "main")
    assert not policy.errors
    return set(shown(Evaluator(policy, tailnet(USERS, STEERED)), viewer))


def test_via_steers_to_the_first_router_with_the_tag() -> None:
    ann = {"src": ["ann@"]}
    assert routers("laptop", ann) == {"first"}
    assert routers("laptop", {**ann, "via": ["tag:b"]}) == {"second"}
    assert routers("laptop", {**ann, "via": ["tag:b", "tag:a"]}) == {"first"}
    # Grants that disagree show none; one that finds no router has no say.
    a, b = {**ann, "via": ["tag:a"]}, {**ann, "via": ["tag:b"]}
    assert routers("laptop", a, b) == set()
    assert routers("laptop", b, {**ann, "via": ["tag:none"]}) == {"second"}
    # A rule without via leads to the primary.
    assert routers("laptop", b, ann) == {"first"}


def test_routers_of_a_prefix_see_its_primary_and_where_they_are_steered() -> None:
    peers = {"src": ["tag:a"], "dst": ["tag:b"]}
    assert routers("third", peers) == {"first"}
    steered = {"src": ["tag:a"], "via": ["tag:b"]}
    assert routers("third", peers, steered) == {"first", "second"}
    # Who stands among the sources by its network alone is not steered.
    by_network = {"src": ["10.1.2.3"], "via": ["tag:b"]}
    assert routers("third", peers, by_network) == {"first"}


def test_a_network_that_may_reach_a_node_is_shown_to_it() -> None:
    assert routers("laptop", {"src": [SITE], "dst": ["ann@"]}) == {"first"}
    # What lies beyond a node needs no way back from the node itself.
    peers = {"src": ["tag:x"], "dst": ["tag:a"]}
    assert routers("exit", peers, {"src": [SITE], "dst": ["tag:x"]}) == {"first"}
    onward = {"src": [SITE], "dst": ["autogroup:internet"]}
    assert routers("exit", peers, onward) == set()


def test_what_cannot_be_known_widens_and_is_said() -> None:
    policy = {
        "acls": [
            {
                "action": "accept",
                "src": ["autogroup:auditor"],
                "srcPosture": ["posture:ok"],
                "dst": ["svc:db:1", "ipset:all:2"],
            }
        ]
    }
    found = evaluator(policy, "tailscale")
    assert where(found) == {n.name for n in NODES}
    assert set(found.unsure) == {
        "autogroup:auditor",
        "svc:db",
        "ipset:all",
        "posture:ok",
    }


TWO = (
    User("8", "kim", email="team@example.com"),
    User("9", "lee", email="team@example.com"),
)


def of_two(server: str, **policy: Any) -> Evaluator:
    nodes = [Node("1", "one", user_id="kim", addresses=("100.64.0.1",))]
    return Evaluator(read({"acls": [], **policy}, server), tailnet(TWO, nodes))


def test_a_token_of_two_users_is_refused_or_means_neither() -> None:
    rule = {"action": "accept", "src": ["team@example.com"], "dst": ["*:*"]}
    for server in ("0.28", "main"):
        found = of_two(server, acls=[rule])
        assert not found.filter(found.tailnet.machines[0])
        said = [problem.message for problem in found.refusals]
        assert bool(said) == (server == "main")
        assert all("multiple users found" in message for message in said)


def test_a_token_of_two_users_in_a_grant_means_neither() -> None:
    found = of_two(
        "main", grants=[{"src": ["team@example.com"], "dst": ["*"], "ip": ["*"]}]
    )
    assert not found.refusals
    assert not found.filter(found.tailnet.machines[0])


def test_attributes_for_a_stranger_are_refused() -> None:
    entry = {"target": ["nobody@"], "attr": ["a"]}
    (problem,) = of_two("main", nodeAttrs=[entry]).refusals
    assert problem.path == ("nodeAttrs", 0)
    assert "user not found" in problem.message
    assert not of_two("main", nodeAttrs=[{**entry, "attr": []}]).refusals


def test_a_stranger_takes_a_group_out_of_capabilities_and_tests() -> None:
    # The group of this file's policies has a member whom nobody knows.
    app = {"example.com/cap/a": []}
    found = grant(dst=["group:a"], app=app, ip=["*"])
    assert not any(found.capabilities(machine) for machine in found.tailnet.machines)
    assert where(found) == {"laptop", "phone"}
    assert verdicts([{"src": "group:a", "deny": ["tag:web:81"]}]) == [False]


def test_tests_take_a_rule_without_protocol_for_all() -> None:
    rule = {"action": "accept", "src": ["ann@"], "dst": ["tag:web:80"]}
    test = {"src": "ann@", "accept": ["tag:web:80"], "proto": "sctp"}
    assert verdicts([test], acls=[rule]) == [True]
    assert verdicts([test]) == [False]


def test_any_destination_of_a_test() -> None:
    test = {"src": "ann@", "accept": ["*:80"]}
    assert verdicts([test, {"src": "ann@", "deny": ["*:81"]}]) == [True, True]

"""What single releases do otherwise than the others, each as a server was seen to."""

from dataclasses import replace
from typing import Any

import pytest

from reconcile.model import Node, PolicyText, ServerInfo, User
from reconcile.policy.access.access import Access
from reconcile.policy.access.difference import diff
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.language.releases import RELEASES
from reconcile.policy.reading import read
from reconcile.review.state import read_words, stored
from tests.support import tailnet

USERS = (
    User("1", "ann", email="ann@example.com"),
    User("2", "ben", email="ben@example.org"),
    User("3", "cy"),
)
NODES = tuple(
    Node(
        str(number),
        name,
        user_id=user,
        tags=frozenset([tag] if tag else []),
        available=routes,
        approved=routes,
        addresses=(f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"),
    )
    for number, (name, user, tag, routes) in enumerate(
        [
            ("laptop", "ann", "", frozenset[str]()),
            ("phone", "ann", "", frozenset[str]()),
            ("desk", "ben", "", frozenset[str]()),
            ("tablet", "cy", "", frozenset[str]()),
            ("web", None, "tag:web", frozenset[str]()),
            ("router", None, "tag:router", frozenset({"10.1.0.0/16"})),
        ],
        1,
    )
)
NAMES = {
    "groups": {"group:odd": ["ann@", "nobody@"], "group:even": ["ben@"]},
    "tagOwners": {"tag:web": [], "tag:router": []},
}
HEADSCALES = [name for name in RELEASES if name != "tailscale"]


def access(server: str, **policy: Any) -> Access:
    return Access(*sides(server, **policy))


def sides(server: str, **policy: Any) -> Any:
    found = read({**NAMES, **policy}, server)
    assert not found.errors, found.errors
    return found, tailnet(USERS, NODES)


def acl(src: list[str], *dst: str, **more: Any) -> dict[str, Any]:
    return {"action": "accept", "src": src, "dst": list(dst), **more}


def ssh(
    src: list[str], dst: str, *users: str, action: str = "accept"
) -> dict[str, Any]:
    return {"action": action, "src": src, "dst": [dst], "users": list(users)}


def pairs(found: Access, port: int | str = 80) -> list[tuple[str, str]]:
    """Return who reaches whom."""
    names = [node.name for node in NODES]
    return [
        (one, other)
        for one in names
        for other in names
        if one != other
        and found.entries(found.find(f"node:{one}"), found.find(f"node:{other}"), port)
    ]


# 0.27: groups beside `autogroup:self`.

OWN = acl(["autogroup:member"], "autogroup:self:22")
ODD = acl(["group:odd", "ben@"], "tag:web:80")
ALL = [("laptop", "web"), ("phone", "web"), ("desk", "web")]


@pytest.mark.parametrize("server", ["0.27", "0.28", "0.29", "main", "tailscale"])
def test_a_group_with_a_stranger_beside_autogroup_self(server: str) -> None:
    found = pairs(access(server, acls=[ODD, OWN]))
    assert found == (ALL[2:] if server == "0.27" else ALL)
    assert pairs(access(server, acls=[ODD])) == ALL


def test_the_group_is_dropped_as_a_destination_and_where_self_is_for_ssh() -> None:
    to_group = acl(["ben@"], "group:odd:80", "group:even:80", "tag:web:80")
    assert pairs(access("0.27", acls=[to_group, OWN])) == [("desk", "web")]
    own = ssh(["autogroup:member"], "autogroup:self", "root")
    assert pairs(access("0.27", acls=[ODD], ssh=[own])) == ALL[2:]
    rule = acl(["group:odd"], "autogroup:self:80")
    assert pairs(access("0.27", acls=[rule])) == []
    assert pairs(access("0.28", acls=[rule])) == [
        ("laptop", "phone"),
        ("phone", "laptop"),
    ]


def test_filters_of_nodes_drop_the_group_as_well() -> None:
    found = Evaluator(*sides("0.27", acls=[ODD, OWN]))
    web = found.tailnet.machines[4]
    (rule,) = found.filter(web)
    assert rule.sources == found.tailnet.machines[2].addresses
    found = Evaluator(*sides("0.27", acls=[acl(["ben@"], "group:odd:80"), OWN]))
    own = found.filter(found.tailnet.machines[0])
    assert [rule.origin.index for rule in own if rule.origin] == [1]


def test_ssh_rules_keep_the_known_members_of_the_group() -> None:
    own = ssh(["autogroup:member"], "autogroup:self", "git")
    login = ssh(["group:odd"], "tag:web", "root")
    found = access("0.27", acls=[acl(["*"], "*:22")], ssh=[own, login])
    assert [pair for pair in pairs(found, "ssh") if pair[1] == "web"] == ALL[:2]


# SSH.

PORT = acl(["*"], "*:22")
LOCAL = "localpart:*@example.com"


@pytest.mark.parametrize("server", ["0.29", "main", "tailscale"])
def test_a_rule_that_maps_logins_lets_sources_into_their_own_devices(
    server: str,
) -> None:
    found = access(server, acls=[PORT], ssh=[ssh(["ann@"], "tag:web", LOCAL)])
    own = [("laptop", "phone"), ("phone", "laptop")]
    assert sorted(pairs(found, "ssh")) == sorted([*own, *ALL[:2]])
    both = [ssh(["ann@", "ben@"], "tag:web", LOCAL, "git")]
    found = access(server, acls=[PORT], ssh=both)
    to_web = found.entries(found.find("desk"), found.find("tag:web"), "ssh")
    assert [entry.services for entry in to_web] == [("ssh as git",)]


def test_before_029_a_mapped_login_is_a_login_of_that_name() -> None:
    found = access("0.28", acls=[PORT], ssh=[ssh(["ann@", "ben@"], "tag:web", LOCAL)])
    assert pairs(found, "ssh") == ALL


def test_nobody_is_let_in_by_the_mail_domain_of_others() -> None:
    rule = ssh(["ben@"], "tag:web", LOCAL)
    assert pairs(access("main", acls=[PORT], ssh=[rule]), "ssh") == []


def test_a_removed_check_uncovers_the_accept_beside_it() -> None:
    accept = ssh(["ann@"], "tag:web", "root")
    check = ssh(["ann@"], "tag:web", "root", action="check")
    found = diff(
        sides("main", acls=[PORT], ssh=[check, accept]),
        sides("main", acls=[PORT], ssh=[accept]),
    )
    (gained,), (lost,) = found.gained, found.lost
    assert (gained.services, lost.services) == (
        ("ssh as root",),
        ("ssh as root (check)",),
    )
    assert gained.because == lost.because == ("ssh[0] is removed",)


def test_an_ssh_rule_to_the_own_devices_offers_no_exit_node() -> None:
    """The user's own exit node is shown by filter rules, which SSH rules are not."""
    routes = frozenset({"0.0.0.0/0", "::/0"})
    addresses = "100.64.0.7", "fd7a:115c:a1e0::7"
    mine = Node("7", "exit", user_id="ann", available=routes, approved=routes)
    nodes = (*NODES, replace(mine, addresses=addresses))
    beside = acl(["ann@"], "autogroup:internet:443", "10.1.0.0/16:80")
    login = ssh(["ann@"], "autogroup:self", "root")
    own = acl(["ann@"], "autogroup:self:80")
    for rules, offered in (([beside], False), ([beside, own], True)):
        policy = read({**NAMES, "acls": rules, "ssh": [login]}, "0.28")
        found = Access(policy, tailnet(USERS, nodes, advertised=True))
        laptop, internet = found.find("laptop"), found.find("autogroup:internet")
        assert bool(found.entries(laptop, internet, 443)) is offered


# Names.


@pytest.mark.parametrize("server", HEADSCALES)
def test_an_at_alone_is_the_one_user_without_a_mail(server: str) -> None:
    rule = acl(["@"], "tag:web:80")
    assert pairs(access(server, acls=[rule])) == [("tablet", "web")]
    two = tailnet((*USERS, User("4", "dee")), NODES)
    assert not pairs(Access(read({**NAMES, "acls": [rule]}, server), two))


@pytest.mark.parametrize("server", HEADSCALES)
def test_a_group_in_a_group_by_an_at(server: str) -> None:
    groups = {"group:even": ["ben@"], "group:out": ["group:even@"]}
    errors = read({"groups": groups, "acls": []}, server).errors
    assert bool(errors) is (server in ("0.29", "main"))
    assert all("group members cannot be recursive" in e.message for e in errors)


# Protocols and ports.


@pytest.mark.parametrize("server", HEADSCALES)
def test_a_protocol_number_with_a_sign(server: str) -> None:
    def opened(proto: str) -> list[tuple[str, str]]:
        return pairs(access(server, acls=[acl(["ann@"], "tag:web:*", proto=proto)]))

    assert opened("+6") == opened("6") == opened("+06") != []
    assert access(server, acls=[acl(["ann@"], "tag:web:*", proto="-0")])


@pytest.mark.parametrize("proto", ["300", "-1", "+256"])
@pytest.mark.parametrize("server", HEADSCALES)
def test_a_protocol_number_that_cannot_be(server: str, proto: str) -> None:
    """0.26 takes it and hands it on; clients leave it out."""
    policy = {**NAMES, "acls": [acl(["ann@"], "tag:web:*", proto=proto)]}
    assert bool(read(policy, server).errors) is (server != "0.26")
    if server == "0.26":
        assert not pairs(access(server, acls=policy["acls"]))


@pytest.mark.parametrize("server", HEADSCALES)
def test_a_destination_without_a_port(server: str) -> None:
    rule = acl(["ann@"], "*", "ben@")
    policy = {**NAMES, "acls": [rule]}
    assert bool(read(policy, server).errors) is (server != "0.26")
    if server == "0.26":
        assert not pairs(access(server, acls=[rule]))
        assert read({**NAMES, "acls": [acl(["ann@"], "h:")]}, server).errors


# Policies without rules.


@pytest.mark.parametrize("server", HEADSCALES)
@pytest.mark.parametrize("text", ["null", "{}", '{"acls": null}'])
def test_a_stored_policy_without_rules(server: str, text: str) -> None:
    info = ServerInfo("headscale", "http://hs", server, server)
    policy = read_words(stored(PolicyText(text)), info)
    assert policy.rules == (() if server == "0.26" else None)
    assert read_words(stored(PolicyText(None)), info).rules is None
    assert read_words(stored(PolicyText(" \n")), info).rules is None


# Tests.


@pytest.mark.parametrize(
    ("rule", "test", "passed"),
    [
        (acl(["*"], "tag:web:80"), {"src": "autogroup:internet", "deny": []}, True),
        (acl(["*"], "tag:web:80"), {"src": "autogroup:internet", "accept": []}, False),
        (
            acl(["autogroup:danger-all"], "tag:web:80"),
            {"src": "autogroup:internet", "accept": []},
            True,
        ),
        (
            acl(["100.64.0.0/10", "fd7a:115c:a1e0::/48"], "tag:web:80"),
            {"src": "*", "accept": []},
            True,
        ),
    ],
)
def test_sources_of_tests(rule: Any, test: dict[str, Any], passed: bool) -> None:
    asked = {key: value or ["tag:web:80"] for key, value in test.items()}
    (verdict,) = Evaluator(*sides("main", acls=[rule], tests=[asked])).tests()
    assert verdict.passed is passed
    if test["src"] == "autogroup:internet":
        (verdict,) = Evaluator(*sides("tailscale", acls=[rule], tests=[asked])).tests()
        assert not verdict.passed


def test_any_destination_of_a_test_is_no_network() -> None:
    rule = acl(["ann@"], "10.1.0.0/16:80")
    asked = {"src": "ann@", "accept": ["*:80"]}
    (verdict,) = Evaluator(*sides("main", acls=[rule], tests=[asked])).tests()
    assert not verdict.passed
    asked = {"src": "ann@", "accept": ["autogroup:danger-all:80"]}
    (verdict,) = Evaluator(*sides("main", acls=[rule], tests=[asked])).tests()
    assert verdict.passed

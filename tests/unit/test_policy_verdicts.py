"""The policy's own tests, where the servers differ or look more closely."""

from typing import Any

import pytest

from reconcile.model import Node, User
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.reading import read
from tests.support import tailnet

USERS = [
    User("1", "ann", email="ann@example.com"),
    User("2", "ben", email="ben@example.org"),
    User("3", "eve", email="eve@example.com"),
]
TAGS = {"ann": (), "ben": (), "web": ("tag:web",), "db": ("tag:db",), "eve": ()}
NODES = [
    Node(
        str(number),
        name,
        user_id=None if tags else name,
        tags=frozenset(tags),
        addresses=(f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"),
    )
    for number, (name, tags) in enumerate(TAGS.items(), 2)
]
NAMES = {
    "groups": {
        "group:near": ["ann@example.com", "ben@example.org"],
        "group:far": ["ann@example.com", "eve@example.com"],
    },
    "hosts": {"web": "100.64.0.4", "pair": "100.64.0.4/31", "ann": "100.64.0.2/32"},
    "tagOwners": {"tag:web": [], "tag:db": []},
    "acls": [
        {"action": "accept", "src": ["ann@example.com"], "dst": ["tag:web:80"]},
        {"action": "accept", "src": ["tag:web"], "dst": ["fd7a:115c:a1e0::5:80"]},
    ],
    "ssh": [
        {
            "action": "accept",
            "src": ["ann@example.com", "tag:db"],
            "dst": ["tag:web"],
            "users": ["git"],
        },
        {
            "action": "accept",
            "src": ["ben@example.org"],
            "dst": ["tag:web"],
            "users": ["autogroup:nonroot"],
        },
    ],
}
NETWORK = "100.64.0.4/31"
BOTH = ("main", "tailscale")


def outcome(server: str, section: str, test: dict[str, Any]) -> bool:
    """Tell whether a server takes the policy with one test."""
    policy = read({**NAMES, section: [test]}, server, ["example.com"])
    evaluator = Evaluator(policy, tailnet(USERS, NODES, domains=["example.com"]))
    return not policy.errors and all(v.passed for v in evaluator.tests())


def taken(section: str, test: dict[str, Any]) -> tuple[str, ...]:
    """Return which servers take the policy with one test."""
    return tuple(server for server in BOTH if outcome(server, section, test))


@pytest.mark.parametrize(
    ("name", "servers"),
    [
        ("user:*@example.com", ("tailscale",)),
        ("user:*@example.org", ()),  # a domain of somebody else
        ("autogroup:admin", ("tailscale",)),
        ("autogroup:member", BOTH),
        ("ipset:office", ()),
        ("svc:web", ()),
        ("tag:no", ()),
        ("no", ()),
    ],
)
def test_names_in_tests_are_those_of_rules(name: str, servers: tuple[str, ...]) -> None:
    ssh = {"src": name, "dst": ["tag:web"], "deny": ["root"]}
    assert taken("sshTests", ssh) == servers
    assert taken("tests", {"src": "ann@", "deny": [f"{name}:81"]}) == servers


@pytest.mark.parametrize(
    ("test", "servers"),
    [
        ({"accept": ["web:80"]}, BOTH),
        ({"accept": ["web:080"]}, BOTH),
        ({"accept": ["web:80-80"]}, ("main",)),
        ({"accept": ["web:+80"]}, ("main",)),
        ({"deny": ["web:81-82"]}, ()),
        ({"deny": ["web:81,81"]}, ()),
        ({"deny": ["web:0"]}, ()),
        ({"deny": ["web:"]}, ()),
        ({"deny": ["web"]}, ()),
        ({"deny": [f"{NETWORK}:81"]}, ()),
        ({"deny": ["pair:81"]}, ()),
        ({"accept": ["[fd7a:115c:a1e0::4]:80"]}, BOTH),
        ({"accept": ["[100.64.0.4]:80"]}, ()),
        ({"accept": ["[web]:80"]}, ()),
        ({"deny": ["*:81"]}, ("main",)),
        ({"deny": ["autogroup:danger-all:81"]}, ("main",)),
        # Headscale trims the names in rules, and none in tests.
        ({"accept": [" web:80 "]}, ("tailscale",)),
        ({"src": " ann@example.com", "accept": ["web:80"]}, ("tailscale",)),
        ({"src": "tag:db ", "deny": ["web:80"]}, ("tailscale",)),
        ({"proto": " tcp", "accept": ["web:80"]}, ("tailscale",)),
        ({"proto": 6, "accept": ["web:80"]}, ("main",)),
        ({"proto": 17, "accept": ["web:80"], "deny": ["web:81"]}, ("main",)),
        ({"proto": None, "accept": ["web:80"]}, ("tailscale",)),
        ({"proto": "TCP", "accept": ["web:80"]}, BOTH),
    ],
)
def test_tests(test: dict[str, Any], servers: tuple[str, ...]) -> None:
    assert taken("tests", {"src": "ann@example.com", **test}) == servers


def test_all_sources_of_a_test_count() -> None:
    assert taken("tests", {"src": "group:far", "accept": ["web:80"]}) == ()
    assert taken("tests", {"src": "group:far", "deny": ["web:80"]}) == BOTH
    # To Headscale 100.64.0.2 and .3 are one prefix, and a rule for one covers it.
    near = {"src": "group:near"}
    assert taken("tests", {**near, "accept": ["web:80"]}) == ("main",)
    assert taken("tests", {**near, "deny": ["web:80"]}) == ("tailscale",)


@pytest.mark.parametrize(
    ("test", "servers"),
    [
        ({"accept": ["git"]}, BOTH),
        ({"accept": [" git "]}, BOTH),
        ({"deny": ["root"]}, BOTH),
        ({"deny": [" "]}, ("main",)),  # nobody may log in as nobody
        ({"src": "ben@example.org", "deny": [""]}, ("main",)),
        ({"src": "ben@example.org", "accept": [""]}, ()),
        ({"dst": ["web"], "accept": ["git"]}, BOTH),
        ({"dst": ["ann"], "deny": ["git"]}, BOTH),  # its alias ends in /32
        ({"dst": ["100.64.0.4"], "accept": ["git"]}, BOTH),
        ({"dst": ["100.64.0.4/32"], "accept": ["git"]}, ("main",)),
        ({"dst": ["fd7a:115c:a1e0::4/128"], "accept": ["git"]}, ("main",)),
        ({"dst": [NETWORK], "deny": ["root"]}, ()),
        ({"dst": ["pair"], "deny": ["root"]}, ()),
        # A source of which a part is no node's may not log in, whoever the rest is.
        ({"src": "100.64.0.5", "accept": ["git"]}, BOTH),
        ({"src": "100.64.0.2/32", "accept": ["git"]}, BOTH),
        ({"src": "100.64.0.5/32", "deny": ["git"]}, ()),
        ({"src": "100.64.0.0/30", "accept": ["git"]}, ()),
        ({"src": "100.64.0.0/30", "deny": ["root"]}, BOTH),
        ({"src": "100.64.0.99", "deny": ["git"]}, BOTH),
    ],
)
def test_ssh_tests(test: dict[str, Any], servers: tuple[str, ...]) -> None:
    base = {"src": "ann@example.com", "dst": ["tag:web"]}
    assert taken("sshTests", {**base, **test}) == servers

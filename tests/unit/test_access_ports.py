"""Ports in questions about access: ranges, every port, protocols, ping, none at all."""

import json

import pytest

from reconcile.live import snapshot
from reconcile.model import EXIT_ROUTES
from tests.support import live, node, user

_LAN = {"available": ["10.1.0.0/16"], "approved": ["10.1.0.0/16"]}
_EXIT = {"available": sorted(EXIT_ROUTES), "approved": sorted(EXIT_ROUTES)}
NODES = (
    node(1, "laptop", user="alice"),
    node(2, "desk", user="bob"),
    node(3, "db-1", tags=["tag:db"], addresses=("100.64.0.3", "fd7a:115c:a1e0::3")),
    node(4, "router", tags=["tag:router"], **_LAN),
    node(5, "exit", tags=["tag:exit"], **_EXIT),
)


def _acl(src, *dst, **more):
    return {"action": "accept", "src": [src], "dst": list(dst), **more}


def _policy(*rules, **more):
    owners = {f"tag:{name}": [] for name in ("db", "router", "exit")}
    return json.dumps({"tagOwners": owners, "acls": rules, **more})


TCP = _policy(
    _acl("alice@", "tag:db:22,8000-8050", proto="tcp"),
    _acl("alice@", "10.1.0.0/16:443", proto="tcp"),
    _acl("bob@", "tag:db:*"),
    hosts={"fd": "fd7a:115c:a1e0::3", "db": "100.64.0.3"},
)


@pytest.fixture
def ask(command, tmp_path, monkeypatch):
    """Write a snapshot, then run `access ... --snapshot`."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, policy=TCP, release="0.29"):
        state = live((user(1, "alice"), user(2, "bob")), NODES, policy, release)
        (tmp_path / "now.json").write_text(snapshot.dumps(state))
        code, out, err = command("access", *arguments, "--snapshot", "now.json")
        assert code == 0, err
        return out

    return run


@pytest.mark.parametrize(
    ("target", "answer", "part"),
    [
        ("db-1:8000-8050", "yes", ""),
        ("db-1:8010-8020", "yes", ""),
        ("db-1:8000", "yes", ""),
        ("db-1:8040-8100", "in part", "tcp 8040-8050"),
        ("db-1:1-65535", "in part", "tcp 22,8000-8050"),
        ("db-1:8000-8050/udp", "no", ""),
        ("db-1:8051-9000", "no", ""),
        ("db-1:tcp", "in part", "tcp 22,8000-8050"),
        ("db-1:*/udp", "no", ""),
        ("db-1:*", "in part", "tcp 22,8000-8050"),
        ("db-1", "in part", "tcp 22,8000-8050"),
        ("node:db-1", "in part", "tcp 22,8000-8050"),
        ("tag:db", "in part", "tcp 22,8000-8050"),
        ("tag:db:22", "yes", ""),
        ("fd7a:115c:a1e0::3", "no", ""),  # alice has no IPv6 address
        ("[fd7a:115c:a1e0::3]:22", "no", ""),
        ("[fd7a:115c:a1e0::3]", "no", ""),
        ("db:22", "yes", ""),
        ("10.1.2.3", "in part", "tcp 443"),
        ("10.1.0.0/16", "in part", "tcp 443"),
        ("10.1.0.0/16:443", "yes", ""),
        ("10.0.0.0/8:443", "in part", "tcp 443"),
    ],
)
def test_why_of_ports(ask, target, answer, part):
    out = ask("why", "laptop", target)
    assert out.startswith(f"{answer}: laptop -> {target} on ")
    assert ("Only this of it:" in out) is (answer == "in part")
    assert not part or f"   {part}   acls[" in out


@pytest.mark.parametrize("target", ["db-1", "db-1:*", "db-1:1-65535", "db-1:*/udp"])
def test_every_port_may_be_open(ask, target):
    assert ask("why", "desk", target).startswith("yes: ")


def test_a_range_that_two_rules_open_together(ask):
    rules = [_acl("alice@", f"tag:db:{ports}") for ports in ("1-100", "101-200")]
    assert ask("why", "laptop", "db-1:50-150", policy=_policy(*rules)).startswith("yes")
    out = ask("why", "laptop", "db-1:50-250", policy=_policy(*rules))
    assert out.startswith("in part")
    assert "tcp 50-200   acls[0] (policy on the server):1, acls[1]" in out


def test_a_range_must_be_open_on_every_destination(ask):
    """Each port is open on one of the two destinations, and none on both."""
    rules = [_acl("alice@", "tag:db:1-10"), _acl("alice@", "tag:router:11-20")]
    policy = _policy(*rules)
    assert ask("why", "laptop", "autogroup:tagged:1-20", policy=policy).startswith(
        "in part"
    )


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("db-1", ["alice", "bob"]),
        ("db-1:*", ["alice", "bob"]),
        ("db-1:8050-8060", ["alice", "bob"]),
        ("db-1:8051-8060", ["bob"]),
        ("db-1:icmp", ["bob"]),
        ("10.1.0.0/16", ["alice"]),
        ("fd7a:115c:a1e0::3", []),
    ],
)
def test_who(ask, target, lines):
    found = json.loads(ask("who", target, "--format", "json"))["entries"]
    assert [entry["src"] for entry in found] == [[name] for name in lines]


def test_list_takes_ranges(ask):
    out = ask("list", "--port", "8040-8100")
    assert "alice (1 node) -> tag:db (1 node)   tcp 8040-8050" in out
    assert "bob (1 node)   -> tag:db (1 node)   tcp 8040-8100" in out


# Ping.


def test_ping_needs_any_port_and_no_icmp(ask):
    out = ask("why", "laptop", "db-1:icmp")
    assert out.splitlines()[:5] == [
        "yes: laptop -> db-1:icmp on hs.example.com, as it is",
        "  Filter: lets no icmp in",
        "  Way: node:db-1 is shown",
        "  Client: lets ping in from whoever reaches anything there, by",
        "  acls[0] (policy on the server):1",
    ]


def test_ping_without_anything_open(ask):
    out = ask("why", "db-1", "laptop:icmp")
    assert out.startswith("no: ")
    assert "Filter: lets no icmp in" in out
    assert "Way: node:laptop is shown" in out
    assert "Client: lets no ping in, since nothing at all is open there" in out
    assert "Way: node:desk is not shown" in ask("why", "router", "desk:icmp")


def test_ping_that_the_filter_lets_in(ask):
    assert "Filter: lets icmp in, by\n  acls[2]" in ask("why", "desk", "db-1:icmp")
    # 0.27 and 0.28 mean TCP and UDP alone; the client lets ping in all the same.
    out = ask("why", "desk", "db-1:icmp", release="0.28")
    assert out.startswith("yes: ")
    assert "Filter: lets no icmp in" in out


def test_ping_through_an_exit_node_that_is_not_shown(ask):
    policy = _policy(_acl("alice@", "8.8.8.8:443"))
    out = ask("why", "laptop", "8.8.8.8:icmp", policy=policy)
    assert out.startswith("no: ")
    assert "Way: node:exit is not shown" in out
    assert "node:exit would let it through, but no exit node is offered" in out


def test_ping_in_json(ask):
    found = json.loads(ask("why", "laptop", "db-1:icmp", "--format", "json"))
    assert (found["answer"], found["filter"]["answer"]) == ("yes", "no")
    assert found["way"] == {"shown": ["node:db-1"], "not_shown": []}
    several = json.loads(ask("why", "*", "db-1:icmp", "--format", "json"))
    assert (several["answer"], several["way"]) == ("in part", None)

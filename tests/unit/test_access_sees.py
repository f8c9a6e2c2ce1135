"""`access sees`: what the server shows to one node, and why."""

import json

import pytest

from reconcile.live import snapshot
from reconcile.model import EXIT_ROUTES, ServerInfo
from tests.support import live, node, server, user

POLICY = """{
  "groups": {"group:ops": ["alice@", "bob@"]},
  "tagOwners": {"tag:db": [], "tag:router": []},
  "acls": [
    {"action": "accept", "src": ["group:ops"], "dst": ["tag:db:22"]},
    {"action": "accept", "src": ["alice@"], "dst": ["10.1.0.0/16:443"]},
    {"action": "accept", "src": ["tag:db"], "dst": ["alice@:443"]},
  ],
}
"""
_LAN = {"available": ["10.1.0.0/16"], "approved": ["10.1.0.0/16"]}
_EXIT = {"available": sorted(EXIT_ROUTES), "approved": sorted(EXIT_ROUTES)}
NODES = (
    node(1, "laptop", user="alice"),
    node(2, "desk", user="bob"),
    node(3, "db-1", tags=["tag:db"]),
    node(4, "first", tags=["tag:router"], **_LAN),
    node(5, "second", tags=["tag:router"], **_LAN),
    node(
        6,
        "exit",
        tags=["tag:exit"],
        addresses=("100.64.0.6", "fd7a:115c:a1e0::6"),
        **_EXIT,
    ),
)
USERS = user(1, "alice"), user(2, "bob")
HOSTED = ServerInfo("tailscale", "https://api.example.com", "", "tailscale")
FROM = ("--snapshot", "now.json")


@pytest.fixture
def sees(command, tmp_path):
    """Write a snapshot, then run `access sees ... --snapshot`, or another of it."""

    def run(*arguments, policy=POLICY, nodes=NODES, release="0.29", ask="sees"):
        info = server(release) if release != "tailscale" else HOSTED
        state = live(USERS, nodes, policy, info=info)
        (tmp_path / "now.json").write_text(snapshot.dumps(state))
        return command("access", ask, *arguments, *FROM)

    return run


def _acl(src, *dst):
    return {"action": "accept", "src": [src], "dst": list(dst)}


def _policy(*rules):
    return json.dumps({"tagOwners": {"tag:exit": []}, "acls": rules})


def _exits(sees, policy, release, name="laptop"):
    _, out, _ = sees(name, "--format", "json", policy=policy, release=release)
    return {e["node"]: e["routes"] for e in json.loads(out)["exit_nodes"]}


def test_peers_routes_and_exit_nodes_each_with_the_rule(sees, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = sees("laptop")
    assert code == 0
    where = "(policy on the server)"
    assert out.splitlines() == [
        "What node:laptop is shown by hs.example.com, as it is",
        "  Peers (3)",
        f"    node:db-1     to it by acls[0] {where}:5; from it by acls[2] {where}:7",
        f"    node:first    to it by acls[1] {where}:6",
        f"    node:second   to it by acls[1] {where}:6",
        "  Routes (1)",
        f"    node:first   10.1.0.0/16   to it by acls[1] {where}:6",
        "  Exit nodes: none",
        "  Not shown (2)",
        "    node:second   10.1.0.0/16       the server leads there through node:first",
        "    node:exit     0.0.0.0/0, ::/0   no rule makes node:exit a peer of"
        " node:laptop",
    ]


def test_it_says_plainly_that_nothing_is_shown(sees):
    code, out, _ = sees("exit", nodes=NODES[:3] + NODES[5:])
    assert code == 0
    assert out.splitlines()[1:] == [
        "  Peers: none",
        "    no rule leads from node:exit to another node, or from one to node:exit",
        "  Routes: none",
        "    no node has an approved route",
        "  Exit nodes: none",
        "    no other node is an approved exit node",
    ]


def test_json_has_the_same(sees):
    found = json.loads(sees("laptop", "--format", "json")[1])
    assert (found["node"], found["release"]) == ("node:laptop", "0.29")
    (db, *routers) = found["peers"]
    assert [rule["rule"] for rule in (*db["to"], *db["from"])] == ["acls[0]", "acls[2]"]
    assert db["to"][0]["source"]["line"] == 5
    assert [peer["node"] for peer in routers] == ["node:first", "node:second"]
    (route,) = found["routes"]
    assert (route["route"], route["through"]) == ("10.1.0.0/16", "node:first")
    assert found["exit_nodes"] == []
    assert [e["node"] for e in found["not_shown"]] == ["node:second", "node:exit"]


@pytest.mark.parametrize(
    ("name", "said", "help_"),
    [
        (
            "latop",
            "there is no node, user or host called latop",
            "did you mean laptop?",
        ),
        ("group:ops", "group:ops means 2 nodes: node:laptop and node:desk", "one of"),
        ("node:nosuch", "there is no node:nosuch", "known here: laptop"),
        ("10.1.2.3", "10.1.2.3 is no node: it is a network", "known here: laptop"),
        ("10.9.9.9", "10.9.9.9 is no node: no node has 10.9.9.9", "known here"),
    ],
)
def test_a_name_must_mean_one_node(sees, name, said, help_):
    code, out, err = sees(name)
    assert (code, out) == (1, "")
    assert said in err
    assert help_ in err


@pytest.mark.parametrize("name", ["node:desk", "bob@", "bob", "100.64.0.2"])
def test_whatever_means_one_node_will_do(sees, name):
    _, out, _ = sees(name)
    assert out.startswith("What node:desk is shown")


@pytest.mark.parametrize(
    ("release", "beside", "part"),
    [
        ("0.26", True, True),
        ("0.27", False, False),
        ("0.28", False, False),
        ("0.29", True, False),
        ("main", True, False),
    ],
)
def test_exit_nodes_by_release(sees, release, beside, part):
    """Seen on clients: tests/contract/sees."""
    whole = ["0.0.0.0/0", "::/0"]
    alone = _policy(_acl("alice@", "autogroup:internet:443"))
    assert _exits(sees, alone, release) == {"node:exit": whole}
    also = _policy(_acl("alice@", "autogroup:internet:443", "10.1.0.0/16:443"))
    assert _exits(sees, also, release) == ({"node:exit": whole} if beside else {})
    one = _policy(_acl("alice@", "8.8.8.8:443"))
    assert _exits(sees, one, release) == ({"node:exit": whole} if part else {})


def test_it_says_which_rule_is_too_little_for_an_exit_node(sees, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    one = _policy(_acl("alice@", "8.8.8.8:443"))
    _, out, _ = sees("laptop", policy=one)
    said = "leads into the internet, but shows exit nodes only where it leads to all"
    assert f"acls[0] {said}" in out
    assert "nothing beside it" not in out
    assert "nothing beside it" in sees("laptop", policy=one, release="0.28")[1]


def test_from_029_on_exit_routes_need_a_rule_of_their_family(sees):
    text = _policy(_acl("alice@", "exit6:22")).replace(
        '"acls"', '"hosts": {"exit6": "fd7a:115c:a1e0::6"}, "acls"'
    )
    assert _exits(sees, text, "0.29") == {"node:exit": ["::/0"]}
    assert _exits(sees, text, "0.28") == {"node:exit": ["0.0.0.0/0", "::/0"]}


def test_026_shows_everybody_while_no_rule_is_in_force(sees):
    _, out, _ = sees("laptop", policy='{"acls": []}', release="0.26")
    assert "Peers (5)" in out
    assert "no rule is in force, and this release shows everybody then" in out
    assert "Peers: none" in sees("laptop", policy='{"acls": []}', release="0.27")[1]


def test_a_network_lets_its_router_see_what_it_may_reach(sees):
    """Up to 0.28 a router is shown nothing for the sake of its network."""
    text = _policy(_acl("10.1.0.0/16", "alice@:22"))
    _, out, _ = sees("laptop", policy=text)
    assert "node:first    from it by acls[0]" in out
    assert "Peers: none" in sees("laptop", policy=text, release="0.28")[1]


def test_via_leads_through_the_router_with_the_tag(sees):
    nodes = (*NODES[:4], node(7, "tagged", tags=["tag:way"], **_LAN))
    grant = {"src": ["alice@"], "dst": ["10.1.0.0/16"], "ip": ["*"]}
    text = {"tagOwners": {"tag:way": []}, "grants": [{**grant, "via": ["tag:way"]}]}
    _, out, _ = sees("laptop", policy=json.dumps(text), nodes=nodes)
    assert "node:tagged   10.1.0.0/16   to it by grants[0]" in out


def test_via_beside_another_rule_shows_no_router(sees, monkeypatch):
    """Seen on clients of 0.29.2 and main: who has any rule is shown by those alone."""
    monkeypatch.setenv("COLUMNS", "250")
    nodes = (*NODES[:3], node(7, "tagged", tags=["tag:way"], **_LAN))
    grant = {"src": ["alice@"], "dst": ["10.1.0.0/16"], "ip": ["*"]}
    other = {"src": ["bob@"], "dst": ["tag:db"], "ip": ["*"]}
    text = {
        "tagOwners": {"tag:way": [], "tag:db": []},
        "grants": [{**grant, "via": ["tag:way"]}, other],
    }
    _, out, _ = sees("laptop", policy=json.dumps(text), nodes=nodes)
    assert "Routes: none" in out
    assert (
        "node:tagged   10.1.0.0/16   grants[0] leads through it, but via makes nobody a"
        " peer beside other rules: a rule to node:tagged itself does"
    ) in out
    asked = {"policy": json.dumps(text), "nodes": nodes, "ask": "why"}
    _, out, _ = sees("laptop", "10.1.2.3:443", **asked)
    assert out.startswith("no: ")
    assert "node:tagged would let it through, but this client is not sent there" in out
    found = json.loads(sees("laptop", "10.1.2.3", "--format", "json", **asked)[1])
    assert (found["allowed"], found["not_shown"]) == (False, ["node:tagged"])
    assert found["way"] == {"shown": [], "not_shown": ["node:tagged"]}
    _, out, _ = sees("laptop", "10.1.2.3:443", policy=POLICY, ask="why")
    assert "would let it through" not in out


def test_what_tailscale_shows_is_not_known(sees):
    code, _, err = sees("laptop", release="tailscale")
    assert code == 1
    assert "what Tailscale's own server shows to a node is not known here" in err


def test_027_shows_some_peers_late_beside_own_devices(sees):
    text = _policy(_acl("autogroup:member", "autogroup:self:*"))
    said = "! who is shown by a rule from it alone comes later, when it changes"
    assert said in sees("laptop", policy=text, release="0.27")[1]
    assert said not in sees("laptop", policy=text, release="0.28")[1]
    assert said not in sees("laptop", release="0.27")[1]

"""`assert:`: each form, when it holds, and what is said when it does not."""

import json
from datetime import UTC, datetime

import pytest

from reconcile.live import snapshot
from reconcile.policy.access.access import Access
from reconcile.policy.access.assertions import Assertions
from reconcile.policy.access.claims import Paths, Port, Routers
from reconcile.policy.reading import read
from tests.support import live, node, tailnet, user

POLICY = """{
  "groups": {"group:ops": ["alice@", "bob@"], "group:out": ["eve@"]},
  "tagOwners": {"tag:db": [], "tag:router": [], "tag:none": []},
  "hosts": {"lan": "10.0.0.0/8", "web": "10.1.0.7/32"},
  "acls": [
    {"action": "accept", "src": ["group:ops"], "dst": ["tag:db:22,5432"], "proto": "tcp"},
    {"action": "accept", "src": ["alice@"], "dst": ["10.1.0.0/16:443", "autogroup:internet:*"], "proto": "tcp"},
  ],
  "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db"], "users": ["root"]}],
}
"""
EXITS = ["0.0.0.0/0", "::/0"]
USERS = (user(1, "alice"), user(2, "bob"), user(3, "eve"))
NODES = (
    node(1, "laptop", user="alice"),
    node(2, "desk", user="bob"),
    node(3, "db-1", tags=["tag:db"]),
    node(4, "db-2", tags=["tag:db"]),
    node(
        5, "r1", tags=["tag:router"], available=["10.0.0.0/8"], approved=["10.0.0.0/8"]
    ),
    node(
        6,
        "r2",
        tags=["tag:router"],
        available=["10.0.0.0/9", "10.128.0.0/9"],
        approved=["10.0.0.0/9"],
    ),
    node(7, "exit", tags=["tag:router"], available=EXITS, approved=EXITS),
)
HEAD = "version: 1\npolicy: { file: policy.hujson }\nassert:\n"


@pytest.fixture
def check(command, tmp_path):
    """Return (exit code, the JSON of each assertion) of `test`."""

    def run(*entries, nodes=NODES, policy=POLICY, release="0.29", form="json"):
        state = live(USERS, nodes, policy, release)
        (tmp_path / "now.json").write_text(snapshot.dumps(state))
        (tmp_path / "policy.hujson").write_text(policy)
        lines = "".join(f"  - {entry}\n" for entry in entries)
        (tmp_path / "tailnet.yaml").write_text(HEAD + lines)
        code, out, err = command("test", "--snapshot", "now.json", "--format", form)
        assert err == ""
        return code, json.loads(out)["asserts"] if form == "json" else out

    return run


@pytest.mark.parametrize(
    ("entry", "reasons"),
    [
        ('no: { from: "bob@", to: lan }', []),
        ('no: { from: "bob@", to: "tag:db", port: 443 }', []),
        ('no: { from: "bob@", to: "tag:db", port: 22/udp }', []),
        ('no: { from: "bob@", to: "tag:db", port: ssh }', []),
        ('no: { from: "autogroup:tagged", to: "*" }', []),
        ('no: { from: "bob@", to: "autogroup:internet" }', []),
        (
            'no: { from: "group:ops", to: "tag:db", port: 22 }',
            ["group:ops -> tag:db: tcp 22, by acls[0] policy.hujson:6"],
        ),
        (
            'no: { from: "group:ops", to: "node:db-1", port: ssh }',
            ["alice -> node:db-1: ssh as root, by ssh[0] policy.hujson:9"],
        ),
        (
            'no: { from: "group:ops", to: lan }',
            ["alice -> 10.1.0.0/16: tcp 443, by acls[1] policy.hujson:7"],
        ),
        (  # like a rule's `*`, it means the internet as well
            'no: { from: "alice@", to: "*", port: 80 }',
            ["alice -> autogroup:internet: tcp 80, by acls[1] policy.hujson:7"],
        ),
        ('no: { from: "node:gone", to: "tag:db" }', ["there is no node:gone"]),
        ('no: { from: "zoe@", to: "tag:db" }', ["the server has no user zoe@"]),
        ('allow: { from: "group:ops", to: "tag:db", port: 5432 }', []),
        ('allow: { from: "alice@", to: "tag:db", port: ssh }', []),
        ('allow: { from: "alice@", to: web, port: 443 }', []),
        ('allow: { from: "node:laptop", to: 100.64.0.3, port: 22/tcp }', []),
        (
            'allow: { from: "group:ops", to: "tag:db", port: ssh }',
            ["bob -> tag:db: no ssh"],
        ),
        (
            'allow: { from: "autogroup:member", to: "autogroup:tagged", port: 22 }',
            ["group:ops -> tag:router: no tcp 22"],
        ),
        (
            'allow: { from: "group:ops", to: "tag:db", port: 53/udp }',
            ["group:ops -> tag:db: no udp 53"],
        ),
        (
            'allow: { from: "group:out", to: "tag:none", port: 1 }',
            ["group:out selects nothing today", "tag:none selects nothing today"],
        ),
        ("at_least: { routers: 1, for: 10.0.0.0/8 }", []),
        ("at_least: { routers: 2, for: 10.1.0.0/16 }", []),
        (
            "at_least: { routers: 2, for: 10.0.0.0/8 }",
            ["1 of 2: node:r1", "advertised, but not approved: node:r2"],
        ),
        ("at_least: { routers: 1, for: 0.0.0.0/0 }", []),
        ("at_least: { routers: 1, for: 8.8.8.0/24 }", ["0 of 1: none"]),
    ],
)
def test_each_form(check, entry, reasons):
    code, (found,) = check(entry)
    assert [failure["reason"] for failure in found["failures"]] == reasons
    assert (code, found["passed"]) == ((7, False) if reasons else (0, True))
    assert found["source"] == {"file": "tailnet.yaml", "line": 4, "column": 5}


def test_no_path_between_nothing_holds_and_says_so(check):
    code, (found,) = check('no: { from: "group:out", to: "tag:none" }')
    assert (code, found["notes"]) == (
        0,
        ["group:out selects nothing today", "tag:none selects nothing today"],
    )


def test_a_device_cannot_take_the_place_of_a_name_of_the_policy(check):
    impostor = node(9, "lan", user="bob")
    _, (found,) = check('no: { from: "alice@", to: lan }', nodes=(*NODES, impostor))
    assert "10.1.0.0/16" in found["failures"][0]["reason"]


def test_an_address_in_the_internet_is_a_part_of_it(check):
    _, found = check(
        'no: { from: "alice@", to: "8.8.8.8" }',
        'no: { from: "bob@", to: "8.8.8.8" }',
        'allow: { from: "alice@", to: "8.8.8.8", port: 443 }',
        'allow: { from: "alice@", to: "autogroup:internet", port: 443 }',
    )
    assert [each["passed"] for each in found] == [False, True, True, True]
    assert "alice -> 8.8.8.8" in found[0]["failures"][0]["reason"]


def test_an_empty_tailnet(check):
    code, found = check(
        'no: { from: "*", to: "*" }',
        "at_least: { routers: 1, for: 10.0.0.0/8 }",
        nodes=(),
    )
    assert code == 7
    assert [entry["passed"] for entry in found] == [True, False]
    assert found[0]["notes"]


def test_a_policy_that_is_open_to_all(check):
    _, (found,) = check(
        'no: { from: "bob@", to: "node:db-1" }', policy='{"groups": {}}'
    )
    (failure,) = found["failures"]
    assert failure["reason"].endswith("by a policy without any rules section")


def test_text_names_the_claim_once_and_why_it_is_wanted(check):
    code, out = check(
        'no: { from: "group:ops", to: "tag:db" }\n    because: SOC2 CC6.1',
        'no: { from: "group:out", to: "tag:db" }',
        form="text",
    )
    assert code == 7
    assert out.splitlines() == [
        "Tests on hs.example.com, as desired: 1 of 2 assertions hold",
        "  failed assert[0]  tailnet.yaml:4  no path group:ops -> tag:db  (SOC2 CC6.1)",
        "      group:ops -> tag:db: tcp 22,5432, by acls[0] policy.hujson:6",
        "      alice -> tag:db: ssh as root, by ssh[0] policy.hujson:9",
        "  ? assert[1]  tailnet.yaml:6  no path group:out -> tag:db: group:out selects nothing today",
    ]


def test_names_of_devices_cannot_steer_what_is_printed(check, command, tmp_path):
    name = "db\x1b[2J\nerror[RC0000]: <b>&"
    router = node(3, name, tags=["tag:db"], available=["10.9.0.0/16"])
    nodes = (*NODES[:2], router, NODES[3])
    entry = "at_least: { routers: 1, for: 10.9.0.0/16 }"
    _, out = check(entry, nodes=nodes, form="text")
    command("test", "--snapshot", "now.json", "--junit", "out.xml")
    xml = (tmp_path / "out.xml").read_text()
    _, plan, err = command("plan", "--from", "now.json")
    for text in (out, xml, plan, err):
        assert "\x1b" not in text
        assert "RC0000" in text
        assert "\nerror[RC0000]" not in text.replace(" ", "")
    assert "<b>" not in xml


def test_nodes_whose_key_expired_count_and_that_is_said(check):
    gone = node(1, "laptop", user="alice", expiry=datetime(2029, 1, 1, tzinfo=UTC))
    entry = 'allow: { from: "alice@", to: "tag:db", port: 22 }'
    code, out = check(entry, nodes=(gone, *NODES[1:]), form="text")
    assert code == 0
    assert "? expired key of node:laptop: counted as if logged in again" in out


def test_many_paths_are_counted(check):
    rules = ", ".join(
        f'{{"action": "accept", "src": ["100.64.0.{n}"], "dst": ["*:{n}"]}}'
        for n in range(1, 9)
    )
    nodes = [node(n, f"n{n}", user="alice") for n in range(1, 10)]
    policy = f'{{"acls": [{rules}]}}'
    _, (found,) = check('no: { from: "*", to: "*" }', nodes=nodes, policy=policy)
    assert len(found["failures"]) == 6
    assert found["failures"][-1]["reason"] == "and 3 more of the kind"


# -- what cannot be known --------------------------------------------------------------


def answer(claim, *rules, **more):
    value = {"tagOwners": {"tag:db": []}, "acls": list(rules), **more}
    policy = read(value, "tailscale")
    assert not policy.errors, policy.errors
    return Assertions(Access(policy, tailnet(USERS, NODES))).answer(claim)


def rule(*sources, **more):
    return {
        "action": "accept",
        "src": list(sources),
        "dst": ["tag:db:22"],
        "proto": "tcp",
    } | more


def reasons(found):
    return [reason.text for reason in found.reasons]


HELD = {"srcPosture": ["posture:held"]}
POSTURES = {"postures": {"posture:held": ["node:os == 'linux'"]}}


@pytest.mark.parametrize(
    ("doubtful", "more"),
    [
        (rule("alice@", **HELD), POSTURES),
        (rule("ipset:some"), {"ipsets": {"ipset:some": []}}),
    ],
)
def test_what_is_unknown_speaks_against_every_claim(doubtful, more):
    no = reasons(answer(Paths(False, "alice@", "tag:db"), doubtful, **more))
    assert len(no) == 2
    assert no[1].startswith("it may be less: not known, and taken as large: ")
    allow = Paths(True, "alice@", "tag:db", Port(22))
    (found,) = reasons(answer(allow, doubtful, **more))
    assert found.startswith("it rests on what is not known: ")
    assert reasons(answer(allow, doubtful, rule("alice@"), **more)) == []


def test_a_role_that_nobody_told_may_be_anybody():
    no = reasons(answer(Paths(False, "autogroup:admin", "tag:db"), rule("bob@")))
    assert "autogroup:admin (who has this role is not known here)" in no[1]
    allow = Paths(True, "autogroup:admin", "tag:db", Port(22))
    assert reasons(answer(allow, rule("bob@"))) == ["alice -> tag:db: no tcp 22"]
    assert reasons(answer(allow, rule("alice@", "bob@"))) == []


def test_routers_count_what_is_approved_on_every_release():
    policy = read({"acls": []}, "0.28")
    place = tailnet(USERS, NODES, advertised=True)
    found = Assertions(Access(policy, place)).answer(Routers(2, "10.0.0.0/8"))
    assert reasons(found)[0] == "1 of 2: node:r1"


def test_a_router_that_is_logged_out_routes_nothing(check):
    gone = datetime(2029, 1, 1, tzinfo=UTC)
    routes = {"available": ["172.30.0.0/16"], "approved": ["172.30.0.0/16"]}
    out = node(9, "old", tags=["tag:db"], expiry=gone, **routes)
    entry = "at_least: { routers: 1, for: 172.30.0.0/16 }"
    _, (found,) = check(entry, nodes=(*NODES, out))
    reasons = [each["reason"] for each in found["failures"]]
    assert reasons == ["0 of 1: none", "logged out, its key has expired: node:old"]
    there = node(9, "old", tags=["tag:db"], **routes)
    _, (found,) = check(entry, nodes=(*NODES, there))
    assert found["passed"]

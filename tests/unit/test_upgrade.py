"""`upgrade`: what the same files, policy and nodes mean on another release."""

import json
from dataclasses import fields, replace
from itertools import permutations
from pathlib import Path

import jsonschema
import pytest

from reconcile.live import snapshot
from reconcile.policy.access.upgrading import compare
from reconcile.policy.language.document import Policy
from reconcile.policy.language.release_words import differing, label, sentence
from reconcile.policy.language.releases import RELEASES, Release
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from tests.support import dedent, live, node, tailnet, user

USERS = (user(1, "alice", email="alice@example.com"), user(2, "bob"))
NODES = (
    node(1, "laptop", user="alice", addresses=("100.64.0.1", "fd7a:115c:a1e0::1")),
    node(2, "phone", user="alice", addresses=("100.64.0.2", "fd7a:115c:a1e0::2")),
    node(3, "desk", user="bob", addresses=("100.64.0.3", "fd7a:115c:a1e0::3")),
    node(4, "db", tags=["tag:db"], addresses=("100.64.0.4", "fd7a:115c:a1e0::4")),
)
NAMES = {
    "groups": {"group:odd": ["bob@", "nobody@"]},
    "hosts": {"db": "100.64.0.4", "pair": "100.64.0.4/31"},
    "tagOwners": {"tag:db": []},
}


# Its entries have the form of a plan's.
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas/plan.schema.json").read_text("utf-8")
)
SCHEMA = {"$schema": SCHEMA["$schema"], "$defs": SCHEMA["$defs"]}


def rule(src, *dst, **more):
    return {"action": "accept", "src": [src], "dst": list(dst), **more}


def login(src, dst, *users, action="accept"):
    return {"action": action, "src": [src], "dst": [dst], "users": list(users)}


def moved(old, new, *, nodes=NODES, **policy):
    """Return what is gained (+) and lost (-), each line with its causes."""

    def sides(row: Release) -> tuple[Policy, Tailnet]:
        found = read({**NAMES, **policy}, row)
        return found, tailnet(USERS, nodes, advertised=row.advertised_routes)

    found = compare(sides, RELEASES[old], RELEASES[new])
    return [
        f"{sign} {', '.join(e.sources)} -> {', '.join(e.targets)} "
        f"{' '.join(e.services)}: {'; '.join(e.because)}"
        for sign, entries in (("+", found.gained), ("-", found.lost))
        for e in entries
    ]


# Words.


@pytest.mark.parametrize("name", [f.name for f in fields(Release) if f.name != "name"])
def test_each_field_of_a_row_has_its_sentence(name):
    pairs = [
        (old, new)
        for old, new in permutations(RELEASES.values(), 2)
        if name in differing(old, new)
    ]
    assert pairs, "no two releases differ in it"
    said = {sentence(name, old, new).removeprefix(label(new)) for old, new in pairs}
    assert len(said) > 1
    assert all(text.startswith(" ") and len(text) > 10 for text in said)


def test_what_differs_between_two_rows():
    assert differing(RELEASES["0.29"], RELEASES["main"]) == []
    found = differing(RELEASES["0.27"], RELEASES["0.28"])
    assert {"tag_owns_tag", "self_drops_groups", "ssh_to_any"} <= set(found)
    old, new = RELEASES["0.28"], RELEASES["0.29"]
    said = "0.29 reads a missing `proto` as TCP, UDP and ICMP"
    assert sentence("protocols", old, new) == said


# Causes.

PING = "reads a missing `proto` as TCP, UDP and ICMP"
NO_PING = "reads a missing `proto` as TCP and UDP"
CHECK = "0.29 asks the user where an SSH rule says `check`"


@pytest.mark.parametrize(
    ("old", "new", "policy", "lines"),
    [
        (
            "0.28",
            "0.29",
            {"acls": [rule("alice@", "tag:db:80")]},
            [f"+ alice -> tag:db icmp/ipv6-icmp: 0.29 {PING}"],
        ),
        (
            "0.26",
            "0.27",
            {"acls": [rule("alice@", "tag:db:80")]},
            [f"- alice -> tag:db icmp/ipv6-icmp: 0.27 {NO_PING}"],
        ),
        (
            "0.28",
            "0.29",
            {"acls": [rule("alice@", "tag:db:*", proto="icmp")]},
            [
                "- alice -> tag:db ipv6-icmp: 0.29 reads `proto: icmp` as ICMPv4 alone",
            ],
        ),
        (
            "0.28",
            "0.29",
            {"acls": [rule("fd7a:115c:a1e0::1", "100.64.0.4:80", proto="tcp")]},
            [
                "- node:laptop -> tag:db tcp 80: 0.29 takes an address as it is written, "
                "without the node's other one",
            ],
        ),
        (
            "0.26",
            "0.27",
            {"acls": [rule("fd7a:115c:a1e0::/126", "100.64.0.4:80", proto="tcp")]},
            [
                "- alice, bob -> node:db (100.64.0.4) tcp 80: 0.27 takes a network as it is written, "
                "without its nodes' other addresses",
            ],
        ),
        (
            "0.27",
            "0.28",
            {
                "acls": [
                    rule("group:odd", "tag:db:80", proto="tcp"),
                    rule("autogroup:member", "autogroup:self:22", proto="tcp"),
                ]
            },
            [
                "+ group:odd -> tag:db tcp 80: 0.28 takes the known members of a group, "
                "beside `autogroup:self` as elsewhere",
            ],
        ),
        (
            "0.26",
            "0.27",
            {},
            [
                "+ everything -> everything *: 0.27 allows everything where a "
                "policy has neither `acls` nor `grants`",
            ],
        ),
        (
            "0.28",
            "0.29",
            {
                "acls": [rule("*", "*:22", proto="tcp")],
                "ssh": [login("alice@", "tag:db", "root", action="check")],
            },
            [
                f"+ alice -> tag:db ssh as root (check): {CHECK}",
                f"- alice -> tag:db ssh as root: {CHECK}",
            ],
        ),
        (
            "0.26",
            "0.29",
            {
                "acls": [],
                "grants": [{"src": ["alice@"], "dst": ["tag:db"], "ip": ["tcp:80"]}],
            },
            [
                "+ alice -> tag:db tcp 80: 0.29 evaluates `grants`, `nodeAttrs`, "
                "`randomizeClientPort`, `sshTests` and `tests`",
            ],
        ),
        ("0.29", "main", {"acls": [rule("*", "*:*")]}, []),
    ],
)
def test_a_path_has_the_rule_of_the_release_as_its_cause(old, new, policy, lines):
    found = moved(old, new, **policy)
    assert found == lines


def test_two_rules_that_are_needed_together_are_both_named():
    """Nothing is mapped before 0.29, and nothing is asked."""
    found = moved(
        "0.28",
        "0.29",
        acls=[rule("*", "*:22", proto="tcp")],
        ssh=[login("alice@", "tag:db", "localpart:*@example.com", action="check")],
    )
    (own,) = [line for line in found if line.startswith("+ alice -> alice")]
    assert own.endswith(
        f"{CHECK} and 0.29 maps `localpart:*@domain` to the users' own login names"
    )


def test_each_address_family_has_its_own_cause():
    """The rule names both ends, each by one address, of two families."""
    wide = rule("fd7a:115c:a1e0::1", "100.64.0.4:80", "pair:81", proto="tcp")
    old = RELEASES["0.28"]
    new = replace(old, name="next", literals_widen=False, aliases_widen=False)

    def sides(row):
        return read({**NAMES, "acls": [wide]}, row), tailnet(USERS, NODES)

    addresses, networks = (
        [sentence(name, one, other) for one, other in ((old, new), (new, old))]
        for name in ("literals_widen", "aliases_widen")
    )

    def by_family(entries):
        return {(*e.services, e.family): e.because for e in entries}

    for one, other, way in ((old, new, "lost"), (new, old, "gained")):
        side = way == "gained"
        assert by_family(getattr(compare(sides, one, other), way)) == {
            ("tcp 80-81", "IPv4"): (addresses[side],),
            ("tcp 80", "IPv6"): (addresses[side],),
            ("tcp 81", "IPv6"): (networks[side],),
        }


def test_an_internet_of_one_family_is_told_as_that():
    """The rule names IPv4 addresses; 0.28 adds the IPv6 ones of their nodes."""
    routes = frozenset({"0.0.0.0/0", "::/0"})
    exit_ = replace(NODES[3], available=routes, approved=routes)
    lines = moved(
        "0.28",
        "0.29",
        nodes=(*NODES[:3], exit_),
        acls=[rule("net", "autogroup:internet:443", proto="tcp")],
        hosts={"net": "100.64.0.0/24"},
    )
    (lost,) = [line for line in lines if line.startswith("-")]
    assert " -> 2000::/3 tcp 443: " in lost
    assert not [line for line in lines if line.startswith("+")]


# The command.

FILES = """
    policy: { file: policy.hujson }
    nodes:
      db: { match: { id: "4" }, tags: [tag:db] }
    """
POLICY = """{
  "tagOwners": {"tag:db": ["alice@"]},
  "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db:80"]}],
}
"""


@pytest.fixture
def upgrade(command, tmp_path, monkeypatch):
    """Write a snapshot and files, then run `upgrade`, wide enough for its lines."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments, policy=POLICY, release="0.28", yaml=None, nodes=NODES, **files):
        state = live(USERS, nodes, policy, release)
        (tmp_path / "now.json").write_text(snapshot.dumps(state))
        if yaml:
            (tmp_path / "tailnet.yaml").write_text(f"version: 1\n{dedent(yaml)}")
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        return command("upgrade", "--snapshot", "now.json", *arguments)

    return run


def test_upgrade_tells_gains_with_the_release_rule(upgrade):
    code, out, err = upgrade("--to", "0.29")
    assert (code, err) == (2, "")
    assert out.splitlines()[0] == ("Upgrade of hs.example.com, as it is: 0.28 -> 0.29")
    assert f"because 0.29 {PING}" in out
    assert out.endswith(
        "Upgrade to 0.29: 0 findings. Access: +2 -0 paths (2 only wider).\n"
    )


def test_nothing_changes(upgrade):
    closed = POLICY.replace('["tag:db:80"]', '["tag:db:80"], "proto": "tcp"')
    code, out, _ = upgrade("--to", "0.29", policy=closed)
    assert code == 0
    assert out.endswith("Nothing changes: on 0.29 it all means the same.\n")
    code, out, _ = upgrade("--to", "main", release="0.29")
    assert code == 0


def test_with_files_the_state_after_the_plan_is_asked_for(upgrade):
    wider = POLICY.replace('alice@"], "dst', 'bob@"], "dst')
    code, out, _ = upgrade("--to", "0.29", yaml=FILES, policy_hujson=wider)
    assert code == 2
    assert "as desired: 0.28 -> 0.29" in out
    assert "gains   bob" in out
    code, out, _ = upgrade("--to", "0.29", "--live", yaml=FILES, policy_hujson=wider)
    assert "as it is: 0.28 -> 0.29" in out
    assert "gains   alice" in out


def test_a_policy_that_is_refused(upgrade):
    grants = POLICY.replace('"acls": [', '"grants": [], "acls": [')
    code, out, err = upgrade("--to", "0.28", policy=grants, release="0.29")
    assert code == 2
    assert "the server does not start with this policy on 0.28 (1 finding)" in out
    assert "Access: not evaluated: 0.28 refuses the policy" in out
    assert 'error[RC0608]: unknown field "grants"' in err
    assert "(policy on the server):3:" in err


def test_a_token_of_two_users_is_refused_by_029(upgrade, tmp_path):
    twins = (*USERS, user(3, "ann", email="alice@example.com"))
    state = live(twins, NODES, POLICY.replace("alice@", "alice@example.com"), "0.28")
    text = snapshot.dumps(state)
    code, _, err = upgrade("--to", "0.29")
    (tmp_path / "now.json").write_text(text)
    assert code == 2
    assert "RC0602" not in err
    # The fixture writes its own snapshot, so that this one is named besides.
    (tmp_path / "twins.json").write_text(text)
    code, out, err = upgrade("--snapshot", "twins.json", "--to", "0.29")
    assert code == 2
    assert "does not start" in out
    assert 'multiple users found: token "alice@example.com"' in err


def test_what_can_no_longer_be_declared(upgrade):
    untag = """
        nodes:
          db: { match: { id: "4" }, tags: [] }
        """
    code, out, err = upgrade("--to", "0.28", yaml=untag, release="0.27")
    assert code == 2
    assert "1 thing in the files that 0.28 cannot do" in out
    assert "error[RC0302]" in err
    assert "tailnet.yaml:3" in err
    code, _, err = upgrade("--to", "0.27", yaml=untag, release="0.26")
    assert "RC0302" not in err


def test_users_cannot_be_declared_on_tailscale(upgrade):
    code, out, err = upgrade("--to", "tailscale", yaml="users: { alice: {} }")
    assert code == 2
    assert "0.28 -> Tailscale" in out
    assert "error[RC0301]" in err


def test_tests_that_fail_on_a_release_that_runs_them(upgrade):
    tests = '"tests": [{"src": "bob@", "accept": ["tag:db:80"]}], "acls": ['
    failing = POLICY.replace('"acls": [', tests)
    code, out, err = upgrade("--to", "0.29", policy=failing, release="0.26")
    assert code == 2
    assert "1 check of policy and files no longer holds" in out
    assert "error[RC0610]" in err
    code, out, _ = upgrade("--to", "main", policy=failing, release="0.29")
    assert code == 0


def test_routes_that_the_next_policy_write_approves(upgrade):
    approving = POLICY.replace(
        '"acls": [', '"autoApprovers": {"routes": {"10.0.0.0/8": ["bob@"]}}, "acls": ['
    )
    router = replace(NODES[2], available=frozenset({"10.1.0.0/16", "192.168.0.0/24"}))
    nodes = (*NODES[:2], router, NODES[3])
    code, out, _ = upgrade(
        "--to", "0.27", policy=approving, release="0.26", nodes=nodes
    )
    assert code == 2
    assert (
        "  + node:desk   10.1.0.0/16   because 0.27 approves what `autoApprovers` cover "
        "whenever a policy is written"
    ) in out
    code, out, _ = upgrade(
        "--to", "0.28", policy=approving, release="0.27", nodes=nodes
    )
    assert "autoApprovers" not in out


def test_json(upgrade):
    code, out, _ = upgrade("--to", "0.29", "--format", "json")
    found = json.loads(out)
    assert code == 2
    assert (found["from"], found["to"], found["changes"]) == ("0.28", "0.29", True)
    assert (found["refused"], found["undeclarable"], found["failing"]) == ([], [], [])
    (gain,) = found["gained"]
    assert gain["cause"] == "release"
    assert gain["because"] == [f"0.29 {PING}"]
    jsonschema.validate(gain, {**SCHEMA, "$ref": "#/$defs/flow"})
    assert found["lost"] == []
    grants = POLICY.replace('"acls": [', '"grants": [], "acls": [')
    code, out, _ = upgrade(
        "--to", "0.27", "--format", "json", policy=grants, release="main"
    )
    found = json.loads(out)
    assert code == 2
    assert [each["code"] for each in found["refused"]] == ["RC0608"]
    assert found["evaluated"] is False


def test_an_unknown_release_is_a_usage_error(upgrade):
    assert upgrade("--to", "0.25")[0] == 64
    assert upgrade()[0] == 64


# Tags.

TAGGED = """{
  "tagOwners": {"tag:want": ["alice@"], "tag:key": [], "tag:set": [], "tag:db": []},
  "acls": [
    {"action": "accept", "src": ["%s"], "dst": ["tag:db:80"], "proto": "tcp"},
  ],
}
"""
WORN = (
    node(1, "asked", user="alice", asked_tags=["tag:want"]),
    node(2, "keyed", user="alice", key_tags=["tag:key"]),
    node(3, "set", user="alice", tags=["tag:set"], key_tags=["tag:key"]),
    NODES[3],
)
STORED = (
    "0.28 counts only stored tags: it stores those that a device asked for, and drops "
    "those of its pre-auth key"
)


@pytest.mark.parametrize(
    ("source", "gained", "lost"),
    [
        ("tag:want", [], []),
        ("tag:key", [], ["tag:key"]),
        ("tag:set", [], []),
        ("alice@", ["node:keyed"], ["node:asked"]),
        ("autogroup:member", ["node:keyed"], []),
        ("autogroup:tagged", [], ["node:keyed"]),
    ],
)
def test_tags_that_were_not_stored(upgrade, source, gained, lost):
    """As a database of 0.27.1 came out that 0.28.0 was started on."""
    options = {"policy": TAGGED % source, "release": "0.27", "nodes": WORN}
    code, out, _ = upgrade("--to", "0.28", "--format", "json", **options)
    found = json.loads(out)
    assert code == 2
    moved = [*found["gained"], *found["lost"]]
    assert all(each["because"] == [STORED] for each in moved)
    assert len(found["gained"]) == len(gained)
    assert len(found["lost"]) == len(lost)
    names = {
        each["node"]: (each["added"], each["removed"]) for each in found["retagged"]
    }
    assert names == {
        "asked": ([], []),
        "keyed": ([], ["tag:key"]),
        "set": ([], ["tag:key"]),
    }
    assert found["retagged"][0]["owner_before"] == "alice"
    assert found["retagged"][0]["owner_after"] is None
    assert found["retagged"][1]["owner_after"] == "alice"


def test_tags_are_told_in_lines(upgrade):
    options = {"policy": TAGGED % "tag:want", "release": "0.27", "nodes": WORN}
    _, out, _ = upgrade("--to", "0.28", **options)
    assert f"  ~ node:asked   owner alice -> (tagged)   because {STORED}" in out
    assert "  ~ node:keyed   - tag:key, owner (tagged) -> alice   because" in out
    assert upgrade("--to", "0.27", **{**options, "release": "0.26"})[0] == 0

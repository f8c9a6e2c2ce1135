"""Lint as a table: small policies, and the findings that they get."""

import json

import pytest

from reconcile.model import User
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import World
from reconcile.policy.language.selectors import Selector
from reconcile.policy.lint import inclusion, of_tailnet
from reconcile.policy.lint.inclusion import Wider, text_findings
from reconcile.policy.reading import read
from reconcile.policy.reading.reception import receive
from reconcile.review.lint import of_scene, of_words
from reconcile.review.state import Scene, read_words, written
from tests.support import node, server, tailnet

USERS = [User("1", "ann", email="ann@example.com"), User("2", "ben"), User("3", "cy")]
NODES = [
    node(1, "laptop", user="ann"),
    node(2, "phone", user="ben"),
    node(3, "web", tags=["tag:web"]),
    node(4, "db", tags=["tag:db"]),
    node(
        5,
        "router",
        tags=["tag:router"],
        available=["10.1.0.0/16", "10.9.0.0/16"],
        approved=["10.1.0.0/16"],
    ),
    node(6, "tablet", user="ben"),
]


def acl(src, *dst, **more):
    return {"action": "accept", "src": src.split(","), "dst": list(dst), **more}


def login(action, src, dst, *users):
    return {"action": action, "src": [src], "dst": [dst], "users": list(users)}


def owners(*tags):
    return {tag: [] for tag in tags}


def policy(*acls, **sections):
    return {
        "groups": {"group:ops": ["ann@", "ben@"]},
        "tagOwners": {f"tag:{t}": ["group:ops"] for t in ("web", "db", "router")},
        "acls": list(acls),
        **sections,
    }


def found(value, release="0.29", nodes=NODES, users=USERS, expected=()):
    """Return (code, message) of each finding in the tailnet."""
    rules = read(value, release)
    assert not rules.errors, rules.errors
    matrix = Matrix([World.of(rules, tailnet(users, nodes))])
    return [(p.code, p.message) for p in of_tailnet(matrix, tags=expected)]


def said(value):
    """Return (code, message) of each finding in the words alone."""
    words = written(json.dumps(value), "p")
    return [(d.code, d.message) for d in of_words(words, receive(value))]


WEB, DB = acl("group:ops", "tag:web:443"), acl("tag:web", "tag:db:5432")
CLEAN = policy(WEB, DB)
SSH = login("accept", "group:ops", "tag:web", "ops")


def test_a_clean_policy_has_no_finding():
    assert found(CLEAN) == []
    assert said({**CLEAN, "tagOwners": {"tag:web": [], "tag:db": ["group:ops"]}}) == []


# What users and nodes show.

IN_THE_TAILNET = {
    "a tag without nodes kills a rule": (
        policy(
            acl("group:ops", "tag:new:22"),
            WEB,
            tagOwners=owners("tag:new", "tag:web", "tag:db", "tag:router"),
        ),
        [("RC0501", "acls[0] matches nothing")],
    ),
    "a tag without nodes beside others": (
        policy(
            acl("group:ops", "tag:new:22", "tag:web:22"),
            tagOwners=owners("tag:new", "tag:web", "tag:db", "tag:router"),
        ),
        [("RC0507", "no node wears tag:new")],
    ),
    "a user without nodes": (
        policy(acl("cy@", "tag:web:22")),
        [("RC0501", "acls[0] matches nothing")],
    ),
    "an SSH rule for nobody": (
        policy(acl("*", "tag:web:22"), ssh=[login("accept", "cy@", "tag:web", "ops")]),
        [("RC0501", "ssh[0] matches nothing")],
    ),
    "address families that never meet": (
        policy(acl("100.64.0.1", "fd7a:115c:a1e0::3:22")),
        [("RC0501", "acls[0] matches nothing")],
    ),
    "a rule inside another": (
        policy(acl("ann@", "tag:web:443"), WEB),
        [("RC0502", "acls[0] adds nothing to acls[1]")],
    ),
    "two rules that say the same": (
        policy(WEB, WEB),
        [("RC0502", "acls[1] adds nothing to acls[0]")],
    ),
    "a rule inside two others together": (
        policy(
            acl("group:ops", "tag:web:80-90", "tag:db:80"),
            acl("ann@", "tag:web:70-100", "tag:db:70-100"),
            acl("ben@", "tag:web:80-100", "tag:db:80-100"),
        ),
        [("RC0502", "acls[0] adds nothing to acls[1] and acls[2]")],
    ),
    "a port more is a rule of its own": (
        policy(WEB, acl("ann@", "tag:web:80,443")),
        [],
    ),
    "an allow-all is one warning": (
        policy(acl("*", "*:*"), WEB, DB, acl("*", "*:*")),
        [("RC0503", "acls[0] lets everybody reach everything on every port")],
    ),
    "all ports between most nodes": (
        policy(
            acl(
                "autogroup:member,tag:web,tag:db",
                "autogroup:member:*",
                "autogroup:tagged:*",
            )
        ),
        [("RC0503", "acls[0] opens all ports of most of the tailnet to most of it")],
    ),
    "administrators reach everything": (policy(acl("ann@", "*:*")), []),
    "own devices are not broad": (
        policy(acl("autogroup:member", "autogroup:self:*")),
        [],
    ),
    "every address": (
        policy(acl("ann@", "0.0.0.0/0:443")),
        [
            (
                "RC0503",
                "acls[0] opens every address, the tailnet's own nodes among them: 0.0.0.0/0",
            )
        ],
    ),
    "danger-all": (
        policy(acl("autogroup:danger-all", "tag:web:443")),
        [
            (
                "RC0503",
                "acls[0] lets in sources outside of the tailnet: autogroup:danger-all",
            )
        ],
    ),
    "a route that is not approved": (
        policy(acl("ann@", "10.9.1.0/24:22", "tag:web:22")),
        [("RC0504", "10.9.1.0/24 cannot be reached")],
    ),
    "a host alias of nobody": (
        policy(acl("ann@", "old:22", "tag:web:22"), hosts={"old": "100.64.9.9"}),
        [("RC0504", "old cannot be reached")],
    ),
    "an approved route": (policy(acl("ann@", "10.1.2.3:22")), []),
    "no exit node": (
        policy(acl("ann@", "autogroup:internet:*", "tag:web:22")),
        [("RC0504", "autogroup:internet cannot be reached")],
    ),
    "names that nothing uses": (
        policy(
            WEB,
            hosts={"old": "100.64.0.1"},
            groups={"group:ops": ["ann@"], "group:idle": ["ben@"]},
        ),
        [("RC0505", "nothing uses group:idle"), ("RC0505", "nothing uses old")],
    ),
    "names that only tests use": (
        policy(
            WEB,
            hosts={"old": "100.64.0.1", "own": "100.64.0.2"},
            groups={"group:ops": ["ann@"], "group:idle": ["ben@"]},
            tests=[{"src": "group:idle", "deny": ["old:22"]}],
        ),
        [("RC0505", "nothing uses own")],
    ),
    "a tag that no node and no rule has": (
        policy(
            WEB,
            tagOwners=owners("tag:web", "tag:db", "tag:router", "tag:idle"),
        ),
        [("RC0505", "nothing uses tag:idle")],
    ),
    "tags that nobody owns": (
        policy(WEB, tagOwners={"tag:web": []}),
        [
            (
                "RC0506",
                "tagOwners does not have tag:db and tag:router, which node:db and node:router wear",
            )
        ],
    ),
    "a user that is not there": (
        policy(acl("ann@,bne@", "tag:web:443")),
        [("RC0508", "the server has no user bne@")],
    ),
    "SSH with port 22 closed": (
        policy(WEB, ssh=[SSH]),
        [("RC0509", "ssh[0] lets nobody in: port 22 is closed")],
    ),
    "SSH with port 22 closed to some": (
        policy(acl("ann@", "tag:web:22"), ssh=[SSH]),
        [
            (
                "RC0509",
                "ssh[0] lets nobody in on 2 of 3 paths, such as node:phone to node:web: port 22 is closed",
            )
        ],
    ),
    "SSH with port 22 open": (policy(acl("group:ops", "tag:web:22"), ssh=[SSH]), []),
    "check over accept": (
        policy(
            acl("group:ops", "tag:web:22"),
            ssh=[
                login("accept", "ann@", "tag:web", "ops"),
                login("check", "group:ops", "tag:web", "autogroup:nonroot"),
            ],
        ),
        [("RC0510", "ssh[1] asks for a check where ssh[0] accepts")],
    ),
    "check over accept for some": (
        policy(
            acl("group:ops", "tag:web:22"),
            ssh=[
                login("accept", "group:ops", "tag:web", "ops"),
                login("check", "ann@", "tag:web", "ops"),
            ],
        ),
        [
            (
                "RC0510",
                "ssh[1] asks for a check where ssh[0] accepts on 1 of 3 paths, such as node:laptop to node:web",
            )
        ],
    ),
    "check for root beside accept for others": (
        policy(
            acl("group:ops", "tag:web:22"),
            ssh=[
                login("accept", "ann@", "tag:web", "autogroup:nonroot"),
                login("check", "ann@", "tag:web", "root"),
            ],
        ),
        [],
    ),
    "a user twice in a group": (
        policy(WEB, groups={"group:ops": ["ann@", "ben@", "ann@"]}),
        [("RC0511", "group:ops names ann@ twice")],
    ),
    "a user by two names": (
        policy(WEB, groups={"group:ops": ["ann@", "ann@example.com"]}),
        [("RC0511", "group:ops names ann@example.com twice, once as ann@")],
    ),
    "a user beside the own group": (
        policy(acl("group:ops,ann@", "tag:web:443")),
        [("RC0511", "acls[0].src names ann@, whom group:ops holds already")],
    ),
}


@pytest.mark.parametrize("name", IN_THE_TAILNET)
def test_in_a_tailnet(name):
    value, expected = IN_THE_TAILNET[name]
    assert found(value) == expected


def why(value, **more):
    rules = read(value, "0.29")
    matrix = Matrix([World.of(rules, tailnet(USERS, more.get("nodes", NODES)))])
    return [p.why for p in of_tailnet(matrix)]


def test_a_dead_rule_says_what_is_missing():
    (reason,) = why(policy(acl("cy@", "10.9.1.1:22")))
    assert reason == (
        "cy@ has no untagged node; "
        "node:router advertises 10.9.0.0/16, which is not approved"
    )
    twice = acl("ann@", "10.9.1.1:22") | {"dst": ["10.9.1.1:22", "10.9.2.2:22"]}
    (reason,) = why(policy(twice))
    assert reason == "node:router advertises 10.9.0.0/16, which is not approved"


def test_a_broad_rule_says_what_it_opens():
    (reason,) = why(policy(acl("*", "*:*"), WEB, DB))
    assert (
        reason == "it lets 6 nodes, 1 network reach 6 nodes, 1 network (42 paths): *"
        "; acls[1] and acls[2] add nothing to it"
    )


def test_a_path_over_both_address_families_counts_once():
    one_family = acl("*", "10.1.2.3:53", "100.64.0.1:53")
    found = why(policy(acl("*", "*:*"), one_family))
    assert any("(42 paths)" in reason for reason in found)


def test_tags_that_the_files_give_are_not_missing():
    tags = owners("tag:web", "tag:db", "tag:router", "tag:new")
    value = policy(acl("group:ops", "tag:new:22"), WEB, tagOwners=tags)
    assert found(value, expected=["tag:new"]) == []


def test_an_empty_tailnet_is_judged_by_words():
    assert found(CLEAN, nodes=[], users=[], expected=["tag:router"]) == []


def test_what_cannot_be_known_is_never_dead_and_holds_no_other_rule():
    value = policy(
        acl("group:ops", "tag:web:443", srcPosture=["posture:ok"]),
        acl("ann@", "tag:web:443"),
        acl("autogroup:admin", "ipset:prod:22"),
        postures={"posture:ok": ["node:os == 'linux'"]},
        ipsets={"ipset:prod": ["10.5.0.0/16"]},
    )
    assert found(value, "tailscale") == []


def test_a_rule_that_cannot_be_known_is_held_by_one_that_can():
    value = policy(
        WEB,
        acl("ann@", "tag:web:443", srcPosture=["posture:ok"]),
        postures={"posture:ok": ["node:os == 'linux'"]},
    )
    assert found(value, "tailscale") == [("RC0502", "acls[1] adds nothing to acls[0]")]


def test_grants_that_do_more_than_open_ports_are_left_alone():
    app = {"example.com/cap/x": [{}]}
    value = policy(
        grants=[
            {"src": ["group:ops"], "dst": ["tag:web"], "ip": ["*"]},
            {"src": ["ann@"], "dst": ["tag:web"], "ip": ["*"], "app": app},
            {"src": ["ann@"], "dst": ["tag:web"], "app": app},
        ]
    )
    assert found(value) == []


# What the words alone show.

IN_WORDS = {
    "empty lists": (
        policy(acl("ann@"), DB),
        [("RC0501", "acls[0] matches nothing")],
    ),
    "an empty group": (
        policy(acl("group:ops", "tag:web:22"), groups={"group:ops": []}),
        [("RC0501", "acls[0] matches nothing")],
    ),
    "a user inside the group": (
        policy(acl("ann@", "tag:web:443"), WEB),
        [("RC0502", "acls[0] adds nothing to acls[1]")],
    ),
    "a chain of wider rules names the widest": (
        policy(acl("ann@", "tag:web:443"), WEB, acl("autogroup:member", "*:443")),
        [
            ("RC0608", 'acls[2]: src=invalid autogroup "autogroup:member"'),
            ("RC0502", "acls[0] adds nothing to acls[2]"),
            ("RC0502", "acls[1] adds nothing to acls[2]"),
        ],
    ),
    "two rules that say the same": (
        policy(WEB, WEB),
        [("RC0502", "acls[1] adds nothing to acls[0]")],
    ),
    "an allow-all is one warning": (
        policy(acl("*", "*:*"), WEB, DB, acl("*", "*:*")),
        [("RC0503", "acls[0] lets everybody reach everything on every port")],
    ),
    "an address outside is not in the wildcard": (
        policy(acl("192.0.2.1", "tag:web:443"), acl("*", "tag:web:443")),
        [],
    ),
    "no rule for port 22": (
        policy(WEB, ssh=[SSH]),
        [("RC0509", "ssh[0] lets nobody in: port 22 is closed")],
    ),
    "check over accept": (
        policy(
            acl("group:ops", "tag:web:22"),
            ssh=[
                login("accept", "ann@", "tag:web", "ops"),
                login("check", "group:ops", "tag:web", "autogroup:nonroot"),
            ],
        ),
        [
            (
                "RC0512",
                "ssh[1]: check does not ask, and accepts at once, on Headscale 0.28",
            ),
            ("RC0510", "ssh[1] asks for a check where ssh[0] accepts"),
        ],
    ),
}


@pytest.mark.parametrize("name", IN_WORDS)
def test_in_words(name):
    value, expected = IN_WORDS[name]
    value["tagOwners"] = {t: ["ben@"] for t in ("tag:web", "tag:db")}
    value["acls"] = [*value["acls"], *([] if DB in value["acls"] else [DB])]
    if "group:ops" not in json.dumps(value["acls"]) + json.dumps(value.get("ssh", "")):
        value["tagOwners"]["tag:web"] = ["group:ops"]
    assert sorted(said(value)) == sorted(expected)


# What a release reads otherwise.

LOCALPART = login("accept", "group:ops", "tag:web", "localpart:*@example.com")
CHECK = login("check", "group:ops", "tag:web", "root")
SSH_OPEN = acl("group:ops", "tag:web:22", proto="tcp")
PLAIN = acl("group:ops", "tag:web:443", proto="tcp")
RELEASES = {
    "check": (policy(SSH_OPEN, ssh=[CHECK]), ["0.26", "0.27", "0.28"], "check does not ask"),
    "ping": (policy(WEB), ["0.27", "0.28"], "ping is not let through"),
    "icmp": (policy(acl("group:ops", "tag:web:*", proto="icmp")), ["0.26", "0.27", "0.28"], "ICMPv6 as well"),
    "wildcard": (policy(acl("*", "tag:web:443", proto="tcp")), ["0.26", "0.27", "0.28"], "every address"),
    "localpart": (policy(SSH_OPEN, ssh=[LOCALPART]), ["0.26", "0.27", "0.28"], "is a login name"),
    "nonroot": (policy(SSH_OPEN, ssh=[SSH, login("accept", "group:ops", "tag:web", "autogroup:nonroot")]), ["0.26"], "is a login name"),
    "self": (policy(acl("tag:web,ann@", "autogroup:self:22", proto="tcp")), ["0.27", "0.28"], "gets nothing by autogroup:self"),
    "tagged": (policy(acl("autogroup:tagged", "tag:web:22", proto="tcp")), ["0.27"], "may not have it"),
    "no acls": ({"tagOwners": owners("tag:web", "tag:db", "tag:router")}, ["0.26"], "allows nothing"),
    "widened": (policy(acl("group:ops", "100.64.0.9:22", proto="tcp")), ["0.26", "0.27", "0.28"], "means fd7a::9 as well"),
    "plain": (policy(PLAIN), [], ""),
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASES)
def test_releases_that_mean_something_else(name):
    value, releases, words = RELEASES[name]
    nodes = [
        *NODES,
        node(9, "six", tags=["tag:web"], addresses=("100.64.0.9", "fd7a::9")),
    ]
    affected = []
    for release in ("0.26", "0.27", "0.28", "0.29", "main"):
        rules = read(value, release)
        if rules.errors:
            continue
        matrix = Matrix([World.of(rules, tailnet(USERS, nodes))])
        messages = [p.message for p in of_tailnet(matrix) if p.code == "RC0512"]
        if messages:
            affected.append(release)
            assert any(words in message for message in messages), messages
    assert affected == releases


@pytest.mark.parametrize(
    ("release", "groups", "offered"),
    [
        ("0.27", {"group:ops": ["ann@", "zed@"]}, False),
        ("0.27", {"group:ops": ["ann@"]}, True),
        ("0.28", {"group:ops": ["ann@", "zed@"]}, True),
    ],
)
def test_a_rule_that_holds_others_back_is_not_offered_to_be_cut(
    release, groups, offered
):
    """Seen on 0.27.1: without it the group with an unknown member counts again."""
    idle = login("accept", "cy@", "autogroup:self", "ops")
    value = policy(WEB, groups=groups, ssh=[idle])
    matrix = Matrix([World.of(read(value, release), tailnet(USERS, NODES))])
    (dead,) = (p for p in of_tailnet(matrix) if p.path == ("ssh", 0))
    assert (dead.code, dead.edit is not None) == ("RC0501", offered)
    assert ("would count again" in dead.help) != offered


@pytest.mark.parametrize("release", ["0.27", "0.28"])
def test_a_rule_whose_groups_are_dropped_is_not_to_be_removed(release):
    """Seen on 0.27.1, beside an SSH rule to autogroup:self."""
    groups = {"group:ops": ["ann@", "zed@"]}
    value = policy(
        acl("group:ops", "tag:web:80"),
        groups=groups,
        ssh=[login("accept", "cy@", "autogroup:self", "ops")],
    )
    matrix = Matrix([World.of(read(value, release), tailnet(USERS, NODES))])
    found = [p for p in of_tailnet(matrix) if p.path == ("acls", 0)]
    dead = [p for p in found if p.code == "RC0501"]
    assert bool(dead) is (release == "0.27")
    assert all("does not know" in p.why and p.edit is None for p in dead)


@pytest.mark.parametrize(
    ("tag", "why"), [("router", "sends"), ("db", "no router that")]
)
def test_a_grant_with_via_that_nobody_is_sent_through(tag, why):
    """Beside other rules it makes nobody a peer of its router: seen on clients."""
    via = {"src": ["ann@"], "dst": ["10.1.0.0/16"], "ip": ["22"], "via": [f"tag:{tag}"]}
    value = policy(WEB, grants=[via])
    matrix = Matrix([World.of(read(value, "0.29"), tailnet(USERS, NODES))])
    (dead,) = (p for p in of_tailnet(matrix) if p.path == ("grants", 0))
    assert (dead.code, why in dead.why) == ("RC0501", True)
    assert (dead.edit is None) is (tag == "router")


@pytest.mark.parametrize(
    ("source", "told"),
    [("lan6", True), ("10.0.0.0/8", True), ("lan4", False), ("ann@", False)],
)
def test_ssh_tests_that_the_server_does_not_finish(source, told):
    """Seen on 0.29.2 and main: a /108 of IPv6 took 2 s, a /64 did not come back."""
    value = policy(WEB, hosts={"lan6": "fd00:1::/64", "lan4": "10.1.0.0/16"})
    test = {"src": source, "dst": ["tag:web"], "deny": ["root"]}
    codes = [code for code, _ in found({**value, "sshTests": [test]})]
    assert ("RC0513" in codes) is told


# Places, and hostile names.


def test_findings_point_into_the_file(wanted):
    desired = wanted("nodes: {}")
    text = '{\n  "acls": [\n    {"action": "accept", "src": ["cy@"], "dst": ["*:22"]}\n  ]\n}'
    words, info = written(text, "p.hujson"), server()
    scene = Scene(
        read_words(words, info),
        tailnet(USERS, NODES[:2]),
        words,
    )
    (finding,) = of_scene(scene, desired)
    assert (finding.code, str(finding.position)) == ("RC0501", "p.hujson:3:5")


def test_a_holder_is_shown_beside_the_rule(wanted):
    words, info = written(json.dumps(policy(WEB, WEB)), "p"), server()
    scene = Scene(read_words(words, info), tailnet(USERS, NODES), words)
    (finding,) = of_scene(scene, wanted("nodes: {}"))
    assert [r.label for r in finding.related] == ["acls[0] opens it"]


def test_an_unknown_user_is_told_once(wanted):
    desired = wanted(
        "users: { ann: {} }\npolicy: { file: policy.hujson }",
        policy_hujson=json.dumps(
            policy(
                acl("ann@,zoe@", "tag:web:443"), groups={}, tagOwners={"tag:web": []}
            )
        ),
    )
    info = server()
    words = written(desired.policy.text, desired.policy.position.file)
    scene = Scene(
        read_words(words, info),
        tailnet(USERS, NODES[:3]),
        words,
    )
    assert [d.code for d in desired.warnings] == ["RC0101"]
    assert of_scene(scene, desired) == []


@pytest.mark.parametrize("members", [["a@"], ["a@", "{}@"], ["{}@"], []])
def test_what_holds_groups_grows_no_faster_than_the_policy(members):
    count = 2000
    groups = {f"group:g{n}": [m.format(n) for m in members] for n in range(count)}
    policy = read({"groups": groups, "acls": []}, "0.29")
    wider = Wider(policy)
    held = [wider.sources(Selector("group", name)) for name in groups]
    held += [wider.sources(Selector("user", "a@"))]
    assert sum({id(found): len(found) for found in held}.values()) < 10 * count


def test_equal_groups_still_hold_each_other():
    policy = {
        "groups": {"group:one": ["a@", "b@"], "group:two": ["b@", "a@"]},
        "acls": [
            {"action": "accept", "src": ["group:one"], "dst": ["a@:22"]},
            {"action": "accept", "src": ["group:two"], "dst": ["a@:22"]},
        ],
    }
    (found,) = text_findings(read(policy, "0.29"))
    assert str(found.message) == "acls[1] adds nothing to acls[0]"


def test_of_rules_with_other_ports_no_two_are_held_against_each_other(monkeypatch):
    monkeypatch.setattr(inclusion, "_includes", None)
    rules = [acl("ann@", f"tag:web:{port}") for port in range(1, 400, 2)]
    assert list(text_findings(read(policy(*rules), "0.29"))) == []


def test_only_so_many_rules_are_held_against_each_other(monkeypatch):
    """The ports of these overlap, so that only a comparison can tell."""
    asked, includes = [], inclusion._includes

    def count(*pair):
        asked.append(pair)
        return includes(*pair)

    rules = [acl("ann@", f"tag:web:1-{n},{n + 2}-999") for n in range(2, 200, 4)]
    value = policy(*rules, acl("ann@", "tag:web:1-2"))
    for most, told in ((10_000, 1), (100, 0)):
        asked.clear()
        monkeypatch.setattr(inclusion, "_includes", count)
        monkeypatch.setattr(inclusion, "_MOST_PAIRS", most)
        assert len(list(text_findings(read(value, "0.29")))) == told
        assert 50 < len(asked) <= most

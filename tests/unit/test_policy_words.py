"""Words that no server knows, or only Tailscale: what is said of each, and how often."""

import json

import pytest

from reconcile.policy.reading.reception import receive
from reconcile.policy.reading.words import HOSTED_FIELDS
from reconcile.review.lint import of_words
from reconcile.review.state import written

BASE = {
    "groups": {"group:ops": ["ann@", "ben@example.com"]},
    "tagOwners": {"tag:srv": ["group:ops"], "tag:router": ["group:ops"]},
    "hosts": {"printer": "100.64.0.9"},
}


def findings(policy, release=""):
    words = written(json.dumps({**BASE, **policy}, indent=1), "p.hujson")
    return of_words(words, receive(words.value, release))


def errors(policy, release=""):
    return [d for d in findings(policy, release) if d.severity == "error"]


def acl(src="group:ops", dst="tag:srv:22", **more):
    rule = {"action": "accept", "src": [src], "dst": [dst], **more}
    return {"acls": [rule]}


def grant(**fields):
    return {"grants": [{"src": ["*"], "dst": ["tag:srv"], "ip": ["22"], **fields}]}


def login(**fields):
    rule = {"action": "accept", "src": ["group:ops"], "dst": ["tag:srv"]}
    return {"ssh": [{**rule, "users": ["root"], **fields}]}


def probe(**fields):
    return {"acls": [], "tests": [{"src": "ann@", "accept": ["tag:srv:22"], **fields}]}


# What only Tailscale has: the policy, the word, and what to write on Headscale.
TAILSCALE = [
    ({"acls": [], "ipsets": {}}, "ipsets", "hosts"),
    ({"acls": [], "postures": {}}, "postures", "once no rule"),
    ({"acls": [], "defaultSrcPosture": ["posture:a"]}, "defaultSrcPosture", "narrow"),
    ({"acls": [], "attrConfig": {}}, "attrConfig", "leave it out"),
    ({"acls": [], "derpMap": {}}, "derpMap", "derp.paths"),
    ({"acls": [], "disableIPv4": True}, "disableIPv4", "prefixes.v4"),
    ({"acls": [], "OneCGNATRoute": "mac-always"}, "OneCGNATRoute", "leave it out"),
    (acl(srcPosture=["posture:a"]), "srcPosture", "narrow"),
    (grant(srcPosture=["posture:a"]), "srcPosture", "narrow"),
    (login(srcPosture=["posture:a"]), "srcPosture", "narrow"),
    (login(recorder=["tag:srv"]), "recorder", "records no sessions"),
    (login(enforceRecorder=True), "enforceRecorder", "records no sessions"),
    (probe(srcPostureAttrs={}), "srcPostureAttrs", "device"),
    (
        {"acls": [], "nodeAttrs": [{"target": ["*"], "app": {}}]},
        "app",
        "app connectors",
    ),
    (
        {"acls": [], "nodeAttrs": [{"target": ["*"], "attr": ["funnel"]}]},
        "funnel",
        "no funnel",
    ),
    (
        {"acls": [], "nodeAttrs": [{"target": ["*"], "ipPool": ["100.80.0.0/16"]}]},
        "100.80.0.0/16",
        "prefixes.v4",
    ),
    ({"acls": [], "autoApprovers": {"services": {}}}, "services", "no services"),
    (acl("autogroup:admin"), "autogroup:admin", "Headscale has no roles"),
    (acl("autogroup:owner"), "autogroup:owner", "name a group of your own"),
    (acl("autogroup:shared"), "autogroup:shared", "shares no devices"),
    (acl(dst="svc:web:443"), "svc:web", "name the tag"),
    (acl("ipset:office"), "ipset:office", "hosts"),
    (grant(dst=["svc:web"]), "svc:web", "name the tag"),
    (
        {"acls": [], "tagOwners": {"tag:a": ["autogroup:network-admin"]}},
        "autogroup:network-admin",
        "no roles",
    ),
]


@pytest.mark.parametrize(("policy", "word", "instead"), TAILSCALE)
def test_a_word_of_tailscale_is_told_as_that(policy, word, instead):
    (finding,) = errors(policy)
    assert finding.code == "RC0608"
    assert json.dumps(word) in finding.message
    assert finding.why == "only Tailscale itself has it"
    assert instead in finding.help


def test_every_field_of_tailscale_is_in_the_table():
    told = {word for _, word, _ in TAILSCALE}
    assert {name for fields in HOSTED_FIELDS.values() for name in fields} <= told


def test_a_mail_domain_is_nobody_on_headscale_which_takes_it():
    (finding,) = [d for d in findings(acl("user:*@example.com")) if d.code == "RC0608"]
    assert finding.severity == "warning"
    assert finding.why == "only Tailscale itself has it"
    assert "group" in finding.help


def test_a_word_is_told_once_however_often_it_stands():
    rules = [login(recorder=["tag:srv"])["ssh"][0] for _ in range(3)]
    rules += [login(src=["autogroup:admin"])["ssh"][0] for _ in range(4)]
    found = errors({"ssh": rules, **acl("autogroup:admin")})
    assert [d.code for d in found] == ["RC0608"] * 2
    role, recorder = sorted(found, key=lambda d: d.message)
    assert "autogroup:admin" in role.message
    assert role.why == recorder.why == "only Tailscale itself has it"
    assert role.label.count(",") == 2
    assert recorder.label.startswith("also in lines ")


# Near misses: the policy, and what is proposed.
NEAR = [
    ({"alcs": []}, 'did you mean "acls"?'),
    ({"acl": []}, 'did you mean "acls"?'),
    ({"acls": [], "tags": {}}, '"tagOwners" stands here already: put the two together'),
    ({"acls": [], "autoApprover": {}}, 'did you mean "autoApprovers"?'),
    ({"acls": [{"action": "accept", "users": ["*"]}]}, 'did you mean "src"?'),
    ({"acls": [{"action": "accept", "ports": ["*:*"]}]}, 'did you mean "dst"?'),
    (acl(users=["*"]), '"src" stands here already: put the two together'),
    (acl(protocol="tcp"), 'did you mean "proto"?'),
    (grant(ips=["22"]), '"ip" stands here already: put the two together'),
    ({"acls": [], "tests": [{"user": "ann@", "deny": []}]}, 'did you mean "src"?'),
    ({"acls": [], "tests": [{"src": "ann@", "allow": []}]}, 'did you mean "accept"?'),
    (login(acceptenv2=[]), '"acceptEnv"'),
    (login(user=["root"]), '"users" stands here already: put the two together'),
    ({"acls": [{"action": "accept", "port": ["*:*"]}]}, 'did you mean "dst"?'),
    ({"acls": [{"action": "accept", "dest": ["*:*"]}]}, 'did you mean "dst"?'),
    (acl("autogroup:admins"), "Headscale has no roles"),
    (acl("autogroup:members"), 'did you mean "autogroup:member"?'),
    (acl("autogroup:Tagged"), 'did you mean "autogroup:tagged"?'),
    (acl(dst="srv:22"), 'did you mean "tag:srv"?'),
    (acl("ops"), 'did you mean "group:ops"?'),
    (acl("tag:routr"), 'did you mean "tag:router"?'),
    (acl("tag:Router"), 'did you mean "tag:router"?'),
    (acl("group:opps"), 'did you mean "group:ops"?'),
    (acl("group:srv"), 'did you mean "tag:srv"?'),
    (acl("tags:srv"), 'did you mean "tag:srv"?'),
    (acl("printr"), 'did you mean "printer"?'),
    (acl("ann"), 'did you mean "ann@"?'),
    (acl("ben"), 'did you mean "ben@example.com"?'),
    (acl("member"), 'did you mean "autogroup:member"?'),
    (acl(dst="tag:srv"), 'a destination ends in its ports: "tag:srv:443"'),
    (grant(dst=["tag:srv:22"]), 'write "tag:srv"'),
    ({"acls": [], "tagOwners": {"web": []}}, 'write "tag:web"'),
    ({"acls": [], "groups": {"group:ops": [], "dev": ["ann@"]}}, 'write "group:dev"'),
    ({"acls": [], "groups": {"group:ops": ["ann"]}}, 'write "ann@"'),
    ({"acls": [], "groups": {"group:ops": ["autogroup:admin"]}}, "has no roles"),
    ({"acls": [], "groups": {"group:ops": ["tag:srv"]}}, "a group holds users only"),
]


@pytest.mark.parametrize(("policy", "proposed"), NEAR)
def test_a_near_miss_gets_a_proposal(policy, proposed):
    (finding,) = errors(policy)
    assert proposed in finding.help


def test_a_name_that_lacks_its_prefix_is_told_where_it_is_declared_only():
    policy = {
        **acl("group:dev", "tag:web:22"),
        "groups": {**BASE["groups"], "dev": ["ann@"]},
        "tagOwners": {**BASE["tagOwners"], "web": ["ann@"]},
    }
    assert [d.help for d in errors(policy)] == ['write "group:dev"', 'write "tag:web"']


SSH_TEST = {"src": "ann@", "dst": ["tag:routr"], "accept": ["root"]}


@pytest.mark.parametrize(
    ("sections", "help"),
    [
        ({"tests": [{"src": "ann@", "deny": ["tag:routr:22"]}]}, '"tag:router"'),
        ({"tests": [{"src": "ann@", "deny": ["srv:22"]}]}, '"tag:srv"'),
        ({"tests": [{"src": "group:opps", "deny": ["tag:srv:22"]}]}, '"group:ops"'),
        ({"tests": [{"src": "autogroup:admin", "deny": ["tag:srv:22"]}]}, "no roles"),
        ({"sshTests": [SSH_TEST]}, '"tag:router"'),
        ({"sshTests": [{**SSH_TEST, "dst": ["tag:srv:22"]}]}, 'write "tag:srv"'),
    ],
)
def test_words_of_tests_get_a_proposal_too(command, tmp_path, sections, help):
    policy = json.dumps({**BASE, "acls": [], **sections})
    (tmp_path / "policy.hujson").write_text(policy)
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\npolicy: { file: policy.hujson }\n"
    )
    code, _, err = command("validate")
    assert code != 0
    (told,) = [line for line in err.splitlines() if "= help: " in line and help in line]
    assert told


def test_what_stands_under_a_misspelt_field_is_looked_at_too():
    rule = {"action": "accept", "users": ["autogroup:members"], "ports": ["srv:22"]}
    found = sorted(errors({"acls": [rule]}), key=lambda d: d.position)
    helps = [d.help for d in found]
    assert helps == [
        'did you mean "src"?',
        'did you mean "autogroup:member"?',
        'did you mean "dst"?',
        'did you mean "tag:srv"?',
    ]


@pytest.mark.parametrize("word", ["tag:db-2", "tag:web", "nobody-like-this", "group:x"])
def test_what_is_like_nothing_gets_no_proposal(word):
    policy = {**acl(word), "tagOwners": {"tag:db-1": [], "tag:srv": []}}
    (finding,) = errors(policy)
    assert "did you mean" not in finding.help


def test_a_proposed_name_is_shown_where_it_is_declared():
    (finding,) = errors(acl("tag:routr"))
    (related,) = finding.related
    assert related.label == "declared here"
    assert '"tag:router": [' in related.position.text


def test_nothing_is_proposed_that_would_open_more():
    """A condition, a protocol or the list of rules taken out opens what it closed."""
    for policy in (
        acl(srcPosture=["posture:a"]),
        acl(protocl="tcp"),
        login(recorder=["tag:srv"]),
        {"postures": {}, "acls": []},
    ):
        (finding,) = errors(policy)
        assert "remove it" not in finding.help
    (finding,) = errors(grant(), "0.28")
    assert finding.help == "upgrade to 0.29 or newer, or write the rules as acls"

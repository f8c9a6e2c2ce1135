"""What each release accepts and refuses, with the server's words and the place."""

from typing import Any

import pytest

from reconcile.errors import Position
from reconcile.policy.language.releases import RELEASES, release
from reconcile.policy.reading import diagnostics, read
from reconcile.source.hujson import parse

ALL = tuple(RELEASES)
NEW = ("0.29", "main", "tailscale")
OLD = ("0.26", "0.27", "0.28")
HOSTED = ("tailscale",)
BASE: dict[str, Any] = {
    "groups": {"group:a": ["ann@"]},
    "hosts": {"srv": "100.64.0.9", "net": "10.0.0.0/8"},
    "tagOwners": {"tag:x": ["group:a"], "tag:r": ["ann@"]},
}


def acl(src: list[str], dst: list[str], **more: Any) -> dict[str, Any]:
    return {"acls": [{"action": "accept", "src": src, "dst": dst, **more}]}


def grant(**fields: Any) -> dict[str, Any]:
    return {"grants": [{"src": ["*"], "dst": ["tag:x"], "ip": ["*"], **fields}]}


def ssh(**fields: Any) -> dict[str, Any]:
    rule = {"action": "accept", "src": ["ann@"], "dst": ["tag:x"], "users": ["root"]}
    return {"ssh": [{**rule, **fields}]}


def messages(server: str, policy: dict[str, Any]) -> list[str]:
    return [problem.message for problem in read({**BASE, **policy}, server).errors]


@pytest.mark.parametrize("server", ALL)
@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"acls": []},
        acl(["*"], ["*:*"]),
        acl(["ann@", "group:a", "tag:x", "srv", "10.0.0.0/8", "fd7a::1"], ["srv:22"]),
        acl(["*"], ["tag:x:22,80-90", "fd7a::3:22", "fd7a::/64:22", "net:*"]),
        acl(["*"], ["tag:x:22"], proto="tcp"),
        acl(["*"], ["tag:x:*"], proto="47"),
        acl(["*"], ["autogroup:internet:*"]),
        acl(["*"], ["*:*"], **{"#note": "a comment"}),
        {"ACLs": [{"Action": "accept", "SRC": ["*"], "Dst": ["*:*"]}]},
        ssh(),
        ssh(src=[], dst=[]),
        {"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:x"]}, "exitNode": ["ann@"]}},
    ],
)
def test_accepted_everywhere(server: str, policy: dict[str, Any]) -> None:
    assert messages(server, policy) == []


@pytest.mark.parametrize(
    ("policy", "said", "servers"),
    [
        (acl(["tag:no"], ["*:*"]), 'src=tag not found: "tag:no"', ALL),
        (acl(["*"], ["tag:no:1"]), 'dst="tag:no": tag not found: "tag:no"', ALL),
        (acl(["*"], ["tag:x:ssh"]), 'port range "ssh": invalid first integer', ALL),
        (acl(["ann"], ["*:*"]), '"ann": invalid address', HOSTED),
        (acl(["ann"], ["*:*"]), 'host not defined in policy: "ann"', ALL[:5]),
        (acl(["group:no"], ["*:*"]), 'group not found: "group:no"', HOSTED),
        (
            acl(["group:no"], ["*:*"]),
            'group not defined in policy: "group:no"',
            ALL[:5],
        ),
        ({"acls": [{"action": "deny"}]}, 'action="deny" is not supported', ALL),
        (acl(["autogroup:self"], ["*:*"]), '"autogroup:self"', ALL),
        (acl(["*"], ["tag:x:0"]), "first port must be >0", ALL[1:]),
        (acl(["*"], ["[10.0.0.1]:22"]), '"[10.0.0.1]"', ALL),
        (acl(["*"], ["[fd7a::/64]:22"]), '"[fd7a::/64]"', ALL),
        (acl(["*"], ["[fd7a::1]:22"]), 'invalid alias format: "[fd7a::1]"', OLD),
        (acl(["*"], ["*:*"], proto="*"), 'proto name "*" not known', ALL),
        (acl(["*"], ["*:*"], proto=47), "not a number", ("0.26", "tailscale")),
        (acl(["*"], ["*:*"], proto=300), "out of range (0-255): 300", ALL[1:5]),
        (acl(["*"], ["*:*"], proto=6.5), 'protocol number: "6.5" must', ALL[1:5]),
        (acl(["*"], ["*:*"], proto=None), "not nothing", ALL[1:5]),
        (acl(["*"], ["*:*"], proto=True), "not true/false", ALL),
        (acl(["*"], ["*:*"], proto="TCP"), "must be a known protocol", ("0.26",)),
        (
            acl(["*"], ["*:*"], proto="06"),
            'leading 0 not permitted in protocol number: "06"',
            (*OLD[1:], "tailscale"),
        ),
        (
            acl(["*"], ["*:*"], proto="256"),
            "protocol number out of range (0-255): 256",
            ALL[1:],
        ),
        (acl(["*"], ["*:22"], proto="icmp"), 'only "*" is allowed', ALL[1:5]),
        (
            acl(["*"], ["*:22"], proto="6"),
            'protocol "6" does not support specific ports; only "*" is allowed',
            OLD[1:],
        ),
        (acl(["autogroup:member"], ["*:*"]), "invalid autogroup", ("0.26",)),
        (acl(["autogroup:danger-all"], ["*:*"]), "invalid autogroup", OLD),
        (acl(["autogroup:admin"], ["*:*"]), "invalid autogroup", ALL[:5]),
        (
            acl(["*"], ["autogroup:danger-all:*"]),
            "cannot use autogroup:danger-all as a dst",
            NEW,
        ),
        (
            acl(["tag:x"], ["autogroup:self:*"]),
            "can only be used with users, groups, or supported autogroups",
            NEW,
        ),
        (acl(["*"], ["*:*"], extra=1), 'unknown field: "extra"', NEW),
        (acl(["*"], ["*:*"], extra=1), 'unknown field "extra"', OLD[1:]),
        ({"foo": 1}, 'unknown field: "foo"', NEW),
        (grant(), 'unknown field "grants"', OLD[1:]),
        (grant(ip=[]), "ip and app can not both be empty", NEW),
        (grant(ip=["icmp"]), 'port range "icmp": invalid first integer', NEW),
        (grant(ip=["tcp:0"]), 'port range "0": first port must be >0', NEW),
        (grant(dst=["::/0"]), 'dst "::/0": to allow all IP addresses', NEW),
        (grant(dst=["autogroup:self"]), "autogroup:self can only be used", NEW),
        (grant(via=["ann@"]), "via can only be a tag", NEW),
        (grant(via=["tag:no"]), 'tag "tag:no" not found', NEW),
        (grant(app={"https://x.y/z": []}), "must have the form {domain}/{path}", NEW),
        (grant(app={"nodot/z": []}), "must have the form {domain}/{path}", NEW[2:]),
        (grant(ip=["TCP:22"]), 'invalid protocol number: "TCP"', NEW[:2]),
        (grant(ip=[" 80 "]), 'port range " 80 "', NEW[:2]),
        (acl(["*"], ["tag:x:0-9"]), "first port must be >0", NEW[2:]),
        (acl(["*"], ["tag:x:1--5"]), "invalid port range format", NEW[2:]),
        (acl(["*"], ["tag:x:80 "]), "invalid first integer", ALL[:5]),
        (acl(["*"], [" tag:x:80"]), "invalid alias format", NEW[:2]),
        (acl(["*"], ["*:*"], proto=" tcp "), 'number: " tcp "', ALL[:5]),
        (acl(["*"], ["*:*"], SRC=[]), 'duplicate object member name "SRC"', ALL),
        ({"hosts": {"a:b": "10.0.0.1"}}, 'invalid hostname: "a:b"', ALL),
        ({"hosts": {"a": " 10.0.0.1"}}, "invalid address", ALL[:5]),
        ({"groups": {"group:a": None}}, "must be a list, not nothing", ALL[1:5]),
        ({"tagOwners": {"x": []}}, "tag names must start", ALL[1:5]),
        ({"tagOwners": {"x": []}}, "tags must start with 'tag:'", ("tailscale",)),
        ({"tagOwners": {"tag:": []}}, "tag names must start", NEW[:2]),
        ({"tagOwners": {"tag:": []}}, "tag names must not be empty", ("tailscale",)),
        ({"tagOwners": {"tag:é": []}}, "tag names must start with a letter", NEW),
        *(
            ({"tagOwners": {name: []}}, "can only contain numbers, letters", NEW[2:])
            for name in ("tag:a_b", "tag:a b", "tag:aé", "tag:a:b")
        ),
        (
            {"tagOwners": {"tag:x": ["autogroup:member"]}},
            '"autogroup:member" cannot own a tag',
            ALL[1:5],
        ),
        (
            {"autoApprovers": {"exitNode": ["autogroup:member"]}},
            "cannot approve routes",
            ALL[1:5],
        ),
        (
            {"autoApprovers": {"routes": {"10.0.0.0": []}}},
            "invalid prefix",
            ALL[:5],
        ),
        (
            grant(app={"tailscale.com/cap/funnel": []}),
            "must not be in the tailscale.com domain",
            NEW,
        ),
        (
            grant(app={"a.b/c": []}, dst=["autogroup:internet"]),
            "cannot use app grants with autogroup:internet",
            NEW,
        ),
        (ssh(action=""), "action must be specified", ALL),
        (ssh(action="Accept"), '"Accept" is not a valid action', ALL),
        (ssh(users=None), "users must be specified", NEW),
        (ssh(users=["root", ""]), 'user "" is not valid', NEW),
        (ssh(users=["*"]), 'user "*" is not valid', NEW),
        (ssh(acceptEnv=[""]), "acceptEnv values cannot be empty", NEW),
        (ssh(acceptEnv=["A"]), 'unknown field "acceptEnv"', OLD[1:]),
        (ssh(recorder=["tag:x"]), 'unknown field "recorder"', OLD[1:]),
        (ssh(recorder=["tag:x"]), 'unknown field: "recorder"', NEW[:2]),
        (ssh(enforceRecorder=True), 'unknown field: "enforceRecorder"', NEW[:2]),
        (ssh(dst=["srv"]), 'invalid dst "srv"', ("0.26", *NEW)),
        (ssh(dst=["100.64.0.9"]), 'invalid dst "100.64.0.9"', ALL),
        (ssh(src=["*"]), "not valid on the src side", ALL[:5]),
        (ssh(dst=["*"]), 'invalid dst "*"', ("0.28", *NEW)),
        (ssh(src=["srv"]), "not valid on the src side", ALL[:5]),
        (ssh(src=["tag:x"], dst=["ann@"]), "tags in SSH source", ("0.28", *NEW)),
        (ssh(src=["ann@", "ben@"], dst=["ann@"]), "only that same user", ALL[2:5]),
        (ssh(src=["ann@", " ann@"], dst=["ann@"]), "only that same user", ("0.28",)),
        (ssh(src=["ann@", "ann@"], dst=["ann@"]), "only that same user", ()),
        (ssh(src=["group:a"], dst=["ann@"]), "only that same user", ALL[2:5]),
        (ssh(src=["ben@"], dst=["ann@"]), "allowed from the same user", NEW[2:]),
        (ssh(src=[], dst=["ann@"]), "same user", ALL[2:5]),
        (ssh(checkPeriod="1h"), 'only valid with action "check"', ALL[3:5]),
        (
            ssh(action="check", checkPeriod="abc"),
            'time: invalid duration "abc"',
            NEW,
        ),
        (
            ssh(action="check", checkPeriod="168h1s"),
            "checkPeriod 168h0m1s is above the max (168h)",
            NEW,
        ),
        (
            ssh(action="check", checkPeriod="-1m"),
            "checkPeriod -1m0s must be a positive duration",
            NEW,
        ),
        (
            ssh(action="check", checkPeriod="always"),
            'not a valid duration string: "always"',
            OLD,
        ),
        *(
            (ssh(action="check", checkPeriod=text), said, OLD)
            for text, said in (
                ("9" * 400 + "h", "not a valid duration string"),
                ("1h" + "9" * 400 + "m", "not a valid duration string"),
                ("9223372036854775808s", "not a valid duration string"),
                ("9223372036854775807s", "duration out of range"),
                ("293y", "duration out of range"),
            )
        ),
        (ssh(action="check", checkPeriod="0" * 400 + "1h"), "duration", ()),
        *(
            (ssh(action="check", checkPeriod=text), f"time: {said}", NEW)
            for text, said in (
                ("", 'invalid duration ""'),
                ("1h 30m", 'unknown unit "h " in duration "1h 30m"'),
                ("12", 'missing unit in duration "12"'),
                ("1d", 'unknown unit "d" in duration "1d"'),
                ("1h-5m", 'unknown unit "h-" in duration "1h-5m"'),
                ("--1h", 'invalid duration "--1h"'),
                ("h", 'invalid duration "h"'),
                ("9999999h", 'invalid duration "9999999h"'),
                ("9" * 400 + "h", f'invalid duration "{"9" * 400}h"'),
            )
        ),
        (acl(["*"], ["*:*"], proto="fc"), 'number: "fc"', OLD),
        (
            {"groups": {"group:o": ["group:a"], "group:a": []}},
            'groups["group:o"]: "group:a": group members cannot be recursive',
            ALL,
        ),
        (
            {"tagOwners": {"tag:x": [], "tag:r": [], "tag:1": []}},
            "tagOwners[\"tag:1\"]: tag names must start with a letter, after 'tag:'",
            NEW,
        ),
        (
            {"tagOwners": {"tag:x": ["tag:r"], "tag:r": []}},
            "cannot own a tag",
            ("0.26", "0.27"),
        ),
        (
            {"tagOwners": {"tag:x": ["tag:x"], "tag:r": []}},
            "circular reference",
            OLD,
        ),
        ({"hosts": {"a": "b"}}, "invalid address", ALL),
        (
            {"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:no"]}}},
            'tag not found: "tag:no"',
            ALL,
        ),
        ({"nodeAttrs": [{"target": ["%b%"]}]}, '"%b%": invalid address', HOSTED),
        ({"nodeAttrs": [{"target": ["fd7a::zz"]}]}, 'format: "fd7a::zz"', NEW[:2]),
        ({"nodeAttrs": [{"target": ["tag:no"]}]}, 'tag not found: "tag:no"', NEW),
        (
            {"nodeAttrs": [{"target": ["*"], "attr": ["funnel"]}]},
            "not supported",
            ("0.29", "main"),
        ),
        (
            {"nodeAttrs": [{"target": ["*"], "ipPool": ["100.100.100.0/25"]}]},
            "IPPool(100.100.100.0/25): network within reserved range",
            NEW,
        ),
        (
            {"nodeAttrs": [{"target": ["*"], "app": ["x"]}]},
            "nodeAttrs[0].app must be an object, not a list",
            ("tailscale",),
        ),
        (
            {"sshTests": [{"src": "ann@", "dst": ["10.0.0.0/8"]}]},
            'SSH tests dst contains disallowed element "10.0.0.0/8"',
            NEW,
        ),
        (
            {"sshTests": [{"src": "ann@", "dst": ["tag:x:22"]}]},
            'SSH tests dst contains unknown tag "tag:x:22"',
            NEW,
        ),
        ({"acls": 3}, "must be a list of rules, not a number", ALL),
        ({"acls": [3]}, "acls[0] must be an object, not a number", ALL),
        ({"acls": [], "ACLs": []}, "are the same field", ALL),
        ({"randomizeClientPort": "yes"}, "must be true or false", NEW),
    ],
)
def test_refused(policy: dict[str, Any], said: str, servers: tuple[str, ...]) -> None:
    for server in ALL:
        found = any(said in message for message in messages(server, policy))
        assert found == (server in servers), (server, messages(server, policy))


def test_an_acl_entry_without_action() -> None:
    rule = {"src": ["*"], "dst": ["*:*"]}
    refusing = [server for server in ALL if messages(server, {"acls": [rule]})]
    assert refusing == [*OLD, "tailscale"]


def test_old_servers_take_any_name_as_ssh_destination() -> None:
    for text in ("unknown", "300.1.2.3"):
        taking = [server for server in ALL if not messages(server, ssh(dst=[text]))]
        assert taking == ["0.27", "0.28"]


def test_grants_take_ports_with_any_protocol() -> None:
    for server in NEW:  # seen on a running main; ACL entries refuse it
        assert messages(server, grant(ip=["icmp:22"])) == []


def test_026_ignores_what_it_does_not_know() -> None:
    policy = read({**BASE, **grant(), "foo": 1}, "0.26")
    assert not policy.errors
    assert [p.severity for p in policy.problems] == ["warning"] * 2
    assert policy.rules == ()  # and nothing is allowed there


def test_missing_is_not_empty() -> None:
    assert read({}, "main").rules is None
    assert read({}, "0.26").rules == ()  # seen on a running 0.26.1: nothing is allowed
    assert read({"acls": None}, "main").rules is None
    assert read({"acls": []}, "main").rules == ()
    assert read({"grants": []}, "main").rules == ()


def test_domains_of_the_hosted_service() -> None:
    value = {**BASE, **ssh(src=["user:*@example.org"])}
    (problem,) = read(value, "tailscale", ["example.com"]).errors
    assert problem.message == (
        "[ssh] example.org is not associated with this Tailnet and cannot be used in "
        "user:*@<domain> expressions"
    )
    assert not read(value, "tailscale", ["example.org"]).errors
    assert not read(value, "tailscale").errors  # nobody told the domains
    assert not read(value, "main").errors  # a user there, of whom there is none


def test_members_of_a_mail_domain() -> None:
    value = {**BASE, "groups": {"group:a": ["user:*@example.org"]}}
    (problem,) = read(value, "tailscale", ["example.com"]).errors
    assert problem.message.startswith(
        'groups["group:a"]: example.org is not associated'
    )
    for server in ALL:  # to Headscale it is a user, of whom there is none
        assert not read(value, server, ["example.org"]).errors


def test_findings_have_their_places() -> None:
    document = parse('{"acls": [\n {"action": "accept", "src": ["tag:no"],\n "x": 1}]}')

    def locate(path: tuple[str | int, ...], key: bool) -> Position:
        return document.locate(path, key)

    found = diagnostics(read(document.value, "main").errors, locate)
    places = [(d.position.line, d.position.column) for d in found if d.position]
    assert sorted(places) == [(2, 31), (3, 2)]
    assert all(d.code.startswith("RC06") for d in found)


def test_unknown_releases_read_like_main() -> None:
    assert release("9.99") == release("main")


def test_a_rule_is_read_again_where_its_words_may_mean_something_else() -> None:
    rules = [{"action": "accept", "src": ["tag:x"], "dst": ["srv:22"]}]
    before = read({**BASE, "acls": rules}, "main")
    assert before.rules
    same = read({**BASE, "acls": [*rules, *rules]}, "main", like=before)
    assert same.rules
    assert same.rules[0] is before.rules[0]
    assert same.rules[1].index == 1
    fewer = {**BASE, "hosts": {}, "acls": rules}
    assert read(fewer, "main", like=before).errors
    older = read({**BASE, "acls": rules}, "0.28", like=before)
    assert older == read({**BASE, "acls": rules}, "0.28")
    wrong = {**BASE, "acls": [*rules, {"action": "deny", "src": [], "dst": []}]}
    again = read({**BASE, "acls": rules}, "main", like=read(wrong, "main"))
    assert again == before

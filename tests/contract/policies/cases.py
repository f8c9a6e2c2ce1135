"""The reviewed policies whose answers are recorded, each named after what it shows."""

import itertools
from collections.abc import Iterator
from typing import Any

from tests.contract.policies.generator import AMBIGUOUS, HOSTS, TAGS, Policy
from tests.contract.policies.mistakes import policies

RANDOM = 15  # random policies recorded beside the named ones
# Of the policies that clients are asked, those recorded: the most different ones.
KEPT = (0, 3, 8, 9, 10, 12, 13, 14, 16, 18, 20, 22, 26, 29, 32, 33, 40, 42, 44, 49)

BASE: Policy = {
    "groups": {
        "group:ops": ["alice@example.com", "bob@"],
        "group:empty": [],
        "group:mixed": ["carol@", "nobody@"],
    },
    "hosts": HOSTS,
    "tagOwners": {tag: ["group:ops"] for tag in TAGS},
}


def _acl(src: list[str], dst: list[str], **more: Any) -> Policy:
    return {"acls": [{"action": "accept", "src": src, "dst": dst, **more}]}


def _grant(src: list[str], dst: list[str], **more: Any) -> Policy:
    return {"grants": [{"src": src, "dst": dst, **(more or {"ip": ["*"]})}]}


def _ssh(src: list[str], dst: list[str], users: list[str], **more: Any) -> Policy:
    rule = {"action": "accept", "src": src, "dst": dst, "users": users}
    return {"acls": [], "ssh": [{**rule, **more}]}


def _test(**test: Any) -> Policy:
    return {**_acl(["alice@"], ["tag:web:80"]), "tests": [{"src": "alice@", **test}]}


def _ssh_test(**test: Any) -> Policy:
    rules = _ssh(["group:ops", "tag:db"], ["tag:web"], ["admin"])
    return {**rules, "sshTests": [{"src": "alice@", "dst": ["tag:web"], **test}]}


_CAPABILITY = {"example.com/cap/admin": [{"level": 1}]}

NAMED: dict[str, Policy] = {
    # Rules.
    "neither-acls-nor-grants": {},
    "acls-are-empty": {"acls": []},
    "acls-are-null": {"acls": None},
    "destinations-without-a-port": _acl(["alice@"], ["*", "bob@", "10.0.0.1"]),
    "protocols-beyond-255": {
        "acls": [
            {"action": "accept", "src": ["alice@"], "dst": ["*:*"], "proto": proto}
            for proto in ("300", "-1")
        ]
    },
    "protocol-numbers-with-a-sign": {
        "acls": [
            {"action": "accept", "src": ["alice@"], "dst": ["*:*"], "proto": proto}
            for proto in ("+6", "-0", "+017")
        ]
    },
    "granted-protocol-numbers-with-a-sign": _grant(
        ["alice@"], ["tag:web"], ip=["+6:80", "-0:*"]
    ),
    "everybody-to-everything": _acl(["*"], ["*:*"]),
    "users-by-name-and-by-mail": _acl(["alice@", "bob@example.com"], ["carol@:22"]),
    "mail-in-another-case-is-nobody": _acl(["dave@other.example"], ["tag:web:80"]),
    "tokens-with-a-star-before-the-at": _acl(["user:*@example.com"], ["tag:web:80"]),
    "groups-empty-and-with-a-stranger": _acl(
        ["group:empty", "group:mixed"], ["group:ops:80-90,443"]
    ),
    "tags-and-a-node-with-two": _acl(["tag:db", "tag:idle"], ["tag:web:*"]),
    "autogroups": _acl(["autogroup:member"], ["autogroup:tagged:22"]),
    "autogroup-self-beside-others": _acl(["*"], ["autogroup:self:*", "tag:web:80"]),
    "autogroup-self-from-a-tag": _acl(["tag:web"], ["autogroup:self:*"]),
    "autogroup-internet": _acl(["alice@"], ["autogroup:internet:443"]),
    "autogroup-danger-all": _acl(["autogroup:danger-all"], ["tag:web:80"]),
    "addresses-and-the-other-family": _acl(
        ["100.64.0.1", "fd7a:115c:a1e0::3"], ["server4:22", "server6:23", "pair:80"]
    ),
    "networks-behind-routers": _acl(
        ["lan", "192.168.7.0/24"], ["lan6:*", "10.2.0.7:80"]
    ),
    "protocols-by-name-and-number": {
        "acls": [
            *_acl(["alice@"], ["tag:web:80"], proto="TCP")["acls"],
            *_acl(["bob@"], ["tag:web:*"], proto="icmp")["acls"],
            *_acl(["carol@"], ["tag:web:*"], proto="47")["acls"],
        ]
    },
    "protocol-number-with-ports": _acl(["*"], ["tag:web:80"], proto="6"),
    "protocol-in-blanks": _acl(["*"], ["tag:web:80"], proto=" tcp "),
    "protocol-that-does-not-exist": _acl(["alice@"], ["tag:web:80"], proto="nosuch"),
    "protocol-that-does-not-exist-from-nobody": _acl(
        ["tag:idle"], ["tag:web:80"], proto="nosuch"
    ),
    "ports-with-icmp": _acl(["*"], ["tag:web:80"], proto="icmp"),
    "port-zero": _acl(["*"], ["tag:web:0"]),
    "port-range-from-zero": _acl(["*"], ["tag:web:0-100"]),
    "port-range-with-two-dashes": _acl(["*"], ["tag:web:1--5"]),
    "port-with-a-sign": _acl(["*"], ["tag:web:+80"]),
    "protocol-as-a-number": _acl(["*"], ["tag:web:*"], proto=47),
    "protocol-that-is-null": _acl(["*"], ["tag:web:*"], proto=None),
    "port-by-name": _acl(["*"], ["tag:web:ssh"]),
    "brackets": _acl(["*"], ["[fd7a:115c:a1e0::9]:22"]),
    "blanks-before-a-destination": _acl(["*"], [" tag:web:80"]),
    "blanks-around-a-source": _acl([" tag:web "], ["tag:db:80"]),
    "action-deny": _acl(["*"], ["*:*"], action="deny"),
    "field-twice-in-another-case": _acl(["*"], ["tag:web:80"], SRC=["tag:db"]),
    # Names.
    "undeclared-tag": _acl(["tag:unknown"], ["tag:web:80"]),
    "undeclared-host": _acl(["unknown"], ["tag:web:80"]),
    "nested-groups": {"groups": {"group:ops": [], "group:out": ["group:ops"]}},
    "members-in-blanks-and-of-a-mail-domain": {
        **_acl(["group:odd"], ["tag:web:80"]),
        "groups": {
            **BASE["groups"],
            "group:odd": [" alice@ ", "user:*@example.com"],
        },
    },
    "group-that-is-null": {"groups": {"group:ops": [], "group:out": None}},
    "host-with-a-colon": {"acls": [], "hosts": {"a:b": "10.0.0.1"}},
    "host-address-in-blanks": {"acls": [], "hosts": {"one": " 10.0.0.1 "}},
    "tag-without-its-prefix": {"acls": [], "tagOwners": {"web": ["alice@"]}},
    "tag-owned-by-a-tag": {"acls": [], "tagOwners": {"tag:a": ["tag:b"], "tag:b": []}},
    "tag-owned-by-an-autogroup": {
        "acls": [],
        "tagOwners": {"tag:a": ["autogroup:member"]},
    },
    "user-without-a-mail-by-an-at-alone": _acl(["@"], ["tag:web:80"]),
    "group-in-a-group-by-an-at": {
        **_acl(["group:out"], ["tag:web:80"]),
        "groups": {**BASE["groups"], "group:out": ["group:ops@", "carol@"]},
    },
    "token-of-two-users-in-acls": _acl([AMBIGUOUS, "alice@"], ["tag:web:80"]),
    "token-of-two-users-in-grants": _grant([AMBIGUOUS, "alice@"], ["tag:web"]),
    "approvers": {
        "acls": [],
        "autoApprovers": {
            "routes": {"10.0.0.0/8": ["group:ops"], "fd00::/16": ["tag:router"]},
            "exitNode": ["alice@"],
        },
    },
    "approver-of-a-bare-address": {
        "acls": [],
        "autoApprovers": {"routes": {"10.0.0.0": ["alice@"]}},
    },
    "approver-that-is-an-autogroup": {
        "acls": [],
        "autoApprovers": {"exitNode": ["autogroup:member"]},
    },
    # Grants.
    "grant-of-ports": _grant(["*"], ["tag:web"], ip=["22", "udp:53", "icmp:*"]),
    "grant-with-a-protocol-in-capitals": _grant(["*"], ["tag:web"], ip=["TCP:22"]),
    "grant-of-ports-in-blanks": _grant(["*"], ["tag:web"], ip=[" 80 "]),
    "grant-of-a-capability": _grant(
        ["group:ops", "lan"], ["tag:web", "lan"], app=_CAPABILITY
    ),
    "grant-with-a-companion": _grant(
        ["autogroup:danger-all"], ["carol@"], app={"tailscale.com/cap/relay": []}
    ),
    "grant-of-a-capability-on-a-stranger": _grant(
        ["alice@"], ["group:mixed", "tag:db"], app=_CAPABILITY
    ),
    "grant-of-a-capability-without-a-domain": _grant(
        ["alice@"], ["tag:web"], app={"nodomain": []}
    ),
    "grant-through-a-router": {
        "grants": [
            *_grant(["alice@"], ["10.1.0.0/16"], ip=["80"], via=["tag:router"])[
                "grants"
            ],
            *_grant(["bob@"], ["tag:web"], ip=["443"])["grants"],
        ]
    },
    # SSH.
    "ssh-to-a-tag": _ssh(["group:ops", "tag:db"], ["tag:web"], ["root", "admin"]),
    "ssh-to-the-own-devices": _ssh(
        ["autogroup:member"], ["autogroup:self"], ["autogroup:nonroot"], action="check"
    ),
    "ssh-to-a-user": _ssh(["alice@"], ["alice@"], ["autogroup:nonroot", "root"]),
    "ssh-to-another-user": _ssh(["alice@"], ["carol@"], ["root"]),
    "ssh-to-a-user-who-is-named-twice": _ssh(["alice@", "alice@"], ["alice@"], ["git"]),
    "ssh-to-any": _ssh(["alice@"], ["*"], ["root"]),
    "ssh-to-a-host": _ssh(["alice@"], ["server4"], ["root"]),
    "ssh-to-what-is-no-host": _ssh(["alice@"], ["300.1.2.3"], ["root"]),
    "ssh-as-nobody": _ssh(["alice@"], ["tag:web"], []),
    "ssh-as-the-local-part": _ssh(
        ["group:ops", "carol@", "tag:db"],
        ["tag:web"],
        ["localpart:*@example.com", "localpart:*@a@b", "localpart:alice@example.com"],
    ),
    "ssh-as-the-local-part-of-another-domain": _ssh(
        ["group:ops"], ["tag:web"], ["localpart:*@other.example", "root"]
    ),
    "ssh-check-before-accept": {
        "acls": [],
        "ssh": [
            *_ssh(["alice@"], ["tag:web"], ["root"])["ssh"],
            *_ssh(["bob@"], ["tag:web"], ["admin"], action="check")["ssh"],
        ],
    },
    "ssh-accept-with-a-period": _ssh(
        ["alice@"], ["tag:web"], ["root"], checkPeriod="1h"
    ),
    "ssh-period-without-a-unit": _ssh(
        ["alice@"], ["tag:web"], ["root"], action="check", checkPeriod="12"
    ),
    "ssh-period-of-a-day": _ssh(
        ["alice@"], ["tag:web"], ["root"], action="check", checkPeriod="1d"
    ),
    "ssh-with-environment": _ssh(["alice@"], ["tag:web"], ["root"], acceptEnv=["LC_*"]),
    # What only the newest have.
    "attributes": {
        "acls": [],
        "nodeAttrs": [{"target": ["group:ops", "tag:web"], "attr": ["magicdns-aaaa"]}],
    },
    "attributes-for-a-stranger": {
        "acls": [],
        "nodeAttrs": [{"target": ["group:mixed"], "attr": ["magicdns-aaaa"]}],
    },
    "test-that-passes": _test(accept=["tag:web:80"], deny=["tag:web:81"]),
    "test-that-fails": _test(accept=["tag:web:81"]),
    "test-from-a-group-with-a-stranger": _test(src="group:mixed", deny=["tag:db:80"]),
    "test-of-a-protocol-that-no-rule-names": _test(accept=["tag:web:80"], proto="sctp"),
    "test-from-neighbours": {
        # Headscale takes the phone and the desk, of which no rule names, as one.
        **_acl(["alice@", "100.64.0.6", "fd7a:115c:a1e0::6"], ["tag:web:80"]),
        "tests": [{"src": "group:ops", "accept": ["tag:web:80"]}],
    },
    "test-from-a-role": _test(src="autogroup:admin", deny=["tag:web:81"]),
    "test-from-a-mail-domain": _test(src="user:*@example.com", deny=["tag:web:81"]),
    "test-from-blanks": _test(src=" alice@", deny=["tag:web:81"]),
    "test-of-a-destination-in-blanks": _test(deny=["tag:web:81 "]),
    "test-of-a-range-of-one-port": _test(accept=["tag:web:80-80"]),
    "test-of-IPv4-in-brackets": _test(deny=["[100.64.0.9]:81"]),
    "test-of-a-protocol-as-a-number": _test(accept=["tag:web:80"], proto=6),
    "test-of-any-destination": _test(deny=["*:81"]),
    "test-of-any-destination-is-of-no-network": {
        **_acl(["alice@"], ["lan:80"]),
        "tests": [{"src": "alice@", "accept": ["*:80"]}],
    },
    "test-from-any-source-is-from-no-network": {
        **_acl(["100.64.0.0/10", "fd7a:115c:a1e0::/48"], ["tag:web:80"]),
        "tests": [{"src": "*", "accept": ["tag:web:80"]}],
    },
    "test-from-the-internet": _test(src="autogroup:internet", deny=["tag:web:80"]),
    "test-from-the-internet-that-fails": _test(
        src="autogroup:internet", accept=["tag:web:80"]
    ),
    "ssh-test-that-passes": _ssh_test(accept=["admin"], deny=["root"]),
    "ssh-test-that-fails": _ssh_test(check=["admin"]),
    "ssh-test-of-an-empty-login": _ssh_test(deny=[""]),
    "ssh-test-of-a-login-in-blanks": _ssh_test(accept=[" admin "]),
    "ssh-test-of-an-address-with-its-length": _ssh_test(
        dst=["100.64.0.9/32"], accept=["admin"]
    ),
    "ssh-test-of-a-network-by-its-alias": _ssh_test(dst=["pair"], deny=["root"]),
    "ssh-test-from-more-than-nodes": _ssh_test(src="100.64.0.0/30", accept=["admin"]),
    "ssh-test-of-any-destination": _ssh_test(dst=["*"], deny=["root"]),
    "unknown-section": {"acls": [], "postures": {}},
}


def complete(policy: Policy) -> Policy:
    """Return a policy with what it takes over from BASE."""
    return {**BASE, **policy}


def short(policy: Policy) -> Policy:
    """Return a policy without what it has in common with BASE."""
    return {k: v for k, v in policy.items() if k not in BASE or BASE[k] != v}


def cases(release: str) -> Iterator[tuple[str, Policy]]:
    """Yield the policies that are recorded for a release, with their names."""
    for name, policy in NAMED.items():
        yield name, complete(policy)
    for number, policy in enumerate(
        itertools.islice(policies(release, "kept"), RANDOM)
    ):
        yield f"random-{number}", complete(policy)

"""Policies that one version or another refuses, each with its reason."""

import json
from typing import Any

from .steps import (
    POLICY,
    put_policy,
    scenario,
)


def _accept(**fields: Any) -> str:
    rule = {"action": "accept", "src": ["*"], "dst": ["*:*"]} | fields
    return json.dumps({"acls": [rule]}) + "\n"


def _with(**sections: Any) -> str:
    return json.dumps({"acls": []} | sections) + "\n"


def _ssh(**fields: Any) -> str:
    rule = {"action": "accept", "src": ["alice@"], "dst": ["alice@"], "users": ["root"]}
    return _with(
        tagOwners={"tag:web": []}, groups={"group:ops": ["bob@"]}, ssh=[rule | fields]
    )


POLICY_TEXTS = {
    "syntax": (
        "{",
        '{"acls": []} // no newline',
        '{"acls": []} // newline\n',
        '{"acls": [] "groups": {}}\n',
        "{'acls': []}\n",
        "{acls: []}\n",
        '{"acls": [],,}\n',
        '/* open {"acls": []}\n',
        '{"acls": [],}\n',
        '{"acls": [], "acls": []}\n',
        '{"groups": {"group:a": [], "group:a": []}}\n',
        '{"ACLs": []}\n',
        '{"foo": 1}\n',
        '{"acls": {}}\n',
        '{"acls": [1]}\n',
        '{"acls": [{"action": 1}]}\n',
        '{"groups": []}\n',
        '{"hosts": {"a": 1}}\n',
        '{"tagOwners": {"tag:a": "alice@"}}\n',
    ),
    "sections": (
        _with(foo={}),
        _with(postures={}),
        _with(ipsets={}),
        _with(grants=[]),
        _with(nodeAttrs=[]),
        _with(tests=[]),
        _with(sshTests=[]),
        _with(randomizeClientPort=True),
        _with(derpMap={}),
        _accept(foo=1),
        _accept(**{"#comment": "x"}),
        _accept(proto="tcp"),
        _with(autoApprovers={"foo": []}),
        _with(groups=None, hosts=None, tagOwners=None, autoApprovers=None, ssh=None),
    ),
    "names": (
        _accept(src=["group:none"]),
        _accept(src=["tag:none"]),
        _accept(src=["host-none"]),
        _accept(dst=["group:none:*"]),
        _accept(dst=["tag:none:*"]),
        _accept(dst=["host-none:*"]),
        _accept(src=["nobody@"]),
        _accept(src=["alice"]),
        _accept(src=["alice@example.com"]),
        _accept(src=["10.0.0.0/8"]),
        _accept(src=["10.0.0.1/8"]),
        _accept(src=["10.0.0.0/99"]),
        _accept(src=["autogroup:member"]),
        _accept(src=["autogroup:tagged"]),
        _accept(src=["autogroup:admin"]),
        _accept(src=["autogroup:nosuch"]),
        _accept(src=["autogroup:self"]),
        _accept(src=["autogroup:internet"]),
        _accept(dst=["autogroup:internet:*"]),
        _accept(src=["autogroup:member"], dst=["autogroup:self:*"]),
        _accept(dst=["autogroup:self:*"]),
        _accept(dst=["autogroup:member:*"]),
        _accept(dst=["autogroup:admin:*"]),
        _accept(src=["10.0.0.1"], dst=["autogroup:self:*"]),
        _accept(src=["autogroup:danger-all"]),
        _accept(dst=["autogroup:danger-all:*"]),
        _accept(src=[""]),
        _accept(src=[]),
        _accept(dst=[]),
    ),
    "rules": (
        _accept(action="deny"),
        _accept(action=""),
        _accept(action="Accept"),
        json.dumps({"acls": [{"src": ["*"], "dst": ["*:*"]}]}) + "\n",
        _accept(dst=["*"]),
        _accept(dst=["*:"]),
        _accept(dst=["*:ssh"]),
        _accept(dst=["*:0"]),
        _accept(dst=["*:22-21"]),
        _accept(dst=["*:70000"]),
        _accept(dst=["*:22,80-90"]),
        _accept(dst=["10.0.0.1:22"]),
        _accept(dst=["fd7a::3:22"]),
        _accept(dst=["[fd7a::3]:22"]),
        _accept(dst=["10.0.0.0/8:22"]),
        _accept(proto="nosuch"),
        _accept(proto="*"),
        _accept(proto="icmp"),
        _accept(proto="icmp", dst=["*:22"]),
        _accept(proto="6", dst=["*:22"]),
        _accept(proto="300"),
        _accept(proto="06"),
    ),
    "definitions": (
        _with(groups={"ops": []}),
        _with(groups={"group:ops": ["alice"]}),
        _with(groups={"group:ops": ["group:other"], "group:other": []}),
        _with(groups={"group:ops": ["tag:web"]}),
        _with(groups={"group:Ops X": ["alice@"]}),
        _with(hosts={"web": "10.0.0.1"}),
        _with(hosts={"web": "10.0.0.0/8"}),
        _with(hosts={"web": "nonsense"}),
        _with(hosts={"web": "10.0.0.1/8"}),
        _with(hosts={"we:b": "10.0.0.1"}),
        _with(hosts={"w@b": "10.0.0.1"}),
        _with(tagOwners={"web": ["alice@"]}),
        _with(tagOwners={"tag:web": ["group:none"]}),
        _with(tagOwners={"tag:web": ["alice"]}),
        _with(tagOwners={"tag:web": ["tag:db"], "tag:db": []}),
        _with(tagOwners={"tag:web": ["tag:none"]}),
        _with(tagOwners={"tag:web": ["tag:db"], "tag:db": ["tag:web"]}),
        _with(tagOwners={"tag:web": ["autogroup:admin"]}),
        _with(tagOwners={"tag:web": ["autogroup:member"]}),
        _with(tagOwners={"tag:9": []}),
        _with(tagOwners={"tag:Web": []}),
        _with(tagOwners={"tag:": []}),
        _with(tagOwners={"tag:web": ["*"]}),
        _with(autoApprovers={"routes": {"10.0.0.0/8": ["tag:none"]}}),
        _with(autoApprovers={"routes": {"10.0.0.0/8": ["group:none"]}}),
        _with(autoApprovers={"routes": {"10.0.0.0/8": ["alice"]}}),
        _with(autoApprovers={"routes": {"nonsense": ["alice@"]}}),
        _with(autoApprovers={"routes": {"10.0.0.1/8": ["alice@"]}}),
        _with(autoApprovers={"routes": {"10.0.0.1": ["alice@"]}}),
        _with(autoApprovers={"exitNode": ["tag:none"]}),
        _with(autoApprovers={"exitNode": ["autogroup:member"]}),
    ),
    "ssh": (
        _ssh(),
        _ssh(dst=["bob@"]),
        _ssh(dst=["*"]),
        _ssh(src=["*"]),
        _ssh(dst=["tag:web"]),
        _ssh(dst=["tag:none"]),
        _ssh(src=["group:none"]),
        _ssh(src=["group:ops"], dst=["autogroup:self"]),
        _ssh(src=["autogroup:member"], dst=["autogroup:self"]),
        _ssh(src=["tag:web"], dst=["autogroup:member"]),
        _ssh(src=["tag:web"], dst=["alice@"]),
        _ssh(action="check"),
        _ssh(action="check", checkPeriod="12h"),
        _ssh(action="check", checkPeriod="abc"),
        _ssh(checkPeriod="12h"),
        _ssh(action="deny"),
        _ssh(action=""),
        _ssh(users=[]),
        _ssh(users=[""]),
        _ssh(users=["*"]),
        _ssh(users=["autogroup:nonroot"]),
        _ssh(dst=["10.0.0.1"]),
        _ssh(src=["10.0.0.1"]),
        _ssh(acceptEnv=["GIT_*"]),
        _ssh(nosuch=1),
    ),
    "grants": (
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["*"]}]),
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["tcp:443", "80-90", "53"]}]),
        _with(grants=[{"src": ["*"], "dst": ["*"]}]),
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["icmp"]}]),
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["nosuch:1"]}]),
        _with(grants=[{"src": ["tag:none"], "dst": ["*"], "ip": ["*"]}]),
        _with(grants=[{"src": ["*"], "dst": ["group:none"], "ip": ["*"]}]),
        _with(grants=[{"src": ["*"], "dst": ["*:22"], "ip": ["*"]}]),
        _with(grants=[{"src": ["*"], "dst": ["0.0.0.0/0"], "ip": ["*"]}]),
        _with(grants=[{"src": ["*"], "dst": ["autogroup:self"], "ip": ["*"]}]),
        _with(
            grants=[
                {"src": ["autogroup:member"], "dst": ["autogroup:self"], "ip": ["*"]}
            ]
        ),
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["*"], "via": ["alice@"]}]),
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["*"], "via": ["tag:none"]}]),
        _with(
            grants=[{"src": ["*"], "dst": ["*"], "app": {"example.com/cap/x": [{}]}}]
        ),
        _with(
            grants=[
                {"src": ["*"], "dst": ["*"], "app": {"https://example.com/x": [{}]}}
            ]
        ),
        _with(
            grants=[{"src": ["*"], "dst": ["*"], "app": {"tailscale.com/cap/x": [{}]}}]
        ),
        _with(grants=[{"src": ["*"], "dst": ["*"], "ip": ["*"], "nosuch": 1}]),
        _with(nodeAttrs=[{"target": ["*"], "attr": ["x"]}]),
        _with(nodeAttrs=[{"target": ["nobody@"], "attr": ["x"]}]),
        _with(nodeAttrs=[{"target": ["tag:none"], "attr": ["x"]}]),
    ),
}

POLICY_REFUSALS = tuple(
    scenario(
        f"policy-{name}", *(put_policy(text) for text in texts), POLICY, seed="empty"
    )
    for name, texts in POLICY_TEXTS.items()
)

"""Policies with misspelt, old and foreign words, as people bring them along.

Each is a text, for the users and nodes of `seeds`. `recorded.json` holds what each real
server answered to it.
"""

HEAD = """{
  // who
  "groups": {"group:admins": ["alice@", "bob@"], "group:dev": ["carol@"]},
  "hosts": {"printer": "100.64.0.9", "office": "10.1.0.0/16"},
  "tagOwners": {"tag:db": ["group:admins"], "tag:router": ["group:admins"]},
"""
RULE = '{"action": "accept", "src": ["group:admins"], "dst": ["tag:db:5432"]}'


def _with(*members: str) -> str:
    """Return a policy with more top-level members."""
    return HEAD + "".join(f"  {member},\n" for member in members) + "}\n"


def _acl(
    src: str = '"group:admins"', dst: str = '"tag:db:5432"', more: str = ""
) -> str:
    rule = f'{{"action": "accept", "src": [{src}], "dst": [{dst}]{more}}}'
    return _with(f'"acls": [{rule}]')


def _grant(src: str = '"group:admins"', dst: str = '"tag:db"', more: str = "") -> str:
    rule = f'{{"src": [{src}], "dst": [{dst}], "ip": ["tcp:5432"]{more}}}'
    return _with(f'"grants": [{rule}]')


def _ssh(src: str = '"group:admins"', dst: str = '"tag:db"', more: str = "") -> str:
    rule = f'{{"action": "accept", "src": [{src}], "dst": [{dst}], "users": ["root"]{more}}}'
    return _with(f'"acls": [{RULE}]', f'"ssh": [{rule}]')


def _beside(*members: str) -> str:
    """Return a policy with one good rule, and more members."""
    return _with(f'"acls": [{RULE}]', *members)


def _attribute(target: str, more: str) -> str:
    return _beside(f'"nodeAttrs": [{{"target": ["{target}"], {more}}}]')


def _test(entry: str) -> str:
    return _beside(f'"tests": [{{{entry}}}]')


CASES: dict[str, str] = {
    # What is fine, somewhere or everywhere.
    "plain": _acl(),
    "names in capitals": '{"ACLs": [{"Action": "accept", "SRC": ["*"], "Dst": ["*:*"]}]}',
    "nothing at all": "{}",
    "declarations only": _with(),
    "no rule": '{"acls": []}',
    "a comment in a rule": _acl(more=', "#why": "ticket 7"'),
    "grants": _grant(),
    "grants and acls": _beside(
        '"grants": [{"src": ["*"], "dst": ["tag:db"], "ip": ["22"]}]'
    ),
    "a test": _test(
        '"src": "alice@", "accept": ["tag:db:5432"], "deny": ["tag:db:22"]'
    ),
    "an ssh test": _with(
        f'"acls": [{RULE}]',
        '"ssh": [{"action": "accept", "src": ["group:admins"], "dst": ["tag:db"], "users": ["root"]}]',
        '"sshTests": [{"src": "alice@", "dst": ["tag:db"], "accept": ["root"]}]',
    ),
    "attributes": _attribute("*", '"attr": ["nextdns:abc"]'),
    "client ports": _beside('"randomizeClientPort": true'),
    "members": _acl('"autogroup:member"'),
    "own devices": _acl('"autogroup:member"', '"autogroup:self:*"'),
    "own devices of a tag": _acl('"tag:db"', '"autogroup:self:*"'),
    "danger": _acl('"autogroup:danger-all"'),
    "a tag owns a tag": _with('"acls": []').replace(
        '"tag:router": [', '"tag:router": ["tag:db", '
    ),
    "environment": _ssh(more=', "acceptEnv": ["LANG"]'),
    "a check": _ssh().replace(
        '"accept", "src": ["group:admins"], "dst": ["tag:db"]',
        '"check", "src": ["group:admins"], "dst": ["tag:db"]',
    ),
    "check period in days": _ssh(more=', "checkPeriod": "1d"').replace(
        '"action": "accept", "src": ["group:admins"], "dst": ["tag:db"], "users"',
        '"action": "check", "src": ["group:admins"], "dst": ["tag:db"], "users"',
    ),
    "a mail domain": _acl('"user:*@example.com"'),
    "local parts": _ssh(more="").replace('"root"]}', '"localpart:*@example.com"]}'),
    "services of grants": _grant(more=', "app": {"example.com/cap/x": [{}]}'),
    "via": _grant(dst='"office"', more=', "via": ["tag:router"]'),
    # Misspelt sections and fields.
    "alcs": _with(f'"alcs": [{RULE}]'),
    "acl": _with(f'"acl": [{RULE}]'),
    "grant": _with('"grant": []', '"acls": []'),
    "tag owners": '{"tagOwner": {"tag:db": ["alice@"]}, "acls": []}',
    "auto approver": _beside('"autoApprover": {"exitNode": ["tag:router"]}'),
    "a comment at the top": _beside('"#note": "mind the gap"'),
    "schema": _beside('"$schema": "policy.json"'),
    "protocol": _acl(more=', "protocol": "tcp"'),
    "sources": _with(
        '"acls": [{"action": "accept", "sources": ["*"], "dst": ["*:22"]}]'
    ),
    "a comment in a grant": _grant(more=', "#why": "ticket 7"'),
    "a comment in ssh": _ssh(more=', "#why": "ticket 7"'),
    "ips": _with('"grants": [{"src": ["*"], "dst": ["*"], "ips": ["22"]}]'),
    "period": _ssh(more=', "period": "12h"'),
    "exit nodes": _beside('"autoApprovers": {"exitNodes": ["tag:router"]}'),
    "attrs": _attribute("*", '"attrs": ["nextdns:abc"]'),
    "expect": _test('"src": "alice@", "expect": ["tag:db:5432"]'),
    "twice": _with('"acls": []', '"ACLs": []'),
    "twice in a rule": _acl(more=', "SRC": ["*"]'),
    "acls as a map": _with('"acls": {"action": "accept"}'),
    "sources as a text": _with(
        '"acls": [{"action": "accept", "src": "*", "dst": ["*:22"]}]'
    ),
    "a host that is a name": '{"hosts": {"a": "a.example.com"}, "acls": []}',
    "a tag in a group": '{"groups": {"group:a": ["tag:db"]}, "tagOwners": {"tag:db": []}, "acls": []}',
    "a role in a group": '{"groups": {"group:a": ["autogroup:admin"]}, "acls": []}',
    "protocol by number": _acl(more=', "proto": 6'),
    "nonroot as source": _acl('"autogroup:nonroot"'),
    "bare sub-service": _grant(more=', "ip6": []'),
    "null acls": _with('"acls": null'),
    # Words of older policies.
    "users and ports": _with(
        '"acls": [{"action": "accept", "users": ["group:admins"], "ports": ["tag:db:22"]}]'
    ),
    "users beside src": _acl(more=', "users": ["bob@"]'),
    "user and allow": _test('"user": "alice@", "allow": ["tag:db:5432"]'),
    "allow": _test('"src": "alice@", "allow": ["tag:db:5432"]'),
    "user without an at": _acl('"alice"'),
    "group of bare names": '{"groups": {"group:a": ["alice"]}, "acls": []}',
    "group without prefix": '{"groups": {"a": ["alice@"]}, "acls": []}',
    "tag without prefix": '{"tagOwners": {"db": ["alice@"]}, "acls": []}',
    "wildcard protocol": _acl(more=', "proto": "*"'),
    "port 0": _acl(dst='"tag:db:0"'),
    "ping with a port": _acl(more=', "proto": "icmp"'),
    "no action": _with('"acls": [{"src": ["*"], "dst": ["*:22"]}]'),
    "deny": _with('"acls": [{"action": "deny", "src": ["*"], "dst": ["*:22"]}]'),
    "group in a group": '{"groups": {"group:a": ["alice@"], "group:b": ["group:a"]}, "acls": []}',
    "ssh to everything": _ssh(dst='"*"'),
    "ssh to a host": _ssh(dst='"printer"'),
    "ssh as anybody": _ssh().replace('"root"]', '"*"]'),
    "ssh from a tag to members": _ssh('"tag:db"', '"autogroup:member"'),
    # Names.
    "members misspelt": _acl('"autogroup:members"'),
    "a tag misspelt": _acl('"tag:routr"'),
    "a tag without its prefix": _acl(dst='"db:22"'),
    "a group misspelt": _acl('"group:admin"'),
    "a group without its prefix": _acl('"admins"'),
    "a host misspelt": _acl(dst='"printr:631"'),
    "a destination without ports": _acl(dst='"tag:db"'),
    "ports in a grant": _grant(dst='"tag:db:22"'),
    "tags": _acl('"tags:db"'),
    "an owner misspelt": _with('"acls": []').replace(
        '["group:admins"], "tag:router"', '["group:admns"], "tag:router"'
    ),
    "a host as owner": _with('"acls": []').replace(
        '["group:admins"], "tag:router"', '["printer"], "tag:router"'
    ),
    "an approver misspelt": _beside(
        '"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:routr"]}}'
    ),
    # Words of Tailscale.
    "admins": _acl('"autogroup:admin"'),
    "owner of tags": _with('"acls": []').replace(
        '"tag:router": [', '"tag:router": ["autogroup:network-admin", '
    ),
    "shared": _acl('"autogroup:shared"'),
    "ipsets": _beside('"ipsets": {"ipset:office": ["10.1.0.0/16"]}'),
    "an ipset": _acl(dst='"ipset:office:443"'),
    "postures": _beside('"postures": {"posture:linux": ["node:os == \'linux\'"]}'),
    "default posture": _beside('"defaultSrcPosture": ["posture:linux"]'),
    "source posture": _acl(more=', "srcPosture": ["posture:linux"]'),
    "source posture of a grant": _grant(more=', "srcPosture": ["posture:linux"]'),
    "services": _beside('"autoApprovers": {"services": {"svc:web": ["tag:db"]}}'),
    "a service": _grant(dst='"svc:web"'),
    "recorder": _ssh(more=', "recorder": ["tag:db"], "enforceRecorder": true'),
    "app connectors": _attribute("*", '"app": {"tailscale.com/app-connectors": []}'),
    "funnel": _attribute("*", '"attr": ["funnel"]'),
    "pools": _attribute("*", '"ipPool": ["100.80.0.0/16"]'),
    "an admin's attributes": _attribute("autogroup:admin", '"attr": ["x"]'),
    "attribute config": _beside('"attrConfig": {}'),
    "relays": _beside('"derpMap": {"OmitDefaultRegions": true}'),
    "no IPv4": _beside('"disableIPv4": true'),
    "one route": _beside('"OneCGNATRoute": "mac-always"'),
    "posture of a test": _test(
        '"src": "alice@", "srcPostureAttrs": {"node:os": "linux"}, "accept": ["tag:db:5432"]'
    ),
    # Tests that can never pass.
    "a test of no tag": _test('"src": "alice@", "accept": ["tag:bd:5432"]'),
    "a test without ports": _test('"src": "alice@", "accept": ["tag:db"]'),
    "a test of a role": _test('"src": "autogroup:admin", "deny": ["tag:db:22"]'),
    "an ssh test of no selector": _beside(
        '"sshTests": [{"src": "alice@", "dst": ["Tag:db"], "accept": ["root"]}]'
    ),
    # Not HuJSON at all.
    "YAML": "groups:\n  group:admins: [alice@]\nacls: []\n",
    "no first brace": HEAD[2:] + '  "acls": [],\n}\n',
    "no last brace": HEAD + '  "acls": [],\n',
    "a list": "[]",
    "empty": "",
}

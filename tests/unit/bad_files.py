"""The table of bad files: text, code, part of the message, part of why or help.

`|` in a text marks the place that the finding must point at; it is taken out.
"""

VERSION = "version: 1\n"

FORM = {
    "empty file": ("|", "RC0022", "is empty", "version: 1"),
    "only comments": ("|# nothing\n", "RC0022", "is empty", "reconcile import"),
    "a list": ("|- a\n", "RC0007", "must be a map of sections, not a list", ""),
    "a text": ("|hello\n", "RC0007", "not text", ""),
    "no version": ("|users: {}\n", "RC0022", "no file says its version", "version: 1"),
    "another version": (
        "version: |2\n",
        "RC0008",
        "version must be 1, not a number",
        "",
    ),
    "version as text": ('version: |"1"\n', "RC0008", "must be 1, not `1`", ""),
    "colon in a value": (
        VERSION + "users: a|: b\n",
        "RC0004",
        "no key can be",
        "quotes",
    ),
    "tab": (VERSION + "users:\n|\talice: {}\n", "RC0004", "a tab is used", "spaces"),
    "unclosed list": (
        VERSION + "removed: [node:a\nusers|: {}\n",
        "RC0004",
        "`,` or the closing `]`",
        "close the list",
    ),
    "unclosed quote": (
        VERSION + "removed: |'a\n",
        "RC0004",
        "ends inside quotes",
        "close",
    ),
    "at sign": (
        VERSION + "removed: [|@a]\n",
        "RC0004",
        "cannot start with `@`",
        "quotes",
    ),
    "wrong indentation": (
        VERSION + "users:\n  a: {}\n |b: {}\n",
        "RC0004",
        "expected",
        "column",
    ),
    "undefined alias": (VERSION + "users: |*people\n", "RC0004", "no anchor", "&name"),
    "two documents": (VERSION + "|---\nusers: {}\n", "RC0004", "more than one", "-f"),
    "custom tag": (VERSION + "users: |!include a.yaml\n", "RC0021", "`!include`", ""),
    "binary tag": (
        VERSION + "users: {al: {email: |!!binary aGk=}}\n",
        "RC0021",
        "!!binary",
        "",
    ),
    "list as key": (VERSION + "? |[a]\n: 1\n", "RC0021", "a key must be text", ""),
    "merge of text": (VERSION + "users: {<<: |a}\n", "RC0021", "merges maps only", ""),
    "too deep": (
        VERSION + "policy: " + "[" * 62 + "|[[\n",
        "RC0021",
        "more than 64",
        "",
    ),
    "repeated key": (
        VERSION + "users: {}\n|users: {}\n",
        "RC0020",
        "`users` is repeated",
        "merge",
    ),
    "repeated node": (
        VERSION + "nodes:\n  nas: {}\n  |nas: {}\n",
        "RC0020",
        "`nas` is repeated",
        "remove one",
    ),
    "null section": (VERSION + "|users:\n", "RC0003", "users is null", "`users: {}`"),
    "null node": (
        VERSION + "nodes:\n  |tv:\n",
        "RC0003",
        "nodes.tv is null",
        "`tv: {}`",
    ),
    "null tags": (
        VERSION + "nodes: {tv: {|tags: ~}}\n",
        "RC0003",
        "tags is null",
        "`tags: []`",
    ),
    "null policy": (
        VERSION + "|policy:\n",
        "RC0003",
        "policy is null",
        "a rule that says so",
    ),
    "policy as empty list": (
        VERSION + "policy: |[]\n",
        "RC0007",
        "policy must be a map, not a list",
        "to leave the policy alone remove the section",
    ),
    "policy as text": (
        VERSION + "policy: |policy.hujson\n",
        "RC0007",
        "policy must be a map, not text",
        "write `policy: { file: policy.hujson }`",
    ),
    "null expiry": (
        VERSION + "nodes: {tv: {|expiry: null}}\n",
        "RC0003",
        "expiry is null",
        "or write `expiry: never`",
    ),
    "null exit node": (
        VERSION + "nodes: {tv: {|exit_node: null}}\n",
        "RC0003",
        "exit_node is null",
        "or write `exit_node: false`",
    ),
    "null url": (
        VERSION + "server: {|url: ~}\n",
        "RC0003",
        "server.url is null",
        "write its value",
    ),
    "null in a rule of the policy": (
        VERSION + "policy: {acls: [{action: accept, |proto: null}]}\n",
        "RC0003",
        "policy.acls[0].proto is null",
        "write its value, or take out policy.acls[0]",
    ),
    "null version": (
        "|version: null\n",
        "RC0003",
        "version is null",
        "write `version: 1`",
    ),
    "null routes": (
        VERSION + "nodes: {tv: {|routes: null}}\n",
        "RC0003",
        "routes is null",
        "`routes: { approve: [] }`",
    ),
    "null item": (
        VERSION + "removed: [|null]\n",
        "RC0003",
        "removed[0] is null",
        "remove the",
    ),
    "null in policy": (
        VERSION + "policy: {|acls: null}\n",
        "RC0003",
        "policy.acls",
        "`acls: []`",
    ),
    "unknown section": (
        VERSION + "|user: {}\n",
        "RC0005",
        "`user` is not known",
        "`users`?",
    ),
    "unknown field": (
        VERSION + "nodes: {tv: {|tag: []}}\n",
        "RC0005",
        "`tag` is not known in nodes.tv",
        "`tags`?",
    ),
    "unknown match": (
        VERSION + "nodes: {tv: {match: {|host: x}}}\n",
        "RC0005",
        "`host`",
        "",
    ),
    "unknown policy key": (
        VERSION + "policy: {|acl: []}\n",
        "RC0005",
        "`acl`",
        "`acls`?",
    ),
    "later section": (
        VERSION + "|keys: {}\n",
        "RC0006",
        "keys is not in this version",
        "later",
    ),
    "later field": (
        VERSION + "|guards: {}\n",
        "RC0006",
        "guards is not in this version yet",
        "guards",
    ),
    "a policy that is a number": (
        VERSION + "policy: |12\n",
        "RC0007",
        "policy must be a map, not a number",
        "",
    ),
    "a delivery that is a number": (
        VERSION + "policy: {file: policy.hujson, deliver: |12}\n",
        "RC0007",
        "policy.deliver must be a map, not a number",
        "",
    ),
    "later near miss": (VERSION + "|gaurds: {}\n", "RC0005", "`gaurds`", "`guards`?"),
    "pending after some days": (
        VERSION + "nodes: {nas: {pending: |{error: true, after: 7d}}}\n",
        "RC0008",
        "nodes.nas.pending must be ok, warn or error, not a map",
        "there is no `after`",
    ),
    "unknown way to replace": (
        VERSION + "nodes: {nas: {replace: |atuo}}\n",
        "RC0008",
        "must be auto or report, not `atuo`",
        "`auto`?",
    ),
    "tailscale": (
        VERSION + "server: {type: |tailscale, url: https://x}\n",
        "RC0006",
        "`tailscale` is not in this version yet",
        "Tailscale",
    ),
    "dns on headscale": (
        VERSION + "|dns: {}\n",
        "RC0301",
        "dns cannot be set",
        "configuration",
    ),
    "users as list": (VERSION + "users: |[alice]\n", "RC0007", "a map, not a list", ""),
    "tags as text": (
        VERSION + "nodes: {tv: {tags: |tag:a}}\n",
        "RC0007",
        "must be a list, not text",
        "`tags: [tag:a]`",
    ),
    "no as false": (
        VERSION + "nodes: {tv: {exit_node: |no}}\n",
        "RC0007",
        "must be true or false, not text",
        "`no` is text in this file; write false",
    ),
    "True": (
        VERSION + "nodes: {tv: {exit_node: |True}}\n",
        "RC0007",
        "not text",
        "write true",
    ),
    "number as text": (
        VERSION + "users: {alice: {display_name: |12}}\n",
        "RC0007",
        "must be text, not a number",
        'write "12"',
    ),
    "boolean as text": (
        VERSION + "users: {alice: {email: |true}}\n",
        "RC0007",
        "must be text, not true",
        'write "true"',
    ),
    "octal": (
        VERSION + "nodes: {tv: {match: {id: |0x1F}}}\n",
        "RC0008",
        "`0x1F`",
        "a number",
    ),
    "unknown mode": (
        VERSION + "nodes: {tv: {routes: {approve: [], mode: |exat}}}\n",
        "RC0008",
        "must be exact or at-least, not `exat`",
        "`exact`?",
    ),
    "prune nodes": (
        VERSION + "manage: {nodes: |prune}\n",
        "RC0008",
        "report or ignore",
        "",
    ),
    "manage policy": (
        VERSION + "manage: {policy: |off}\n",
        "RC0008",
        "must be exact",
        "",
    ),
    "bad url": (
        VERSION + "server: {url: |hs.example.com}\n",
        "RC0008",
        "is not possible",
        "https",
    ),
    "no url": (VERSION + "|server: {}\n", "RC0022", "server needs `url`", "url"),
    "literal key": (
        VERSION + "server: {url: https://x, credentials: {api_key: |abcdefgh}}\n",
        "RC0026",
        "does not belong into this file",
        "env: HEADSCALE_API_KEY",
    ),
    "a variable of others in a URL": (
        VERSION + "server: {url: |'https://x/${HOME:-}'}\n",
        "RC0704",
        "the variable HOME is not one",
        "add `variables: [HOME]`",
    ),
    "one more variable of others": (
        VERSION + "variables: [A]\nserver: {url: |'https://${A:-x}/${B:-}'}\n",
        "RC0704",
        "the variable B is not one",
        "add B to `variables`",
    ),
    "a key in a variable of others": (
        VERSION
        + "server: {url: https://x, credentials: {api_key: {env: |SSH_AUTH}}}\n",
        "RC0704",
        "the variable SSH_AUTH is not one",
        "variables: [SSH_AUTH]",
    ),
    "a program with a variable of others": (
        VERSION + "server: {url: https://x, "
        "credentials: {api_key: {command: [p, |'${HOME:-}']}}}\n",
        "RC0704",
        "HOME",
        "variables",
    ),
    "a secret in a text": (
        VERSION + "users: {alice: {display_name: |'${GITHUB_TOKEN:-}'}}\n",
        "RC0704",
        "GITHUB_TOKEN is called a secret",
        "another name",
    ),
    "a key in a URL": (
        VERSION + "variables: [HEADSCALE_API_KEY]\n"
        "server: {url: |'https://x/${HEADSCALE_API_KEY:-}'}\n",
        "RC0704",
        "HEADSCALE_API_KEY is called a secret",
        "credentials",
    ),
    "two credentials": (
        VERSION
        + "server: {url: https://x, credentials: {api_key: |{env: A, file: b}}}\n",
        "RC0008",
        "exactly one of: env, file, command",
        "",
    ),
    "key anywhere": (
        VERSION + "# |hskey-api-abcdefgh123\n",
        "RC0026",
        "holds a key of the control server",
        "revoke",
    ),
    "bad tag": (
        VERSION + "nodes: {tv: {tags: [|storage]}}\n",
        "RC0008",
        "`storage`",
        "`tag:`",
    ),
    "tag with a line end": (
        VERSION + "nodes:\n  tv:\n    tags:\n      - ||\n        tag:a\n",
        "RC0008",
        '"tag:a\\n" is not possible',
        "without spaces",
    ),
    "upper-case tag": (
        VERSION + "nodes: {tv: {tags: [|tag:A]}}\n",
        "RC0008",
        "`tag:A`",
        "upper",
    ),
    "bad removed": (
        VERSION + "removed: [|laptop]\n",
        "RC0008",
        "`laptop`",
        "`node:NAME`",
    ),
    "bad kind in removed": (
        VERSION + "removed: [|nodes:laptop]\n",
        "RC0008",
        "`nodes:laptop`",
        "did you mean node:laptop?",
    ),
    "bad machine key": (
        VERSION + "nodes: {tv: {match: {machine_key: |abc}}}\n",
        "RC0008",
        "`abc`",
        "64 hexadecimal",
    ),
    "empty match": (
        VERSION + "nodes: {tv: {match: |{}}}\n",
        "RC0022",
        "match is empty",
        "id",
    ),
    "rule without match": (
        VERSION + "node_rules: [|{tags: []}]\n",
        "RC0022",
        "needs `match`",
        "",
    ),
    "unset variable": (
        VERSION + 'users: {alice: {email: |"${MAIL}"}}\n',
        "RC0009",
        "the variable MAIL is not set",
        "${MAIL:-default}",
    ),
    "bad variable": (
        VERSION + 'users: {alice: {email: |"${1}"}}\n',
        "RC0009",
        "`${`",
        "$${",
    ),
    "variable as boolean": (
        VERSION + "nodes: {tv: {exit_node: |${YES}}}\n".replace("${YES}", '"${YES}"'),
        "RC0007",
        "must be true or false",
        "a variable always gives text",
    ),
    "servers and server": (
        VERSION + "servers: {a: {url: https://x}}\n|server: {url: https://y}\n",
        "RC0028",
        "exclude each other",
        "under `servers`",
    ),
    "two servers": (
        VERSION + "|servers: {a: {url: https://x}, b: {url: https://y}}\n",
        "RC0028",
        "describes 2 servers: a, b",
        "--server a",
    ),
    "overlay for nobody": (
        VERSION + "servers: {lab: {url: https://x}}\noverlays: {|lap: {}}\n",
        "RC0028",
        "no server is called `lap`",
        "`lab`?",
    ),
    "overlay alone": (VERSION + "|overlays: {a: {}}\n", "RC0028", "need `servers`", ""),
    "server named all": (
        VERSION + "servers: {|all: {url: https://x}}\n",
        "RC0008",
        "`all`",
        "",
    ),
    "include nothing": (
        VERSION + "include: [|teams/*.yaml]\n",
        "RC0024",
        "matches no file",
        "",
    ),
    "include missing": (
        VERSION + "include: [|tems.yaml]\n",
        "RC0001",
        "no such file",
        "teams.yaml",
    ),
    "include itself": (
        VERSION + "include: [|tailnet.yaml]\n",
        "RC0024",
        "includes itself",
        "",
    ),
}

MEANING = {
    "unknown tag": (
        VERSION
        + "policy: {file: policy.hujson}\nnodes: {tv: {match: {machine_key: KEY}, "
        "tags: [|tag:routr]}}\n",
        "RC0107",
        "tag:routr has no tagOwners entry",
        "tagOwners in",
    ),
    "unknown tag, with the policy in the YAML": (
        VERSION + 'policy: {acls: [], tagOwners: {"tag:router": []}}\n'
        "nodes: {tv: {match: {machine_key: KEY}, tags: [|tag:routr]}}\n",
        "RC0107",
        "tag:routr has no tagOwners entry",
        "to tagOwners in tailnet.yaml",
    ),
    "bad user name": (
        VERSION + "users: {|Alice: {}}\n",
        "RC0112",
        "`Alice`",
        "`was: Alice`",
    ),
    "short user name": (
        VERSION + "users: {|a: {}}\n",
        "RC0112",
        "not a safe user name",
        "",
    ),
    "was itself": (
        VERSION + "users: {alice: {was: |alice}}\n",
        "RC0104",
        "no rename",
        "",
    ),
    "was another entry": (
        VERSION + "users: {alice: {}, robert: {was: |alice}}\n",
        "RC0104",
        "`alice` is still wanted",
        "remove `was`",
    ),
    "was twice": (
        VERSION + "users: {bob: {was: old}, rob: {was: |old}}\n",
        "RC0104",
        "two users were called `old`",
        "one name",
    ),
    "until no day": (
        VERSION + "users: {eve: {until: |soon}}\n",
        "RC0114",
        "`soon`",
        "2030-12-31",
    ),
    "until impossible": (
        VERSION + "users: {eve: {until: |2026-02-30}}\n",
        "RC0114",
        "02-30",
        "",
    ),
    "removed by a glob": (
        VERSION + "removed: [|'node:web-*']\n",
        "RC0105",
        "is a glob",
        "name every object",
    ),
    "wanted and removed": (
        VERSION + "users: {bob: {}}\nremoved: [|user:bob]\n",
        "RC0103",
        "user:bob is both wanted and removed",
        "remove this line",
    ),
    "node wanted and removed": (
        VERSION + "nodes: {tv: {}}\nremoved: [|node:tv]\n",
        "RC0103",
        "node:tv is both",
        "",
    ),
    "renamed and removed": (
        VERSION + "users: {robert: {was: bob}}\nremoved: [|user:bob]\n",
        "RC0103",
        "both renamed and removed",
        "lives on as robert",
    ),
    "same match": (
        VERSION + "nodes: {aa: {match: {id: 1}}, bb: {|match: {id: 1}}}\n",
        "RC0201",
        "node:bb and node:aa match the same node",
        "narrow",
    ),
    "not a route": (
        VERSION + "nodes: {tv: {routes: {approve: [|lan]}}}\n",
        "RC0109",
        "`lan` is not a network",
        "192.168.10.0/24",
    ),
    "bare address": (
        VERSION + "nodes: {tv: {routes: {approve: [|10.0.0.1]}}}\n",
        "RC0109",
        "not a network",
        "10.0.0.1/32",
    ),
    "netmask": (
        VERSION + "nodes: {tv: {routes: {approve: [|10.0.0.0/255.0.0.0]}}}\n",
        "RC0109",
        "not a network",
        "length",
    ),
    "prefix too long": (
        VERSION + "nodes: {tv: {routes: {approve: [|10.0.0.0/33]}}}\n",
        "RC0109",
        "/33",
        "",
    ),
    "exit route, no exit node": (
        VERSION + "nodes: {tv: {exit_node: false, routes: {approve: |[0.0.0.0/0]}}}\n",
        "RC0111",
        "exit_node is false",
        "exit_node: true",
    ),
    "bad expiry": (
        VERSION + "nodes: {tv: {expiry: |tomorrow}}\n",
        "RC0114",
        "`tomorrow`",
        "never",
    ),
    "expiry near miss": (
        VERSION + "nodes: {tv: {expiry: |Never}}\n",
        "RC0114",
        "Never",
        "never?",
    ),
    "no time zone": (
        VERSION + "nodes: {tv: {expiry: |2030-01-01T00:00:00}}\n",
        "RC0114",
        "no time",
        "2030-01-01T00:00:00Z",
    ),
    "unsafe node name": (
        VERSION + "nodes: {|My.TV: {match: {id: 1}}}\n",
        "RC0113",
        "`My.TV` is not a safe node name",
        "lower-case",
    ),
    "user and tags": (
        VERSION + "nodes: {tv: {|match: {user: alice}, tags: [tag:a]}}\n",
        "RC0208",
        "the match of node:tv stops matching",
        "machine_key",
    ),
    "match by the old name": (
        VERSION + "nodes: {tv: {|match: {name: old-tv}}}\n",
        "RC0208",
        "stops matching",
        "renamed from `old-tv`",
    ),
    "match by a dropped tag": (
        VERSION + "nodes: {tv: {|match: {tag: tag:a}, tags: [tag:b]}}\n",
        "RC0208",
        "stops matching",
        "add tag:a to its tags",
    ),
    "pattern in an entry": (
        VERSION + 'nodes: {tv: {match: {hostname: |"tv-*"}}}\n',
        "RC0202",
        "is a pattern",
        "node_rules",
    ),
    "address with prefix": (
        VERSION + "nodes: {tv: {match: {ip: |100.64.0.1/32}}}\n",
        "RC0202",
        "is not an address",
        "without a prefix",
    ),
    "policy names a removed user": (
        VERSION
        + "users: {}\nremoved: [user:alice]\npolicy: {groups: {'group:a': [|alice@]}, "
        "acls: []}\n",
        "RC0102",
        "`alice@`, who is being removed",
        "from the policy too",
    ),
    "policy names an expired user": (
        VERSION + "users: {alice: {until: 2026-11-21}}\n"
        "policy: {groups: {'group:a': [|alice@]}, acls: []}\n",
        "RC0102",
        "who is being removed",
        "",
    ),
    "policy without rules": (
        VERSION + "policy: |{groups: {}}\n",
        "RC0116",
        "neither acls nor grants",
        "to allow nothing write `acls: []`",
    ),
    "policy without anything": (
        VERSION + "|policy: {}\n",
        "RC0116",
        "says nothing, which allows everything",
        "to allow nothing write `policy: { acls: [] }`",
    ),
    "policy of an overlay without anything": (
        VERSION + "servers: {a: {url: https://x}}\noverlays: {a: {|policy: {}}}\n",
        "RC0116",
        "overlays.a.policy says nothing",
        "leave the policy alone",
    ),
    "policy missing": (
        VERSION + "policy: {file: |polcy.hujson}\n",
        "RC0001",
        "no such file",
        "policy.hujson",
    ),
    "policy is a folder": (
        VERSION + "policy: {file: |.}\n",
        "RC0001",
        "it is a folder",
        "",
    ),
    "assert nothing": (
        VERSION + "assert:\n  - |because: it is so\n",
        "RC0022",
        "assert[0] must have exactly one of: no, allow, at_least",
        "",
    ),
    "assert two things": (
        VERSION + "assert:\n  - no: { from: a@, to: b@ }\n"
        "    |at_least: { routers: 1, for: 10.0.0.0/8 }\n",
        "RC0008",
        "assert[0] must have exactly one of",
        "split it into 2 entries",
    ),
    "allow without a port": (
        VERSION + "assert:\n  - |allow: { from: a@, to: b@ }\n",
        "RC0022",
        "needs `port`",
        "",
    ),
    "assert a port list": (
        VERSION + "assert: [{ no: { from: a@, to: b@, port: |'22,80' } }]\n",
        "RC0604",
        "`22,80` is not a port",
        "write one port",
    ),
    "assert no port": (
        VERSION + "assert: [{ no: { from: a@, to: b@, port: |https } }]\n",
        "RC0604",
        "`https` is not a port",
        "53/udp",
    ),
    "assert port zero": (
        VERSION + "assert: [{ no: { from: a@, to: b@, port: |0 } }]\n",
        "RC0604",
        "`0` is not a port",
        "",
    ),
    "assert of a group that is not declared": (
        VERSION + "policy: { file: policy.hujson }\n"
        'assert: [{ no: { from: |"group:admin", to: "tag:router" } }]\n',
        "RC0602",
        "the policy declares no group `group:admin`",
        "did you mean `group:admins`?",
    ),
    "assert of a bare name": (
        VERSION + "policy: { file: policy.hujson }\n"
        "assert: [{ no: { from: |nas, to: 10.0.0.0/8 } }]\n",
        "RC0602",
        "the policy declares no host `nas`",
        "for a node write node:nas",
    ),
    "assert of self": (
        VERSION + "assert: [{ no: { from: |autogroup:self, to: a@ } }]\n",
        "RC0603",
        "`autogroup:self` cannot stand after `from`",
        "node:nas",
    ),
    "assert from the internet": (
        VERSION + "assert: [{ no: { from: |autogroup:internet, to: a@ } }]\n",
        "RC0603",
        "cannot stand after `from`",
        "",
    ),
    "assert of an ip set": (
        VERSION + "assert: [{ no: { from: a@, to: |ipset:some } }]\n",
        "RC0603",
        "cannot stand after `to`",
        "",
    ),
    "assert for an address": (
        VERSION + "assert: [{ at_least: { routers: 1, for: |10.0.0.1 } }]\n",
        "RC0109",
        "is not a network",
        "10.0.0.1/32",
    ),
    "assert for a network with host bits": (
        VERSION + "assert: [{ at_least: { routers: 1, for: |10.0.0.1/8 } }]\n",
        "RC0109",
        "is not a network",
        "",
    ),
    "assert no router": (
        VERSION + "assert: [{ at_least: { routers: |0, for: 10.0.0.0/8 } }]\n",
        "RC0008",
        "must keep to minimum 1",
        "",
    ),
}

WARNINGS = {
    "policy names nobody": (
        VERSION
        + "users: {robert: {}}\npolicy: {groups: {'group:a': [|robet@]}, acls: []}\n",
        "RC0101",
        "`users` does not have that user",
        "`robert@`?",
    ),
    "policy names the old name": (
        VERSION + "users: {robert: {was: bob}}\n"
        "policy: {groups: {'group:a': [|bob@]}, acls: []}\n",
        "RC0101",
        "`bob@`",
        "write robert@",
    ),
    "expired": (
        VERSION + "nodes: {tv: {expiry: |2026-11-22}}\n",
        "RC0115",
        "in the past",
        "",
    ),
    "route twice": (
        VERSION
        + "nodes: {tv: {match: {machine_key: KEY}, routes: {approve: [10.0.0.0/8, "
        "|10.0.0.0/8]}}}\n",
        "RC0108",
        "10.0.0.0/8 is listed twice",
        "",
    ),
    "host bits": (
        VERSION + "nodes: {tv: {match: {machine_key: KEY}, routes: {approve: "
        "[|10.2.0.5/24]}}}\n",
        "RC0110",
        "bits set beyond its prefix",
        "write 10.2.0.0/24",
    ),
    "spoofable": (
        VERSION + "nodes: {nas: {|match: {hostname: nas}, tags: [tag:storage]}}\n",
        "RC0207",
        "node:nas is matched by hostname only, and gets tag:storage",
        "add preauth_key or machine_key",
    ),
    "spoofable by default": (
        VERSION + "nodes: {|nas: {exit_node: true}}\n",
        "RC0207",
        "matched by name only, and gets the exit node",
        "add user, preauth_key or machine_key",
    ),
    "spoofable once replaced": (
        VERSION
        + "nodes: {nas: {|match: {id: 3}, replace: auto, tags: [tag:storage]}}\n",
        "RC0207",
        "`replace: auto` gives tag:storage of node:nas to a device by its hostname",
        "add preauth_key to the match",
    ),
    "spoofable by a default": (
        VERSION
        + "defaults: {nodes: {replace: auto}}\n"
        + "nodes: {nas: {|match: {id: 3, hostname: box}, exit_node: true}}\n",
        "RC0207",
        "gives the exit node of node:nas",
        "`box`",
    ),
    "spoofable rule": (
        VERSION + "node_rules: [{|match: {hostname: 'k8s-*'}, tags: [tag:k8s]}]\n",
        "RC0207",
        "node_rules[0] is matched by hostname only",
        "`k8s-*`",
    ),
    "match of a near user": (
        VERSION + "users: {alice: {}}\nnodes: {tv: {|match: {user: alise}}}\n",
        "RC0106",
        "`alise`",
        "`alice`?",
    ),
    "pruning without users": (
        VERSION + "manage: {|users: prune}\n",
        "RC0118",
        "manage.users does nothing",
        "not managed without a `users` section",
    ),
    "nodes managed without nodes": (
        VERSION + "manage: {|nodes: {unlisted: ignore}}\nusers: {}\n",
        "RC0118",
        "manage.nodes does nothing",
        "without a `nodes` section",
    ),
    "exact without a policy": (
        VERSION + "manage: {|policy: exact}\n",
        "RC0118",
        "manage.policy does nothing",
        "no `policy` section",
    ),
    "defaults without nodes": (
        VERSION + "defaults: {|nodes: {tags: []}}\n",
        "RC0118",
        "defaults.nodes does nothing",
        "fill in what entries",
    ),
    "two names for a server": (
        VERSION + "servers: {a: {url: https://x, |name: prod}}\n",
        "RC0118",
        "servers.a.name does nothing",
        "as its key says",
    ),
    "an overlay that empties nothing": (
        VERSION + "servers: {a: {url: https://x}}\nusers: {alice: {}}\n"
        "overlays: {a: {|users: {}}}\n",
        "RC0118",
        "overlays.a.users does nothing",
        "empties nothing",
    ),
    "byte order mark": ("|\ufeff" + VERSION, "RC0027", "byte order mark", "ignored"),
}


BYTES = {
    "utf-16": ("version: 1\n".encode("utf-16"), 1, 1, "UTF-16", "UTF-8"),
    "utf-16 without mark": ("version: 1\n".encode("utf-16-le"), 1, 1, "UTF-16", ""),
    "utf-32": (b"\x00\x00\xfe\xff" + "v".encode("utf-32-be"), 1, 1, "UTF-32", ""),
    "latin-1": (
        b"version: 1\nusers: {eve: {display_name: \xc9ve}}\n",
        2,
        29,
        "byte 0xc9 at offset 39",
        "save the file again as UTF-8",
    ),
    "cut in a character": (b"# \xc3", 1, 3, "byte 0xc3 at offset 2", ""),
    "nul": (b"version: 1\nusers: \x00\n", 2, 8, "a NUL byte", "remove it"),
    "escape": (b"version: 1\n# \x1b[31m\n", 2, 3, "U+001B", ""),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), 1, 1, "not UTF-8", ""),
}


POLICIES = {
    "syntax": (b'{\n  "acls": [,]\n}\n', "RC0010", (2, 12)),
    "empty": (b"", "RC0014", (1, 1)),
    "a list": (b"[]\n", "RC0007", (1, 1)),
    "byte order mark": (b"\xef\xbb\xbf{}\n", "RC0027", (1, 1)),
    "latin-1": (b'{\n  "x\xe9": 1}\n', "RC0002", (2, 5)),
    "utf-16": ("{}".encode("utf-16"), "RC0002", (1, 1)),
    "no final line break": (b'{"acls": []} // end', "RC0013", (1, 14)),
    "repeated name": (b'{"acls": [], "acls": []}\n', "RC0011", (1, 14)),
}

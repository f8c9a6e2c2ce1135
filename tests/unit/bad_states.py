"""The table of plans with a remedy: files, the live state, the codes that are found."""

from tests.support import NOW, live, node, server, user

LATER = NOW.replace(year=2031)
STRICT = "{ tags: [], routes: { approve: [] }, exit_node: false, expiry: never }"
OWNED = [node(n, f"box-{n}", user="bob") for n in range(1, 9)]
OWNERS = [user(1, "alice"), user(2, "bob")]
WEB = node(1, "web", tags=["tag:web"], expiry=LATER)
HOLDER = node(7, "nas", tags=["tag:db"], approved=["10.0.0.0/8"], expiry=LATER)

PLANS = {
    "last tag, said by the entry": (
        "nodes: { web: { tags: [] } }",
        live(nodes=[WEB]),
        {"RC0302"},
    ),
    "last tag, said by defaults": (
        "defaults: { nodes: { tags: [] } }\nnodes: { web: {} }",
        live(nodes=[WEB]),
        {"RC0302"},
    ),
    "last tag, said by defaults and the entry": (
        "defaults: { nodes: { tags: [] } }\nnodes: { web: { tags: [] } }",
        live(nodes=[WEB]),
        {"RC0302"},
    ),
    "last tag, said by a rule": (
        f"defaults: {{ nodes: {STRICT} }}\nnodes: {{}}\n"
        "node_rules: [{ match: { name: 'w*' }, tags: [] }]",
        live(nodes=[WEB]),
        {"RC0302"},
    ),
    "last tag, said by an overlay": (
        "servers: { a: { url: https://hs.example.com } }\n"
        "overlays: { a: { nodes: { web: { tags: [] } } } }\n"
        "nodes: { web: {} }",
        live(nodes=[WEB]),
        {"RC0302"},
    ),
    "no owner of a tag": (
        f"defaults: {{ nodes: {STRICT} }}\n"
        "nodes: { web: { match: { id: 1 }, tags: [tag:x, tag:y] } }",
        live(nodes=[node(1, "web", tags=["tag:web"])]),
        {"RC0303"},
    ),
    "expiry never, said by defaults": (
        "defaults: { nodes: { expiry: never } }\nnodes: { web: {} }",
        live(nodes=[WEB], release="0.28"),
        {"RC0306"},
    ),
    "expiry at a date, said by the entry": (
        "nodes: { web: { expiry: 2032-01-01 } }",
        live(nodes=[WEB], release="0.26"),
        {"RC0306"},
    ),
    "expiry at a date, said by defaults": (
        "defaults: { nodes: { expiry: 2032-01-01 } }\nnodes: { web: {} }",
        live(nodes=[node(1, "web", tags=["tag:web"])], release="0.26"),
        {"RC0306"},
    ),
    "another e-mail": (
        "users: { alice: { email: a@example.com, display_name: A } }",
        live([user(1, "alice", email="b@example.com")]),
        {"RC0304"},
    ),
    "a user with eight nodes": (
        "users: { alice: {} }\nnodes: { box-3: {}, box-4: {} }\nremoved: [user:bob]",
        live(OWNERS, OWNED),
        {"RC0305"},
    ),
    "a name that another node keeps": (
        f"defaults: {{ nodes: {STRICT} }}\nnodes: {{ nas: {{ match: {{ id: 9 }} }} }}",
        live(nodes=[HOLDER, node(9, "nas-1")]),
        {"RC0212"},
    ),
    "a name that a node of a rule keeps": (
        f"defaults: {{ nodes: {STRICT} }}\nnodes: {{ nas: {{ match: {{ id: 9 }} }} }}\n"
        "node_rules: [{ match: { tag: tag:db }, routes: { approve: [10.0.0.0/8] } }]",
        live(nodes=[HOLDER, node(9, "nas-1"), node(8, "nas-2")]),
        {"RC0212"},
    ),
    "two devices of one name": (
        f"defaults: {{ nodes: {STRICT} }}\n"
        "nodes: { nas: { match: { hostname: nas, user: alice } } }",
        live(nodes=[node(n, f"nas-{n}", hostname="nas") for n in (1, 2, 3)]),
        {"RC0203"},
    ),
    "two entries for one node": (
        "nodes: { nas: { match: { id: 1 } }, box: { match: { hostname: nas } } }",
        live(nodes=[node(1, "nas")]),
        {"RC0204"},
    ),
    "a former name that is misspelt": (
        "users: { robert: { was: bbo }, eve: {} }",
        live([user(1, "bob"), user(2, "eve")]),
        {"RC0104"},
    ),
    "a former name that nobody has": (
        "users: { robert: { was: [zoe, zed] } }",
        live([user(1, "bob")]),
        {"RC0104"},
    ),
    "a removal that is misspelt": (
        "nodes: { nas: {} }\nremoved: [node:laptpo, user:gone]",
        live([user(1, "bob")], [node(1, "nas"), node(2, "laptop")]),
        {"RC0105"},
    ),
    "a removal of a field": (
        "removed: [node:nas.routes]",
        live([user(1, "bob")], [node(1, "nas")]),
        {"RC0105"},
    ),
    "a removal of the wrong kind": (
        "nodes: {}\nremoved: [user:nas]",
        live([user(1, "bob")], [node(1, "nas")]),
        {"RC0105"},
    ),
    "both names on the server": (
        "users: { robert: { was: [bob, rob] } }",
        live([user(1, "bob"), user(2, "robert")]),
        {"RC0210"},
    ),
}

APPROVING = (
    '{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["*:*"]}], '
    '"autoApprovers": {"routes": {"10.0.0.0/8": ["alice@"]}, "exitNode": ["alice@"]}}'
)
_ROUTES = ["10.1.0.0/16", "10.2.0.0/16", "0.0.0.0/0", "::/0"]
_ROUTER = node(1, "gw", available=_ROUTES, approved=_ROUTES)
PLANS |= {
    "a route that is approved again": (
        "nodes: { gw: { routes: { approve: [10.2.0.0/16], mode: exact } } }",
        live([user(1, "alice")], [_ROUTER], policy=APPROVING),
        {"RC0309"},
    ),
    "an exit node that is approved again, in an overlay": (
        "servers: { a: { url: https://hs.example.com } }\n"
        "overlays: { a: { nodes: { gw: { exit_node: false } } } }\n"
        "nodes: { gw: {} }",
        live([user(1, "alice")], [_ROUTER], policy=APPROVING),
        {"RC0309"},
    ),
}

WAITING = {
    "installed anew": (
        'nodes: { nas: { match: { id: 1, preauth_key: "4" }, exit_node: false } }',
        live(nodes=[node(2, "nas-1", hostname="nas", preauth_key="4")]),
    ),
    "installed anew, gone over": (
        "nodes: { nas: { match: { id: 1, hostname: nas }, replace: auto } }",
        live(nodes=[node(2, "nas-1", hostname="nas")]),
    ),
    "of nobody known": (
        "nodes: { nas: { match: { hostname: nas, user: alise } } }",
        live(nodes=[node(2, "nas", user="mallory")]),
    ),
}

__all__ = ["PLANS", "WAITING", "server"]

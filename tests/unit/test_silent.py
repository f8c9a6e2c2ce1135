"""Nothing that a file says is without effect and without a word."""

import json
from datetime import timedelta

import pytest

from reconcile.desired.schema import text
from reconcile.plan.compare import diff
from tests.support import NOW, live, node, user

LATER = NOW + timedelta(days=400)
KEY = f"mkey:{1:064x}"
STATE = live(
    [
        user(1, "alice", email="alice@example.com", display_name="Alice"),
        user(2, "bob"),
        user(3, "zoe", provider="oidc", provider_id="https://id/zoe"),
    ],
    [
        node(1, "nas", tags=["tag:web"], expiry=LATER, approved=["10.7.0.0/16"]),
        node(2, "gw", user="alice", approved=["10.8.0.0/16", "0.0.0.0/0", "::/0"]),
    ],
)
OTHER = "match: { hostname: other }"

# What stands in the files, and what must be said because nothing comes of it. Each
# leaf of the schema is here, or below with the reason why it cannot do nothing.
SAID = {
    "users.email": ("users: { alice: { email: a@b.c } }", "email cannot be changed"),
    "users.display_name": (
        "users: { alice: { display_name: B } }",
        "cannot be changed",
    ),
    "users.was": ("users: { rob: { was: rbo } }", "nobody is called rbo"),
    "users.until": ("users: { zoe: { until: 2029-12-31 } }", "identity provider"),
    "nodes.match": (f"nodes: {{ nas: {{ {OTHER} }} }}", "pending"),
    "nodes.tags": ("nodes: { nas: { tags: [] } }", "last tag cannot be removed"),
    "nodes.routes": (
        "nodes: { nas: { routes: { approve: [10.7.0.0/16] } } }",
        "10.7.0.0/16 is approved, but not advertised: takes effect when the node",
    ),
    "nodes.routes.new": (
        "nodes: { nas: { routes: { approve: [10.9.0.0/16] } } }",
        "10.9.0.0/16 not advertised yet: takes effect when the node advertises it",
    ),
    "nodes.exit_node": (
        "nodes: { nas: { exit_node: true } }",
        "not advertised yet: takes effect when the node advertises it",
    ),
    "nodes.exit_node.there": (
        "nodes: { gw: { exit_node: true } }",
        "the exit node is approved, but not advertised: takes effect when",
    ),
    "nodes.expiry": ("nodes: { nas: { expiry: never } }", "expiry cannot be set"),
    "node_rules.match": (f"node_rules: [{{ {OTHER} }}]", "matches no node"),
    "removed": ("removed: [node:old]", "can go"),
    "removed.near": ("removed: [user:alcie]", "did you mean user:alice?"),
    "removed.field": ("removed: [node:nas.routes]", "did you mean node:nas?"),
    "removed.kind": ("removed: [node:bob]", "did you mean user:bob?"),
    "removed.word": ("removed: [node:old-nas]", "can go"),
    "manage.users": ("manage: { users: prune }", "manage.users does nothing"),
    "manage.nodes": ("manage: { nodes: ignore }", "manage.nodes does nothing"),
    "manage.policy": ("manage: { policy: exact }", "manage.policy does nothing"),
    "defaults.nodes": (
        "defaults: { nodes: { tags: [] } }",
        "defaults.nodes does nothing",
    ),
    "servers.name": (
        "servers: { a: { url: https://x, name: b } }",
        "servers.a.name does nothing",
    ),
    "overlays": (
        "servers: { a: { url: https://x } }\nusers: { alice: {} }\n"
        "overlays: { a: { users: {} } }",
        "overlays.a.users does nothing",
    ),
    "policy.deliver": (
        "policy: { acls: [], deliver: { file: x } }",
        "policy.deliver is not used",
    ),
}
NEVER_IDLE = {
    "version": "it is the form of the file",
    "server.type": "there is one kind",
    "server.url": "it is where the run connects",
    "server.name": "it is shown in every plan",
    "server.credentials": "it is read for every run that connects",
    "server.release": "a server that answers otherwise is a warning",
    "accept": "an entry that accepts nothing is a warning",
    "accept.code": "as for the entry",
    "accept.for": "as for the entry",
    "accept.because": "it is shown",
    "variables": "it allows; programs get what it names",
    "include": "one that finds no file is an error, RC0024",
    "nodes.pending": "it speaks of nodes that are not there",
    "nodes.replace": "it waits until a device is installed anew",
    "node_rules.tags": "as under nodes",
    "node_rules.routes": "as under nodes",
    "node_rules.exit_node": "as under nodes",
    "node_rules.expiry": "as under nodes",
    "assert": "what it names and is not there is an error, RC0602",
    "if_unsupported": "it says how other settings are reported",
    "policy": "a text that the server has already is no change, in any other it is one",
}


def leaves():
    """Yield the name of each setting of the schema, names that people choose left out."""
    schema = json.loads(text("desired"))
    definitions = schema["$defs"]

    def inside(part):
        part = part if "$ref" not in part else definitions[part["$ref"][8:]] | part
        items = part.get("items") or part.get("additionalProperties")
        if isinstance(items, dict):
            return inside(items)
        return part.get("properties", {})

    for section, part in schema["properties"].items():
        below = {} if section in ("policy", "include", "assert") else inside(part)
        yield from [f"{section}.{name}" for name in below] or [section]


def test_every_setting_of_the_schema_is_looked_at():
    known = {*SAID, *NEVER_IDLE}
    alike = {"servers": "server", "overlays": ""}
    for leaf in leaves():
        section, _, name = leaf.partition(".")
        if section == "overlays":  # the sections again
            continue
        other = f"{alike.get(section, section)}.{name}" if name else section
        assert leaf in known or other in known, leaf


@pytest.mark.parametrize("name", SAID)
def test_what_comes_to_nothing_is_told(wanted, name):
    yaml, words = SAID[name]
    release = "0.28" if name == "nodes.expiry" else "0.29"
    state = live(STATE.users, STATE.nodes, release=release)
    desired = wanted(yaml)
    found = diff(desired, state)
    told = [
        *found.notes,
        *(f"{one.message}; {one.why}; {one.help}" for one in found.problems),
        *(f"{one.message}; {one.why}; {one.help}" for one in desired.warnings),
        *(note for change in found.changes for note in change.notes.values()),
        *("pending" for _ in found.pending),
    ]
    assert any(words in line for line in told), told


GONE = {
    "policy: { acls: [] }": "of the policy; it stays as it is on the server",
    "users: { alice: {} }": "of the users; they stay as they are on the server",
    "nodes: { nas: {} }": "of the nodes; they stay as they are on the server",
    "nodes: {}\ndefaults: { nodes: { tags: [] } }": "`defaults` is gone",
    "node_rules: [{ match: { name: nas } }]": "`node_rules` is gone",
    "assert: [{ at_least: { routers: 1, for: 10.0.0.0/8 } }]": "assert anything (1 before)",
}


@pytest.mark.parametrize("yaml", GONE)
def test_a_section_that_was_dropped_is_told(wanted, yaml):
    base, now = wanted(yaml), wanted("if_unsupported: error\n")
    notes = diff(now, STATE, base=base).notes
    assert any(GONE[yaml] in note for note in notes), notes
    assert diff(base, STATE, base=base).notes == diff(base, STATE).notes
    assert not any("no longer" in note for note in diff(now, STATE).notes)


def test_nothing_is_said_of_what_works(wanted):
    desired = wanted("""
        users: { alice: {}, bob: {} }
        nodes: { web: { match: { id: 1 }, exit_node: true } }
        node_rules: [{ match: { tag: tag:web }, routes: { approve: [10.7.0.0/16] } }]
    """)
    ready = ["10.7.0.0/16", "0.0.0.0/0", "::/0"]
    nas = node(1, "web", tags=["tag:web"], approved=ready, available=ready)
    found = diff(desired, live(STATE.users[:2], [nas]))
    assert (found.notes, found.problems) == ((), ())

"""Up to 0.27 a node has more tags than those that can be set: its key's, and asked ones.

What counts was seen in the packet filters of 0.26.1 and 0.27.1.
"""

import json

import pytest

from reconcile.live.headscale.wire import nodes as read_nodes
from reconcile.plan.compare import diff
from reconcile.review.access import of_changes, scene_now
from tests.support import changes, live, node, user

USERS = [user(1, "ann"), user(2, "ben")]
NODES = [
    node(1, "asked", user="ann", asked_tags=["tag:want"]),
    node(2, "keyed", user="ann", key_tags=["tag:key"]),
    node(3, "both", user="ann", tags=["tag:set"], key_tags=["tag:key"]),
    node(4, "late", user="ann", tags=["tag:set"], asked_tags=["tag:want"]),
    node(5, "plain", user="ann"),
    node(6, "srv", tags=["tag:srv"]),
]
OWNED = {f"tag:{t}": ["ann@"] for t in ("want", "key", "set", "srv", "new")}


def policy(source, **owners):
    tags = OWNED | {f"tag:{name}": who for name, who in owners.items()}
    rule = {"action": "accept", "src": [source], "dst": ["tag:srv:22"]}
    return json.dumps({"tagOwners": tags, "acls": [rule]})


def state(source="*", nodes=NODES, release="0.27"):
    return live(USERS, nodes, policy(source), release=release)


def sources(source, release):
    access = scene_now(state(source, release=release)).access
    names = [each.name for each in NODES[:-1]]
    found = {n for n in names if access.why(f"node:{n}", "node:srv", 22).allowed}
    return [name for name in names if name in found]


BY_NAME = [
    ("tag:want", ["asked"]),
    ("tag:key", ["keyed", "both"]),
    ("tag:set", ["both", "late"]),
    ("ann@", ["asked", "plain"]),
]
BY_GROUP = [
    ("autogroup:member", ["plain"]),
    ("autogroup:tagged", ["asked", "keyed", "both", "late"]),
]


@pytest.mark.parametrize(
    ("release", "source", "names"),
    [
        *(("0.26", *each) for each in BY_NAME),
        *(("0.27", *each) for each in BY_NAME + BY_GROUP),
    ],
)
def test_what_selects_a_node(release, source, names):
    assert sources(source, release) == names


def test_the_wire_tells_the_three_kinds_apart():
    entry = {
        "id": "1",
        "givenName": "pc",
        "user": {"id": "1"},
        "forcedTags": ["tag:set"],
        "validTags": ["tag:want", "tag:set"],
        "preAuthKey": {"id": "3", "aclTags": ["tag:key"]},
    }
    (found,) = read_nodes({"nodes": [entry]})
    assert (found.tags, found.key_tags) == ({"tag:set"}, {"tag:key"})
    assert found.asked_tags == {"tag:want"}
    new = {k: v for k, v in entry.items() if not k.endswith("Tags")}
    (found,) = read_nodes({"nodes": [new | {"tags": ["tag:set"]}]})
    assert (found.key_tags, found.asked_tags) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("number", "tags", "after", "said"),
    [
        (1, "[tag:new]", ["tag:new"], "no longer tag:want, which the device asked for"),
        (
            2,
            "[tag:new]",
            ["tag:new"],
            "also tag:key, which its key gave: setting tags does not take it away",
        ),
        (
            4,
            "[]",
            [],
            "also tag:want, which the device asked for: setting tags does not "
            "take it away",
        ),
    ],
)
def test_a_plan_says_what_a_node_is_before_and_after(wanted, number, tags, after, said):
    desired = wanted(
        f"nodes: {{ pc: {{ match: {{ id: '{number}' }}, tags: {tags} }} }}"
    )
    change = changes(desired, state())["node:pc"]
    assert (change.after["tags"], change.notes["tags"]) == (after, said)


@pytest.mark.parametrize("tags", ["[]", "[tag:key]"])
def test_what_setting_tags_cannot_change_is_no_change(wanted, tags):
    """The key gives its tag again whatever is set: a plan would never be empty."""
    desired = wanted(f"nodes: {{ keyed: {{ tags: {tags} }} }}")
    found = diff(desired, state())
    assert (found.changes, found.stuck) == ((), ())
    said = [
        "node:keyed: also tag:key, which its key gave: setting tags does not take "
        "it away"
    ]
    assert list(found.notes) == (said if tags == "[]" else [])


def test_setting_a_tag_takes_the_asked_one_and_the_user_away(wanted):
    desired = wanted("nodes: { asked: { tags: [tag:new] } }")
    for source in ("tag:want", "ann@"):
        before = state(source)
        found = of_changes(desired, before, [*changes(desired, before).values()])
        assert [loss.source_size.nodes for loss in found.lost] == [1]


def test_a_policy_that_denies_an_asked_tag_takes_it_away(wanted):
    """Seen on 0.27.1: owned by another user, the tag does not count."""
    before = state("tag:want")
    text = policy("tag:want", want=["ben@"])
    desired = wanted("policy: { file: policy.hujson }", policy_hujson=text)
    found = of_changes(desired, before, [*changes(desired, before).values()])
    assert [loss.source_size.nodes for loss in found.lost] == [1]

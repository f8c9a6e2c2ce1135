"""What changed between two policies, told by meaning."""

import random
import time
from typing import Any

import pytest

from reconcile.policy.edits.changes import Item, PolicyDiff, compare

ADMINS = {"action": "accept", "src": ["group:admins"], "dst": ["*:*"]}
ALICE = {"action": "accept", "src": ["alice@"], "dst": ["tag:db:5432"]}
CI = {"action": "accept", "src": ["group:ci"], "dst": ["tag:build:22"]}


def only(before: Any, after: Any) -> Item:
    (item,) = compare(before, after).items
    return item


def lines(diff: PolicyDiff) -> list[str]:
    return [f"{item.symbol} {item.subject} {item.summary}" for item in diff.items]


def acl(**fields: Any) -> dict[str, Any]:
    return {"acls": [{**ALICE, **fields}]}


def test_a_policy_does_not_differ_from_itself() -> None:
    diff = compare({"acls": [ALICE, CI]}, {"acls": [ALICE, CI]})
    assert not diff
    assert diff.unchanged == 2
    assert not diff.formatting_only


def test_formatting_only() -> None:
    assert compare({"acls": []}, {"acls": []}, same_text=False).formatting_only
    assert not compare({"acls": []}, {"acls": [CI]}, same_text=False).formatting_only


def test_field_names_match_without_case() -> None:
    before = {"ACLs": [{"Action": "accept", "SRC": ["alice@"], "dst": ["tag:db:1"]}]}
    after = {"acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:db:1"]}]}
    assert not compare(before, after)


def test_rule_added_removed_and_changed() -> None:
    wider = {**ALICE, "dst": ["tag:db:5432,5433"]}
    diff = compare({"acls": [ADMINS, ALICE]}, {"acls": [wider, CI]})
    assert lines(diff) == [
        "~ acls[0] alice@ -> tag:db   ports 5432 -> 5432,5433",
        "- acls[0] group:admins -> *:*",
        "+ acls[1] group:ci -> tag:build:22",
    ]
    change, removed, added = diff.items
    assert (change.effect, removed.effect, added.effect) == ("widen", "narrow", "widen")
    assert (change.before_path, change.path) == (("acls", 1), ("acls", 0))
    assert (removed.before_path, removed.path) == (("acls", 0), None)
    assert (added.before_path, added.path) == (None, ("acls", 1))
    assert change.as_json() == {
        "op": "widen",
        "rule": "acls[0]",
        "summary": "alice@ -> tag:db   ports 5432 -> 5432,5433",
        "detail": {
            "ports": {
                "effect": "widened",
                "before": "5432",
                "after": "5432,5433",
                "added": ["5433"],
            }
        },
    }


@pytest.mark.parametrize(
    ("fields", "effect", "summary"),
    [
        ({"src": ["alice@", "bob@"]}, "widen", "src + bob@"),
        ({"src": ["bob@"]}, "change", "src + bob@ - alice@"),
        ({"dst": ["tag:db:5432", "tag:x:1"]}, "widen", "dst + tag:x:1"),
        ({"dst": ["tag:db:*"]}, "widen", "ports 5432 -> *"),
        ({"dst": ["tag:db:1-65535"]}, "widen", "ports 5432 -> 1-65535"),
        ({"dst": ["tag:db:22"]}, "change", "ports 5432 -> 22"),
        ({"dst": ["tag:db:ssh"]}, "change", "ports 5432 -> ssh"),
        ({"proto": "tcp"}, "change", "proto (absent) -> tcp"),
        ({"dst": ["tag:db:5432"] * 2}, "none", "dst order only"),
    ],
)
def test_which_part_of_a_rule(fields: Any, effect: str, summary: str) -> None:
    item = only(acl(), acl(**fields))
    assert item.effect == effect
    assert item.summary.endswith(summary)
    if effect == "widen":
        assert only(acl(**fields), acl()).effect == "narrow"


def test_same_ports_in_other_words() -> None:
    item = only(acl(dst=["tag:db:1-2"]), acl(dst=["tag:db:1,2"]))
    assert item.effect == "none"


def test_grant_parts() -> None:
    grant = {"src": ["a@"], "dst": ["tag:x"], "ip": ["22"]}
    routed = {**grant, "via": ["tag:r"], "app": {"example.com/cap/x": [{}]}}
    item = only({"grants": [grant]}, {"grants": [routed]})
    assert item.effect == "change"
    assert "via + tag:r" in item.summary
    more = {**grant, "ip": ["22", "80"]}
    assert only({"grants": [grant]}, {"grants": [more]}).effect == "widen"


def test_capability_value_changed() -> None:
    one = {"src": ["a@"], "dst": ["tag:x"], "app": {"example.com/cap/x": [{"a": 1}]}}
    two = {**one, "app": {"example.com/cap/x": [{"a": 2}]}}
    assert only({"grants": [one]}, {"grants": [two]}).detail["app"]["after"] == {
        "example.com/cap/x": [{"a": 2}]
    }


def test_members_of_groups_tags_and_approvers() -> None:
    before = {
        "groups": {"group:admins": ["alice@", "bob@"], "group:old": ["a@"]},
        "tagOwners": {"tag:a": ["group:admins"]},
        "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:a"]}, "exitnode": ["tag:a"]},
    }
    after = {
        "groups": {"group:admins": ["alice@", "robert@"], "group:new": []},
        "tagOwners": {"tag:a": ["group:admins", "alice@"]},
        "autoApprovers": {"routes": {"10.0.0.0/8": []}, "exitNode": ["tag:b", "tag:a"]},
    }
    diff = compare(before, after)
    assert lines(diff) == [
        '~ groups."group:admins" + robert@   - bob@',
        '+ groups."group:new" ',
        '- groups."group:old" - a@',
        '~ tagOwners."tag:a" + alice@',
        '~ autoApprovers.routes."10.0.0.0/8" - tag:a',
        "~ autoApprovers.exitNode + tag:b",
    ]
    assert [item.effect for item in diff.items] == [
        "change",
        "widen",
        "narrow",
        "widen",
        "narrow",
        "widen",
    ]


def test_host_changed() -> None:
    item = only({"hosts": {"a": "10.0.0.1"}}, {"hosts": {"a": "10.0.0.2"}})
    assert (item.subject, item.summary) == ('hosts."a"', "10.0.0.1 -> 10.0.0.2")


def test_order_is_free_in_acls() -> None:
    item = only({"acls": [ADMINS, ALICE, CI]}, {"acls": [CI, ADMINS, ALICE]})
    assert (item.op, item.subject, item.effect) == ("move", "acls", "none")
    assert item.summary == "order only: 1 rule moved, without effect"
    assert compare({"acls": [ALICE, CI]}, {"acls": [CI, ALICE]}).order_only


def test_order_is_free_in_groups() -> None:
    diff = compare(
        {"groups": {"group:a": ["a@", "b@"]}}, {"groups": {"group:a": ["b@", "a@"]}}
    )
    assert diff.order_only
    assert diff.items[0].summary == "order only"


def test_order_counts_in_ssh() -> None:
    one = {"action": "accept", "src": ["a@"], "dst": ["tag:x"], "users": ["root"]}
    two = {**one, "users": ["autogroup:nonroot"]}
    diff = compare({"ssh": [one, two]}, {"ssh": [two, one]})
    assert not diff.order_only
    (item,) = diff.items
    assert (item.op, item.effect, item.path) == ("move", "change", ("ssh", 1))


def test_absent_is_not_empty() -> None:
    gone = only({"acls": []}, {})
    assert (gone.op, gone.subject, gone.path) == ("remove", "acls", None)
    assert "absent is not the same as empty" in gone.summary
    assert gone.before_path == ("acls",)
    assert only({}, {"grants": []}).path == ("grants",)
    assert only({}, {"groups": {}}).summary == "an empty section"
    assert only(None, {"acls": []}).op == "add"


def test_absent_is_as_good_as_empty_where_the_other_list_is_there() -> None:
    gone = only({"acls": [], "grants": []}, {"grants": []})
    assert gone.summary == "there is no `acls` any more; only `grants` counts now"
    come = only({"acls": []}, {"acls": [], "grants": []})
    assert come.summary == "there was no `grants`; only `acls` counted"


def test_tests_are_not_counted_as_rules() -> None:
    both = {"acls": [ALICE], "tests": [{"src": "alice@", "accept": ["tag:db:1"]}]}
    assert compare(both, both).unchanged == 1


@pytest.mark.parametrize(
    ("after", "effect"),
    [
        (["tag:x:22", "tag:db:5432-5433"], "widen"),
        (["tag:x:*", "tag:db:5432-5433"], "widen"),
        (["tag:x:22-23", "tag:db:5431"], "change"),
        (["tag:x:22", "tag:x:23", "tag:db:1"], "change"),
        (["tag:x:22", "tag:db:http"], "change"),
    ],
)
def test_ports_of_one_destination_of_several(after: list[str], effect: str) -> None:
    before = ["tag:x:22", "tag:db:5432"]
    assert only(acl(dst=before), acl(dst=after)).effect == effect
    back = {"widen": "narrow"}.get(effect, effect)
    assert only(acl(dst=after), acl(dst=before)).effect == back


def test_unknown_sections_by_place() -> None:
    before = {"foo": {"a": [1, 2, {"b": 3}], "c": 1}, "randomizeClientPort": True}
    after = {"foo": {"a": [2, 1, {"b": 4}], "d": 1}, "disableIPv4": True}
    assert lines(compare(before, after)) == [
        "+ disableIPv4 true",
        "- randomizeClientPort true",
        "+ foo.d 1",
        "- foo.c 1",
        "~ foo.a[2].b 3 -> 4",
    ]


def test_order_in_an_unknown_section_is_a_change() -> None:
    item = only({"foo": [1, 2]}, {"foo": [2, 1]})
    assert (item.effect, item.summary) == ("change", "order only")


@pytest.mark.parametrize(
    "value",
    [
        [],
        3,
        "x",
        {"acls": 3},
        {"acls": [3, None]},
        {"acls": [{"src": 3, "dst": "x"}]},
        {"groups": []},
        {"groups": {"a": 3}},
        {"hosts": 3},
        {"autoApprovers": 1},
        {"autoApprovers": {"routes": 1, "exitNode": {}}},
        {"ssh": [{"users": {}}]},
    ],
)
def test_any_shape_is_taken(value: Any) -> None:
    assert not compare(value, value)
    for other in ({}, {"acls": [ALICE], "groups": {"a": []}}):
        assert compare(value, other)
        assert compare(other, value)


def test_deep_data() -> None:
    deep: Any = 1
    for _ in range(190):
        deep = {"x": [deep]}
    assert compare({"foo": deep}, {"foo": {"x": [deep]}})


def test_many_rules_quickly() -> None:
    chance = random.Random(1)
    before = [
        {
            "action": "accept",
            "src": [f"group:g{chance.randrange(100)}"],
            "dst": [f"tag:t{chance.randrange(300)}:{chance.randrange(1, 999)}"],
        }
        for _ in range(2000)
    ]
    after = [
        {**rule, "src": [*rule["src"], "new@"]} if index % 4 == 0 else rule
        for index, rule in enumerate(before)
    ]
    chance.shuffle(after)
    started = time.process_time()
    diff = compare({"acls": before}, {"acls": after})
    assert time.process_time() - started < 2
    assert diff.count("change", rules=True) == 500
    assert diff.unchanged == 1500


def test_rules_without_anything_uncommon() -> None:
    before = [{"src": ["*"], "dst": ["*"], "ip": [str(port)]} for port in range(1, 500)]
    after = [{**rule, "ip": ["0" + rule["ip"][0]]} for rule in before]
    diff = compare({"grants": before}, {"grants": after})
    assert diff.count("change") == 499

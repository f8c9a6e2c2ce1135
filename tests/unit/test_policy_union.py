"""The policy between two writes opens to nobody what neither of the two does."""

from reconcile.policy.language.union import union


def acl(src, dst):
    return {"action": "accept", "src": [src], "dst": [dst]}


def test_a_group_that_changes_is_written_out_in_the_old_rules():
    before = {"groups": {"group:g": ["a@"]}, "acls": [acl("group:g", "tag:one:22")]}
    after = {"groups": {"group:g": ["b@"]}, "acls": [acl("group:g", "group:g:80")]}
    merged = union(before, after)
    assert merged["groups"] == {"group:g": ["b@"]}
    assert merged["acls"] == [acl("group:g", "group:g:80"), acl("a@", "tag:one:22")]
    back = union(after, before)
    assert back["acls"] == [acl("group:g", "tag:one:22"), acl("b@", "b@:80")]


def test_a_group_that_stays_goes_by_its_name():
    groups = {"group:g": ["a@"]}
    before = {"groups": groups, "acls": [acl("group:g", "tag:one:22")]}
    after = {"groups": groups, "acls": [acl("group:g", "tag:two:22")]}
    assert union(before, after)["acls"] == [*after["acls"], *before["acls"]]


def test_only_the_new_policy_approves_routes():
    before = {"acls": [], "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:old"]}}}
    after = {"acls": [], "autoApprovers": {"exitNode": ["tag:new"]}}
    assert union(before, after)["autoApprovers"] == after["autoApprovers"]
    assert "autoApprovers" not in union(before, {"acls": []})

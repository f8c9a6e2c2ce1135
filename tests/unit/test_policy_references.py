"""Names that a policy declares and mentions, and which routes it approves."""

from typing import Any

import pytest

from reconcile.model import Node, User
from reconcile.policy.language.references import owned_tags, references
from reconcile.policy.language.selectors import parse as selector
from reconcile.policy.meaning.identity import Ambiguous, Directory, auto_approved
from reconcile.source.hujson import parse

POLICY = """{
  "Groups": {"group:a": ["alice@", "bob@example.com"], "group:idle": []},
  "hosts": {"db": "10.0.0.5", "spare": "10.0.0.6", "old": "10.0.0.7"},
  "tagOwners": {"tag:x": ["group:a", "carol@"], "tag:idle": []},
  "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:r"]}, "exitNode": ["group:b"]},
  "acls": [{"action": "accept", "src": ["group:c"], "DST": ["db:22", "tag:x:*"]}],
  "grants": [{"src": ["*"], "dst": ["nas"], "ip": ["*"], "via": ["tag:v"]}],
  "ssh": [{"action": "accept", "src": ["tag:s"], "dst": ["tag:x"], "users": ["root"]}],
  "tests": [{"src": "dave@", "accept": ["spare:22"], "deny": ["[fd7a::1]:80"]}],
}
"""


def test_declared_and_mentioned() -> None:
    document = parse(POLICY)
    found = references(document.value)
    assert list(found.groups) == ["group:a", "group:idle"]
    assert found.groups["group:a"] == ("Groups", "group:a")
    assert document.locate(found.hosts["db"], key=True).column == 13
    assert list(found.users) == ["alice@", "bob@example.com", "carol@", "dave@"]
    assert {m.name for m in found.undeclared("tag")} == {"tag:r", "tag:v", "tag:s"}
    assert [m.path for m in found.undeclared("group")] == [
        ("autoApprovers", "exitNode", 0),
        ("acls", 0, "src", 0),
    ]
    assert [m.name for m in found.undeclared("host")] == ["nas"]
    for mention in found.mentions:
        assert document.locate(mention.path).length >= len(mention.name)
        assert mention.kind != "unknown"


def test_owned_tags() -> None:
    assert owned_tags(parse(POLICY).value) == {"tag:x", "tag:idle"}
    assert owned_tags({"TagOwners": {"tag:y": []}}) == {"tag:y"}
    assert owned_tags(None) == frozenset()


def test_unused() -> None:
    found = references(parse(POLICY).value)
    assert list(found.unused("group")) == ["group:idle"]
    assert list(found.unused("tag")) == ["tag:idle"]
    assert list(found.unused("host")) == ["old"]  # a test is a use


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"groups": 3, "acls": {}, "hosts": []},
        {"acls": [None, {"src": 3}], "autoApprovers": []},
    ],
)
def test_odd_shapes_hold_no_names(value: Any) -> None:
    assert references(value).mentions == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("*", "any"),
        (" alice@ ", "user"),
        ("user:*@example.com", "domain"),
        ("group:a@b", "user"),
        ("group:a", "group"),
        ("tag:a", "tag"),
        ("autogroup:self", "autogroup"),
        ("10.0.0.1", "address"),
        ("10.0.0.0/8", "address"),
        ("fd7a::1", "address"),
        ("::/0", "address"),
        ("10.0.0.0/255.0.0.0", "host"),
        ("10", "host"),
        ("db", "host"),
        ("ipset:x", "ipset"),
        ("svc:x", "service"),
        ("x:y", "unknown"),
        ("", "unknown"),
    ],
)
def test_kinds_of_selectors(text: str, kind: str) -> None:
    assert selector(text).kind == kind


USERS = (
    User("1", "alice", email="alice@example.com"),
    User("2", "bob", email="bob@example.com"),
    User("3", "bob@example.com"),
)


def test_users_by_name_and_email() -> None:
    directory = Directory.of({"groups": {"group:a": ["alice@", "nobody@"]}}, USERS)
    assert directory.user("alice@") == USERS[0]
    assert directory.user("alice@example.com") == USERS[0]
    assert directory.user("nobody@") is None
    assert directory.ids("group:a") == {"1"}
    assert directory.ids("group:b") == frozenset()


def test_the_providers_identifier_is_meant_whoever_else_fits() -> None:
    """Headscale looks for it first, and looks no further."""
    ann = User("1", "ann", email="shared@example.com")
    ben = User("2", "ben", provider="oidc", provider_id="shared@example.com")
    directory = Directory([ann, ben], {})
    assert directory.user("shared@example.com") is ben
    assert directory.ids("shared@example.com") == {"2"}
    assert directory.user("ann@") is ann


def test_a_token_that_fits_two_users() -> None:
    directory = Directory(USERS)
    with pytest.raises(Ambiguous, match="multiple users found"):
        directory.user("bob@example.com")
    assert directory.ids("bob@example.com") == frozenset()
    assert directory.strangers("bob@example.com") == ("bob@example.com",)
    assert directory.strangers("bob@") == ()


ROUTES = frozenset({"10.1.0.0/16", "192.168.0.0/24", "fd00::/64", "0.0.0.0/0", "::/0"})


def approved(approvers: Any, **node: Any) -> set[str]:
    policy = {"groups": {"group:a": ["alice@"]}, "autoApprovers": approvers}
    return set(auto_approved(policy, Node("1", "n", available=ROUTES, **node), USERS))


def test_routes_are_approved_by_covering_prefixes() -> None:
    routes = {
        "10.0.0.0/8": ["tag:r"],
        "192.168.0.0/25": ["tag:r"],
        "fd00::/64": ["tag:r"],
    }
    tagged = frozenset({"tag:r"})
    assert approved({"routes": routes}, tags=tagged) == {"10.1.0.0/16", "fd00::/64"}
    assert approved({"routes": routes}, tags=frozenset({"tag:o"})) == set()
    assert approved({"Routes": routes}, user_id="1") == set()


def test_approvers_may_be_users_and_groups_of_untagged_nodes() -> None:
    for name in ("alice@", "alice@example.com", "group:a"):
        routes = {"routes": {"10.0.0.0/8": [name]}}
        assert approved(routes, user_id="1") == {"10.1.0.0/16"}
        assert approved(routes, user_id="2") == set()
        assert approved(routes, user_id="1", tags=frozenset({"tag:x"})) == set()


def test_exit_routes_need_exit_node() -> None:
    every = {"0.0.0.0/0": ["alice@"], "bad": ["alice@"]}
    assert approved({"routes": every}, user_id="1") == {
        "10.1.0.0/16",
        "192.168.0.0/24",
    }
    assert approved({"exitNode": ["alice@"]}, user_id="1") == {"0.0.0.0/0", "::/0"}
    assert approved({"exitNode": ["bob@"]}, user_id="1") == set()
    assert approved(None, user_id="1") == set()

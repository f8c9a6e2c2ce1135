"""The traps of the wire, each a named list of requests; every version runs every one.

A scenario is not fitted to a version: what a version does not know it refuses, and
the refusal is what the recording keeps.
"""

import json
from dataclasses import dataclass
from typing import Any

from .runner import Step


@dataclass(frozen=True)
class Scenario:
    """A name that says the trap, the state to start from, and the requests."""

    name: str
    steps: tuple[Step, ...]
    seed: str = "tailnet"


NODES = Step("GET", "/api/v1/node")
USERS = Step("GET", "/api/v1/user")
KEYS = Step("GET", "/api/v1/preauthkey")
KEYS_OF_BOB = Step("GET", "/api/v1/preauthkey?user=2")
POLICY = Step("GET", "/api/v1/policy")
RESTART = Step("RESTART")
FUTURE = "2033-01-01T00:00:00Z"
OWNED = '{"acls": [], "tagOwners": {"tag:web": ["alice@"], "tag:db": [], "tag:x": ["bob@"]}}\n'
APPROVING = (
    '{"acls": [], "tagOwners": {"tag:db": []}, "autoApprovers": '
    '{"routes": {"10.0.0.0/8": ["bob@"]}, "exitNode": ["alice@"]}}\n'
)


def get(path: str, **more: Any) -> Step:
    """Return a GET."""
    return Step("GET", path, **more)


def post(path: str, body: Any = None, **more: Any) -> Step:
    """Return a POST."""
    return Step("POST", path, body, **more)


def delete(path: str, **more: Any) -> Step:
    """Return a DELETE."""
    return Step("DELETE", path, **more)


def put_policy(text: Any, **more: Any) -> Step:
    """Return a PUT of a policy text."""
    return Step("PUT", "/api/v1/policy", {"policy": text}, **more)


def tags(node: int | str, *names: str) -> Step:
    """Return a request that sets a node's tags."""
    return post(f"/api/v1/node/{node}/tags", {"tags": list(names)})


def routes(node: int | str, *prefixes: str) -> Step:
    """Return a request that sets a node's approved routes."""
    return post(f"/api/v1/node/{node}/approve_routes", {"routes": list(prefixes)})


def user(**fields: Any) -> Step:
    """Return a request that creates a user."""
    return post("/api/v1/user", fields)


def scenario(name: str, *steps: Step, seed: str = "tailnet") -> Scenario:
    """Return a scenario."""
    return Scenario(name, steps, seed)


def _rename_user(number: int | str, name: str) -> Step:
    return post(f"/api/v1/user/{number}/rename/{name}")


def _rename_node(number: int | str, name: str) -> Step:
    return post(f"/api/v1/node/{number}/rename/{name}")


def _key(**fields: Any) -> Step:
    return post("/api/v1/preauthkey", {"expiration": FUTURE} | fields)


SYSTEM = (
    scenario(
        "version-health-and-probes",
        get("/version", auth=""),
        Step("HEAD", "/version", auth=""),
        get("/health", auth=""),
        get("/api/v1/health"),
        get("/api/v1/health", auth=""),
        get("/swagger/v1/openapiv2.json", auth=""),
        get("/api/v1/openapi.json", auth=""),
        get("/api/v1/openapi.json"),
        get("/api/v2/openapi.json", auth=""),
        seed="empty",
    ),
    scenario(
        "unknown-paths-and-methods",
        get("/nosuch", auth=""),
        get("/", auth=""),
        get("/api/v1/nosuch"),
        get("/api/v1/nosuch", auth=""),
        get("/api/v1/user/"),
        get("/api/v1/user/1"),
        get("/api/v1/user/1", auth=""),
        Step("PUT", "/api/v1/user"),
        Step("PATCH", "/api/v1/node/1"),
        post("/api/v1/node"),
        delete("/api/v1/policy"),
        delete("/api/v1/preauthkey?id=1"),
        get("/api/v1/preauthkey/1"),
        post("/api/v1/node/1/user", {"user": "3"}),
        get("/api/v2/tailnet/-/settings"),
        get("/api/v2/nosuch"),
        Step("HEAD", "/api/v1/user"),
        Step("OPTIONS", "/api/v1/user"),
    ),
    scenario(
        "wrong-credentials",
        post(
            "/api/v1/apikey",
            {"expiration": "2020-01-01T00:00:00Z"},
            capture={"old": "apiKey"},
        ),
        get("/api/v1/user", auth=""),
        get("/api/v1/user", auth="Basic <api-key>"),
        get("/api/v1/user", auth="bearer <api-key>"),
        get("/api/v1/user", auth="Bearer garbage"),
        get("/api/v1/user", auth="Bearer abcdefg.0123456789"),
        get("/api/v1/user", auth="Bearer hskey-api-abcdefghijkl-" + "0" * 64),
        get("/api/v1/user", auth="Bearer <old>"),
        get("/api/v1/user", auth="<api-key>"),
        seed="empty",
    ),
    scenario(
        "strict-bodies",
        user(name="one", nosuch=1),
        user(name=1),
        post(
            "/api/v1/user",
            {
                "name": "two",
                "display_name": "Two",
                "picture_url": "https://x.example/a",
            },
        ),
        post(
            "/api/v1/user",
            raw='{"name":"three"}',
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
        post(
            "/api/v1/user",
            raw='{"name":"four"}',
            headers={"Content-Type": "text/plain"},
        ),
        post("/api/v1/user", raw='{"name":"five"'),
        post("/api/v1/user", raw="[]"),
        post("/api/v1/user", raw='"text"'),
        post("/api/v1/user", raw="null"),
        post("/api/v1/user", raw='{"name":null}'),
        post("/api/v1/user", raw='{"name":"six","name":"seven"}'),
        post("/api/v1/user", raw='{"name":"eight"} trailing'),
        user(name="nine", displayName="<big>"),
        post("/api/v1/node/1/tags", {"tags": "tag:web"}),
        post("/api/v1/node/1/approve_routes", {"routes": [1]}),
        post("/api/v1/preauthkey", {"user": 1, "expiration": FUTURE}),
        post(
            "/api/v1/preauthkey",
            {"user": "1", "acl_tags": ["tag:web"], "expiration": FUTURE},
        ),
        post(
            "/api/v1/preauthkey", {"user": "1", "reusable": "yes", "expiration": FUTURE}
        ),
        Step("PUT", "/api/v1/policy", {"policy": {"acls": []}}),
        Step("PUT", "/api/v1/policy", {"policy": "{}", "force": True}),
        USERS,
    ),
)

USER_TRAPS = (
    scenario(
        "user-picture-has-two-names",
        USERS,
        user(
            name="alice",
            displayName="Alice A",
            email="alice@example.com",
            pictureUrl="https://example.com/a.png",
        ),
        user(
            name="bob",
            profilePicUrl="https://example.com/b.png",
            email="not an address",
        ),
        USERS,
        seed="empty",
    ),
    scenario(
        "user-names-taken-and-unknown",
        user(name="alice"),
        user(name="ALICE"),
        _rename_user(1, "bob"),
        _rename_user(1, "alice"),
        _rename_user(1, "alicia"),
        _rename_user(99, "zoe"),
        _rename_user("abc", "zoe"),
        _rename_user(0, "zoe"),
        delete("/api/v1/user/99"),
        delete("/api/v1/user/abc"),
        USERS,
    ),
    scenario(
        "user-name-rules",
        *(
            user(name=name)
            for name in (
                "a",
                "9start",
                "with space",
                "tag:foo",
                "a/b",
                "two@at@x",
                "one@example.com",
                "tagged-devices",
                "Upper",
                "münchen",
                "-lead",
                "_lead",
                "dot.name",
                "end-",
                "a_b",
                "x" * 256,
                "  ",
            )
        ),
        _rename_user(1, "9start2"),
        _rename_user(1, "with%20space2"),
        _rename_user(1, "b"),
        _rename_user(1, "a%2Fb2"),
        USERS,
        seed="empty",
    ),
    scenario(
        "user-without-a-name",
        post("/api/v1/user"),
        post("/api/v1/user", {}),
        user(displayName="No Name"),
        USERS,
        seed="empty",
    ),
    scenario(
        "user-filters",
        get("/api/v1/user?name=bob"),
        get("/api/v1/user?name=BOB"),
        get("/api/v1/user?name=nobody"),
        get("/api/v1/user?id=2"),
        get("/api/v1/user?id=99"),
        get("/api/v1/user?id=abc"),
        get("/api/v1/user?email=a@example.com"),
        get("/api/v1/user?name=alice&id=2"),
        get("/api/v1/user?email=none@example.com&id=2"),
        get("/api/v1/user?nosuch=1"),
        get("/api/v1/user?id=0"),
        get("/api/v1/user?name="),
    ),
    scenario(
        "user-with-nodes-cannot-go",
        delete("/api/v1/user/1"),
        delete("/api/v1/user/3"),
        USERS,
        user(name="dave"),
        delete("/api/v1/user/4"),
        user(name="erin"),
        USERS,
    ),
    scenario(
        "user-delete-wipes-keys",
        _key(user="1", reusable=True),
        _key(user="3"),
        delete("/api/v1/user/3"),
        KEYS,
        KEYS_OF_BOB,
        get("/api/v1/preauthkey?user=1"),
        get("/api/v1/preauthkey?user=3"),
        NODES,
    ),
    scenario(
        "former-owner-of-a-tagged-node",
        put_policy(OWNED),
        user(name="dave"),
        post("/api/v1/debug/node", {"user": "dave", "key": "a" * 24, "name": "cam"}),
        post(
            "/api/v1/debug/node",
            {"user": "dave", "key": "hskey-authreq-" + "a" * 24, "name": "cam"},
        ),
        post(f"/api/v1/node/register?user=dave&key={'a' * 24}"),
        post(f"/api/v1/node/register?user=dave&key=hskey-authreq-{'a' * 24}"),
        tags(9, "tag:web"),
        get("/api/v1/node/9"),
        NODES,
        get("/api/v1/node?user=dave"),
        delete("/api/v1/user/4"),
        USERS,
        get("/api/v1/node/9"),
    ),
)

NODE_TRAPS = (
    scenario("nodes-empty", NODES, seed="empty"),
    scenario(
        "node-list-and-get-one-differ",
        NODES,
        *(get(f"/api/v1/node/{number}") for number in range(1, 9)),
    ),
    scenario(
        "node-filter-by-user",
        get("/api/v1/node?user=alice"),
        get("/api/v1/node?user=bob"),
        get("/api/v1/node?user=carol"),
        get("/api/v1/node?user=2"),
        get("/api/v1/node?user=nobody"),
        get("/api/v1/node?user=tagged-devices"),
        get("/api/v1/node?nosuch=1"),
    ),
    scenario(
        "node-unknown-ids",
        *(
            step
            for number in ("99", "abc", "-1")
            for step in (
                get(f"/api/v1/node/{number}"),
                delete(f"/api/v1/node/{number}"),
                tags(number, "tag:web"),
                routes(number, "10.1.0.0/16"),
                post(f"/api/v1/node/{number}/expire"),
                _rename_node(number, "web-1"),
            )
        ),
    ),
    scenario(
        "node-delete-is-at-once",
        delete("/api/v1/node/4"),
        delete("/api/v1/node/4"),
        get("/api/v1/node/4"),
        NODES,
    ),
    scenario(
        "node-rename-rules",
        *(
            _rename_node(1, name)
            for name in (
                "web-1",
                "web-1",
                "1start",
                "Web-Upper",
                "a",
                "dot.name",
                "with_underscore",
                "with%20space",
                "m%C3%BCnchen",
                "end-",
                "-lead",
                "x" * 63,
                "x" * 64,
                "router",
                "ROUTER",
                "a%2Fb",
                "",
            )
        ),
        NODES,
    ),
    scenario(
        "tags-need-an-owner-in-the-policy",
        tags(1, "tag:web"),
        put_policy('{"acls": []}\n'),
        tags(2, "tag:web"),
        put_policy(OWNED),
        tags(3, "tag:web", "tag:none"),
        tags(3, "tag:web"),
        tags(5, "tag:none"),
        NODES,
    ),
    scenario(
        "tags-take-the-node-from-its-user",
        put_policy(OWNED),
        tags(1, "tag:web"),
        get("/api/v1/node/1"),
        NODES,
        get("/api/v1/node?user=alice"),
        tags(4, "tag:x"),
        get("/api/v1/node/4"),
        delete("/api/v1/user/2"),
        RESTART,
        NODES,
    ),
    scenario(
        "tags-order-and-duplicates",
        put_policy(OWNED),
        tags(1, "tag:x", "tag:db", "tag:web", "tag:db"),
        get("/api/v1/node/1"),
        tags(1, "tag:web", "tag:db"),
        NODES,
        RESTART,
        NODES,
    ),
    scenario(
        "tags-malformed",
        put_policy(OWNED),
        tags(1, "tag:Web"),
        tags(1, "web"),
        tags(1, "tag:a b"),
        tags(1, "tag:"),
        tags(1, ""),
        tags(1, "tag:web", "web"),
        NODES,
    ),
    scenario(
        "tags-to-zero",
        put_policy(OWNED),
        tags(4),
        tags(1),
        post("/api/v1/node/4/tags", {"tags": None}),
        post("/api/v1/node/4/tags", {}),
        post("/api/v1/node/4/tags"),
        NODES,
        RESTART,
        NODES,
    ),
    scenario(
        "tag-dropped-from-the-policy",
        put_policy(OWNED),
        tags(1, "tag:web"),
        put_policy('{"acls": [], "tagOwners": {"tag:db": []}}\n'),
        NODES,
        tags(1, "tag:web"),
        tags(4, "tag:db"),
        NODES,
    ),
    scenario(
        "routes-exit-pair",
        routes(3, "0.0.0.0/0"),
        get("/api/v1/node/3"),
        NODES,
        routes(3, "::/0"),
        routes(3, "::/0", "10.9.0.0/16", "0.0.0.0/0"),
        NODES,
        routes(3),
        NODES,
    ),
    scenario(
        "routes-are-sorted-by-number",
        routes(
            8,
            "fd00::/48",
            "10.10.0.0/16",
            "10.3.0.0/16",
            "10.2.0.0/16",
            "10.10.0.0/16",
            "10.3.0.0/24",
            "::/0",
        ),
        routes(8, "10.10.0.0/16", "fd00:1::/64", "FD00:0:0::/48"),
        get("/api/v1/node/8"),
        NODES,
    ),
    scenario(
        "routes-host-bits-and-bare-addresses",
        routes(2, "10.2.0.5/24", "10.2.0.0/24"),
        routes(2, "10.0.0.1"),
        routes(2, "10.0.0.0/33"),
        routes(2, "nonsense/8"),
        routes(2, "300.0.0.0/8"),
        routes(2, ""),
        routes(2, "fd00::1/64"),
        routes(2, "010.1.0.0/16"),
        routes(2, "10.1.0.0/08"),
        NODES,
    ),
    scenario(
        "routes-not-advertised-are-stored",
        routes(1, "10.77.0.0/16"),
        get("/api/v1/node/1"),
        NODES,
        RESTART,
        NODES,
    ),
    scenario(
        "routes-to-zero-are-lost-at-restart",
        routes(2, "10.1.0.0/16"),
        NODES,
        routes(2),
        post("/api/v1/node/7/approve_routes", {"routes": None}),
        post("/api/v1/node/8/approve_routes", {}),
        NODES,
        RESTART,
        NODES,
        routes(7, "10.1.0.0/16", "10.2.0.0/16"),
        RESTART,
        NODES,
    ),
    scenario(
        "routes-with-two-routers",
        NODES,
        routes(2, "10.1.0.0/16", "10.2.0.0/16"),
        NODES,
        routes(7),
        NODES,
        routes(7, "10.1.0.0/16"),
        delete("/api/v1/node/2"),
        NODES,
    ),
    scenario(
        "auto-approvers-come-back-with-each-put",
        put_policy(APPROVING),
        NODES,
        routes(2),
        routes(3),
        NODES,
        put_policy(APPROVING),
        NODES,
        put_policy('{"acls": [], "tagOwners": {"tag:db": []}}\n'),
        NODES,
        routes(2, "10.1.0.0/16"),
        routes(3),
        put_policy(APPROVING),
        RESTART,
        NODES,
    ),
    scenario(
        "auto-approvers-by-tag-and-group",
        put_policy(
            '{"acls": [], "groups": {"group:ops": ["bob@"]}, "tagOwners": {"tag:web": ["alice@"], "tag:db": []},'
            '"autoApprovers": {"routes": {"10.2.0.0/16": ["group:ops"], "10.9.0.0/16": ["tag:web"],'
            ' "fd00::/16": ["alice@"], "0.0.0.0/0": ["alice@"]}, "exitNode": ["tag:web"]}}\n'
        ),
        NODES,
        tags(8, "tag:web"),
        tags(3, "tag:web"),
        NODES,
        put_policy(OWNED),
        NODES,
    ),
    scenario(
        "expire-options-have-two-places",
        post("/api/v1/node/1/expire"),
        post("/api/v1/node/2/expire", {}),
        post(f"/api/v1/node/3/expire?expiry={FUTURE}"),
        post("/api/v1/node/5/expire", {"expiry": FUTURE}),
        post(f"/api/v1/node/7/expire?expiry={FUTURE}", {"expiry": FUTURE}),
        post("/api/v1/node/8/expire?expiry=tomorrow", {"expiry": "tomorrow"}),
        get("/api/v1/node/7"),
        NODES,
        RESTART,
        NODES,
    ),
    scenario(
        "expire-never",
        post("/api/v1/node/5/expire?disableExpiry=true"),
        post("/api/v1/node/5/expire", {"disableExpiry": True}),
        post("/api/v1/node/5/expire?disableExpiry=true", {"disableExpiry": True}),
        get("/api/v1/node/5"),
        post(f"/api/v1/node/1/expire?disableExpiry=true&expiry={FUTURE}"),
        post("/api/v1/node/1/expire", {"disableExpiry": True, "expiry": FUTURE}),
        post(f"/api/v1/node/4/expire?expiry={FUTURE}", {"expiry": FUTURE}),
        NODES,
        RESTART,
        NODES,
    ),
    scenario(
        "expire-in-the-past",
        post(
            "/api/v1/node/1/expire?expiry=2020-01-01T00:00:00Z",
            {"expiry": "2020-01-01T00:00:00Z"},
        ),
        post(
            "/api/v1/node/2/expire?expiry=2033-01-01T02:00:00%2B02:00",
            {"expiry": "2033-01-01T02:00:00+02:00"},
        ),
        post("/api/v1/node/3/expire?expiry=2033-01-01", {"expiry": "2033-01-01"}),
        NODES,
    ),
    scenario(
        "node-move",
        post("/api/v1/node/1/user", {"user": "3"}),
        post("/api/v1/node/1/user", {"user": "99"}),
        post("/api/v1/node/1/user", {"user": "carol"}),
        post("/api/v1/node/99/user", {"user": "1"}),
        get("/api/v1/node/1"),
        NODES,
    ),
    scenario(
        "node-register-without-a-client",
        post(
            "/api/v1/debug/node",
            {
                "user": "alice",
                "key": "b" * 24,
                "name": "Cam 1",
                "routes": ["10.5.0.0/16"],
            },
        ),
        post(
            "/api/v1/debug/node",
            {
                "user": "alice",
                "key": "hskey-authreq-" + "b" * 24,
                "name": "Cam 1",
                "routes": ["10.5.0.0/16"],
            },
        ),
        post("/api/v1/debug/node", {"user": "nobody", "key": "c" * 24, "name": "x"}),
        post("/api/v1/debug/node", {"user": "alice", "key": "short", "name": "x"}),
        post(f"/api/v1/node/register?user=alice&key={'b' * 24}"),
        post(f"/api/v1/node/register?user=alice&key=hskey-authreq-{'b' * 24}"),
        post(f"/api/v1/node/register?user=alice&key={'b' * 24}"),
        post(f"/api/v1/node/register?user=alice&key=hskey-authreq-{'d' * 24}"),
        post("/api/v1/node/register?user=alice&key=short"),
        post(f"/api/v1/node/register?user=nobody&key=hskey-authreq-{'d' * 24}"),
        get("/api/v1/node/9"),
        NODES,
        post("/api/v1/node/backfillips"),
        post("/api/v1/node/backfillips?confirmed=true"),
    ),
    scenario(
        "sign-in-requests",
        user(name="dave"),
        *(
            post(f"/api/v1/auth/{verb}", {"authId": number, **who})
            for verb, who in (
                ("approve", {}),
                ("reject", {}),
                ("register", {"user": "dave"}),
            )
            for number in ("short", "hskey-authreq-" + "a" * 24)
        ),
        post(
            "/api/v1/auth/register",
            {"user": "nobody", "authId": "hskey-authreq-" + "a" * 24},
        ),
        seed="empty",
    ),
    scenario(
        "node-registered-under-a-taken-name",
        post(
            "/api/v1/debug/node",
            {
                "user": "alice",
                "key": "e" * 24,
                "name": "lab",
                "routes": ["10.1.5.0/24"],
            },
        ),
        post(
            "/api/v1/debug/node",
            {
                "user": "alice",
                "key": "hskey-authreq-" + "e" * 24,
                "name": "lab",
                "routes": ["10.1.5.0/24"],
            },
        ),
        put_policy(APPROVING.replace("bob@", "alice@")),
        post(f"/api/v1/node/register?user=alice&key={'e' * 24}"),
        post(f"/api/v1/node/register?user=alice&key=hskey-authreq-{'e' * 24}"),
        # 0.27 approves some time after the answer: let a write to another node pass
        _rename_node(5, "phone-b"),
        get("/api/v1/node?user=alice"),
        delete("/api/v1/node/9"),
        post("/api/v1/debug/node", {"user": "alice", "key": "f" * 24, "name": "new"}),
        post(
            "/api/v1/debug/node",
            {"user": "alice", "key": "hskey-authreq-" + "f" * 24, "name": "new"},
        ),
        post(f"/api/v1/node/register?user=alice&key={'f' * 24}"),
        post(f"/api/v1/node/register?user=alice&key=hskey-authreq-{'f' * 24}"),
        get("/api/v1/node?user=alice"),
    ),
)

KEY_TRAPS = (
    scenario(
        "preauth-keys-show-their-secret-once",
        KEYS,
        KEYS_OF_BOB,
        _key(user="1", reusable=True),
        _key(user="1", ephemeral=True),
        get("/api/v1/preauthkey?user=1"),
        get("/api/v1/preauthkey?user=99"),
        get("/api/v1/preauthkey?user=alice"),
        KEYS,
    ),
    scenario(
        "preauth-key-owner",
        _key(),
        _key(user="99"),
        _key(user="alice"),
        _key(aclTags=["tag:web"]),
        _key(user="1", aclTags=["tag:web", "tag:db", "tag:web"]),
        _key(user="0", aclTags=["tag:web"]),
        KEYS,
        get("/api/v1/preauthkey?user=1"),
    ),
    scenario(
        "preauth-key-tags-malformed",
        *(
            _key(user="1", aclTags=[tag])
            for tag in ("web", "tag:Web", "tag:a b", "tag:", "", "tag:undefined")
        ),
        get("/api/v1/preauthkey?user=1"),
    ),
    scenario(
        "preauth-key-without-expiration-is-dead",
        post("/api/v1/preauthkey", {"user": "1"}),
        _key(user="1", expiration="2020-01-01T00:00:00Z"),
        _key(user="1", expiration="2033-01-01"),
        _key(user="1", expiration="soon"),
        _key(user="1", expiration="2033-01-01T02:00:00+02:00"),
        _key(user="1", expiration=None),
        get("/api/v1/preauthkey?user=1"),
    ),
    scenario(
        "preauth-key-expire-and-delete",
        post(
            "/api/v1/preauthkey",
            {"user": "1", "expiration": FUTURE, "reusable": True},
            capture={"key": "preAuthKey.key"},
        ),
        post("/api/v1/preauthkey/expire", {"user": "1", "key": "<key>"}),
        post("/api/v1/preauthkey/expire", {"user": "1", "key": "nosuch"}),
        post("/api/v1/preauthkey/expire", {"user": "2", "key": "<key>"}),
        get("/api/v1/preauthkey?user=1"),
        post("/api/v1/preauthkey/expire", {"id": "2"}),
        post("/api/v1/preauthkey/expire", {"id": "2"}),
        post("/api/v1/preauthkey/expire", {"id": "99"}),
        post("/api/v1/preauthkey/expire", {}),
        get("/api/v1/preauthkey?user=1"),
        delete("/api/v1/preauthkey?id=2"),
        delete("/api/v1/preauthkey?id=2"),
        delete("/api/v1/preauthkey?id=abc"),
        delete("/api/v1/preauthkey"),
        delete("/api/v1/preauthkey?id=1"),
        get("/api/v1/preauthkey?user=1"),
        NODES,
        _key(user="1"),
    ),
    scenario(
        "api-keys",
        get("/api/v1/apikey"),
        post("/api/v1/apikey", {"expiration": FUTURE}),
        post("/api/v1/apikey", {}),
        post("/api/v1/apikey"),
        get(
            "/api/v1/apikey",
            capture={"prefix": "apiKeys.1.prefix", "third": "apiKeys.2.prefix"},
        ),
        post("/api/v1/apikey/expire", {"prefix": "<prefix>"}),
        post("/api/v1/apikey/expire", {"prefix": "nosuch"}),
        post("/api/v1/apikey/expire", {"id": "3"}),
        post("/api/v1/apikey/expire", {"id": "99"}),
        post("/api/v1/apikey/expire", {}),
        post("/api/v1/apikey/expire", {"id": "3", "prefix": "<third>"}),
        delete("/api/v1/apikey/<prefix>"),
        delete("/api/v1/apikey/<prefix>"),
        delete("/api/v1/apikey/nosuch"),
        get("/api/v1/apikey"),
        seed="empty",
    ),
)

_TEXT = '// top\n{\n  /* block */ "acls": [\n\n    {"action": "accept", "src": ["*"], "dst": ["*:*"],},  \n  ],\n}\n'

POLICY_TRAPS = (
    scenario(
        "policy-never-stored",
        POLICY,
        get("/api/v2/tailnet/-/acl"),
        seed="empty",
    ),
    scenario(
        "policy-is-kept-byte-for-byte",
        put_policy(_TEXT),
        POLICY,
        put_policy(_TEXT, headers={"If-Match": '"bogus"'}),
        put_policy(_TEXT.replace("\n", "\r\n")),
        POLICY,
        put_policy('{"acls": []}'),
        POLICY,
        RESTART,
        POLICY,
    ),
    scenario(
        "policy-emptiness",
        put_policy('{"acls": []}\n'),
        put_policy("{}"),
        POLICY,
        put_policy("null"),
        POLICY,
        put_policy('{"acls": null}'),
        put_policy(""),
        POLICY,
        Step("PUT", "/api/v1/policy", {}),
        Step("PUT", "/api/v1/policy"),
        put_policy("  \n"),
        put_policy("// only a comment\n"),
        put_policy("[]"),
        put_policy("1"),
        put_policy('"text"'),
        put_policy("{} {}"),
        POLICY,
    ),
    scenario(
        "policy-empty-text-takes-over-at-restart",
        put_policy(OWNED),
        put_policy(""),
        tags(1, "tag:web"),
        RESTART,
        POLICY,
        tags(2, "tag:web"),
        NODES,
    ),
    scenario("policy-from-a-file", POLICY, put_policy("{}\n"), POLICY, seed="file"),
    scenario("policy-from-no-file", POLICY, put_policy("{}\n"), seed="file-none"),
    scenario(
        "policy-check-stores-nothing",
        post("/api/v1/policy/check", {"policy": "{}"}),
        post("/api/v1/policy/check", {"policy": '{"acls": [{"action": "deny"}]}'}),
        post("/api/v1/policy/check", {"policy": "{"}),
        post("/api/v1/policy/check", {"policy": ""}),
        post("/api/v1/policy/check", {}),
        POLICY,
        seed="empty",
    ),
    scenario(
        "policy-versions-with-etags",
        get("/api/v2/tailnet/-/acl"),
        Step(
            "POST",
            "/api/v2/tailnet/-/acl",
            raw=_TEXT,
            headers={"Content-Type": "application/hujson"},
        ),
        get(
            "/api/v2/tailnet/-/acl",
            headers={"Accept": "application/hujson"},
            capture={},
        ),
        Step(
            "POST", "/api/v2/tailnet/-/acl", raw=OWNED, headers={"If-Match": '"bogus"'}
        ),
        Step("POST", "/api/v2/tailnet/-/acl", raw=OWNED, headers={"If-Match": "*"}),
        Step(
            "POST",
            "/api/v2/tailnet/-/acl",
            raw=_TEXT,
            headers={"If-Match": '"ts-default"'},
        ),
        Step(
            "POST",
            "/api/v2/tailnet/-/acl",
            raw="{",
            headers={"Content-Type": "application/hujson"},
        ),
        get("/api/v2/tailnet/example.com/acl"),
        get("/api/v2/tailnet/-/acl", auth=""),
        POLICY,
    ),
    scenario(
        "devices-of-version-two",
        get("/api/v2/tailnet/-/devices?fields=all"),
        get("/api/v2/tailnet/-/devices"),
        get("/api/v2/device/2"),
        get("/api/v2/device/2?fields=all"),
        get("/api/v2/device/99"),
        get("/api/v2/device/abc"),
        get("/api/v2/device/2/routes"),
    ),
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

SCENARIOS = (
    *SYSTEM,
    *USER_TRAPS,
    *NODE_TRAPS,
    *KEY_TRAPS,
    *POLICY_TRAPS,
    *POLICY_REFUSALS,
)

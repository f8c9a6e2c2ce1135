"""Traps of nodes: reading, renaming, deleting, expiry, registration."""

from .steps import (
    APPROVING,
    FUTURE,
    NODES,
    RESTART,
    delete,
    get,
    post,
    put_policy,
    rename_node,
    routes,
    scenario,
    tags,
    user,
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
                rename_node(number, "web-1"),
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
            rename_node(1, name)
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
        rename_node(5, "phone-b"),
        get("/api/v1/node?user=alice"),
        RESTART,
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

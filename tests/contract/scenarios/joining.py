"""Traps that only show when real devices are connected."""

import json

from .steps import (
    FUTURE,
    KEYS,
    NODES,
    Step,
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

POLICY = json.dumps(
    {
        "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
        "tagOwners": {"tag:web": ["alice@"]},
        "autoApprovers": {"routes": {"10.9.0.0/16": ["alice@"]}},
    }
)


def _key(name: str, **fields: object) -> Step:
    body = {"user": "1", "expiration": FUTURE} | fields
    return post("/api/v1/preauthkey", body, capture={name: "preAuthKey.key"})


def _join(name: str, key: str, *advertised: str) -> Step:
    return Step("JOIN", name, {"key": f"<{key}>", "routes": list(advertised)})


JOIN_TRAPS = (
    scenario(
        "join-shows-the-key-and-serves-routes",
        user(name="alice"),
        put_policy(POLICY + "\n"),
        _key("once"),
        _key("again", reusable=True, ephemeral=True),
        _join("router-a", "once", "10.8.0.0/16", "10.9.0.0/16"),
        get("/api/v1/preauthkey?user=1"),
        NODES,
        get("/api/v1/node/1"),
        routes(1, "10.8.0.0/16", "10.9.0.0/16"),
        NODES,
        _join("router-b", "again", "10.8.0.0/16", "0.0.0.0/0", "::/0"),
        routes(2, "10.8.0.0/16", "0.0.0.0/0"),
        NODES,
        rename_node(2, "second"),
        delete("/api/v1/node/1"),
        NODES,
        seed="empty",
    ),
    scenario(
        "join-with-a-tagged-key",
        user(name="alice"),
        put_policy(POLICY + "\n"),
        _key("tagged", aclTags=["tag:web"], reusable=True),
        _join("web", "tagged", "10.9.0.0/16"),
        NODES,
        get("/api/v1/node/1"),
        tags(1, "tag:web"),
        post("/api/v1/node/1/expire"),
        KEYS,
        delete("/api/v1/user/1"),
        NODES,
        seed="empty",
    ),
)

"""Traps of the policy as a stored text."""

from .steps import (
    NODES,
    OWNED,
    POLICY,
    RESTART,
    Step,
    get,
    post,
    put_policy,
    scenario,
    tags,
)

TEXT = (
    '// top\n{\n  /* block */ "acls": [\n\n'
    '    {"action": "accept", "src": ["*"], "dst": ["*:*"],},  \n  ],\n}\n'
)

POLICY_TRAPS = (
    scenario(
        "policy-never-stored",
        POLICY,
        get("/api/v2/tailnet/-/acl"),
        seed="empty",
    ),
    scenario(
        "policy-is-kept-byte-for-byte",
        put_policy(TEXT),
        POLICY,
        put_policy(TEXT, headers={"If-Match": '"bogus"'}),
        put_policy(TEXT.replace("\n", "\r\n")),
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
            raw=TEXT,
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
            raw=TEXT,
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

"""A tailnet of any size, as the node list of a server and as a desired state."""

import json


def users(count: int) -> list[dict]:
    return [
        {
            "id": str(number),
            "name": f"user{number:03}",
            "createdAt": "2026-01-01T00:00:00Z",
            "displayName": "",
            "email": f"user{number:03}@example.com",
            "providerId": "",
            "provider": "",
            "profilePicUrl": "",
        }
        for number in range(1, count + 1)
    ]


def nodes(count: int, owners: list[dict]) -> list[dict]:
    """Every tenth node is tagged and routes a subnet, as servers do."""
    return [
        _node(number, owners[number % len(owners)]) for number in range(1, count + 1)
    ]


def _node(number: int, owner: dict) -> dict:
    routed = number % 10 == 0
    route = [f"10.{number // 250 % 250}.{number % 250}.0/24"] if routed else []
    tagged = {**owner, "id": "2147455555", "name": "tagged-devices"}
    return {
        "id": str(number),
        "machineKey": f"mkey:{number:064x}",
        "nodeKey": f"nodekey:{number:064x}",
        "discoKey": f"discokey:{number:064x}",
        "ipAddresses": [
            f"100.{64 + number // 65536}.{number // 256 % 256}.{number % 256}",
            f"fd7a:115c:a1e0::{number:x}",
        ],
        "name": f"node-{number:05}",
        "user": tagged if routed else owner,
        "lastSeen": "2026-11-22T18:00:56.407822499Z",
        "expiry": None,
        "preAuthKey": None,
        "createdAt": "2026-11-22T18:00:31.501405104Z",
        "registerMethod": "REGISTER_METHOD_CLI",
        "givenName": f"node-{number:05}",
        "online": number % 3 == 0,
        "approvedRoutes": route,
        "availableRoutes": route,
        "subnetRoutes": route,
        "tags": ["tag:server"] if routed else [],
    }


POLICY = """{
  "tagOwners": { "tag:server": [], "tag:new": [] },
  "acls": [ { "action": "accept", "src": ["*"], "dst": ["tag:server:22,443"] } ],
}
"""


def desired(listed: list[dict], changed: int, *, imported: bool) -> str:
    """Return a file with `changed` nodes wanted otherwise than they are.

    `imported` is the short form that `import` writes; otherwise every node is spelled
    out with its tags and routes, as hand-made files are.
    """
    lines = [
        "version: 1",
        "server: { type: headscale, name: bench, url: '${HEADSCALE_URL}' }",
        "policy: { file: policy.hujson }",
    ]
    if imported:
        lines += [
            "defaults:",
            "  nodes: { tags: [], routes: { approve: [] }, exit_node: false }",
        ]
    lines.append("nodes:")
    for index, node in enumerate(listed):
        wanted = ["tag:new"] if index < changed * 10 and node["tags"] else node["tags"]
        if imported and not node["tags"]:
            lines.append(f"  {node['givenName']}: {{}}")
        else:
            lines += [
                f"  {node['givenName']}:",
                f"    match: {{ machine_key: '{node['machineKey']}' }}",
                f"    tags: [{', '.join(wanted)}]",
                f"    routes: {{ approve: [{', '.join(node['approvedRoutes'])}] }}",
            ]
    return "\n".join(lines) + "\n"


def answers(count: int) -> dict[str, bytes]:
    """Return path -> body of everything that a plan asks a server."""
    owners = users(300)
    encode = json.JSONEncoder(separators=(",", ":")).encode
    return {
        "/version": b'{"version":"v0.28.0","commit":"unknown"}',
        "/api/v1/user": encode({"users": owners}).encode(),
        "/api/v1/node": encode({"nodes": nodes(count, owners)}).encode(),
        "/api/v1/policy": encode(
            {"policy": POLICY, "updatedAt": "2026-11-22T17:50:01.755151261Z"}
        ).encode(),
    }

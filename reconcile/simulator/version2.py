"""The part of main's second API that a client of the first may meet.

It speaks like Tailscale: the policy with an ETag, devices, and errors of its own.
"""

import hashlib
import json
import re
from typing import Any

from reconcile.simulator import policy, routing, users
from reconcile.simulator.refusing import BadPolicy
from reconcile.simulator.wire import JSON_TYPE, PROBLEM_TYPE, Request, Response
from reconcile.simulator.world import Node, World

DEFAULT_POLICY = (
    "{\n\t// Headscale default policy. Allows all communication.\n"
    '\t"acls": [\n\t\t{"action": "accept", "src": ["*"], "dst": ["*:*"]},\n\t],\n}\n'
)
SETTINGS = {
    "aclsExternallyManagedOn": False,
    "aclsExternalLink": "",
    "devicesApprovalOn": False,
    "devicesAutoUpdatesOn": False,
    "devicesKeyDurationDays": 0,
    "usersApprovalOn": False,
    "usersRoleAllowedToJoinExternalTailnets": "none",
    "networkFlowLoggingOn": False,
    "regionalRoutingOn": False,
    "postureIdentityCollectionOn": False,
    "httpsEnabled": False,
}
_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|(//[^\n]*|/\*.*?\*/)', re.DOTALL)


def problem(status: int, message: str, *errors: str) -> Response:
    """Return an error as the second API writes it."""
    body: dict[str, Any] = {"message": message}
    if errors:
        body["data"] = [{"errors": list(errors)}]
    return _json(body | {"status": status}, status, PROBLEM_TYPE)


def handle(world: World, request: Request, parts: list[str]) -> Response | None:
    """Answer an authorized request; None when there is no such end point."""
    match [request.method, *parts]:
        case [_, "tailnet", tailnet, *_] if tailnet != "-":
            return problem(404, "tailnet not found")
        case ["GET", "tailnet", _, "acl"]:
            return _policy(request, _text(world))
        case ["POST", "tailnet", _, "acl"]:
            return _store(world, request)
        case ["GET", "tailnet", _, "devices"]:
            every = _wants_all(request)
            return _json(
                {"devices": [_device(world, node, every) for node in world.nodes]}
            )
        case ["GET", "tailnet", _, "settings"]:
            external = world.policy.mode == "file"
            return _json(SETTINGS | {"aclsExternallyManagedOn": external})
        case ["GET", "device", number, *rest] if rest in ([], ["routes"]):
            return _one(world, request, number, with_routes=bool(rest))
    return None


def _json(value: Any, status: int = 200, kind: str = JSON_TYPE) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Response(status, {"Content-Type": kind}, text.encode())


def _text(world: World) -> str:
    return world.policy.text or DEFAULT_POLICY


def _etag(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()}"'


def _policy(request: Request, text: str) -> Response:
    wanted = "application/hujson" in request.header("accept")
    kind = "application/hujson" if wanted else JSON_TYPE
    return Response(200, {"Content-Type": kind, "Etag": _etag(text)}, text.encode())


def _store(world: World, request: Request) -> Response:
    """Store a text if the caller knows the one that is there.

    The server blanks comments while it reads, and stores what is left of the text:
    only the first API keeps a policy byte for byte.
    """
    if world.policy.mode == "file":
        return problem(400, policy.MODE)
    expected = request.header("if-match")
    known = ["", "*", _etag(_text(world))]
    if world.policy.text is None:
        known.append('"ts-default"')
    if expected not in known:
        return problem(412, "precondition failed, invalid old hash")
    text = request.body.decode("utf-8", "replace")
    try:
        policy.store(world, text)
    except BadPolicy as refused:
        return problem(400, "setting policy", str(refused))
    world.policy.text = _COMMENT.sub(_blanked, text)
    return _policy(request, world.policy.text)


def _blanked(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[0]
    return re.sub(r"[^\n]", " ", found[0])


def _wants_all(request: Request) -> bool:
    return request.parameters.get("fields") == "all"


def _one(world: World, request: Request, number: str, *, with_routes: bool) -> Response:
    node = world.node(int(number)) if number.isdecimal() else None
    if node is None:
        return problem(404, "device not found")
    if with_routes:
        enabled = [route for route in node.approved if route in node.routes]
        return _json({"advertisedRoutes": node.routes, "enabledRoutes": enabled})
    return _json(_device(world, node, _wants_all(request)))


def _device(world: World, node: Node, every: bool) -> dict[str, Any]:
    """Return a device; an empty list of routes is left out."""
    owner = None if node.tags else world.user(node.user)
    found = {
        "addresses": node.addresses,
        "name": node.name,
        "id": str(node.id),
        "nodeId": str(node.id),
        "authorized": True,
        "user": (owner or users.TAGGED_DEVICES).name,
        "tags": node.tags,
        "keyExpiryDisabled": node.expiry is None,
        "created": node.created,
        "expires": node.expiry,
        "hostname": node.hostname,
        "isEphemeral": node.ephemeral,
        "lastSeen": None if node.online else node.last_seen,
        "machineKey": node.machine_key,
        "nodeKey": node.node_key,
        "os": "linux",
        "clientVersion": "",
        "updateAvailable": False,
    }
    if every:
        enabled = routing.ordered(set(node.approved) & set(node.routes), world.release)
        found |= {
            "advertisedRoutes": node.routes or None,
            "enabledRoutes": enabled or None,
        }
    return {name: value for name, value in found.items() if value is not None}

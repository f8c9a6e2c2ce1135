"""How nodes come into a world: registered by an administrator, or with a key."""

from typing import Any

from reconcile.errors import Refused
from reconcile.simulator import nodes, policy, routing, users
from reconcile.simulator.call import Call, Route
from reconcile.simulator.names import base_name, given_name, host_name
from reconcile.simulator.release import Release
from reconcile.simulator.wire import INVALID, NOT_FOUND, UNKNOWN, Refusal
from reconcile.simulator.world import ZERO_TIME, Key, Node, Pending, User, World, now
from reconcile.source.variables import quoted


def debug_create(call: Call) -> dict[str, Any]:
    """Make a node that waits for registration; from 0.29 on it forgets its routes."""
    world, body = call.world, call.body
    user = world.user_named(body.get("user", ""))
    if user is None:
        raise Refusal(
            UNKNOWN, "user not found", 404, "looking up user", "user not found"
        )
    number = _checked_id(call.release, body.get("key", ""), "debug creating node")
    routes = [routing.parse(route) for route in body.get("routes", [])]
    pending = Pending(number, user.name, body.get("name", ""), routes)
    world.pending = [other for other in world.pending if other.id != number] + [pending]
    shown = Node(
        0, "", pending.name, user.id, routes=routes, expiry=ZERO_TIME, method=""
    )
    shown.last_seen = shown.created = ZERO_TIME
    return {"node": nodes.view(world, shown) | {"name": pending.name}}


def _checked_id(release: Release, number: str, doing: str) -> str:
    prefix = release.registration_prefix
    if not number.startswith(prefix):
        reason = f'auth ID has invalid prefix: expected prefix "{prefix}"'
        raise Refusal(UNKNOWN, reason, 400, doing, reason)
    if len(number) != len(prefix) + 24:
        reason = "registration ID must be 24 characters long"
        raise Refusal(UNKNOWN, reason, 400, doing, reason)
    return number


def register(call: Call) -> dict[str, Any]:
    """Let a waiting node in, for the user with this name."""
    number = _checked_id(call.release, call.query.get("key", ""), "registering node")
    return {"node": _registered(call, number, call.query.get("user", ""))}


def auth_register(call: Call) -> dict[str, Any]:
    """Let a waiting node in, as 0.29 and later spell it."""
    number = _checked_id(call.release, call.body.get("authId", ""), "registering node")
    return {"node": _registered(call, number, call.body.get("user", ""))}


def _registered(call: Call, number: str, name: str) -> dict[str, Any]:
    world, release = call.world, call.release
    user = world.user_named(name)
    if user is None:
        message = f"{release.register_prefix}user not found"
        raise Refusal(UNKNOWN, message, 404, "looking up user", "user not found")
    users.only_one(world, name, "looking up user", release.register_prefix)
    waiting = next((pending for pending in world.pending if pending.id == number), None)
    if waiting is None:
        reason = "node not found in registration cache"
        raise Refusal(UNKNOWN, reason, 404, "registering node", reason)
    world.pending.remove(waiting)
    node = add(world, waiting.name, user=user.id)
    node.expiry = ZERO_TIME
    if release.debug_keeps_routes:
        node.routes = waiting.routes
    shown = nodes.view(world, node)
    if policy.approve(world, node) and release.registered_routers_serve:
        node.serving = sorted(routing.usable(node))
    if release.hides_first_approval:
        node.disk["approved"], node.approved = node.approved, []
    routing.elect(world)
    return shown if release.approves_after_answer else nodes.view(world, node)


def add(world: World, name: str, **fields: Any) -> Node:
    """Add a node with free addresses, a free name and an id of its own."""
    release, hostname = world.release, host_name(world.release, name)
    node = Node(
        world.new_id("node"),
        given_name(world, hostname),
        hostname,
        addresses=world.free_addresses(),
        **{"last_seen": now() if release.sets_last_seen else ZERO_TIME} | fields,
    )
    if release.forgets_suffix and node.name != base_name(release, hostname):
        node.disk["name"] = base_name(release, hostname)
    world.nodes.append(node)
    return node


def connect(world: World, name: str, user: str | None, **fields: Any) -> Node:
    """Add a device that is connected, for a user who is made when missing.

    What the policy approves of its routes by itself is approved. A tagged device
    needs no user from 0.28 on, and must have one before.
    """
    tagged = world.release.tagged_nodes_have_no_user and fields.get("tags")
    if user is None and not tagged:
        raise Refused(f"node {name} needs a user", "name one, or give it tags (0.28+)")
    number = owner(world, user) if user else None
    node = add(world, name, **{"online": True, "user": number} | fields)
    node.user = None if tagged else number
    policy.approve(world, node)
    routing.elect(world)
    return node


def join(world: World, secret: str, name: str, **fields: Any) -> Node:
    """Let a device join with a pre-auth key, as a client would; Refused if it may not.

    A tagged key makes a tagged node: owned by nobody from 0.28 on.
    """
    key = _usable(world, secret)
    user = world.user(key.user)
    key.used = key.used or not key.reusable
    fields["routes"] = routing.ordered(set(fields.get("routes", ())), world.release)
    node = connect(
        world,
        name,
        user.name if user else None,
        tags=list(key.tags),
        key=key.id,
        method="auth_key",
        ephemeral=key.ephemeral,
        last_seen=now(),
        **fields,
    )
    if ("tagged" if key.tags else "untagged") in world.release.zero_expiry_of:
        node.expiry = ZERO_TIME
    if world.release.set_tags_keeps_owner:
        node.user = key.user
    return node


def leave(world: World, name: str) -> Node:
    """Remove a device by its name; Refused when there is none."""
    node = next((node for node in world.nodes if node.name == name), None)
    if node is None:
        names = ", ".join(node.name for node in world.nodes) or "none"
        raise Refused(
            f"no node {quoted(name)} in this world", f"its nodes are: {names}"
        )
    nodes.drop(world, node)
    return node


def _usable(world: World, secret: str) -> Key:
    key = next((key for key in world.keys if key.secret == secret), None)
    if key is None:
        raise Refused(
            f"no pre-auth key {quoted(secret)}", "POST /api/v1/preauthkey makes one"
        )
    if key.expiration <= now():
        raise Refused("authkey expired", "make a key with an expiration in the future")
    if key.used and not key.reusable:
        raise Refused("authkey already used", "make another key, or a reusable one")
    return key


def auth_decide(call: Call) -> dict[str, Any]:
    """Approve or reject a waiting sign-in: a simulated server never has one."""
    number = call.body.get("authId", "")
    try:
        _checked_id(call.release, number, "")
    except Refusal as problem:
        reason = problem.message
        message = f"invalid auth_id: {reason}"
        raise Refusal(INVALID, message, 400, "invalid auth_id", reason) from None
    raise Refusal(NOT_FOUND, f"no pending auth session for auth_id {number}", 404)


def backfill(call: Call) -> dict[str, Any]:
    """Give nodes the addresses that they lack: here every node has its pair."""
    if call.query.get("confirmed") != "true":
        reason = "not confirmed, aborting"
        raise Refusal(UNKNOWN, reason, 400, "backfilling node IPs", reason)
    return {"changes": []}


def owner(world: World, name: str) -> int:
    """Return the id of the user with a name, who is made when missing."""
    user = world.user_named(name)
    if user is None:
        user = User(world.new_id("user"), name)
        world.users.append(user)
    return user.id


def _has_auth(release: Release) -> bool:
    return release.has_auth_routes


ROUTES = (
    Route(
        "POST",
        "debug/node",
        debug_create,
        {"user": "text", "key": "text", "name": "text", "routes": "texts"},
    ),
    Route("POST", "node/register", register, body_optional=True),
    Route("POST", "node/backfillips", backfill, body_optional=True),
    Route(
        "POST",
        "auth/register",
        auth_register,
        {"user": "text", "authId": "text"},
        available=_has_auth,
    ),
    *(
        Route(
            "POST", f"auth/{verb}", auth_decide, {"authId": "text"}, available=_has_auth
        )
        for verb in ("approve", "reject")
    ),
)

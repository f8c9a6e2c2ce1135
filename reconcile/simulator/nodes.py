"""The end points of nodes."""

from typing import Any

from reconcile.simulator import keys, policy, routing, users
from reconcile.simulator.bodies import instant, is_time
from reconcile.simulator.call import Call, Route, unsigned
from reconcile.simulator.names import check_name
from reconcile.simulator.release import Release
from reconcile.simulator.wire import INVALID, NOT_FOUND, UNKNOWN, Refusal
from reconcile.simulator.world import Node, World, now

METHODS = {"cli": "CLI", "auth_key": "AUTH_KEY", "oidc": "OIDC", "": "UNSPECIFIED"}
LISTED, GOT, ANSWERED, APPROVED = "list", "get", "answer", "approved"


def view(world: World, node: Node, place: str = ANSWERED) -> dict[str, Any]:
    """Return a node; some fields are filled in the list only, and owners differ."""
    release = world.release
    owner = _owner(world, node, place)
    served = []
    if place in (LISTED, APPROVED):
        served = routing.served(world, node, with_exit=place == LISTED)
    found = {
        "id": str(node.id),
        "machineKey": node.machine_key,
        "nodeKey": node.node_key,
        "discoKey": node.disco_key,
        "ipAddresses": node.addresses,
        "name": node.hostname,
        "user": owner,
        "lastSeen": node.last_seen,
        "expiry": node.expiry,
        "preAuthKey": _key(world, node),
        "createdAt": node.created,
        "registerMethod": f"REGISTER_METHOD_{METHODS[node.method]}",
    }
    if not release.tagged_nodes_have_no_user:
        found |= _old_tags(world, node, place)
    return (
        found
        | {
            "givenName": node.name,
            "online": _online(release, node, place),
            "approvedRoutes": node.approved,
            "availableRoutes": node.routes,
            "subnetRoutes": served,
        }
        | ({"tags": node.tags} if release.tagged_nodes_have_no_user else {})
    )


def _owner(world: World, node: Node, place: str) -> dict[str, Any] | None:
    user = world.user(node.user)
    if node.tags and place == LISTED and world.release.tagged_nodes_have_no_user:
        return users.view(world, users.TAGGED_DEVICES)
    if user is None:
        return None
    return _as_it_was(node, users.view(world, user))


def _key(world: World, node: Node) -> dict[str, Any] | None:
    key = world.key(node.key) or world.gone_key(node.key)
    shown = keys.view(world, key) if key else None
    if shown and shown["user"]:
        shown["user"] = _as_it_was(node, shown["user"])
    return shown


def _as_it_was(node: Node, user: dict[str, Any]) -> dict[str, Any]:
    """Return a user with the name that the node's record has of it."""
    return user | {"name": node.old_names.get(user["id"], user["name"])}


def _old_tags(world: World, node: Node, place: str) -> dict[str, Any]:
    """Return the three tag fields of 0.26 and 0.27; two are filled in lists only."""
    valid: list[str] = []
    if place == LISTED:
        asked = [t for t in node.requested_tags if policy.may_own(world, node, t)]
        valid = list(dict.fromkeys([*asked, *node.tags]))
    return {"forcedTags": node.tags, "invalidTags": [], "validTags": valid}


def _online(release: Release, node: Node, place: str) -> bool:
    return node.online and (place in (LISTED, GOT) or release.write_answers_know_online)


def listing(call: Call) -> dict[str, Any]:
    """List nodes, of one user when its name is given."""
    world = call.world
    nodes = sorted(world.nodes, key=lambda node: node.id)
    if name := call.query.get("user"):
        user = world.user_named(name)
        if user is None:
            raise Refusal(
                UNKNOWN, "user not found", 404, "listing nodes", "user not found"
            )
        users.only_one(world, name, "listing nodes")
        nodes = [node for node in nodes if node.user == user.id]
    return {"nodes": [view(world, node, LISTED) for node in nodes]}


def get(call: Call) -> dict[str, Any]:
    """Return one node."""
    return {"node": view(call.world, _found(call, NOT_FOUND), GOT)}


def delete(call: Call) -> dict[str, Any]:
    """Delete a node at once, also one that is connected."""
    drop(call.world, _found(call, NOT_FOUND))
    return {}


def drop(world: World, node: Node) -> None:
    """Take a node out of the world; its work as a router goes to another one.

    0.27 and 0.28 leave that work to the node that is gone, until a restart.
    """
    if node.online and world.release.deleting_disconnects:
        node.online, node.serving = False, []
        routing.elect(world)
    world.remove(node)
    routing.elect(world)


def rename(call: Call) -> dict[str, Any]:
    """Change the name that MagicDNS serves."""
    node, name = _found(call, UNKNOWN, "renaming node"), call.path["name"]
    check_name(call.release, name)
    others = (
        call.world.nodes if call.release.own_name_taken else _others(call.world, node)
    )
    if any(other.name == name for other in others):
        reason = call.release.name_taken + name
        raise Refusal(UNKNOWN, reason, 400, "renaming node", reason)
    node.name = name
    return {"node": view(call.world, node)}


def _others(world: World, node: Node) -> list[Node]:
    return [other for other in world.nodes if other is not node]


def set_tags(call: Call) -> dict[str, Any]:
    """Replace a node's tags; from 0.28 on its user loses it for good."""
    release, wanted = call.release, call.body.get("tags", [])
    if not wanted and not release.can_untag:
        raise Refusal(
            INVALID,
            "cannot remove all tags from a node - "
            "tagged nodes must have at least one tag",
        )
    for tag in wanted:
        if problem := keys.check_tag(release, tag):
            raise Refusal(UNKNOWN, problem, 400, "setting tags", problem)
    node = _found(call, NOT_FOUND if release.tagged_nodes_have_no_user else INVALID)
    if release.tagged_nodes_have_no_user:
        _check_owned(call, wanted)
        if not release.set_tags_keeps_owner:
            node.user = None
    change(
        call.world, node, "tags", sorted(set(wanted)) if release.tags_sorted else wanted
    )
    return {"node": view(call.world, node)}


def _check_owned(call: Call, wanted: list[str]) -> None:
    owned = policy.owned_tags(call.world)
    unknown = [tag for tag in dict.fromkeys(wanted) if tag not in owned]
    if unknown:
        reason = f"requested tags [{' '.join(unknown)}] are invalid or not permitted"
        raise Refusal(INVALID, reason, 400, "setting tags", reason)


def approve_routes(call: Call) -> dict[str, Any]:
    """Replace a node's approved routes, advertised or not."""
    wanted = routing.normalised(call.body.get("routes", []), call.release)
    node = _found(call, INVALID, "setting approved routes")
    change(call.world, node, "approved", wanted)
    node.serving = sorted(routing.usable(node))
    routing.elect(call.world)
    return {"node": view(call.world, node, APPROVED)}


def change(world: World, node: Node, name: str, value: Any) -> None:
    """Set a field of a node, in the database too unless the version forgets to.

    0.27 and 0.28 write no empty list and no expiry: their restart brings back what
    the database last got.
    """
    forgets = name in world.release.lost_at_restart
    if forgets and (name == "expiry" or not value):
        node.disk.setdefault(name, getattr(node, name))
    else:
        node.disk.pop(name, None)
    setattr(node, name, value)


def expire(call: Call) -> dict[str, Any]:
    """Set a node's expiry; without options that is now.

    Options in the place that the version does not read are no error: the node is
    logged out at once.
    """
    release = call.release
    options = {"query": call.query, "body": call.body}.get(release.expire_from, {})
    never = release.can_disable_expiry and options.get("disableExpiry") in (
        True,
        "true",
    )
    wanted = options.get("expiry")
    if wanted and not is_time(wanted):
        raise Refusal(INVALID, f'parsing field "expiry": {_unparsed(wanted)}')
    if never and wanted:
        raise Refusal(INVALID, "cannot set both disable_expiry and expiry")
    node = _found(call, UNKNOWN, "expiring node")
    if wanted and not release.problem_json:
        wanted = instant(wanted)
    change(call.world, node, "expiry", None if never else wanted or now())
    return {"node": view(call.world, node)}


def _unparsed(text: str) -> str:
    layout = "2006-01-02T15:04:05Z07:00"
    rest, wanted = ("", "T") if len(text) == 10 and text[4:5] == "-" else (text, "2006")
    return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{wanted}"'


def move(call: Call) -> dict[str, Any]:
    """Give a node to another user, which only 0.26 and 0.27 can do."""
    node = _found(call, UNKNOWN, missing=call.release.move_of_unknown)
    user = call.world.user(call.body.get("user"))
    if user is None:
        raise Refusal(UNKNOWN, call.release.move_to_unknown)
    node.user = user.id
    node.old_names.pop(str(user.id), None)
    return {"node": view(call.world, node)}


def _found(call: Call, code: int, detail: str | None = None, missing: str = "") -> Node:
    """Return the node of the path; `code` is the gateway's when there is none."""
    message = "type mismatch, parameter: node_id, error: "
    number = unsigned(call.path["id"], message)
    node = call.world.node(number)
    if node is not None:
        return node
    release = call.release
    if code == NOT_FOUND:
        code = release.unknown_node_code
        reason = "record not found" if code == UNKNOWN else "node not found"
        raise Refusal(code, reason, 404)
    reason = (missing or release.node_gone).format(number)
    raise Refusal(code, reason, 404, detail, *([reason] if detail else []))


def _moves(release: Release) -> bool:
    return release.can_move


def _gateway(release: Release) -> bool:
    return not release.problem_json


def _strict(release: Release) -> bool:
    return release.problem_json


ROUTES = (
    Route("GET", "node", listing),
    Route("GET", "node/{id}", get),
    Route("DELETE", "node/{id}", delete),
    Route("POST", "node/{id}/expire", expire, available=_gateway),
    Route(
        "POST",
        "node/{id}/expire",
        expire,
        {"expiry": "time", "disableExpiry": "flag"},
        body_optional=True,
        available=_strict,
    ),
    Route("POST", "node/{id}/rename/{name}", rename),
    Route("POST", "node/{id}/tags", set_tags, {"tags": "texts"}),
    Route("POST", "node/{id}/approve_routes", approve_routes, {"routes": "texts"}),
    Route("POST", "node/{id}/user", move, {"user": "id"}, available=_moves),
)

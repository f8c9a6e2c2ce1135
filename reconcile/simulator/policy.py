"""The end points of the policy, and what the policy in force says of nodes."""

import ipaddress
from functools import lru_cache
from typing import Any

from reconcile.simulator import refusing, routing
from reconcile.simulator.call import Call, Route
from reconcile.simulator.refusing import BadPolicy, check
from reconcile.simulator.release import Release
from reconcile.simulator.wire import INVALID, UNKNOWN, Refusal
from reconcile.simulator.world import ZERO_TIME, Node, World, now

MODE = "update is disabled for modes other than 'database'"
NO_FILE = "open : no such file or directory"


def get(call: Call) -> dict[str, Any]:
    """Return the stored text; file mode shows in the missing time."""
    kept = call.world.policy
    if kept.mode == "file":
        if kept.text is None:
            detail = 'reading policy from path ""'
            raise Refusal(UNKNOWN, f"{detail}: {NO_FILE}", 500, detail, NO_FILE)
        never = ZERO_TIME if call.release.problem_json else None
        return {"policy": kept.text, "updatedAt": never}
    if kept.text is None:
        detail, reason = "loading ACL from database", "acl policy not found"
        raise Refusal(UNKNOWN, f"{detail}: {reason}", 500, detail, reason)
    return {"policy": kept.text, "updatedAt": kept.updated}


def put(call: Call) -> dict[str, Any]:
    """Store a text and follow it.

    An empty text is stored and answered like any other, but the running server goes
    on with the rules it has until it is started again.
    """
    kept = call.world.policy
    if kept.mode == "file":
        raise Refusal(UNKNOWN, MODE, 400, MODE, MODE)
    try:
        store(call.world, call.body.get("policy", ""))
    except BadPolicy as problem:
        reason = str(problem)
        raise Refusal(
            UNKNOWN, f"setting policy: {reason}", 400, "setting policy", reason
        ) from None
    return {"policy": kept.text, "updatedAt": kept.updated}


def store(world: World, text: str) -> None:
    """Check and keep a policy text; BadPolicy where it is refused."""
    kept = world.policy
    again = text == kept.text
    if text:
        check(text, world)
        kept.running = None
    else:
        kept.running = kept.in_force
    kept.text, kept.updated = text, now()
    if world.release.same_policy_approves or not again:
        for node in world.nodes:
            if approve(world, node):
                node.serving = sorted(routing.usable(node))
        routing.elect(world)


def check_only(call: Call) -> dict[str, Any]:
    """Say whether a text would be accepted; nothing is stored."""
    text = call.body.get("policy", "")
    try:
        if text:
            check(text, call.world)
    except BadPolicy as problem:
        raise Refusal(INVALID, str(problem), 400, None, str(problem)) from None
    return {}


def sections(world: World) -> dict[str, Any]:
    """Return the sections of the policy in force."""
    text = world.policy.in_force
    return _decoded(text, world.release) if text else {}


@lru_cache(maxsize=4)
def _decoded(text: str, release: Release) -> dict[str, Any]:
    """Read a text once for all the nodes that it is asked about."""
    return refusing.sections(text, release)


def owned_tags(world: World) -> set[str]:
    """Return the tags that the policy in force defines."""
    return set(sections(world).get("tagOwners") or {})


def may_own(world: World, node: Node, tag: str) -> bool:
    """Tell whether a node's user may own a tag that its client asks for."""
    found = sections(world)
    owners = (found.get("tagOwners") or {}).get(tag) or []
    return any(_is(world, found, name, node.user) for name in owners)


def approve(world: World, node: Node) -> set[str]:
    """Approve of a node's routes what the policy approves by itself; return it."""
    found = sections(world)
    rules = found.get("autoApprovers") or {}
    wanted = {
        route for route in node.routes if _approved(world, node, route, found, rules)
    }
    new = wanted - set(node.approved)
    if new:
        node.approved = routing.normalised([*node.approved, *wanted], world.release)
        node.disk.pop("approved", None)
    # 0.26 puts each approved router to work again
    return new if world.release.same_policy_approves else wanted


def _approved(
    world: World, node: Node, route: str, found: dict[str, Any], rules: dict[str, Any]
) -> bool:
    if route in routing.EXIT:
        names = rules.get("exitNode") or []
    else:
        prefixes = rules.get("routes") or {}
        names = [
            n for p, list_ in prefixes.items() if _covers(p, route) for n in list_ or []
        ]
    key = world.key(node.key) if not world.release.tagged_nodes_have_no_user else None
    if tags := {*node.tags, *(key.tags if key else ())}:
        return any(name in tags for name in names)
    return any(_is(world, found, name, node.user) for name in names)


def _covers(prefix: str, route: str) -> bool:
    outer = ipaddress.ip_network(prefix, strict=False)
    inner = ipaddress.ip_network(route, strict=False)
    return (
        outer.version == inner.version
        and outer.prefixlen <= inner.prefixlen
        and inner.network_address in outer
    )


def _is(world: World, found: dict[str, Any], name: str, user: int | None) -> bool:
    """Tell whether a user token or a group means a user."""
    tokens = [name]
    if name.startswith("group:"):
        tokens = (found.get("groups") or {}).get(name) or []
    return user is not None and any(user_meant(world, each) == user for each in tokens)


def user_meant(world: World, token: str) -> int | None:
    """Return the id of the user that a token such as `alice@` means.

    A token that fits two users means neither; the identity provider's id comes first.
    """
    text = token.removesuffix("@")
    named = [user for user in world.users if text and user.provider_id == text]
    found = named[:1] or [u for u in world.users if text in (u.name, u.email)]
    return found[0].id if len(found) == 1 else None


def _checks(release: Release) -> bool:
    return release.has_policy_check


ROUTES = (
    Route("GET", "policy", get),
    Route("PUT", "policy", put, {"policy": "text"}),
    Route("POST", "policy/check", check_only, {"policy": "text"}, available=_checks),
)

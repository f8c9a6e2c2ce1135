"""Why a name means nothing in a tailnet: nobody declares it, or nothing bears it.

The first is a mistake in the question. The second is an answer: what nothing bears
reaches nothing, and nothing reaches it.
"""

from collections.abc import Iterable

from reconcile.model import EXIT_ROUTES
from reconcile.policy.releases import ROLES
from reconcile.policy.selectors import Selector
from reconcile.policy.sets import prefix, texts
from reconcile.policy.universe import World
from reconcile.policy.words import counted

_UNKNOWN_KINDS = ("ipset", "service", "posture")


def undeclared(world: World, selector: Selector) -> str:
    """Say that neither policy nor server knows a selector; "" when one of them does."""
    policy = world.policy
    declared = {"group": policy.groups, "tag": policy.tags, "host": policy.hosts}
    if selector.kind in declared and selector.text not in declared[selector.kind]:
        what = f"host {selector}" if selector.kind == "host" else selector
        return f"the policy does not declare {what}"
    if selector.kind == "user" and not world.resolver.owners(selector):
        return f"there is no user {selector}"
    if selector.kind == "autogroup":
        return _autogroup(world, selector)
    if selector.kind in _UNKNOWN_KINDS:
        return f"what {selector} holds is not known here"
    return f"'{selector}' is not a name" if selector.kind == "unknown" else ""


def _autogroup(world: World, selector: Selector) -> str:
    if selector.autogroup == "self":
        return f"{selector} is something else for each user: ask about a node of one"
    if selector.autogroup not in world.policy.release.autogroups | ROLES:
        return f"there is no {selector}"
    return ""


def absent(world: World, selector: Selector) -> str:
    """Say why a selector that is declared selects nothing."""
    if selector.autogroup == "internet":
        return _internet(world)
    if selector.kind in ("address", "host"):
        return _address(world, selector)
    if selector.kind == "group" and not world.policy.groups[selector.text]:
        return f"{selector} has no members"
    if selector.kind == "group":
        return f"no member of {selector} has an untagged node"
    if selector.kind == "user":
        return f"{selector} has no untagged node"
    if selector.kind == "tag":
        return f"no node wears {selector}"
    return f"no node is in {selector}"


def _internet(world: World) -> str:
    idle = _names(
        machine.name
        for machine in world.tailnet.machines
        if machine.node.available & EXIT_ROUTES
    )
    why = "there is no approved exit node"
    return f"{why}; advertised, but not approved: {idle}" if idle else why


def _address(world: World, selector: Selector) -> str:
    addresses = world.policy.hosts.get(selector.text)
    what = str(selector)
    if addresses is None:
        addresses = prefix(selector.text)
    else:
        what = f"{selector} ({', '.join(texts(addresses))})"
    idle = _names(
        f"{machine.name} ({route})"
        for machine in world.tailnet.machines
        for route in sorted(machine.node.available - EXIT_ROUTES)
        if prefix(route).overlaps(addresses)
    )
    why = f"no node has an address of {what}, and no approved route leads there"
    return f"{why}; advertised, but not approved: {idle}" if idle else why


def _names(nodes: Iterable[str]) -> str:
    return counted([f"node:{name}" for name in nodes])

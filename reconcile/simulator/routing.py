"""Routes: how they are read, sorted, approved by themselves, and who serves them."""

import ipaddress

from reconcile.simulator.release import Release
from reconcile.simulator.wire import UNKNOWN, Refusal
from reconcile.simulator.world import Node, World

EXIT = ("0.0.0.0/0", "::/0")
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def parse(text: str) -> str:
    """Return a prefix as the server prints it, host bits kept, or refuse it."""
    address, slash, bits = text.partition("/")
    problem = "" if slash else "no '/'"
    if not problem:
        problem = _address_problem(address) or _bits_problem(address, bits)
    if problem:
        reason = f'netip.ParsePrefix("{text}"): {problem}'
        raise Refusal(UNKNOWN, f"parsing route: {reason}", 400, "parsing route", reason)
    return str(ipaddress.ip_interface(text))


def _address_problem(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        parts = address.split(".")
        reason = "unable to parse IP"
        if len(parts) == 4 and all(part.isdecimal() for part in parts):
            leading = any(len(part) > 1 and part.startswith("0") for part in parts)
            reason = "IPv4 field has octet with leading zero" if leading else reason
            big = any(int(part) > 255 for part in parts)
            reason = "IPv4 field has value >255" if big else reason
        return f'ParseAddr("{address}"): {reason}'
    return ""


def _bits_problem(address: str, bits: str) -> str:
    if not bits.isdecimal() or (len(bits) > 1 and bits.startswith("0")):
        return f'bad bits after slash: "{bits}"'
    limit = ipaddress.ip_address(address).max_prefixlen
    return "prefix length out of range" if int(bits) > limit else ""


def normalised(routes: list[str], release: Release) -> list[str]:
    """Return routes as they are stored: sorted, and the exit routes as a pair."""
    found = {parse(route) for route in routes}
    if found & set(EXIT):
        found |= set(EXIT)
    return ordered(found, release)


def ordered(routes: set[str], release: Release) -> list[str]:
    """Sort prefixes by family, and up to 0.28 by length before address."""

    def order(route: str) -> tuple[int, int, int, int]:
        prefix = ipaddress.ip_interface(route)
        length, number = prefix.network.prefixlen, int(prefix.network.network_address)
        first, second = (
            (length, number) if release.routes_by_length else (number, length)
        )
        return prefix.version, first, second, int(prefix)

    return sorted(routes, key=order)


def elect(world: World) -> None:
    """Choose a primary router for each prefix; one that serves keeps its place.

    Up to 0.28 a node that is deleted while it is offline keeps its place too, until
    the next restart.
    """
    before, world.primaries = world.primaries, {}
    if world.release.offline_routers_serve:
        ghosts = {
            route: node for route, node in before.items() if world.node(node) is None
        }
        world.primaries |= ghosts
    for node in sorted(world.nodes, key=lambda node: node.id):
        for route in _serves(node, world.release):
            if before.get(route) == node.id:
                world.primaries[route] = node.id
            else:
                world.primaries.setdefault(route, node.id)


def _serves(node: Node, release: Release) -> set[str]:
    if node.online:
        return usable(node)
    return set(node.serving) if release.offline_routers_serve else set()


def usable(node: Node) -> set[str]:
    """Return the subnet routes that are both approved and advertised."""
    return (set(node.approved) & set(node.routes)) - set(EXIT)


def served(world: World, node: Node, *, with_exit: bool) -> list[str]:
    """Return the routes that a node serves as the primary, exit routes last."""
    entered = {*node.approved, *node.serving}
    subnets = {route for route in entered if world.primaries.get(route) == node.id}
    exits = (
        [r for r in EXIT if r in node.approved and r in node.routes]
        if with_exit
        else []
    )
    return ordered(subnets, world.release) + exits

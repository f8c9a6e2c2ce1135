"""Which node of the tailnet this program runs on, found without sending a packet."""

import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address

from reconcile.model import Node


def own_node(
    nodes: Iterable[Node], local: Callable[[str], str] | None = None
) -> Node | None:
    """Return the node that this machine is, None when nobody can tell.

    `local` says from which address this machine would talk to another one.
    """
    by_address = {address: node for node in nodes for address in node.addresses}
    for colon in (False, True):  # one address of each family tells
        addresses = (a for a in by_address if (":" in a) is colon and _version(a))
        address = next(addresses, "")
        found = by_address.get((local or local_address)(address)) if address else None
        if found:
            return found
    return None


def _version(address: str) -> int:
    try:
        return ip_address(address).version
    except ValueError:
        return 0


def local_address(address: str) -> str:
    """Return the address from which packets to another one would leave, "" for none.

    A UDP socket that is connected asks the kernel for the route and sends nothing.
    """
    family = socket.AF_INET if _version(address) == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""

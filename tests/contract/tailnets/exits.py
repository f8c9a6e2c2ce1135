"""Exit nodes: whether one is offered to a node, and what its filter lets through.

Seen with real clients: the server shows an exit node to whoever has a rule to it that
counts as "the internet", or any other rule to or from it; and the filter of the exit
node keeps a destination by how it is written.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from tests.contract.tailnets.ranges import inside, is_public, number, overlap, spans
from tests.contract.tailnets.state import Device, State

_INTERNET_EDGES = ("0.0.0.1", "11.0.0.1", "223.255.255.255", "2000::1", "3fff::1")
_NEW = ("0.29", "main")


def keeps(exit_: Device, text: str, release: str) -> bool:
    """Tell whether the filter of an exit node has a destination of this text.

    Up to 0.28 it has all that overlaps what it advertises, and it advertises all.
    """
    if release not in _NEW:
        return True
    if any(inside(number(a), text) for a in exit_.addresses):
        return True
    return any(overlap(text, r) for r in exit_.subnets) or is_public(text)


class Offers:
    """Which nodes are offered which exit node, by the rules of a filter."""

    def __init__(
        self,
        state: State,
        rules: Iterable[Mapping[str, Any]],
        release: str,
        peers: Set[tuple[int, int]],
    ) -> None:
        """Take the filter, and the ids of nodes that other rules make peers."""
        self._state, self._rules, self._release = state, list(rules), release
        self._peers = peers

    def to(self, exit_: Device) -> set[int]:
        """Return the ids of the nodes that may choose an exit node.

        It is offered to them, and they offer to be none: clients refuse to do both.
        """
        return {
            device.id
            for device in self._state.devices
            if not device.offers_exit and self._offered(device, exit_)
        }

    def _offered(self, device: Device, exit_: Device) -> bool:
        ids = device.id, exit_.id
        if ids in self._peers or ids[::-1] in self._peers:
            return True
        return any(
            self._leads(rule, device, exit_) or self._leads(rule, exit_, device)
            for rule in self._rules
        )

    def _leads(self, rule: Mapping[str, Any], source: Device, target: Device) -> bool:
        """Tell whether a rule makes the second node one that the first one sees."""
        if not (_names(rule["src"], source) or self._routes(rule["src"], source)):
            return False
        targets = [entry["ip"] for entry in rule.get("dst", ())]
        targets += [text for each in rule.get("cap_grants", ()) for text in each["dst"]]
        routes = target.usable if self._release == "0.26" else target.subnets
        if _names(targets, target):
            return True
        if any(overlap(text, route) for text in targets for route in routes):
            return True
        return target.is_exit and self._is_internet(targets)

    def _routes(self, texts: Iterable[str], device: Device) -> bool:
        """Tell whether a router stands for a network among some sources.

        From 0.29 on a router is a peer of whomever its network may reach.
        """
        return self._release in _NEW and any(
            overlap(text, route) for text in texts for route in device.subnets
        )

    def _is_internet(self, targets: list[str]) -> bool:
        """Tell whether destinations count as the internet.

        0.27 and 0.28 want the internet and nothing beside it, or all of one family.
        """
        if any(
            span in spans(text)
            for text in targets
            for span in (*spans("0.0.0.0/0"), *spans("::/0"))
        ):
            return True
        covered = all(
            any(inside(number(edge), text) for text in targets)
            for edge in _INTERNET_EDGES
        )
        alone = all(is_public(text) for text in targets)
        return covered and (alone or self._release in _NEW)


def _names(texts: Iterable[str], device: Device) -> bool:
    return any(inside(number(a), text) for a in device.addresses for text in texts)

"""Words that answers share, apart from the evaluator, so that reports load fast."""

from collections.abc import Sequence
from typing import NamedTuple

NODE = "node:"  # before the name of a node
USER = "user:"  # before a user's name that could be taken for something else
EVERYTHING = "everything"
USE = "can use "  # before a capability, among what a source reaches
RESERVED = frozenset({EVERYTHING, "internet", "nobody"})  # words that answers use


class Size(NamedTuple):
    """How many nodes and how many networks a set has; the internet is one network."""

    nodes: int = 0
    networks: int = 0

    def __str__(self) -> str:
        """`2 nodes, 1 network`, without what there is none of."""
        parts = plural(self.nodes, "node"), plural(self.networks, "network")
        return ", ".join(p for n, p in zip(self, parts, strict=True) if n) or parts[0]


def counted(names: Sequence[str], most: int = 4) -> str:
    """Return names as one text, the last ones only counted."""
    shown = ", ".join(names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def plural(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[object], most: int = 5) -> str:
    """Return names as a text that stays short: `a, b, c and 4 more`."""
    shown = [str(name) for name in names[:most]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))

"""Words that answers share, apart from the evaluator, so that reports load fast."""

from collections.abc import Sequence

NODE = "node:"  # before the name of a node
EVERYTHING = "everything"
USE = "can use "  # before a capability, among what a source reaches
BUT = " but "  # between a large set and what is not of it


def counted(names: Sequence[str], most: int = 4) -> str:
    """Return names as one text, the last ones only counted."""
    shown = ", ".join(names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def plural(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

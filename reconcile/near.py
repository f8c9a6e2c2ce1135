"""What was probably meant by a word that nothing knows."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the option that is most likely meant, or ""."""
    names = sorted(options)
    for name in names:
        if name.lower() == word.lower():
            return name
    found = get_close_matches(word, names, n=1, cutoff=cutoff)
    return found[0] if found else ""

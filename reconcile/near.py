"""What was probably meant by a word that nothing knows."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 1000


def nearest(word: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the option that is most likely meant, or "".

    Among thousands nothing is proposed: many a word would have to be held against each.
    """
    names = list(options)
    if len(names) > MOST:
        return ""
    names.sort()
    for name in names:
        if name.lower() == word.lower():
            return name
    found = get_close_matches(word, names, n=1, cutoff=cutoff)
    return found[0] if found else ""

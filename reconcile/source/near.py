"""What was probably meant by a word that nothing knows."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf

MOST = 1000  # names that a word is held against
_MOST_OF_A_RUN = 100_000
_PRICE = 10  # of a word, in names
_LONGEST = 200  # of a word: nobody means one that is longer

_left: float = inf  # outside of a run


@contextmanager
def bounded() -> Iterator[None]:
    """Hold the comparisons of one run below a limit; a new run begins anew."""
    global _left
    before, _left = _left, _MOST_OF_A_RUN
    try:
        yield
    finally:
        _left = before


def nearest(word: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the option that is most likely meant, or "".

    Among thousands nothing is proposed, nor for thousands of words: many a word would
    have to be held against each.
    """
    global _left
    names = list(options)
    if len(names) > min(MOST, _left) or len(word) > _LONGEST:
        return ""
    _left -= len(names) + _PRICE
    names.sort()
    for name in names:
        if name.lower() == word.lower():
            return name
    from difflib import get_close_matches  # most runs propose nothing

    found = get_close_matches(word, names, n=1, cutoff=cutoff)
    return found[0] if found else ""

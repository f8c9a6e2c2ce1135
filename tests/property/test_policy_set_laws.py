"""Interval sets obey the laws of Python's own sets."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reconcile.policy.language.sets import IntervalSet

PAIR = st.tuples(st.integers(0, 40), st.integers(0, 8)).map(
    lambda p: (p[0], p[0] + p[1])
)
PAIRS = st.lists(PAIR, max_size=8)


def members(pairs: list[tuple[int, int]]) -> set[int]:
    return {n for low, high in pairs for n in range(low, high + 1)}


@given(PAIRS, PAIRS)
def test_like_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    a, b, x, y = IntervalSet(one), IntervalSet(other), members(one), members(other)
    assert members(list(a | b)) == x | y
    assert members(list(a & b)) == x & y
    assert members(list(a - b)) == x - y
    assert (a <= b) == (x <= y)
    assert a.overlaps(b) == bool(x & y)
    assert (a == b) == (x == y)
    assert a.size() == len(x)
    assert bool(a) == bool(x)
    assert all((n in a) == (n in x) for n in range(50))
    assert IntervalSet.union([a, b]) == a | b
    for each in (a | b, a & b, a - b):
        assert each == IntervalSet(each.intervals)
        assert all(p[1] + 1 < q[0] for p, q in pairwise(each.intervals))

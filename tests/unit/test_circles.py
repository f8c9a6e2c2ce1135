"""Names that lead back to themselves."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from reconcile.policy.language.circles import on_circles

NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3)))
def test_it_finds_what_a_walk_from_each_name_finds(graph):
    assert on_circles(graph) == {name for name in graph if name in walk(graph, name)}


def walk(graph, start):
    seen, waiting = set(), list(graph.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return seen


class Counting(Sequence):
    """A list that counts how often it is gone through."""

    read = 0

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        Counting.read += 1
        return self.items[number]


def test_each_step_is_taken_a_few_times_only():
    count = 3000
    chain = {f"{n}": Counting([f"{n + 1}"]) for n in range(count)}
    assert on_circles(chain) == set()
    assert Counting.read < 10 * count

"""Paths told over both address families are those that there were, no more and no less."""

from hypothesis import given
from hypothesis import strategies as st

from reconcile.model import Node
from reconcile.policy.access.families import Families
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import Universe, World, bits
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read

FAMILIES = ((4,), (6,), (4, 6), (4, 6))
POLICY = read({"acls": []}, "0.29")


@st.composite
def parts(draw: st.DrawFn) -> tuple[Universe, World, list[tuple[int, int]]]:
    """Draw nodes and some rectangles of sources and destinations among them."""
    kinds = draw(st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=5))
    nodes = [_node(number, has) for number, has in enumerate(kinds, 1)]
    world = World.of(POLICY, Tailnet((), nodes))
    universe = Matrix([world]).universe
    places = world.present | world.routed
    sides = st.integers(0, places).map(lambda drawn: drawn & places)
    rectangles = draw(st.lists(st.tuples(sides, sides), max_size=5))
    return universe, world, rectangles


def _node(number: int, families: tuple[int, ...]) -> Node:
    texts = {4: f"100.64.0.{number}", 6: f"fd7a:115c:a1e0::{number}"}
    routes = frozenset({"10.1.0.0/16", "fd00:1::/64"} if number == 1 else ())
    return Node(
        str(number),
        f"n{number}",
        addresses=tuple(texts[family] for family in families),
        available=routes,
        approved=routes,
        tags=frozenset({"tag:a"}),
    )


def _paths(universe: Universe, members: int, targets: int) -> set[tuple[int, int]]:
    """Return each pair of a source and a destination of one address family."""
    return {
        (source, target)
        for family in universe.families
        for source in bits(members & family)
        for target in bits(targets & family)
    }


@given(parts())
def test_together_has_the_paths_of_its_parts(
    drawn: tuple[Universe, World, list[tuple[int, int]]],
) -> None:
    universe, world, rectangles = drawn
    told = Families(universe, [world]).together(rectangles)
    expected = [_paths(universe, *each) for each in rectangles]
    found = [_paths(universe, each.members, each.targets) for each in told]
    assert set().union(*found) == set().union(*expected)


@given(parts())
def test_each_piece_names_the_parts_that_it_was_made_of(
    drawn: tuple[Universe, World, list[tuple[int, int]]],
) -> None:
    universe, world, rectangles = drawn
    for each in Families(universe, [world]).together(rectangles):
        known = [_paths(universe, *rectangles[part]) for part in each.parts]
        assert _paths(universe, each.members, each.targets) <= set().union(*known)

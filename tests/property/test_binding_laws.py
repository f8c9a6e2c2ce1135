"""Whatever the files and the nodes are: one entry has one node, and one node one entry."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconcile.desired.state import Desired, Match, NodeSettings, Removed, WantedNode
from reconcile.errors import Position
from reconcile.model import Node
from reconcile.plan.binding import Bindings
from reconcile.plan.replacement import kept
from tests.support import bind

HERE = Position("tailnet.yaml", 1, 1)
WORDS = ["a", "b", "c"]
WORD = st.sampled_from(WORDS)
MATCH = st.dictionaries(
    st.sampled_from(["machine_key", "hostname", "user", "preauth_key"]),
    WORD,
    max_size=3,
)


@st.composite
def desireds(draw: st.DrawFn) -> Desired:
    nodes = {}
    for name in draw(st.permutations(WORDS)):
        match = Match(draw(MATCH) or {"name": name}, lambda: HERE)
        way = draw(st.sampled_from(["auto", "auto", "report", None]))
        nodes[name] = WantedNode(name, lambda: HERE, match, NodeSettings(), replace=way)
    gone = draw(st.lists(WORD, max_size=1))
    return Desired(
        None,
        nodes=nodes,
        node_replace=draw(st.sampled_from(["auto", None])),
        removed=tuple(Removed("node", name, HERE) for name in gone),
    )


@st.composite
def lives(draw: st.DrawFn) -> list[Node]:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    fields = st.fixed_dictionaries(
        {
            "hostname": WORD,
            "user_id": st.sampled_from([*WORDS, None]),
            "machine_key": st.sampled_from("abcdef"),
            "preauth_key": st.sampled_from([*WORDS, ""]),
        }
    )
    return [Node(str(i), name, **draw(fields)) for i, name in enumerate(names)]


def pairs(found: Bindings) -> dict[str, str]:
    """Return which node each bound entry has."""
    return {b.entry.name: b.node.id for b in found.bound if b.entry}


@given(desireds(), lives())
def test_one_node_has_one_entry_and_one_entry_one_node(
    desired: Desired, nodes: list[Node]
) -> None:
    found = bind(desired, nodes)
    numbers = [b.node.id for b in found.bound]
    numbers += [node.id for node in found.strangers]
    assert max(Counter(numbers).values(), default=1) == 1
    names = [b.entry.name for b in found.bound if b.entry]
    names += [entry.name for entry in found.pending]
    assert max(Counter(names).values(), default=1) == 1
    assert len(names) + len(found.problems) == len(desired.nodes or {})


@given(desireds(), lives())
def test_only_the_sole_node_that_nothing_else_speaks_of_is_taken(
    desired: Desired, nodes: list[Node]
) -> None:
    removed = {line.name for line in desired.removed}
    entries = (desired.nodes or {}).values()
    found = bind(desired, nodes)
    for bound in found.bound:
        if not bound.replaced or not bound.entry:
            continue
        node = bound.node
        assert desired.replaces(bound.entry)
        assert node.name not in removed
        fields = kept(bound.entry).items()
        assert all(found.index.holds(node, name, value) for name, value in fields)
        for entry in entries:
            match = entry.match.fields.items()
            assert not all(found.index.holds(node, *field) for field in match)


@given(desireds(), lives())
def test_applying_the_names_moves_no_entry_to_another_node(
    desired: Desired, nodes: list[Node]
) -> None:
    found = bind(desired, nodes)
    named = {b.node.id: b.wanted_name or b.node.name for b in found.bound}
    removed = {line.name for line in desired.removed}
    after = [
        replace(node, name=named.get(node.id, node.name))
        for node in nodes
        if node.name not in removed
    ]
    if found.problems or len({node.name for node in after}) < len(after):
        return
    if removed & set(named.values()):
        return  # refused in the files: both wanted and removed
    assert pairs(bind(desired, after)) == pairs(found)

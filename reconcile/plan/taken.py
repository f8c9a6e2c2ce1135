"""Names that another node keeps: which renames cannot be, and the ways out."""

from collections.abc import Collection, Container
from itertools import count

from reconcile.desired import entries
from reconcile.desired.nodes import is_safe
from reconcile.desired.scalars import flow
from reconcile.desired.state import Desired, WantedNode
from reconcile.errors import Diagnostic
from reconcile.model import Node
from reconcile.plan.binding import Bindings, Bound
from reconcile.plan.found import Found
from reconcile.remedies import Help, Put, Rename, Way


def note_taken(
    desired: Desired, bindings: Bindings, nodes: Collection[Node], found: Found
) -> None:
    """Note the renames to a name that another node keeps: the server refuses them."""
    due = {
        bound.node.id: bound
        for bound in bindings.bound
        if bound.wanted_name not in (None, bound.node.name)
    }
    if not due:
        return
    keeper = {node.name: node for node in nodes if node.id not in due}
    for number, bound in due.items():
        other = keeper.get(bound.wanted_name or "")
        if other is not None and bound.entry is not None:
            found.unnameable[number] = other.id
            ways = _ways_out(bound, other, desired, bindings, nodes)
            found.problems.append(_taken(bound.entry, other, ways))


def _taken(entry: WantedNode, other: Node, ways: Help) -> Diagnostic:
    return Diagnostic(
        "RC0212",
        f"node:{entry.name}: the name is taken by another node, #{other.id}",
        entry.position,
        why="the server gives a name to one node only",
        address=f"node:{entry.name}",
        **ways,
    )


def _ways_out(
    bound: Bound,
    other: Node,
    desired: Desired,
    bindings: Bindings,
    nodes: Collection[Node],
) -> Help:
    """Return the ways out: another name for the other node, or none for this one."""
    wanted = desired.nodes or {}
    below = {one.node.id: one.below for one in bindings.bound}
    kept = entries.node(other, below.get(other.id, desired.node_defaults))
    shared = sum(node.machine_key == other.machine_key for node in nodes) > 1
    kept = {**kept, "match": entries.identity(other, shared=shared)}
    name = _free(other, {node.name for node in nodes} | wanted.keys())
    put = Put(("nodes", name), flow(kept))
    help = f"give #{other.id} another name, with an entry like {put}"
    ways: list[Way] = [(put,)]
    if is_safe(bound.node.name) and bound.node.name not in wanted:
        own = Rename(("nodes", bound.wanted_name or ""), bound.node.name)
        help += f"; or call this entry {own}, as the node is called now"
        ways.append((own,))
    return {"help": help, "ways": (*ways,)}


def _free(node: Node, names: Container[str]) -> str:
    """Return a name for a node that is nobody's, near to the one that it has."""
    stem = node.name[:58].rstrip("-")
    return next(
        name for number in count(2) if (name := f"{stem}-{number}") not in names
    )

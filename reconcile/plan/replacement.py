"""A device that was installed anew: which entry was it, and how is it found now?

Its number, keys and addresses are new; its host name, its user and the pre-auth key
that it joins with are what they were.
"""

import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Sequence

from reconcile.desired.nodes import is_safe
from reconcile.desired.state import Desired, WantedNode
from reconcile.model import Node
from reconcile.plan.matching import Index, quoted
from reconcile.remedies import Edit, Put, Rename, Way

# What Headscale appends to a name that is taken: eight characters up to 0.28, a number
# from 0.29 on. Eight letters without a digit are taken for a word of its owner.
_COLLISION = re.compile(r"[0-9]{1,3}|(?=[a-z]*[0-9])[a-z0-9]{8}")

_TOLD = 5


def kept(entry: WantedNode) -> dict[str, str]:
    """Return the match that an entry's device fulfils again, installed anew."""
    return {"hostname": entry.name, **entry.match.lasting}


def successors(
    missing: Sequence[WantedNode], index: Index, free: Collection[str]
) -> Iterator[tuple[WantedNode, Node]]:
    """Yield the entries whose device must have become another node, with that node.

    `missing` are the entries whose match finds nothing and `free` the ids of the nodes
    that no entry means. A node counts where it alone is like the device, and where no
    other entry could mean it.
    """
    alike = [
        [node for node in index.find(kept(entry)) if node.id in free]
        for entry in missing
    ]
    claims = Counter(node.id for nodes in alike for node in nodes)
    for entry, nodes in zip(missing, alike, strict=True):
        if len(nodes) == 1 and claims[nodes[0].id] == 1:
            yield entry, nodes[0]


def new_match(entry: WantedNode, node: Node, index: Index) -> str:
    """Return the match by which a node is found from now on, ready to paste.

    What the old one said beside the identity of the device stays, where it holds.
    """
    lasting = entry.match.lasting.items()
    fields = {"machine_key": node.machine_key} if node.machine_key else {"id": node.id}
    fields |= {name: value for name, value in lasting if index.holds(node, name, value)}
    inner = ", ".join(f"{name}: {quoted(value)}" for name, value in fields.items())
    return f"{{ {inner} }}"


def own_name(
    entry: WantedNode, node: Node, index: Index, desired: Desired
) -> tuple[str, Rename] | None:
    """Return how an entry takes the name of the node that it is to mean, if it must.

    It must where a node of the entry's name is another one.
    """
    others = [each for each in index.find({"name": entry.name}) if each.id != node.id]
    if not others or not is_safe(node.name) or node.name in (desired.nodes or {}):
        return None
    own = Rename(("nodes", entry.name), node.name)
    return f"and call the entry {own}: its name is #{others[0].id}'s", own


def hint(
    entry: WantedNode, strangers: Iterable[Node], index: Index, desired: Desired
) -> tuple[str, tuple[Way, ...]]:
    """Say which nodes look like an entry's device, installed anew; "" for none.

    Returns the words, and the same as edits of the entry. `strangers` are the nodes
    that no entry means. With `replace: auto` the entry would have gone over to the
    right one, so it is said why it did not.
    """
    names = {entry.name, kept(entry)["hostname"]}
    alike = [node for node in strangers if _bears(node, names)]
    if not alike:
        return "", ()
    offered = [_offer(entry, node, index, desired) for node in alike[:_TOLD]]
    told = "; or ".join(words for words, _ in offered)
    more = f"; or one of {len(alike) - _TOLD} more" if len(alike) > _TOLD else ""
    needed = " and ".join(f"{name} {value}" for name, value in kept(entry).items())
    reason = (
        f", but `replace: auto` takes only the one node with {needed} "
        "that no other entry may mean"
    )
    reason *= desired.replaces(entry)
    ways = tuple(way for _, way in offered if way)
    return f"looks like it was re-installed{reason}: {told}{more}", ways


def _offer(
    entry: WantedNode, node: Node, index: Index, desired: Desired
) -> tuple[str, tuple[Edit, ...]]:
    """Return what is said of a node, and the edits that let the entry mean it."""
    owner = f"user {index.owner(node)}" if node.user_id else "tagged"
    told = f"#{node.id} {node.name} (hostname {node.hostname}, {owner}) is new"
    if missing := _missing(entry, node, index):
        return f"{told}, but has not {' and '.join(missing)}", ()
    put = Put(("nodes", entry.name, "match"), new_match(entry, node, index))
    told += f"; if so, write match: {put.value}"
    own = own_name(entry, node, index, desired)
    return (f"{told} {own[0]}", (put, own[1])) if own else (told, (put,))


def _missing(entry: WantedNode, node: Node, index: Index) -> list[str]:
    """Return what the match asks for, beside a host name, and the node has not.

    A device chooses its host name. What else is asked for is there to keep strangers
    out, so no match without it is offered.
    """
    return [
        f"{name} {value}"
        for name, value in entry.match.lasting.items()
        if name != "hostname" and not index.holds(node, name, value)
    ]


def _bears(node: Node, names: Container[str]) -> bool:
    """Tell whether a node bears one of these names, or what the server made of it."""
    stem, _, suffix = node.name.rpartition("-")
    return node.hostname in names or (
        stem in names and _COLLISION.fullmatch(suffix) is not None
    )

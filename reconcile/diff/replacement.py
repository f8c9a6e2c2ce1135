"""A device that was installed anew: which entry was it, and how is it found now?

Its number, keys and addresses are new; its host name, its user and the pre-auth key
that it joins with are what they were.
"""

import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Sequence

from reconcile.desired.state import WantedNode
from reconcile.diff.matching import Index, quoted
from reconcile.model import Node

# What Headscale appends to a name that is taken: eight characters up to 0.28, a number
# from 0.29 on. Eight letters without a digit are taken for a word of its owner.
_COLLISION = re.compile(r"[0-9]{1,3}|(?=[a-z]*[0-9])[a-z0-9]{8}")


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


def hint(
    entry: WantedNode, strangers: Iterable[Node], index: Index, *, replaces: bool
) -> str:
    """Say which nodes look like an entry's device, installed anew; "" for none.

    `strangers` are the nodes that no entry means. With `replaces` the entry would have
    gone over to the right one, so it is said why it did not.
    """
    names = {entry.name, kept(entry)["hostname"]}
    alike = [node for node in strangers if _bears(node, names)]
    if not alike:
        return ""
    told = "; or ".join(
        f"#{node.id} {node.name} (hostname {node.hostname}, "
        f"{f'user {index.owner(node)}' if node.user_id else 'tagged'}) is new; if so, "
        f"write match: {new_match(entry, node, index)}"
        for node in alike[:5]
    )
    more = f"; or one of {len(alike) - 5} more" if len(alike) > 5 else ""
    needed = " and ".join(f"{name} {value}" for name, value in kept(entry).items())
    reason = (
        f", but `replace: auto` takes only the one node with {needed} "
        "that no other entry may mean"
    )
    return f"looks like it was re-installed{reason * replaces}: {told}{more}"


def _bears(node: Node, names: Container[str]) -> bool:
    """Tell whether a node bears one of these names, or what the server made of it."""
    stem, _, suffix = node.name.rpartition("-")
    return node.hostname in names or (
        stem in names and _COLLISION.fullmatch(suffix) is not None
    )

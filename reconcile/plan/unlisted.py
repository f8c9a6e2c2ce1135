"""Nodes that the file does not list, with the entry that takes each over as it is."""

from collections import Counter
from collections.abc import Iterable, Iterator, Set

from reconcile.desired import entries
from reconcile.desired.state import Desired
from reconcile.model import Node
from reconcile.plan.changes import Unlisted
from reconcile.policy.language.references import references


def unlisted(
    desired: Desired, all_nodes: Iterable[Node], nodes: Iterable[Node]
) -> Iterator[Unlisted]:
    """Yield those of `nodes`, which the file does not name, that are to be reported.

    What is offered for a node says what `defaults` would otherwise take away, so that
    the plan of the pasted entry is empty. Some nodes can have no such entry.
    """
    machines = Counter(node.machine_key for node in all_nodes)
    replaces = desired.node_replace == "auto"
    policy = desired.policy
    owned = None if policy is None else references(policy.value).tags.keys()
    for node in nodes:
        level = desired.manage.ephemeral if node.ephemeral else desired.manage.nodes
        if level != "report":
            continue
        value = entries.node(
            node,
            desired.node_defaults,
            shared=machines[node.machine_key] > 1,
            replaces=replaces,
        )
        why_not = _why_not(node, desired, owned if "tags" in value else None)
        text = "" if why_not else entries.line(node.name, value)
        yield Unlisted(f"node:{node.name}", "node", text, why_not)


def _why_not(node: Node, desired: Desired, owned: Set[str] | None) -> str:
    """Return why no entry keeps a node as it is, "" where one does.

    `owned` are the tags that the policy of the files owns, where the entry says tags.
    """
    if not entries.usable(node.name):
        return "no file can hold its name"
    if node.name in (desired.nodes or {}):
        return f"the entry of this name means another node than #{node.id}"
    strange = sorted(node.tags - owned) if owned is not None else []
    if strange:
        return f"the policy's tagOwners lack {', '.join(strange)}, which it wears"
    return ""

"""What would pass in silence: sections that were dropped, rules that match nothing."""

from collections.abc import Iterator

from reconcile.desired.state import Desired
from reconcile.diff.binding import Bindings


def dropped(desired: Desired, base: Desired) -> Iterator[str]:
    """Yield what the files said when they were applied last, and say no longer.

    Nothing is undone by that: what is not in the files is left as it is.
    """
    for name, before, after in (
        ("policy", base.policy, desired.policy),
        ("users", base.users, desired.users),
        ("nodes", base.nodes, desired.nodes),
    ):
        if before is not None and after is None:
            stays = "it stays as it is" if name == "policy" else "they stay as they are"
            told = f"the files no longer say anything of the {name}"
            yield f"{told}; {stays} on the server"
    rules = base.rules and not desired.rules
    defaults = base.node_defaults.said and not desired.node_defaults.said
    for name, gone in (("node_rules", rules), ("defaults", defaults)):
        if gone:
            yield f"`{name}` is gone: what nodes got by it stays as it is on the server"
    if base.asserts and not desired.asserts:
        yield f"the files no longer assert anything ({len(base.asserts)} before)"


def idle_rules(desired: Desired, bindings: Bindings) -> Iterator[str]:
    """Yield the rules that no node on the server fulfils."""
    index = bindings.index
    for rule in desired.rules:
        if not any(index.rule_holds(rule, node) for node in index.nodes):
            place = f"{rule.position.file}:{rule.position.line}"
            yield f"the rule under node_rules at {place} matches no node"

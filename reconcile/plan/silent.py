"""What would pass in silence: sections that were dropped, rules that match nothing."""

from collections.abc import Iterator

from reconcile.desired.scalars import scalar
from reconcile.desired.state import Desired, WantedUser
from reconcile.errors import Diagnostic
from reconcile.model import Live
from reconcile.plan.binding import Bindings
from reconcile.plan.changes import Action
from reconcile.plan.found import Found
from reconcile.plan.removals import near
from reconcile.remedies import Drop, Help, Put


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


def check_former_names(desired: Desired, live: Live, found: Found) -> None:
    """Warn of a user who is made anew although `was` says that it is a rename."""
    made = {
        change.address for change in found.changes if change.action is Action.CREATE
    }
    wanted = desired.users or {}
    free = {user.name for user in live.users or ()} - wanted.keys()
    for user in wanted.values():
        if user.was and f"user:{user.name}" in made:
            found.problems.append(_made_anew(user, free))


def _made_anew(user: WantedUser, free: set[str]) -> Diagnostic:
    path = ("users", user.name, "was")
    meant = next(filter(None, (near(old, free) for old in user.was)), "")
    more: Help = {"help": "remove `was`", "ways": ((Drop(path),),)}
    if meant:
        put = Put(path, scalar(meant))
        more = {"help": f"did you mean {put}?", "ways": ((put,),)}
    return Diagnostic(
        "RC0104",
        f"user:{user.name} is made anew: nobody is called {' or '.join(user.was)}",
        user.position,
        severity="warning",
        why="a rename needs a user who still has the former name",
        address=f"user:{user.name}",
        **more,
    )

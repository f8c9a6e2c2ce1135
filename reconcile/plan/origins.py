"""Who moved: the files, the server, or both, as seen from what was applied last.

Three states are compared, and two diffs suffice for that: both lead from the live
state, one to what the files want and one to what they wanted when they were applied
last (the base). A field that only the first moves was edited in the files; one that
both move to the same value was changed on the server; one that they move apart was
changed on both sides; and one that only the second moves has become what the files
say without us.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from reconcile.desired.state import Desired
from reconcile.kinds import BY_NAME
from reconcile.model import Live, Natural, natural
from reconcile.plan.binding import Bound, bind
from reconcile.plan.bridge import is_bridge
from reconcile.plan.changes import Action, Change, Difference, Origin, State


def with_origins(
    found: Difference, since: Difference, desired: Desired, base: Desired, live: Live
) -> Difference:
    """Return `found` with the origin of each difference, and with what converged.

    `found` leads from the live state to `desired`, `since` from there to `base`.
    """
    then = _Then(since, same_policy=_same_policy(desired, base))
    missing = {pending.address for pending in since.pending}
    return replace(
        found,
        changes=tuple(map(then.compare, found.changes)),
        stuck=tuple(map(then.compare, found.stuck)),
        pending=tuple(
            replace(p, origin=Origin.DRIFT) if p.address in missing else p
            for p in found.pending
        ),
        converged=tuple(_converged(found, since, desired, live)),
    )


def _same_policy(desired: Desired, base: Desired) -> bool:
    """Tell whether both policies mean the same."""
    if desired.policy is None or base.policy is None:
        return False
    return desired.policy.value == base.policy.value


def _identity(change: Change) -> tuple[str, str]:
    """What stays the same of an object, whatever it is called: the server's id."""
    return change.kind, change.server_id or change.address


class _Then:
    """The differences between the base and the live state, by object and action."""

    def __init__(self, since: Difference, *, same_policy: bool) -> None:
        self._same_policy = same_policy
        self._wanted: dict[tuple[tuple[str, str], Action], State] = {}
        self._changes: dict[tuple[str, str], Change] = {}
        for change in (*since.stuck, *since.changes):
            key = _identity(change)
            self._wanted.setdefault((key, change.action), {}).update(change.after)
            self._changes[key] = change

    def compare(self, change: Change) -> Change:
        """Return the change with the origin of each of its fields."""
        if change.policy is not None:
            return self._policy(change)
        wanted = self._wanted.get((_identity(change), change.action))
        if wanted is None or Origin.DUE in change.origins.values():
            return change
        if change.action is Action.DELETE:
            return replace(change, origins={"": Origin.DRIFT})
        origins = {
            name: Origin.DRIFT if wanted[name] == value else Origin.CONFLICT
            for name, value in change.after.items()
            if name in wanted and not _is_between(change, name, wanted[name])
        }
        applied = {n: wanted[n] for n, o in origins.items() if o is Origin.CONFLICT}
        return replace(change, origins=origins, applied=applied)

    def _policy(self, change: Change) -> Change:
        """Compare policies: the same text, else the same meaning.

        A server that lays out its policy in another way has not changed it, and a
        policy between two writes was left there by an apply of ours.
        """
        if is_bridge(change.before.get("text")):
            return change
        was = self._changes.get(_identity(change))
        if was is None or was.policy is None or change.policy is None:
            return change
        if was.after == change.after:
            return replace(change, origins={"text": Origin.DRIFT})
        if was.policy.formatting_only:
            return change
        if self._same_policy:
            return replace(change, origins={"text": Origin.DRIFT})
        # Their places are lines of an earlier version of the file.
        moved = tuple(replace(item, position=None) for item in was.policy.drifted)
        return replace(
            change,
            origins={"text": Origin.CONFLICT},
            policy=replace(change.policy, moved=moved),
        )


def _is_between(change: Change, name: str, was: object) -> bool:
    """Tell whether an apply was cut off between the two writes of a field.

    What is written first is all that it had and all that it is to have; what it is to
    lose goes at the end.
    """
    if BY_NAME[change.kind].field(name).shrinks is None:
        return False
    value, before = change.after[name], change.before.get(name)
    match value, before, was:
        case list(), list(), list():
            return {*before} == {*was, *value}
    return False


def _converged(
    found: Difference, since: Difference, desired: Desired, live: Live
) -> Iterator[tuple[str, str]]:
    """Yield (address, field) of what the files want anew, and the server has already.

    What the files do not speak of any more has not converged: it is left alone.
    """
    due = [*found.changes, *found.stuck]
    whole = {_identity(c) for c in due if c.action is not Action.UPDATE}
    fields = {(_identity(c), name) for c in due for name in c.after}
    spoken = _Spoken(desired, live)
    for change in sorted((*since.changes, *since.stuck), key=_by_address):
        if _identity(change) in whole:
            continue
        for name in change.after if change.action is Action.UPDATE else ("",):
            moved = (_identity(change), name) in fields
            if not moved and spoken.of(change, name):
                yield change.address, "" if change.kind == "policy" else name


def _by_address(change: Change) -> Natural:
    return natural(change.address)


class _Spoken:
    """Knows what the files speak of, apart from how they want it."""

    def __init__(self, desired: Desired, live: Live) -> None:
        self._desired, self._live = desired, live
        self._users = desired.users or {}

    def of(self, change: Change, name: str) -> bool:
        """Tell whether the files speak of a field of an object ("": of the object)."""
        match change.kind:
            case "user":
                return self._of_user(change, name)
            case "node":
                return self._of_node(change.server_id, name)
        return self._desired.policy is not None

    def _of_user(self, change: Change, name: str) -> bool:
        called = (change.before or change.after)["name"]
        if name:
            user = self._users.get(called)
            return user is not None and getattr(user, name) is not None
        removed = {line.name for line in self._desired.removed if line.kind == "user"}
        former = {old for user in self._users.values() for old in user.was}
        return called in self._users.keys() | removed | former

    def _of_node(self, number: str, name: str) -> bool:
        one = self._nodes.get(number)
        if one is None or not name:
            return one is not None
        if name == "name":
            return one.wanted_name is not None
        return getattr(one.settings, name) is not None

    @cached_property
    def _nodes(self) -> dict[str, Bound]:
        nodes, users = self._live.nodes or (), self._live.users or ()
        return {one.node.id: one for one in bind(self._desired, nodes, users).bound}

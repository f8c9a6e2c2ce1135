"""The order of the writes: which come first, which wait for which."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconcile.desired.state import NEVER
from reconcile.kinds import BY_NAME, NODE, POLICY, USER, Phase
from reconcile.model import EXIT_ROUTES, Operation, User, temporary_name
from reconcile.plan.changes import Action, Change


@dataclass(frozen=True, slots=True)
class Step:
    """One write and its place in the order.

    Steps of one `wave` may run in parallel; a wave starts when the one before has
    ended. `waits_for` names the changes without which this one makes no sense.
    """

    operation: Operation
    phase: Phase
    wave: int = 0
    waits_for: tuple[str, ...] = ()


def steps(changes: Iterable[Change]) -> tuple[Step, ...]:
    """Return the writes that the changes need, in the order in which they may run.

    Forward steps first; what takes away comes after all of them, so that nothing is
    lost before its replacement is in place.
    """
    made: list[Step] = []
    changes = list(changes)
    for change in changes:
        made.extend(_STEPS[change.kind](change))
    made.extend(_renames([c for c in changes if "name" in c.after]))
    ordered = _Order(made, changes)
    made = [ordered.place(step) for step in made]
    made.sort(key=lambda s: (s.phase, s.wave, s.operation.address, s.operation.verb))
    return tuple(made)


_BACKWARD = Phase.ROUTES_REMOVED


class _Order:
    """Knows which changes a step waits for, from everything that is to be done."""

    def __init__(self, made: list[Step], changes: list[Change]) -> None:
        self._forward = [s.operation.address for s in made if s.phase < _BACKWARD]
        self._policy = any(s.phase == Phase.POLICY for s in made)
        self._users = [s.operation for s in made if s.phase == Phase.USERS]
        self._leaving: dict[str, list[str]] = {}
        for change in changes:
            if change.kind == "node" and change.action is Action.DELETE:
                owner = change.before.get("user_id", "")
                self._leaving.setdefault(owner, []).append(change.address)

    def place(self, step: Step) -> Step:
        """Return the step with everything that it waits for."""
        waits = [*step.waits_for]
        if step.phase >= _BACKWARD:
            waits += self._forward
            if step.phase == Phase.USERS_REMOVED:
                waits += self._leaving.get(step.operation.id, [])
        elif step.phase == Phase.TAGS and self._policy:
            waits.append("policy")
        elif step.phase == Phase.POLICY:
            waits += self._named_users(str(step.operation.value))
        return replace(step, waits_for=tuple(dict.fromkeys(waits)))

    def _named_users(self, policy: str) -> list[str]:
        """The users made or renamed in this plan whom the policy may name."""
        names = {
            o.address: o.value.name if isinstance(o.value, User) else str(o.value)
            for o in self._users
        }
        return [
            address
            for address, name in names.items()
            if re.search(rf"(?<![\w.@-]){re.escape(name)}@", policy)
        ]


def _user_steps(change: Change) -> Iterable[Step]:
    if change.action is Action.CREATE:
        user = User(
            "",
            change.after["name"],
            change.after.get("display_name", ""),
            change.after.get("email", ""),
        )
        yield Step(
            Operation("user.create", change.address, value=user),
            USER.field("name").phase,
            wave=9,
        )
    elif change.action is Action.DELETE:
        yield Step(
            Operation("user.remove", change.address, change.server_id),
            USER.removed,
        )


def _policy_steps(change: Change) -> Iterable[Step]:
    """Write the text; with a bridge, write old and new rules together first.

    An apply that was cut off may have written those already.
    """
    text, before = POLICY.field("text"), change.before.get("text")
    writes = [(change.bridge, text.phase)] if change.bridge not in ("", before) else []
    final = text.narrowing if change.bridge else text.phase
    for value, phase in (*writes, (change.after["text"], final)):
        yield Step(
            Operation("policy.set", change.address, value=value, before=before), phase
        )
        before = value


def _node_steps(change: Change) -> Iterable[Step]:
    if change.action is Action.DELETE:
        yield Step(
            Operation("node.remove", change.address, change.server_id),
            NODE.removed,
        )
        return
    if "tags" in change.after:
        tags = frozenset(change.after["tags"])
        yield _node_step(change, "tags", tags, NODE.field("tags").phase)
    if "expiry" in change.after:
        text = change.after["expiry"]
        when = None if text == NEVER else datetime.fromisoformat(text)
        yield _node_step(change, "expiry", when, NODE.field("expiry").phase)
    yield from _route_steps(change)


def _route_steps(change: Change) -> Iterable[Step]:
    """Approve first and un-approve last; the server takes the whole list each time."""
    before = approved(change.before)
    after = approved({**change.before, **change.after})
    routes = NODE.field("routes")
    if after - before:
        yield _node_step(change, "routes", before | after, routes.phase)
    if before - after:
        yield _node_step(change, "routes", after, routes.narrowing)


def approved(state: dict[str, Any]) -> frozenset[str]:
    """Return the routes that a node's state means, in the one list of the server."""
    exits = EXIT_ROUTES if state["exit_node"] else frozenset[str]()
    return frozenset(state["routes"]) | exits


def _node_step(change: Change, name: str, value: object, phase: Phase) -> Step:
    operation = Operation(f"node.{name}", change.address, change.server_id, value)
    return Step(operation, phase)


_STEPS: dict[str, Callable[[Change], Iterable[Step]]] = {
    "user": _user_steps,
    "policy": _policy_steps,
    "node": _node_steps,
}


def _renames(changes: Iterable[Change]) -> Iterable[Step]:
    """Order renames so that a name is free before it is taken.

    A ring (two objects exchange names) is opened with a temporary name.
    """
    for kind in ("user", "node"):
        due = {c.before["name"]: c for c in changes if c.kind == kind and c.server_id}
        yield from _rename_steps(kind, due)


def _rename_steps(kind: str, due: dict[str, Change]) -> Iterable[Step]:
    phase = BY_NAME[kind].field("name").phase
    verb = {"user": "user.rename", "node": "node.name"}[kind]
    wave = 0
    last: dict[str, str] = {}
    while due:
        free = [old for old, c in due.items() if c.after["name"] not in due]
        for old in free:
            change = due[old]
            blocker = last.get(change.after["name"])
            operation = Operation(
                verb, change.address, change.server_id, change.after["name"]
            )
            yield Step(operation, phase, wave, (blocker,) if blocker else ())
        if not free:
            old, change = min(due.items())
            operation = Operation(
                verb, change.address, change.server_id, temporary_name(old)
            )
            yield Step(operation, phase, wave)
            due[temporary_name(old)] = due.pop(old)
            last[old] = change.address
        for old in free:
            last[old] = due.pop(old).address
        wave += 1

"""The plan: the changes in their order, and what tells whether it still holds.

`plan`, `drift` and `apply` share every step up to here; `apply` takes a plan and
nothing else, so what was reviewed is what is done.
"""

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

from reconcile.desired.state import NEVER, Desired
from reconcile.diff import diff
from reconcile.diff.changes import Action, Change, Pending, Unlisted
from reconcile.errors import Diagnostic, StalePlan
from reconcile.kinds import BY_NAME, Phase
from reconcile.model import EXIT_ROUTES, Live, Operation, ServerInfo, User


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to one server.

    `name` is what the server is called; `taken_at` when its state was read; `files`
    are (path, sha256) of the desired state, `commit` its git commit or "". `limited`
    tells that --target or --exclude left changes out.
    """

    name: str
    server: ServerInfo
    taken_at: datetime
    files: tuple[tuple[str, str], ...]
    counts: dict[str, int]
    commit: str = ""
    policy_mode: str = ""
    policy_bytes: int | None = None
    changes: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    notes: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    limited: int = 0

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that stand in the way of an apply."""
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def blocked(self) -> tuple[Change, ...]:
        """The changes that the server will not take."""
        return tuple(change for change in self.changes if change.blocked)

    def count(self, *actions: Action) -> int:
        """Count the changes with one of these actions."""
        return sum(change.action in actions for change in self.changes)

    @property
    def checksum(self) -> str:
        """A short name for exactly these changes, whatever the hour they are made."""
        return "rc1:" + _digest([_substance(change) for change in self.changes])[:12]


def build(
    desired: Desired,
    live: Live,
    *,
    name: str,
    commit: str = "",
    target: Collection[str] = (),
    exclude: Collection[str] = (),
) -> Plan:
    """Diff the two states and return the plan, limited to what was asked for.

    `target` and `exclude` are addresses, globs allowed; `node:nas.routes` means one
    field of one object.
    """
    found = diff(desired, live)
    changes = tuple(_limit(found.changes, target, exclude))
    return Plan(
        name=name,
        server=live.server,
        taken_at=live.taken_at,
        files=desired.files,
        counts={
            kind: len(items)
            for kind, items in (("users", live.users), ("nodes", live.nodes))
            if items is not None
        },
        commit=commit,
        policy_mode=_policy_mode(live),
        policy_bytes=_policy_bytes(live),
        changes=changes,
        pending=found.pending,
        unlisted=found.unlisted,
        notes=found.notes,
        diagnostics=desired.warnings
        + tuple(
            problem
            for problem in found.problems
            if not problem.address or _chosen(problem.address, "", target, exclude)
        ),
        limited=len(found.changes) - len(changes),
    )


def _policy_mode(live: Live) -> str:
    if live.policy is None:
        return ""
    return "database" if live.policy.writable else "file"


def _policy_bytes(live: Live) -> int | None:
    if live.policy is None or live.policy.text is None:
        return None
    return len(live.policy.text.encode())


# -- target and exclude ----------------------------------------------------------


def _limit(
    changes: Iterable[Change], target: Collection[str], exclude: Collection[str]
) -> Iterable[Change]:
    for change in changes:
        if change.action in (Action.CREATE, Action.DELETE):
            if _chosen(change.address, "", target, exclude):
                yield change
            continue
        after = {
            name: value
            for name, value in change.after.items()
            if _chosen(change.address, name, target, exclude)
        }
        if after:
            yield change if after == change.after else _part(change, after)


def _chosen(
    address: str, part: str, target: Collection[str], exclude: Collection[str]
) -> bool:
    names = (address, f"{address}.{part}") if part else (address,)

    def meant(patterns: Collection[str]) -> bool:
        return any(fnmatchcase(name, p) for name in names for p in patterns)

    return (not target or meant(target)) and not meant(exclude)


def _part(change: Change, after: dict[str, Any]) -> Change:
    """Return the change with some of its fields, and what was said of those."""
    return replace(
        change,
        after=after,
        notes={name: note for name, note in change.notes.items() if name in after},
        irreversible=tuple(way for way in change.irreversible if way.field in after),
    )


# -- what was planned, and does it still hold -------------------------------------


def _substance(change: Change) -> list[Any]:
    """Return what a change does, without the words around it."""
    before = {name: change.before.get(name) for name in change.after}
    if change.action is Action.DELETE:
        before = change.before
    return [change.address, change.action, change.server_id, before, change.after]


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def fingerprint(change: Change) -> str:
    """Return a digest of the live object that a change touches, as the plan saw it."""
    return "sha256:" + _digest([change.server_id, change.before])


def require_same(planned: Plan, fresh: Plan) -> None:
    """Raise StalePlan unless everything that `planned` touches is as it was.

    `fresh` is made now from the same files. What else moved on the server in between
    does not matter.
    """
    now = {change.address: change for change in fresh.changes}
    for change in planned.changes:
        current = now.get(change.address)
        if current is None:
            raise StalePlan(
                f"{change.address} is not as it was when this was planned: "
                "the change is not due any more",
                "make a new plan: reconcile plan",
            )
        if fingerprint(current) != fingerprint(change):
            raise StalePlan(
                f"{change.address} moved: {_moved(change, current)}",
                "make a new plan: reconcile plan",
            )
        if current.after != change.after and not _part_of(change, current):
            raise StalePlan(
                f"{change.address} is wanted differently than when this was planned",
                "make a new plan: reconcile plan",
            )


def _part_of(change: Change, current: Change) -> bool:
    """Tell whether a change is the part of a current one that --target chose."""
    return change.after.items() <= current.after.items() if change.after else True


def _moved(planned: Change, current: Change) -> str:
    if planned.server_id != current.server_id:
        return f"it was #{planned.server_id} when planned, is #{current.server_id} now"
    parts = [
        f"{name} was {_shown(planned.before.get(name))} when planned, is "
        f"{_shown(current.before.get(name))} now"
        for name in sorted(planned.before.keys() | current.before.keys())
        if planned.before.get(name) != current.before.get(name)
    ]
    return "; ".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    text = str(value)
    return text if len(text) < 60 and "\n" not in text else f"{len(text)} characters"


# -- order ------------------------------------------------------------------------


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
    ordered = _Order(made)
    made = [ordered.place(step) for step in made]
    made.sort(key=lambda s: (s.phase, s.wave, s.operation.address, s.operation.verb))
    return tuple(made)


_BACKWARD = Phase.ROUTES_REMOVED


class _Order:
    """Knows which changes a step waits for, from everything that is to be done."""

    def __init__(self, made: list[Step]) -> None:
        self._forward = [s.operation.address for s in made if s.phase < _BACKWARD]
        self._policy = any(s.phase == Phase.POLICY for s in made)
        self._users = [s.operation for s in made if s.phase == Phase.USERS]

    def place(self, step: Step) -> Step:
        """Return the step with everything that it waits for."""
        waits = [*step.waits_for]
        if step.phase >= _BACKWARD:
            waits += self._forward
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
        return [address for address, name in names.items() if f"{name}@" in policy]


def _user_steps(change: Change) -> Iterable[Step]:
    if change.action is Action.CREATE:
        user = User(
            "",
            change.after["name"],
            change.after.get("display_name", ""),
            change.after.get("email", ""),
        )
        yield Step(
            Operation("user.create", change.address, value=user), Phase.USERS, wave=9
        )
    elif change.action is Action.DELETE:
        yield Step(
            Operation("user.remove", change.address, change.server_id),
            Phase.USERS_REMOVED,
        )


def _policy_steps(change: Change) -> Iterable[Step]:
    operation = Operation(
        "policy.set",
        change.address,
        value=change.after["text"],
        before=change.before.get("text"),
    )
    yield Step(operation, Phase.POLICY)


def _node_steps(change: Change) -> Iterable[Step]:
    if change.action is Action.DELETE:
        yield Step(
            Operation("node.remove", change.address, change.server_id),
            Phase.NODES_REMOVED,
        )
        return
    if "tags" in change.after:
        yield _node_step(change, "tags", frozenset(change.after["tags"]), Phase.TAGS)
    if "expiry" in change.after:
        text = change.after["expiry"]
        when = None if text == NEVER else datetime.fromisoformat(text)
        yield _node_step(change, "expiry", when, Phase.NODES)
    yield from _route_steps(change)


def _route_steps(change: Change) -> Iterable[Step]:
    """Approve first and un-approve last; the server takes the whole list each time."""
    before = _approved(change.before)
    after = _approved({**change.before, **change.after})
    if after - before:
        yield _node_step(change, "routes", before | after, Phase.NODES)
    if before - after:
        yield _node_step(change, "routes", after, Phase.ROUTES_REMOVED)


def _approved(state: dict[str, Any]) -> frozenset[str]:
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
                verb, change.address, change.server_id, _temporary(old)
            )
            yield Step(operation, phase, wave)
            due[_temporary(old)] = due.pop(old)
            last[old] = change.address
        for old in free:
            last[old] = due.pop(old).address
        wave += 1


def _temporary(name: str) -> str:
    """Return a name that nobody has, short enough for a DNS label."""
    return f"{name[:50]}-rc-swap"

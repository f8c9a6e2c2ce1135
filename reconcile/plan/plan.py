"""The plan: the changes in their order, and what tells whether it still holds.

`plan`, `drift` and `apply` share every step up to here; `apply` takes a plan and
nothing else, so what was reviewed is what is done.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from reconcile.desired.state import Desired
from reconcile.errors import Diagnostic, ReconcileError
from reconcile.kinds import BY_NAME
from reconcile.model import Live, ServerInfo
from reconcile.plan.bridge import with_bridge
from reconcile.plan.changes import (
    DIFFERENCES,
    Action,
    Change,
    Pending,
    Replaced,
    Unlisted,
)
from reconcile.plan.compare import diff
from reconcile.plan.policies import refusal
from reconcile.policy.language.releases import release
from reconcile.review.access import Effect
from reconcile.source.near import nearest

if TYPE_CHECKING:
    from reconcile.review.tests import Checks


@dataclass(frozen=True, slots=True)
class Base:
    """What was applied last: the short commit, and the desired state that it holds."""

    commit: str
    desired: Desired


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan was asked for with, as the options said it; it can be asked again.

    `rollback` are the words after `reconcile rollback`, none for a plan of the files.
    """

    files: tuple[str, ...] = ()
    server: str | None = None
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    theirs: bool = False
    single_policy_write: bool = False
    rollback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """One of several servers for which there is no plan, and why."""

    name: str
    url: str
    error: ReconcileError


@dataclass(frozen=True, slots=True)
class Differences:
    """Some of what is not as the files say, curable or not."""

    changes: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()

    def __len__(self) -> int:
        return len({c.address for c in self.changes}) + len(self.pending)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to one server.

    `name` is what the server is called; `taken_at` when its state was read; `files`
    are (path, sha256) of the desired state, `commit` its git commit or "". `stuck` is
    what is not as desired and cannot be made so on this server. `limited`
    counts the changes that were left out, wholly or in part. `access` is what the
    changes do to access, None when they cannot touch it or when nobody asked; `checks`
    is what becomes of tests and assertions then, None when there was nothing to check.
    `base` is the commit that was applied last, "" when there is none to compare with,
    and `converged` (address, field) of what its successor wants and the server has.
    `asked` is what it was asked for with, and `way` the options with which the server
    was got at, which a saved plan does not hold; `unmatched` is what --target and
    --exclude name and is not there, with what may be meant instead. `live` is the state
    that it was made from, None for a saved one.
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
    stuck: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    notes: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    limited: int = 0
    access: Effect | None = None
    checks: "Checks | None" = None
    base: str = ""
    converged: tuple[tuple[str, str], ...] = ()
    asked: Asked = Asked()
    way: tuple[str, ...] = ()
    unmatched: tuple[tuple[str, str], ...] = ()
    live: Live | None = field(default=None, compare=False, repr=False)

    @property
    def state(self) -> Live:
        """The state that it was made from; raises ValueError for a saved plan."""
        if self.live is None:
            raise ValueError("a saved plan has no live state")
        return self.live

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that stand in the way of an apply."""
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def drift_diagnostics(self) -> tuple[Diagnostic, ...]:
        """The errors that are not themselves a way of differing from the files.

        What `validate` and `plan` warn about is not news to a drift on a cron.
        """
        return tuple(d for d in self.errors if d.code not in DIFFERENCES)

    @property
    def drifted(self) -> Differences:
        """What moved on the server since the last apply; without one, everything."""
        return self._differences(moved=True)

    @property
    def unapplied(self) -> Differences:
        """What the files want since the last apply; without one, nothing."""
        return self._differences(moved=False) if self.base else Differences()

    def _differences(self, *, moved: bool) -> Differences:
        changes: tuple[Change | None, ...] = (*self.changes, *self.stuck)
        pending = [node for node in self.pending if node.policy != "ok"]
        if self.base:
            changes = tuple(c.part(moved=moved) for c in changes if c)
            pending = [node for node in pending if node.origin.moved == moved]
        return Differences(tuple(c for c in changes if c), tuple(pending))

    @property
    def conflicts(self) -> tuple[str, ...]:
        """What the files and the server changed both, to different ends: addresses."""
        return tuple(a for change in self.changes for a in change.conflicts)

    @property
    def blocked(self) -> tuple[Change, ...]:
        """The changes that the server will not take."""
        return tuple(change for change in self.changes if change.blocked)

    def count(self, *actions: Action) -> int:
        """Count the changes with one of these actions."""
        return sum(change.action in actions for change in self.changes)

    @property
    def checksum(self) -> str:
        """A short name for these changes to this server, whatever the hour."""
        changes = [_substance(change) for change in self.changes]
        return "rc1:" + digest([self.name, self.server.url, changes])[:12]


def build(
    desired: Desired,
    live: Live,
    *,
    name: str,
    commit: str = "",
    base: Base | None = None,
    target: Collection[str] = (),
    exclude: Collection[str] = (),
    bridge: bool = True,
) -> Plan:
    """Diff the two states and return the plan, limited to what was asked for.

    `target` and `exclude` are addresses, globs allowed; `node:nas.routes` means one
    field of one object. With a `base` each change tells who moved. `bridge` lets a
    policy be written twice where nodes would lose access between one write and their
    new tags.
    """
    chosen = _Selection(name, target, exclude)
    written = chosen.has("policy") and not refusal(desired, live)
    then = base.desired if base else None
    found = diff(desired, live, base=then, policy_written=written)
    changes = tuple(chosen.limit(found.changes))
    whole = {*map(id, changes)} & {*map(id, found.changes)}
    if bridge:
        changes = with_bridge(changes)
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
        stuck=tuple(chosen.limit(found.stuck)),
        pending=found.pending,
        replaced=found.replaced,
        unlisted=found.unlisted,
        notes=found.notes,
        diagnostics=(
            *other_release(desired, live.server),
            *_still_true(desired.warnings, live, changes),
            *(
                problem
                for problem in found.problems
                if not problem.address or chosen.has(problem.address)
            ),
        ),
        limited=len(found.changes) - len(whole),
        base=base.commit if base else "",
        converged=tuple(c for c in found.converged if chosen.has(*c)),
        unmatched=tuple(chosen.unmatched(desired, live)),
        live=live,
    )


def other_release(desired: Desired, server: ServerInfo) -> Iterator[Diagnostic]:
    """Yield a warning when a server is not of the release that it is said to run."""
    said = desired.release
    if said is None or server.release == release(said.word).name:
        return
    yield Diagnostic(
        "RC0308",
        f"the server is of release {server.release}, not {said.word}",
        said.position,
        severity="warning",
        why="the policy is read as the server itself reads it",
        help=f'write release: "{server.release}"'
        if said.position
        else f"leave out --release {said.word}",
    )


def _still_true(
    warnings: Iterable[Diagnostic], live: Live, changes: Iterable[Change]
) -> Iterator[Diagnostic]:
    """Yield the warnings about the files that the server does not disprove.

    A user whom the policy names and the files do not is fine when the server has the
    user and keeps it: an identity provider's users stand in no file.
    """
    ends = (Action.DELETE, Action.RENAME)
    gone = {c.server_id for c in changes if c.kind == "user" and c.action in ends}
    there = {f"user:{user.name}" for user in live.users or () if user.id not in gone}
    for warning in warnings:
        if warning.code != "RC0101" or warning.address not in there:
            yield warning


def _policy_mode(live: Live) -> str:
    if live.policy is None:
        return ""
    return "database" if live.policy.writable else "file"


def _policy_bytes(live: Live) -> int | None:
    if live.policy is None or live.policy.text is None:
        return None
    return len(live.policy.text.encode())


# -- target and exclude ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Selection:
    """What --target and --exclude choose on one server, by address or glob.

    With several servers, `prod/user:alice` means that user on that server.
    """

    server: str
    target: Collection[str]
    exclude: Collection[str]

    def has(self, address: str, part: str = "") -> bool:
        """Tell whether an object, or one field of it, is meant."""
        named = (address, f"{address}.{part}") if part else (address,)
        names = [*named, *(f"{self.server}/{name}" for name in named)]

        def meant(patterns: Collection[str]) -> bool:
            return any(_fits(name, p) for name in names for p in patterns)

        return (not self.target or meant(self.target)) and not meant(self.exclude)

    def unmatched(self, desired: Desired, live: Live) -> Iterator[tuple[str, str]]:
        """Yield what names nothing that there is, each with what may be meant."""
        if not self.target and not self.exclude:
            return
        known = [*_addresses(desired, live)]
        known += [f"{self.server}/{address}" for address in known]
        for pattern in dict.fromkeys((*self.target, *self.exclude)):
            if not any(_fits(address, pattern) for address in known):
                yield pattern, _near(pattern, known)

    def limit(self, changes: Iterable[Change]) -> Iterable[Change]:
        """Yield the changes, or the parts of them, that are meant."""
        for change in changes:
            if change.action in (Action.CREATE, Action.DELETE):
                if self.has(change.address):
                    yield change
                continue
            after = {
                name: value
                for name, value in change.after.items()
                if self.has(change.address, name)
            }
            if after:
                yield change if after == change.after else change.only(after)


def _fits(address: str, pattern: str) -> bool:
    """Tell whether a pattern means an address: the same text, or a glob."""
    return address == pattern or fnmatchcase(address, pattern)


def _near(pattern: str, known: Iterable[str]) -> str:
    """Return the address that is nearly a pattern; kinds alike say nothing of names."""
    kind, colon, name = pattern.partition(":")
    if not colon or kind not in BY_NAME:
        return nearest(pattern, known, 0.7)
    found = nearest(
        name, [a[len(kind) + 1 :] for a in known if a.startswith(kind + ":")]
    )
    return f"{kind}:{found}" if found else ""


def _addresses(desired: Desired, live: Live) -> Iterator[str]:
    """Yield the address of every object that is wanted or there, and of its fields."""
    users = {*(desired.users or ()), *(user.name for user in live.users or ())}
    users |= {old for user in (desired.users or {}).values() for old in user.was}
    nodes = {*(desired.nodes or ()), *(node.name for node in live.nodes or ())}
    objects = {f"user:{name}": "user" for name in users}
    objects |= {f"node:{name}": "node" for name in nodes}
    objects |= {f"{line.kind}:{line.name}": line.kind for line in desired.removed}
    if desired.policy or live.policy:
        objects["policy"] = "policy"
    for address, kind in objects.items():
        yield address
        yield from (f"{address}.{field.name}" for field in BY_NAME[kind].fields)


def _substance(change: Change) -> list[Any]:
    """Return what a change does, without the words around it."""
    before = {name: change.before.get(name) for name in change.after}
    if change.action is Action.DELETE:
        before = change.before
    return [
        change.address,
        change.action,
        change.server_id,
        before,
        change.after,
        change.bridge,
    ]


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()

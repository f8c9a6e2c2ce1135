"""Doing what a plan says: level by level, parallel inside a level, then a report.

An operation that fails skips those that wait for it, and no others. Nothing here
decides what to do; it only does it and says what became of it.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import groupby
from time import monotonic, sleep
from typing import Protocol

from reconcile.apply.expected import CONVERGED, Expected
from reconcile.apply.outcome import PATIENCE, Outcome, Progress, Result, Status
from reconcile.errors import (
    AuthError,
    NotApplied,
    NotFound,
    ReconcileError,
    Rejected,
    ServerError,
    StalePlan,
)
from reconcile.model import Live, Operation
from reconcile.plan.changes import Change
from reconcile.plan.order import Step, approved, steps
from reconcile.plan.plan import Plan

# What a level writes is read when the level begins, and again when that was longer
# ago than this (seconds).
_FRESH = 2.0

# A network or a machine may be busy for this long, however fast all was before.
_LEAST = 0.3

# A signal that another thread took does not end a wait: look up now and then (seconds).
_WAKE = 0.5

_ANEW = "make a new plan: reconcile plan"


class Writable(Protocol):
    """The part of a server that an apply needs."""

    def look(self, kinds: AbstractSet[str]) -> Live:
        """Return what is there now of some kinds."""

    def write(self, operation: Operation) -> None:
        """Make one change, or raise the ServerError that says why not."""


class Apply:
    """One run of a plan against a server.

    `replan` reads the live state anew and makes a plan of it from the same files, to
    see at the end whether everything stuck. `ticks` are seconds that go by, and `pause`
    lets some go by. `known` are changes that were due before, whoever is to make them.
    """

    def __init__(
        self,
        plan: Plan,
        server: Writable,
        replan: Callable[[], Plan],
        *,
        ticks: Callable[[], float] | None = None,
        pause: Callable[[float], None] | None = None,
        known: Iterable[Change] = (),
        parallelism: int = 32,
        fail_fast: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._plan, self._server, self._replan = plan, server, replan
        self._ticks, self._pause = ticks or monotonic, pause or sleep
        self._parallelism = parallelism
        self._fail_fast, self._progress = fail_fast, progress
        self._expected, self._known = Expected(plan.changes), (*known, *plan.changes)
        self._kinds: frozenset[str] = frozenset()
        self._looked, self._read_at = False, 0.0
        self._total = 0
        self._results: dict[int, Result] = {}
        self._running: dict[Future[Result], Step] = {}
        self._undone: set[str] = set()
        self._stop = ""

    def run(self) -> Outcome:
        """Make every change, read back, and return what became of each step.

        Ctrl-C lets the running writes end and starts no other; a second one does not
        wait for them either. The outcome tells in any case what is known.
        """
        todo = steps(self._plan.changes)
        self._total = len(todo)
        interrupted = False
        pool = ThreadPoolExecutor(self._parallelism)
        for _, level in groupby(todo, key=lambda s: (s.phase, s.wave)):
            try:
                self._level(deque(level), pool)
                self._settle()
            except KeyboardInterrupt:
                interrupted, self._stop = True, "the run was interrupted"
                break
        try:
            while self._running:
                self._collect(wait(self._running, _WAKE).done)
        except KeyboardInterrupt:
            self._abandon()
        pool.shutdown(wait=False, cancel_futures=True)
        for step in todo:
            if id(step) not in self._results:
                self._note(Result(step, "skipped", self._stop))
        return self._read_back(interrupted=interrupted)

    def _level(self, waiting: deque[Step], pool: ThreadPoolExecutor) -> None:
        """Run the steps of one level side by side, and wait for all of them."""
        self._looked = False
        self._kinds = self._expected.kinds(step.operation for step in waiting)
        while waiting or self._running:
            while waiting and len(self._running) < self._parallelism:
                if reason := self._obstacle(waiting[0]):
                    self._note(reason)
                else:
                    run = pool.submit(self._one, waiting[0], self._read_at)
                    self._running[run] = waiting[0]
                waiting.popleft()
            if self._running:
                ended = wait(self._running, _WAKE, return_when="FIRST_COMPLETED")
                self._collect(ended.done)

    def _collect(self, done: Collection["Future[Result]"]) -> None:
        for future in done:
            self._note(future.result())
            del self._running[future]

    def _abandon(self) -> None:
        for step in self._running.values():
            error = "the run was interrupted before an answer came"
            self._note(Result(step, "failed", error, lost=True))

    def _obstacle(self, step: Step) -> Result | None:
        """Return why a step is not to be run, None when it is."""
        if self._stop:
            return Result(step, "skipped", self._stop)
        address = step.operation.address
        waits = [a for a in step.waits_for if a in self._undone]
        if waits:
            return Result(step, "skipped", f"waits for {waits[0]}")
        if address in self._undone:
            return Result(step, "skipped", f"an earlier step of {address} failed")
        return self._meeting(step)

    def _meeting(self, step: Step) -> Result | None:
        """Return why somebody else stands in the way of a step, None for nobody."""
        self._look()
        if self._stop:
            return Result(step, "skipped", self._stop)
        reason = self._expected.obstacle(step.operation)
        if reason == CONVERGED:
            return Result(step, "converged")
        return Result(step, "failed", reason, _ANEW) if reason else None

    def _one(self, step: Step, read_at: float) -> Result:
        started = self._ticks()
        result = Result(step, "done")
        try:
            self._server.write(step.operation)
        except ReconcileError as error:
            result = Result(
                step,
                "unseen" if isinstance(error, NotApplied) else "failed",
                str(error),
                error.hint,
                lost=_unclear(error, step.operation),
                refused=_refused(error, step.operation),
            )
            if isinstance(error, AuthError):
                self._stop = "the server refuses the credential"
        ended = self._ticks()
        # A policy is compared as it is written, other objects when they were read.
        since = started if step.operation.verb == "policy.set" else read_at
        return replace(result, seconds=ended - started, window=ended - since)

    def _note(self, result: Result) -> None:
        self._results[id(result.step)] = result
        if result.status == "done":
            self._expected.wrote(result.step.operation)
        if not result.holds:
            self._undone.add(result.step.operation.address)
            if result.status == "failed" and self._fail_fast:
                self._stop = self._stop or "an earlier step failed (--fail-fast)"
        if self._progress:
            self._progress(result, len(self._results), self._total)

    def _look(self) -> None:
        """Read what a level writes, unless that was done a moment ago."""
        now = self._ticks()
        if not self._kinds or (self._looked and now - self._read_at <= _FRESH):
            return
        self._looked, self._read_at = True, now
        try:
            self._expected.see(self._server.look(self._kinds))
        except ReconcileError as error:
            self._stop = f"the server could not be read again: {error}"

    def _settle(self) -> None:
        """Look what became of lost writes, so that what waits for them can go on."""
        lost = [result for result in self._results.values() if result.lost]
        if not lost:
            return
        try:
            plan = self._replan()
        except ReconcileError:
            return  # the next read tells; until then they count as failed
        for result in lost:
            settled = _settled(result, plan)
            self._results[id(result.step)] = settled
            if settled.status == "done":
                self._expected.wrote(result.step.operation)
        self._undone = {
            result.step.operation.address
            for result in self._results.values()
            if not result.holds
        }

    def _read_back(self, *, interrupted: bool) -> Outcome:
        """Read once more: what did not stick, and what did though no answer came."""
        results = tuple(self._results.values())
        try:
            if not interrupted:
                self._wait_for_others()
            plan = self._replan()
        except ReconcileError as error:
            return Outcome(results, unread=str(error), interrupted=interrupted)
        except KeyboardInterrupt:
            return Outcome(results, unread="it was interrupted", interrupted=True)
        results = tuple(_settled(result, plan) for result in results)
        undone = tuple(self._expected.overwritten(plan.state, plan.changes))
        left = _left(self._plan, plan, results)
        moved = tuple(_news(self._known, plan.changes))
        return Outcome(
            results, left, undone, moved, interrupted=interrupted, read_back=plan
        )

    def _wait_for_others(self) -> None:
        """Wait until those who read before our writes have written as well.

        They do not see that they write over ours. They take about as long as we do.
        """
        windows = [r.window for r in self._results.values() if r.status == "done"]
        if windows:
            self._pause(min(_LEAST + 2 * max(windows), PATIENCE))


def untouched(plan: Plan, reason: str) -> Outcome:
    """Return the outcome of a plan that was not begun, for the report."""
    results = (Result(step, "skipped", reason) for step in steps(plan.changes))
    return Outcome(tuple(results), interrupted=True)


def _left(plan: Plan, now: Plan, results: Collection[Result]) -> tuple[Change, ...]:
    """Return the changes that count as made, and that a new plan still asks for."""
    fresh = {change.address: change for change in now.changes}
    failed = {r.step.operation.address for r in results if not r.holds}
    return tuple(
        fresh[change.address]
        for change in plan.changes
        if change.address not in failed and _still_due(change, fresh)
    )


def _news(known: Iterable[Change], now: Iterable[Change]) -> Iterator[Change]:
    """Yield what is due now and was not before: somebody else changed it meanwhile."""
    due: dict[str, set[str]] = defaultdict(set)
    for change in known:
        for address in (change.address, f"{change.kind}:{change.after.get('name')}"):
            due[address] |= change.after.keys()
    for change in now:
        news = change.after.keys() - due.get(change.address, ())
        if change.address not in due:
            yield change
        elif news and due[change.address]:
            yield change.only(news)


def _still_due(change: Change, fresh: dict[str, Change]) -> bool:
    """Tell whether the read-back still asks for what this change was to do."""
    now = fresh.get(change.address)
    if now is None:
        return False
    return not change.after or bool(now.after.keys() & change.after.keys())


def _unclear(error: ReconcileError, operation: Operation) -> bool:
    """Tell whether a write may have happened in spite of an error.

    No answer came, a server or a proxy failed on the way, what was to be removed was
    not there, or the server did not show it yet. Or somebody else did the same.
    """
    if isinstance(error, NotApplied) or _refused(error, operation):
        return True
    if isinstance(error, NotFound) and operation.verb.endswith(".remove"):
        return True
    return isinstance(error, ServerError) and (error.status >= 500 or not error.status)


def _refused(error: ReconcileError, operation: Operation) -> bool:
    """Tell whether a write did not happen; maybe somebody else did the same."""
    if isinstance(error, StalePlan):
        return True
    known = isinstance(error, Rejected) and error.status < 500
    return known and operation.verb == "user.create"


def _settled(result: Result, plan: Plan) -> Result:
    """Find out from a new plan what became of a write whose answer was lost."""
    if not result.lost:
        return result
    address = result.step.operation.address
    now = next((c for c in plan.changes if c.address == address), None)
    gone = any(pending.address == address for pending in plan.pending)
    if not gone and _happened(result.step.operation, now):
        status: Status = "converged" if result.refused else "done"
        return replace(result, status=status, error="", hint="", lost=False)
    return replace(result, lost=False)


def _happened(operation: Operation, now: Change | None) -> bool:
    """Tell whether a write shows on the server, from what is still to be changed."""
    if now is None:
        return True
    match operation.verb:
        case "policy.set":
            return bool(now.before.get("text") == operation.value)
        case "user.rename" | "node.name":
            return bool(now.before.get("name") == operation.value)
        case "node.routes":
            return approved(now.before) == operation.value
        case "node.tags" | "node.expiry":
            return operation.verb.removeprefix("node.") not in now.after
    return False

"""Doing what a plan says: level by level, parallel inside a level, then a report.

An operation that fails skips those that wait for it, and no others. Nothing here
decides what to do; it only does it and says what became of it.
"""

from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from time import monotonic
from typing import Protocol

from reconcile.diff.changes import Change
from reconcile.errors import (
    AuthError,
    NotApplied,
    NotFound,
    ReconcileError,
    ServerError,
)
from reconcile.model import Operation
from reconcile.order import Step, approved, steps
from reconcile.outcome import Outcome, Progress, Result
from reconcile.plan import Plan

# An object that was read longer ago than this is read again before it is written.
_FRESH = timedelta(seconds=30)


# A signal that another thread took does not end a wait: look up now and then (seconds).
_WAKE = 0.5

_MOVED = "it was changed by somebody else after the plan"


class Writable(Protocol):
    """The part of a server that an apply needs."""

    def write(self, operation: Operation) -> None:
        """Make one change, or raise the ServerError that says why not."""


class Apply:
    """One run of a plan against a server.

    `read` reads the live state anew and `replan` makes a plan of it from the same
    files; both are used to see whether somebody else writes at the same time, and at
    the end whether everything stuck.
    """

    def __init__(
        self,
        plan: Plan,
        server: Writable,
        replan: Callable[[], Plan],
        *,
        clock: Callable[[], datetime],
        parallelism: int = 32,
        fail_fast: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._plan, self._server, self._replan = plan, server, replan
        self._clock, self._parallelism = clock, parallelism
        self._fail_fast, self._progress = fail_fast, progress
        self._read_at = plan.taken_at
        self._moved: set[str] = set()
        self._converged: set[str] = set()
        self._total = 0
        self._results: dict[int, Result] = {}
        self._running: dict[Future[Result], Step] = {}
        self._started: set[str] = set()
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
        while waiting or self._running:
            while waiting and len(self._running) < self._parallelism:
                if reason := self._obstacle(waiting[0]):
                    self._note(reason)
                else:
                    self._started.add(waiting[0].operation.address)
                    self._running[pool.submit(self._one, waiting[0])] = waiting[0]
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
        address = step.operation.address
        if not self._stop:
            self._read_again_when_old()
        if self._stop:
            return Result(step, "skipped", self._stop)
        waits = [a for a in step.waits_for if a in self._undone]
        if waits:
            return Result(step, "skipped", f"waits for {waits[0]}")
        if address in self._undone:
            return Result(step, "skipped", f"an earlier step of {address} failed")
        if address in self._started:
            return None
        if address in self._converged:
            return Result(step, "converged")
        if address in self._moved:
            return Result(step, "failed", _MOVED, "make a new plan")
        return None

    def _one(self, step: Step) -> Result:
        started = monotonic()
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
            )
            if isinstance(error, AuthError):
                self._stop = "the server refuses the credential"
        return replace(result, seconds=monotonic() - started)

    def _note(self, result: Result) -> None:
        self._results[id(result.step)] = result
        if not result.holds:
            self._undone.add(result.step.operation.address)
            if result.status == "failed" and self._fail_fast:
                self._stop = self._stop or "an earlier step failed (--fail-fast)"
        if self._progress:
            self._progress(result, len(self._results), self._total)

    def _read_again_when_old(self) -> None:
        """Read the server again when the last read is old, to see who else writes.

        Only objects that this run has not written yet are compared.
        """
        if self._clock() - self._read_at <= _FRESH:
            return
        try:
            plan = self._replan()
        except ReconcileError as error:
            self._stop = f"the server could not be read again: {error}"
            return
        self._read_at = self._clock()
        fresh = {change.address: change for change in plan.changes}
        ours = "policy" in self._started
        for change in self._plan.changes:
            now = fresh.get(change.address)
            if now is None and _fulfilled(change, plan):
                self._converged.add(change.address)
            elif now is None or _moved(change, now, ours=ours):
                self._moved.add(change.address)

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
            self._results[id(result.step)] = _settled(result, plan)
        self._undone = {
            result.step.operation.address
            for result in self._results.values()
            if not result.holds
        }

    def _read_back(self, *, interrupted: bool) -> Outcome:
        """Read once more: what did not stick, and what did though no answer came."""
        results = tuple(self._results.values())
        try:
            plan = self._replan()
        except ReconcileError as error:
            return Outcome(results, unread=str(error), interrupted=interrupted)
        except KeyboardInterrupt:
            return Outcome(results, unread="it was interrupted", interrupted=True)
        fresh = {c.address: c for c in plan.changes}
        results = tuple(_settled(result, plan) for result in results)
        failed = {r.step.operation.address for r in results if not r.holds}
        left = tuple(
            fresh[change.address]
            for change in self._plan.changes
            if change.address not in failed and _still_due(change, fresh)
        )
        return Outcome(results, left, interrupted=interrupted)


def untouched(plan: Plan, reason: str) -> Outcome:
    """Return the outcome of a plan that was not begun, for the report."""
    results = (Result(step, "skipped", reason) for step in steps(plan.changes))
    return Outcome(tuple(results), interrupted=True)


def _still_due(change: Change, fresh: dict[str, Change]) -> bool:
    """Tell whether the read-back still asks for what this change was to do."""
    now = fresh.get(change.address)
    if now is None:
        return False
    return not change.after or bool(now.after.keys() & change.after.keys())


def _unclear(error: ReconcileError, operation: Operation) -> bool:
    """Tell whether a write may have happened in spite of an error.

    No answer came, a server or a proxy failed on the way, what was to be removed was
    not there, or the server did not show it yet.
    """
    if isinstance(error, NotApplied):
        return True
    if isinstance(error, NotFound) and operation.verb.endswith(".remove"):
        return True
    return isinstance(error, ServerError) and (error.status >= 500 or not error.status)


def _fulfilled(change: Change, fresh: Plan) -> bool:
    """Tell whether a change is not due any more because its object is as wanted.

    An object that vanished, or that a plan cannot speak of, is not.
    """
    gone = any(pending.address == change.address for pending in fresh.pending)
    return not gone and not fresh.errors


def _moved(change: Change, now: Change, *, ours: bool) -> bool:
    """Tell whether somebody else changed what a change is about.

    A user that this run renamed shows on its nodes, so its name is not compared; and
    `ours`, a policy that this run wrote, may have approved more routes by itself.
    """
    if (now.server_id, now.action) != (change.server_id, change.action):
        return True
    names = set(change.after or change.before) - {"user"}
    if names & _ROUTES:
        names -= _ROUTES
        before, after = approved(change.before), approved(now.before)
        if before - after or (after - before and not ours):
            return True
    return any(change.before.get(name) != now.before.get(name) for name in names)


_ROUTES = {"routes", "exit_node"}


def _settled(result: Result, plan: Plan) -> Result:
    """Find out from a new plan what became of a write whose answer was lost."""
    if not result.lost:
        return result
    address = result.step.operation.address
    now = next((c for c in plan.changes if c.address == address), None)
    gone = any(pending.address == address for pending in plan.pending)
    if not gone and _happened(result.step.operation, now):
        return replace(result, status="done", error="", hint="", lost=False)
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

"""Doing what a plan says: level by level, parallel inside a level, then a report.

An operation that fails skips those that wait for it, and no others. Nothing here
decides what to do; it only does it and says what became of it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from time import monotonic
from typing import Protocol

from reconcile.diff.changes import Change
from reconcile.errors import AuthError, ReconcileError, Unreachable
from reconcile.model import Operation
from reconcile.order import Step, steps
from reconcile.outcome import Outcome, Progress, Result
from reconcile.plan import Plan

# An object that was read longer ago than this is read again before it is written.
_FRESH = timedelta(seconds=30)


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
        self._results: list[Result] = []
        self._undone: set[str] = set()
        self._stop = ""

    def run(self) -> Outcome:
        """Make every change, read back, and return what became of each step."""
        todo = steps(self._plan.changes)
        interrupted = False
        with ThreadPoolExecutor(self._parallelism) as pool:
            for _, level in groupby(todo, key=lambda s: (s.phase, s.wave)):
                try:
                    self._level(list(level), len(todo), pool)
                except KeyboardInterrupt:
                    interrupted, self._stop = True, "the run was interrupted"
        done = {id(result.step) for result in self._results}
        for step in todo:
            if id(step) not in done:
                self._note(Result(step, "skipped", self._stop), len(todo))
        return self._read_back(interrupted=interrupted)

    def _level(self, level: list[Step], total: int, pool: ThreadPoolExecutor) -> None:
        """Run the steps of one level side by side, and wait for all of them."""
        ready = []
        moved = self._moved_meanwhile()
        for step in level:
            if reason := self._obstacle(step, moved):
                self._note(reason, total)
            else:
                ready.append(step)
        running = [pool.submit(self._one, step) for step in ready]
        try:
            for future in _as_done(running):
                self._note(future.result(), total)
        except KeyboardInterrupt:
            self._stop = "the run was interrupted"
            for future in running:
                future.cancel()
            wait(running)
            noted = {id(result.step) for result in self._results}
            for future in running:
                if not future.cancelled() and id(future.result().step) not in noted:
                    self._note(future.result(), total)
            raise

    def _obstacle(self, step: Step, moved: dict[str, str]) -> Result | None:
        """Return why a step is not to be run, None when it is."""
        address = step.operation.address
        if self._stop:
            return Result(step, "skipped", self._stop)
        waits = [a for a in step.waits_for if a in self._undone]
        if waits:
            return Result(step, "skipped", f"waits for {waits[0]}")
        if address in self._undone:
            return Result(step, "skipped", f"an earlier step of {address} failed")
        if address in moved:
            return Result(step, "failed", moved[address], "make a new plan")
        return None

    def _one(self, step: Step) -> Result:
        started = monotonic()
        result = Result(step, "done")
        try:
            self._server.write(step.operation)
        except ReconcileError as error:
            result = Result(
                step,
                "failed",
                str(error),
                error.hint,
                lost=isinstance(error, Unreachable),
            )
            if isinstance(error, AuthError):
                self._stop = "the server refuses the credential"
        return replace(result, seconds=monotonic() - started)

    def _note(self, result: Result, total: int) -> None:
        self._results.append(result)
        if result.status != "done":
            self._undone.add(result.step.operation.address)
            if result.status == "failed" and self._fail_fast:
                self._stop = self._stop or "an earlier step failed (--fail-fast)"
        if self._progress:
            self._progress(result, len(self._results), total)

    def _moved_meanwhile(self) -> dict[str, str]:
        """Read again when the last read is old; return what somebody else changed.

        Only objects that this run has not written yet are compared.
        """
        if self._clock() - self._read_at <= _FRESH:
            return {}
        fresh = {c.address: c for c in self._replan().changes}
        self._read_at = self._clock()
        touched = {result.step.operation.address for result in self._results}
        moved = {}
        for change in self._plan.changes:
            now = fresh.get(change.address)
            if change.address in touched or (now and now.before == change.before):
                continue
            moved[change.address] = "it was changed by somebody else after the plan"
        return moved

    def _read_back(self, *, interrupted: bool) -> Outcome:
        """Read once more: what did not stick, and what did though no answer came."""
        results = tuple(self._results)
        try:
            fresh = {c.address: c for c in self._replan().changes}
        except ReconcileError as error:
            return Outcome(results, unread=str(error), interrupted=interrupted)
        results = tuple(_settled(result, fresh) for result in results)
        failed = {r.step.operation.address for r in results if r.status != "done"}
        left = tuple(
            fresh[change.address]
            for change in self._plan.changes
            if change.address not in failed and _still_due(change, fresh)
        )
        return Outcome(results, left, interrupted=interrupted)


def _still_due(change: Change, fresh: dict[str, Change]) -> bool:
    """Tell whether the read-back still asks for what this change was to do."""
    now = fresh.get(change.address)
    if now is None:
        return False
    return not change.after or bool(now.after.keys() & change.after.keys())


def _settled(result: Result, fresh: dict[str, Change]) -> Result:
    """Count a write whose answer was lost as done when it did happen."""
    if result.lost and result.step.operation.address not in fresh:
        return replace(result, status="done", error="", hint="", lost=False)
    return result


def _as_done(futures: Sequence["Future[Result]"]) -> Iterator["Future[Result]"]:
    """Yield futures as they end, in a loop that Ctrl-C can break."""
    left = set(futures)
    while left:
        done, left = wait(left, return_when="FIRST_COMPLETED")
        yield from done

"""The story of an apply: what was planned is shown, agreed to, done and read back."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Protocol

from reconcile.apply.backup import Kept
from reconcile.apply.outcome import Outcome, Progress
from reconcile.apply.run import Apply, untouched
from reconcile.errors import (
    Exit,
    Refused,
    StalePlan,
    exit_of,
    worst,
)
from reconcile.jobs.run import Run, require_files
from reconcile.jobs.several import planned
from reconcile.model import Live
from reconcile.plan.plan import Asked, Failed, Plan
from reconcile.plan.stale import require_same
from reconcile.report import json_plan
from reconcile.report.commands import apply as apply_command
from reconcile.report.origin import WAYS_OUT
from reconcile.report.safe import safe
from reconcile.source.border import OUTSIDE, around
from reconcile.source.text import STDIN


class Watcher(Protocol):
    """Who watches an apply: sees the plans, is asked, and hears what happens."""

    @property
    def progress(self) -> Progress | None:
        """What is told of each write, None for nobody."""

    def show(self, plans: Sequence[Plan]) -> None:
        """Show what will be done."""

    def ask(self) -> None:
        """Return if it may be done, or raise the ReconcileError that says why not."""

    def note(self, text: str) -> None:
        """Tell something that happened beside the writes."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a plan is agreed to and done.

    `checksum` is that of the reviewed plan, `ours` lets the files win a conflict,
    `asks` says whether a person is asked. `backup` is the folder for backups, None for
    the repository of the files. `failed` are the servers that were left out.
    """

    checksum: str | None = None
    ours: bool = False
    asks: bool = True
    parallelism: int = 32
    fail_fast: bool = False
    backup: Path | None = None
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of plans: their outcomes, and the backups of those with changes.

    Nothing was done where a plan has errors, and nothing was to be done where there
    are no outcomes.
    """

    plans: Sequence[Plan]
    failed: tuple[Failed, ...]
    outcomes: tuple[Outcome, ...] = ()
    kept: tuple[Kept | None, ...] = ()

    @property
    def refused(self) -> int:
        """The exit code for errors in the plans, 0 where there are none."""
        return exit_of(error for plan in self.plans for error in plan.errors)

    @property
    def exit_code(self) -> int:
        """The worst of what became of the plans and of the servers left out."""
        codes = [outcome.exit_code for outcome in self.outcomes]
        return worst([*codes, *(one.error.exit_code for one in self.failed)])


def carry(
    runs: Sequence[Run], plans: Sequence[Plan], way: Way, watcher: Watcher
) -> Carried:
    """Show plans, refuse what must not be done, ask, and do it.

    Raises StalePlan where the plans are not those that were reviewed, or the server
    moved while the question waited, and Refused for what needs a decision.
    """
    watcher.show(plans)
    _require_reviewed(plans, way.checksum)
    _require_possible(plans)
    if not way.ours:
        _require_no_conflict(plans)
    nothing = Carried(plans, way.failed)
    if nothing.refused:
        return nothing
    pairs = list(zip(runs, plans, strict=True))
    if not any(plan.changes for plan in plans):
        for run, plan in pairs:
            _remember(run, plan, plan.state, watcher)
        return nothing
    for run, plan in pairs:
        run.require_leave(plan)
    if way.asks:
        watcher.ask()
        for run, plan in pairs:
            require_same(plan, run.plan(check=False))
    return _done(pairs, way, watcher)


def _done(pairs: Sequence[tuple[Run, Plan]], way: Way, watcher: Watcher) -> Carried:
    """Keep backups, then apply one plan after the other."""
    gc.enable()  # thousands of writes can take hours
    kept = tuple(run.back_up(plan, way.backup) for run, plan in pairs if plan.changes)
    outcomes: list[Outcome] = []
    for run, plan in pairs:
        if any(outcome.interrupted for outcome in outcomes):
            outcomes.append(untouched(plan, "the run was interrupted"))
            continue
        outcome = _applied(run, plan, way, watcher)
        outcomes.append(outcome)
        if outcome.exit_code == Exit.OK and outcome.read_back:
            _remember(run, plan, outcome.read_back.state, watcher)
    plans = tuple(plan for _, plan in pairs)
    return Carried(plans, way.failed, tuple(outcomes), kept)


def _applied(run: Run, plan: Plan, way: Way, watcher: Watcher) -> Outcome:
    outcome = Apply(
        plan,
        run.writer(plan),
        lambda: run.plan(check=False),
        known=run.first.changes if run.first else (),
        parallelism=way.parallelism,
        fail_fast=way.fail_fast,
        progress=watcher.progress,
    ).run()
    if outcome.read_back is None:
        return outcome
    return replace(outcome, checks=run.review.holding(outcome.read_back.state))


def _remember(run: Run, plan: Plan, live: Live, watcher: Watcher) -> None:
    if told := run.applied(plan, live):
        watcher.note(safe(told))


# -- saved plans -----------------------------------------------------------------------


def require_near(asked: Asked) -> None:
    """Raise Refused for a saved plan that names files elsewhere: a stranger's may."""
    here = around("tailnet.yaml")
    away = [path for path in asked.files if here.outside(path) == OUTSIDE]
    if path := next((path for path in away if path != STDIN), ""):
        raise Refused(
            f"the plan names a file outside of this folder: {path}",
            "make a plan in the folder of that file: reconcile plan --out FILE",
        )


def plans_to_apply(
    opened: Sequence[Run], failed: list[Failed], saved: tuple[Plan, ...] | None
) -> tuple[list[Run], tuple[Plan, ...]]:
    """Plan anew; with a saved plan, make sure that it still holds and return that.

    The runs come with their plans; of several servers, those that fail are added to
    `failed`. A saved plan needs all of its servers. Raises StalePlan for one that does
    not hold any more.
    """
    if saved is None:
        return planned(opened, failed, lambda run: run.plan())
    if failed:
        raise failed[0].error
    by_name = {run.ref.name: run for run in opened}
    good = [_run_of(old, by_name.get(old.name)) for old in saved]
    return good, tuple(_still(old, run) for old, run in zip(saved, good, strict=True))


def _run_of(old: Plan, run: Run | None) -> Run:
    if run is None or run.shown_url != old.server.url:
        raise StalePlan(
            f"this plan is for {old.name} at {old.server.url}, which the files "
            "do not name",
            "apply it in the folder in which it was made",
        )
    return run


def _still(old: Plan, run: Run) -> Plan:
    """Return a saved plan that holds; raise StalePlan for one that does not.

    What it does to access is told anew, and so are tests and assertions: others may
    have moved what the plan does not touch.
    """
    require_files(old, run.desired)
    fresh = run.plan(check=False, limited=False)
    require_same(old, fresh)
    news = [note for note in fresh.notes if note not in old.notes]
    old = replace(old, notes=(*old.notes, *news), live=fresh.live)
    return old if old.errors else run.review.judged(old)


# -- what is refused -------------------------------------------------------------------


def _require_reviewed(plans: Sequence[Plan], checksum: str | None) -> None:
    """Refuse a plan that is not the reviewed one."""
    if checksum and checksum != json_plan.checksum(plans):
        raise StalePlan(
            f"the plan's checksum is {json_plan.checksum(plans)} now, not {checksum}: "
            "the server or the files changed since it was reviewed",
            "review the plan above, then apply with its checksum",
        )


def _require_possible(plans: Sequence[Plan]) -> None:
    """Refuse a plan that the server will not take as a whole."""
    if first := next((c for plan in plans for c in plan.blocked), None):
        raise Refused(
            f"{first.address}: {first.blocked}. Nothing was changed.",
            f"everything else: {_all_but(plans[0], first.address)}",
        )


def _all_but(plan: Plan, address: str) -> str:
    asked = replace(plan.asked, exclude=(*plan.asked.exclude, escape(address)))
    return " ".join(apply_command(asked, *plan.way))


def _require_no_conflict(plans: Sequence[Plan]) -> None:
    """Refuse to overwrite what somebody changed on the server while the files moved."""
    conflicts = [address for plan in plans for address in plan.conflicts]
    if conflicts:
        raise Refused(
            f"{', '.join(map(safe, conflicts))}: changed in the files and on the "
            "server since the last apply. Nothing was changed.",
            WAYS_OUT,
        )

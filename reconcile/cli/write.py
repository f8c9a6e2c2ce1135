"""The command that writes: plan, ask, do it, read back."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli import options
from reconcile.cli.read import saved_plans
from reconcile.cli.terminal import (
    View,
    note,
    out,
    paint,
    print_failed,
    progress_of,
    show_plans,
)
from reconcile.errors import Exit, ReconcileError, UsageError, exit_of, worst

if TYPE_CHECKING:
    from reconcile.apply.backup import Kept
    from reconcile.apply.outcome import Outcome
    from reconcile.jobs.run import Run
    from reconcile.plan.plan import Asked, Failed, Plan


@click.command()
@options.apply
@click.argument("plan_file", metavar="[PLANFILE]", required=False)
@options.carry
@options.theirs
@click.option("--ours", is_flag=True, help="Let the files win what both sides changed.")
@options.full
@options.members
def apply(plan_file: str | None, ours: bool, **flags: Any) -> int:
    """Make the server what the files say: plan, ask, do it, read back.

    A saved plan knows its files, its server and what it was limited to.
    """
    from reconcile.jobs.several import runs
    from reconcile.plan.plan import Asked

    if flags["theirs"] and ours:
        raise UsageError("--theirs and --ours exclude each other", "leave one out")
    way = way_of(flags, ours=ours)
    if plan_file:
        _require_alone(flags)
    saved = saved_plans(plan_file) if plan_file else None
    if saved:
        _require_near(saved[0].asked)
        flags |= {f.name: getattr(saved[0].asked, f.name) for f in fields(Asked)}
    chosen = options.collect(**flags)
    names = [plan.name for plan in saved or ()]
    opened, failed = runs(chosen, writable=True, names=names)
    try:
        good, plans = _planned(opened, failed, saved)
        asks = way.asks and not saved
        return carry(good, plans, replace(way, failed=tuple(failed), asks=asks))
    finally:
        for run_ in opened:
            run_.close()


@dataclass(frozen=True, slots=True)
class Way:
    """How a plan is agreed to, done and told.

    `failed` are the servers that it leaves out, `asks` whether a person is asked, and
    `how` is the parallelism, whether to fail fast, and the form of progress. `backup`
    is the folder for backups, None for the repository of the files.
    """

    view: View
    checksum: str | None
    ours: bool
    asks: bool
    how: tuple[int, bool, str]
    backup: Path | None
    failed: tuple["Failed", ...] = ()


def way_of(flags: dict[str, Any], *, ours: bool) -> Way:
    """Take the flags about how a plan is done out of those of a command."""
    take = flags.pop
    view = View(take("format_"), full=take("full"), members=take("members"))
    checksum, asks = take("checksum"), not take("auto_approve")
    how = flags["parallelism"], take("fail_fast"), take("progress")
    asks = asks and not checksum
    return Way(view, checksum, ours, asks, how, take("backup"))


def carry(runs: Sequence["Run"], plans: Sequence["Plan"], way: Way) -> int:
    """Show plans, refuse what must not be, ask, and do it."""
    if way.view.format == "text":
        show_plans(plans, way.view, way.failed)
    else:
        print_failed(way.failed)
    _require(plans, way.checksum)
    if not way.ours:
        _require_no_conflict(plans)
    if code := exit_of(error for plan in plans for error in plan.errors):
        if way.view.format == "json":
            show_plans(plans, way.view)
        click.echo("Nothing was changed.", err=True)
        return code
    if not any(plan.changes for plan in plans):
        for run_, plan_ in zip(runs, plans, strict=True):
            _remember(run_, plan_)
        return _report(plans, [], way)
    for run_, plan_ in zip(runs, plans, strict=True):
        run_.require_leave(plan_)
    if way.asks:
        _ask()
        _require_unmoved(runs, plans)
    return _carryout(runs, plans, way)


def _require_alone(flags: Mapping[str, Any]) -> None:
    """Refuse what a saved plan says itself: it is applied as it was reviewed."""
    from reconcile.plan.plan import Asked

    names = {"files": "-f"}
    for field in fields(Asked):
        if flags.get(field.name):
            option = names.get(field.name, f"--{field.name.replace('_', '-')}")
            raise UsageError(
                f"{option} and a saved plan exclude each other: the plan has its own",
                f"leave {option} out, or save another plan with it: reconcile plan "
                f"{option} ... --out FILE",
            )


def _require_near(asked: "Asked") -> None:
    """Refuse a saved plan that names files elsewhere: it may be a stranger's."""
    from reconcile.errors import Refused
    from reconcile.source.border import OUTSIDE, around
    from reconcile.source.text import STDIN

    here = around("tailnet.yaml")
    away = [path for path in asked.files if here.outside(path) == OUTSIDE]
    if path := next((path for path in away if path != STDIN), ""):
        raise Refused(
            f"the plan names a file outside of this folder: {path}",
            "make a plan in the folder of that file: reconcile plan --out FILE",
        )


def _planned(
    opened: Sequence["Run"], failed: list["Failed"], saved: tuple["Plan", ...] | None
) -> tuple[list["Run"], tuple["Plan", ...]]:
    """Plan anew; with a saved plan, make sure that it still holds and return that.

    The runs come with their plans; of several servers, those that fail are added to
    `failed`. A saved plan needs all of its servers.
    """
    from reconcile.jobs.several import planned

    if saved is None:
        return planned(opened, failed, lambda run: run.plan())
    if failed:
        raise failed[0].error
    by_name = {run_.ref.name: run_ for run_ in opened}
    good = [_run_of(old, by_name.get(old.name)) for old in saved]
    return good, tuple(_still(old, run_) for old, run_ in zip(saved, good, strict=True))


def _run_of(old: "Plan", run_: "Run | None") -> "Run":
    from reconcile.errors import StalePlan

    if run_ is None or run_.shown_url != old.server.url:
        raise StalePlan(
            f"this plan is for {old.name} at {old.server.url}, which the files "
            "do not name",
            "apply it in the folder in which it was made",
        )
    return run_


def _still(old: "Plan", run_: "Run") -> "Plan":
    """Return a saved plan that holds; raise StalePlan for one that does not.

    What it does to access is told anew, and so are tests and assertions: others may
    have moved what the plan does not touch.
    """
    from reconcile.jobs.run import require_files
    from reconcile.plan.stale import require_same

    require_files(old, run_.desired)
    fresh = run_.plan(check=False, limited=False)
    require_same(old, fresh)
    news = [note for note in fresh.notes if note not in old.notes]
    old = replace(old, notes=(*old.notes, *news))
    return old if old.errors else run_.judged(old)


def _require(plans: Sequence["Plan"], checksum: str | None) -> None:
    """Refuse a plan that is not the reviewed one, or that the server will not take."""
    from reconcile.errors import Refused, StalePlan
    from reconcile.report import json_plan

    if checksum and checksum != json_plan.checksum(plans):
        raise StalePlan(
            f"the plan's checksum is {json_plan.checksum(plans)} now, not {checksum}: "
            "the server or the files changed since it was reviewed",
            "review the plan above, then apply with its checksum",
        )
    blocked = [change for plan in plans for change in plan.blocked]
    if blocked:
        raise Refused(
            f"{blocked[0].address}: {blocked[0].blocked}. Nothing was changed.",
            f"everything else: {_all_but(plans[0], blocked[0].address)}",
        )


def _all_but(plan: "Plan", address: str) -> str:
    from glob import escape

    from reconcile.report.commands import apply

    asked = replace(plan.asked, exclude=(*plan.asked.exclude, escape(address)))
    return " ".join(apply(asked, *plan.way))


def _require_no_conflict(plans: Sequence["Plan"]) -> None:
    """Refuse to overwrite what somebody changed on the server while the files moved."""
    from reconcile.errors import Refused
    from reconcile.report.origin import WAYS_OUT
    from reconcile.report.safe import safe

    conflicts = [address for plan in plans for address in plan.conflicts]
    if conflicts:
        raise Refused(
            f"{', '.join(map(safe, conflicts))}: changed in the files and on the "
            "server since the last apply. Nothing was changed.",
            WAYS_OUT,
        )


def _remember(run_: "Run", plan_: "Plan") -> None:
    from reconcile.report.safe import safe

    if told := run_.applied(plan_):
        note(safe(told))


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "apply asks before it writes, and there is nobody to ask",
            "use --checksum SUM of a reviewed plan, a saved plan, or --auto-approve",
        )
    if not click.confirm("Apply this?", default=False, err=True):
        raise ReconcileError("not applied; nothing was changed")


def _require_unmoved(runs: Sequence["Run"], plans: Sequence["Plan"]) -> None:
    """Refuse when somebody changed what the plans touch while the question waited."""
    from reconcile.plan.stale import require_same

    for run_, plan_ in zip(runs, plans, strict=True):
        require_same(plan_, run_.plan(check=False))


def _carryout(opened: Sequence["Run"], plans: Sequence["Plan"], way: Way) -> int:
    import gc

    from reconcile.apply.run import Apply, untouched

    gc.enable()  # thousands of writes can take hours
    pairs = zip(opened, plans, strict=True)
    kept = [run_.back_up(plan_, way.backup) for run_, plan_ in pairs if plan_.changes]
    parallelism, fail_fast, progress = way.how
    outcomes: list[Outcome] = []
    for run_, plan_ in zip(opened, plans, strict=True):
        if any(outcome.interrupted for outcome in outcomes):
            outcomes.append(untouched(plan_, "the run was interrupted"))
            continue
        outcome = Apply(
            plan_,
            run_,
            lambda run_=run_: run_.plan(check=False),  # type: ignore[misc]
            known=run_.first.changes if run_.first else (),
            parallelism=parallelism,
            fail_fast=fail_fast,
            progress=progress_of(progress),
        ).run()
        checks = None if outcome.unread else run_.holding()
        outcomes.append(replace(outcome, checks=checks))
        if outcomes[-1].exit_code == Exit.OK:
            _remember(run_, plan_)
    return _report(plans, outcomes, way, kept)


def _report(
    plans: Sequence["Plan"],
    outcomes: Sequence["Outcome"],
    way: Way,
    kept: Sequence["Kept | None"] = (),
) -> int:
    from reconcile.report import backups
    from reconcile.report.outcome import render_json, render_text

    changed = [plan for plan in plans if plan.changes]
    pairs = list(zip(changed, kept, strict=False))
    if way.view.format == "text":
        out(render_text(outcomes, paint()) + backups.text(pairs))
    elif plans:
        out(render_json(plans, outcomes, backups.list_json(pairs), way.failed))
    codes = [outcome.exit_code for outcome in outcomes]
    return worst([*codes, *(one.error.exit_code for one in way.failed)])

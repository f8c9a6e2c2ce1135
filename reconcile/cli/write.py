"""The command that writes: plan, ask, do it, read back."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli import options
from reconcile.cli.read import saved_plans
from reconcile.cli.terminal import note, out, paint, progress_of, show_plans
from reconcile.errors import Exit, ReconcileError, UsageError, exit_of

if TYPE_CHECKING:
    from reconcile.outcome import Outcome
    from reconcile.plan import Plan
    from reconcile.session import Run

_PROGRESS = click.Choice(["auto", "plain", "json", "none"])


@click.command()
@options.apply
@click.argument("plan_file", metavar="[PLANFILE]", required=False)
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@click.option("--checksum", metavar="SUM", help="Only if the plan has this checksum.")
@options.theirs
@click.option("--ours", is_flag=True, help="Let the files win what both sides changed.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option("--progress", type=_PROGRESS, default="auto", show_default=True)
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text"
)
def apply(
    plan_file: str | None,
    auto_approve: bool,
    checksum: str | None,
    theirs: bool,
    ours: bool,
    fail_fast: bool,
    progress: str,
    format_: str,
    **flags: Any,
) -> int:
    """Make the server what the files say: plan, ask, do it, read back."""
    from reconcile.session import runs

    if theirs and (ours or plan_file):
        raise UsageError(
            f"--theirs and {'--ours' if ours else 'a saved plan'} exclude each other",
            "leave one out" if ours else "save it with: reconcile plan --theirs --out",
        )
    chosen = options.collect(theirs=theirs, **flags)
    saved = saved_plans(plan_file) if plan_file else None
    opened = runs(chosen, writable=True)
    try:
        plans = _planned(opened, saved)
        if format_ == "text":
            show_plans(plans, "text")
        _require(plans, checksum)
        if not ours:
            _require_no_conflict(plans)
        code = exit_of(error for plan in plans for error in plan.errors)
        if code:
            if format_ == "json":
                show_plans(plans, format_)
            click.echo("Nothing was changed.", err=True)
            return code
        if not any(plan.changes for plan in plans):
            for run_, plan_ in zip(opened, plans, strict=True):
                _remember(run_, plan_)
            return _report(plans, [], format_)
        if not (auto_approve or checksum or saved):
            _ask()
        return _carryout(
            opened, plans, chosen.parallelism, fail_fast, progress, format_
        )
    finally:
        for run_ in opened:
            run_.close()


def _planned(
    opened: Sequence["Run"], saved: tuple["Plan", ...] | None
) -> tuple["Plan", ...]:
    """Plan anew; with a saved plan, make sure that it still holds and return that.

    What it does to access is told anew, and so are tests and assertions: others may
    have moved what the plan does not touch.
    """
    from reconcile.errors import StalePlan
    from reconcile.session import require_files
    from reconcile.stale import require_same

    if saved is None:
        return tuple(run_.plan() for run_ in opened)
    plans = []
    by_name = {run_.ref.name: run_ for run_ in opened}
    for old in saved:
        run_ = by_name.get(old.name)
        if run_ is None or run_.shown_url != old.server.url:
            raise StalePlan(
                f"this plan is for {old.name} at {old.server.url}, which the files "
                "do not name",
                "apply it in the folder in which it was made",
            )
        require_files(old, run_.desired)
        require_same(old, run_.plan(check=False, limited=False))
        plans.append(old if old.errors else run_.judged(old))
    return tuple(plans)


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
            f"everything else: reconcile apply --exclude {blocked[0].address}",
        )


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


def _carryout(
    opened: Sequence["Run"],
    plans: Sequence["Plan"],
    parallelism: int,
    fail_fast: bool,
    progress: str,
    format_: str,
) -> int:
    import gc

    from reconcile.apply import Apply, untouched
    from reconcile.server import now

    gc.enable()  # thousands of writes can take hours
    outcomes: list[Outcome] = []
    for run_, plan_ in zip(opened, plans, strict=True):
        if any(outcome.interrupted for outcome in outcomes):
            outcomes.append(untouched(plan_, "the run was interrupted"))
            continue
        outcome = Apply(
            plan_,
            run_,
            lambda run_=run_: run_.plan(check=False),  # type: ignore[misc]
            clock=now,
            parallelism=parallelism,
            fail_fast=fail_fast,
            progress=progress_of(progress),
        ).run()
        checks = None if outcome.unread else run_.holding()
        outcomes.append(replace(outcome, checks=checks))
        if outcomes[-1].exit_code == Exit.OK:
            _remember(run_, plan_)
    return _report(plans, outcomes, format_)


def _report(
    plans: Sequence["Plan"], outcomes: Sequence["Outcome"], format_: str
) -> int:
    from reconcile.report.outcome import render_json, render_text

    if format_ == "json":
        out(render_json(plans, outcomes))
    else:
        out(render_text(outcomes, paint()))
    return max((outcome.exit_code for outcome in outcomes), default=Exit.OK)

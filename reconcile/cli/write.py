"""The command that writes: plan, ask, do it, read back."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
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
from reconcile.errors import ReconcileError, UsageError

if TYPE_CHECKING:
    from reconcile.apply.outcome import Progress
    from reconcile.jobs.apply import Carried, Way
    from reconcile.jobs.run import Run
    from reconcile.plan.plan import Failed, Plan


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
    from reconcile.jobs import apply as job
    from reconcile.jobs.several import runs

    if flags["theirs"] and ours:
        raise UsageError("--theirs and --ours exclude each other", "leave one out")
    way, screen = way_of(flags, ours=ours)
    saved = _saved(plan_file, flags) if plan_file else None
    chosen = options.collect(**flags)
    names = [plan.name for plan in saved or ()]
    opened, failed = runs(chosen, writable=True, names=names)
    try:
        good, plans = job.plans_to_apply(opened, failed, saved)
        asks = way.asks and not saved
        way = replace(way, failed=tuple(failed), asks=asks)
        return carry(good, plans, way, screen)
    finally:
        for run_ in opened:
            run_.close()


def _saved(path: str, flags: dict[str, Any]) -> tuple["Plan", ...]:
    """Return the plans of a file, and put what they were asked for with into flags."""
    from reconcile.jobs.apply import require_near
    from reconcile.plan.plan import Asked

    _require_alone(flags)
    saved = saved_plans(path)
    require_near(saved[0].asked)
    flags |= {f.name: getattr(saved[0].asked, f.name) for f in fields(Asked)}
    return saved


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


@dataclass(frozen=True, slots=True)
class Screen:
    """The terminal as it watches an apply: see `jobs.apply.Watcher`."""

    view: View
    form: str
    failed: tuple["Failed", ...] = ()

    @property
    def progress(self) -> "Progress | None":
        """What prints a line for each write."""
        return progress_of(self.form)

    def show(self, plans: Sequence["Plan"]) -> None:
        """Print the plans; with JSON they come at the end."""
        if self.view.format == "text":
            show_plans(plans, self.view, self.failed)
        else:
            print_failed(self.failed)

    def ask(self) -> None:
        """Ask at the terminal."""
        if not sys.stdin.isatty():
            raise UsageError(
                "apply asks before it writes, and there is nobody to ask",
                "use --checksum SUM of a reviewed plan, a saved plan, or "
                "--auto-approve",
            )
        if not click.confirm("Apply this?", default=False, err=True):
            raise ReconcileError("not applied; nothing was changed")

    def note(self, text: str) -> None:
        """Print a note."""
        note(text)


def way_of(flags: dict[str, Any], *, ours: bool) -> tuple["Way", Screen]:
    """Take the flags about how a plan is done and told out of those of a command."""
    from reconcile.jobs.apply import Way

    take = flags.pop
    view = View(take("format_"), full=take("full"), members=take("members"))
    checksum, approved = take("checksum"), take("auto_approve")
    way = Way(
        checksum,
        ours,
        asks=not (approved or checksum),
        parallelism=flags["parallelism"],
        fail_fast=take("fail_fast"),
        backup=take("backup"),
    )
    return way, Screen(view, take("progress"))


def carry(
    runs: Sequence["Run"], plans: Sequence["Plan"], way: "Way", screen: Screen
) -> int:
    """Do what plans say, with the terminal as the one who watches; return the code."""
    from reconcile.jobs import apply as job

    screen = replace(screen, failed=way.failed)
    done = job.carry(runs, plans, way, screen)
    if done.refused:
        if screen.view.format == "json":
            show_plans(plans, screen.view)
        click.echo("Nothing was changed.", err=True)
        return done.refused
    _report(done, screen.view)
    return done.exit_code


def _report(done: "Carried", view: View) -> None:
    from reconcile.report import backups
    from reconcile.report.outcome import render_json, render_text

    changed = [plan for plan in done.plans if plan.changes]
    pairs = list(zip(changed, done.kept, strict=False))
    if view.format == "text":
        out(render_text(done.outcomes, paint()) + backups.text(pairs))
    elif done.plans:
        kept = backups.list_json(pairs)
        out(render_json(done.plans, done.outcomes, kept, done.failed))

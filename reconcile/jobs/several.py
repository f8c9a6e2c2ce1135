"""All servers that a run is about: opened, planned, and what fails on the way."""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from fnmatch import fnmatchcase

from reconcile.errors import ReconcileError, UsageError
from reconcile.jobs.options import Options
from reconcile.jobs.run import Run, load
from reconcile.plan.plan import Failed, Plan


def runs(
    options: Options, *, writable: bool = False, names: Collection[str] = ()
) -> tuple[list[Run], list[Failed]]:
    """Load the files and open every server that was asked for, or that has a name.

    Of several servers those that fail are returned; that of one is raised.
    """
    states = [
        state
        for state in load(options)
        if not (names and state.server) or state.server.name in names
    ]
    opened, failed = [], []
    for state in states:
        try:
            opened.append(Run(state, options, writable=writable))
        except ReconcileError as error:
            if len(states) == 1 or not state.server:
                raise
            failed.append(Failed(state.server.name, state.server.url, error))
    return opened, failed


def planned(
    opened: Sequence[Run], failed: list[Failed], plan: Callable[[Run], Plan]
) -> tuple[list[Run], tuple[Plan, ...]]:
    """Return the plan of each server, and the runs that have one.

    Of several servers those that fail are added to `failed`. Raises UsageError for an
    option that names nothing on any of them, and the error of the only one.
    """
    good, plans = [], []
    for run in opened:
        try:
            plans.append(plan(run))
            good.append(run)
        except ReconcileError as error:
            if len(opened) + len(failed) == 1:
                raise
            failed.append(Failed(run.ref.name, run.shown_url, error))
    _require_matches(plans, [one.name for one in failed])
    return good, tuple(plans)


def _require_matches(plans: Sequence[Plan], unread: Sequence[str]) -> None:
    """Raise UsageError for a --target or --exclude that names nothing anywhere.

    On a server that was not read it may name something, unless it is for another.
    """
    missed = [dict(plan.unmatched) for plan in plans]
    for pattern in missed[0] if missed else ():
        elsewhere = any(_may_be_on(name, pattern) for name in unread)
        if elsewhere or not all(pattern in names for names in missed):
            continue
        option = "--target" if pattern in plans[0].asked.target else "--exclude"
        near = next((names[pattern] for names in missed if names[pattern]), "")
        raise UsageError(
            f"{option} {pattern} matches nothing, neither in the files nor on the "
            "server",
            f"did you mean {near}?" if near else _ADDRESSES,
        )


def _may_be_on(server: str, pattern: str) -> bool:
    """Tell whether a pattern may mean something of a server: `prod/node:nas`."""
    before, _, after = pattern.partition("/")
    return not after or ":" in before or fnmatchcase(server, before)


_ADDRESSES = (
    "addresses are user:NAME, node:NAME, one field of them as node:NAME.tags, and "
    "policy; globs work"
)


def make_plans(
    options: Options, *, check: bool = True
) -> tuple[tuple[Plan, ...], list[Failed]]:
    """Return the plan of each server that was asked for; the servers only read.

    Of several servers those that fail come second.
    """

    def plan(run: Run) -> Plan:
        with closing(run):
            return run.plan(check=check)

    opened, failed = runs(options)
    return planned(opened, failed, plan)[1], failed

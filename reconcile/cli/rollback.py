"""The command that goes back to a backup: the same plan, question and writes."""

from typing import Any

import click

from reconcile.cli import options
from reconcile.cli.terminal import out
from reconcile.cli.write import carry, way_of
from reconcile.errors import Exit, StalePlan


@click.command()
@options.apply
@click.argument("name", metavar="[BACKUP]", default="")
@click.option("--list", "list_", is_flag=True, help="List the backups that are kept.")
@click.option(
    "--ours", is_flag=True, help="Take back what others changed since as well."
)
@options.carry
@options.full
@options.members
def rollback(name: str, list_: bool, ours: bool, **flags: Any) -> int:
    """Make the server what it was before an apply: plan, ask, do it, read back.

    BACKUP is the name of a kept backup, or a path; without it the last one that an
    apply kept is meant. Only what that apply was to change is touched.
    """
    from reconcile.jobs.rollback import open_rollback
    from reconcile.jobs.several import planned

    way, screen = way_of(flags, ours=False)
    chosen = options.collect(**flags)
    if list_:
        return _list(chosen)
    run = open_rollback(chosen, name, ours=ours)
    try:
        return carry(*planned([run], [], lambda one: one.plan()), way, screen)
    except StalePlan as error:
        error.hint = f"look at it anew: reconcile rollback {run.found.name}"
        raise
    finally:
        run.close()


def _list(chosen: Any) -> int:
    from reconcile.jobs.rollback import kept
    from reconcile.report import backups

    out(backups.listing(kept(chosen)))
    return Exit.OK

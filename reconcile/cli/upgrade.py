"""`upgrade`: what the same files and nodes mean on another release. Only reads."""

from typing import Any

import click

from reconcile.cli import options
from reconcile.cli.access import answering
from reconcile.cli.terminal import out, paint, print_diagnostics
from reconcile.errors import Exit

_TARGETS = ("0.26", "0.27", "0.28", "0.29", "main", "tailscale")


@click.command()
@click.option(
    "--to",
    "release",
    type=click.Choice(_TARGETS),
    required=True,
    help="The release to look at.",
)
@options.full
@answering()
def upgrade(release: str, full: bool, format_: str, live: bool, **flags: Any) -> int:
    """Tell what another release makes of the same policy and nodes.

    With a tailnet.yaml it is asked of the state that the plan leads to; with --live, or
    without files, of the server or snapshot as it is. Each gain and loss comes with
    the release's rule that makes it. Exit code 2 when anything changes, 0 when nothing
    does.
    """
    from reconcile.jobs.access import upgraded
    from reconcile.report.json_plan import write
    from reconcile.report.upgrade import as_json, text

    found = upgraded(options.collect(**flags), release, live=live)
    if format_ == "json":
        out(write(as_json(found)))
    else:
        out(text(found, paint(), full=full))
    if found.findings:
        print_diagnostics(found.findings)
    return Exit.CHANGES if found else Exit.OK

"""`test`: the policy's own tests and the file's assertions, offline. Only reads."""

from pathlib import Path
from typing import Any

import click

from reconcile.cli import options
from reconcile.cli.access import answering
from reconcile.cli.terminal import note, out, paint
from reconcile.errors import Exit


@click.command("test")
@click.option(
    "--junit",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the results as JUnit XML too.",
)
@answering()
def test(junit: Path | None, format_: str, live: bool, **flags: Any) -> int:
    """Run the policy's tests and sshTests, and the assertions of the files.

    They run offline, on users and nodes as they are after the plan. Each failure is
    told with its reason and place.
    """
    from reconcile.jobs.access import ask
    from reconcile.report import tests
    from reconcile.report.json_plan import write
    from reconcile.review import tests as checks
    from reconcile.source import disk

    asked = ask(options.collect(**flags), live=live)
    found = checks.run(asked.scene, asked.asserts)
    aside = disk.is_stdout(junit)
    if format_ == "json":
        release = asked.scene.policy.release.name
        out(write(tests.as_json(asked.title, release, found)), err=aside)
    else:
        out(tests.text(asked.title, found, paint(err=aside)), err=aside)
    if junit is not None:
        disk.output(junit, tests.junit(asked.title, found).encode())
    if junit is not None and not aside:
        note(f"wrote {junit}")
    return Exit.TESTS_FAILED if found.failed else Exit.OK

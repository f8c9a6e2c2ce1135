"""`test`: the policy's own tests, without a server's help. Only reads."""

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
@answering(names=("--from", "--snapshot"))
def test(junit: Path | None, format_: str, live: bool, **flags: Any) -> int:
    """Run the policy's tests and sshTests, with the reason of each failure.

    They run offline, on users and nodes as they are after the plan.
    """
    from reconcile import files
    from reconcile.inquiry import ask
    from reconcile.policy.evaluate import Evaluator
    from reconcile.report import tests
    from reconcile.report.json_plan import write

    asked = ask(options.collect(**flags), live=live)
    evaluator = Evaluator(asked.scene.policy, asked.scene.tailnet)
    verdicts = evaluator.tests()
    results = tests.Results(asked.title, verdicts, asked.scene, evaluator.unsure)
    if format_ == "json":
        out(write(tests.as_json(results)))
    else:
        out(tests.text(results, paint()))
    if junit is not None:
        files.write(junit, tests.junit(results).encode())
        note(f"wrote {junit}")
    return Exit.TESTS_FAILED if results.failed else Exit.OK

"""`validate`: what the files alone, or with a saved state, show to be wrong."""

from typing import TYPE_CHECKING, Any

import click

from reconcile.cli import options
from reconcile.cli.terminal import note, print_diagnostics
from reconcile.errors import Exit, InputError

if TYPE_CHECKING:
    from reconcile.jobs.validate import Checked


@click.command()
@options.offline
@options.release
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "gitlab", "sarif"]),
    default="text",
    help="How findings are printed.",
)
def validate(format_: str, **flags: Any) -> int:
    """Check the files: schema, references, policy. No network, no credential.

    The policy is valid when one release of Headscale from 0.27 on takes all of it;
    `release` under `server`, or --release, names the one that counts.
    With --snapshot FILE the policy's tests and the assertions are run too.
    """
    from reconcile.jobs.validate import Checked
    from reconcile.jobs.validate import validate as check
    from reconcile.report.diagnostics import render

    try:
        checked = check(options.collect(**flags))
    except InputError as error:
        checked = Checked(error.diagnostics, error.exit_code)
    if format_ == "text":
        _print(checked)
    else:
        told = [{"server": each.server, **each.by.as_json()} for each in checked.read]
        click.echo(render(checked.findings, format_, policies=told), nl=False)
    return checked.code


def _print(checked: "Checked") -> None:
    if checked.remark:
        note(checked.remark)
    if checked.findings:
        print_diagnostics(checked.findings)
    told = [
        f"{each.server}: {each.by.said}" if len(checked.read) > 1 else each.by.said
        for each in checked.read
        if each.by.said
    ]
    if checked.code == Exit.OK:
        click.echo("\n".join([_verdict(checked), *told]))
    else:
        for line in told:
            note(line)


def _verdict(checked: "Checked") -> str:
    from reconcile.policy.language.words import plural

    number = len(checked.findings)
    warned = f", {plural(number, 'warning')}" if number else ""
    warned += f", {checked.accepted} accepted" if checked.accepted else ""
    valid = all(each.by.valid for each in checked.read)
    return f"{'Valid' if valid else 'Taken'}{warned}: {', '.join(checked.files)}"

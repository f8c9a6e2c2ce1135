"""The commands that only read: nothing here can change a server."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli import options
from reconcile.cli.terminal import (
    View,
    note,
    of_servers,
    out,
    paint,
    print_diagnostics,
    save,
    show_drift,
    show_plans,
)
from reconcile.errors import Exit, UsageError, exit_of, worst

if TYPE_CHECKING:
    from reconcile.plan.plan import Plan


@click.command("import")
@options.connection
@click.option("--url", metavar="URL", help="The server (default: HEADSCALE_URL).")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["user", "node", "policy"]),
    help="Import only this kind (repeat).",
)
@click.option(
    "--policy-file",
    default="policy.hujson",
    show_default=True,
    metavar="NAME",
    help="Where the policy goes, byte for byte.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder to write into (default: this one).",
)
def import_(
    url: str | None,
    kinds: tuple[str, ...],
    policy_file: str,
    folder: Path,
    **flags: Any,
) -> int:
    """Write the desired state from the live server; its plan is empty at once."""
    from reconcile.jobs.importing import import_server

    written = import_server(options.collect(**flags), url, kinds, policy_file, folder)
    for path in written.paths:
        click.echo(f"wrote {path}")
    click.echo(written.summary)
    click.echo("Next: edit the file, then: reconcile plan")
    return Exit.OK


_format = click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text"
)
_text_diff = click.option(
    "--text-diff", is_flag=True, help="Show the policy's text diff too."
)


@click.command()
@options.plan
@options.theirs
@_format
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Save the plan for apply.",
)
@_text_diff
@options.full
@options.members
@click.option(
    "--check",
    "--detailed-exitcode",
    cls=options.Aliased,
    is_flag=True,
    help="End with 2 when there are changes, for CI.",
)
def plan(
    format_: str,
    out: Path | None,
    text_diff: bool,
    full: bool,
    members: bool,
    check: bool,
    **flags: Any,
) -> int:
    """Show what apply would do. Changes nothing."""
    from reconcile.jobs.several import make_plans
    from reconcile.report import json_plan
    from reconcile.source import disk

    plans, failed = make_plans(options.collect(**flags))
    aside = disk.is_stdout(out)
    if out is not None and plans:
        saved = json_plan.dumps(plans, failed=failed, members=members)
        disk.output(out, saved.encode(), private=True)
    if not (aside and format_ == "json"):
        view = View(format_, text_diff, full, members, err=aside)
        show_plans(plans, view, failed)
    code = exit_of(error for plan in plans for error in plan.errors)
    if out is not None and plans:
        note(f"Saved. {_applying(out, plans)}")
    if not code and check and any(plan.changes for plan in plans):
        code = Exit.CHANGES
    return worst([code, *(one.error.exit_code for one in failed)])


def _applying(saved: Path, plans: Sequence["Plan"]) -> str:
    """Say what can be done with a saved plan."""
    from reconcile.report.commands import stdin_remark
    from reconcile.source.disk import is_stdout

    if any(plan.errors for plan in plans):
        return "It cannot be applied: see the errors"
    if is_stdout(saved) or not saved.is_file():  # a pipe or a device keeps nothing
        return "Apply it with: reconcile apply FILE"
    remark = stdin_remark(plans[0].asked)
    words = ["reconcile", "apply", str(saved), *plans[0].way]
    return f"Apply it with: {shlex.join(words)}{remark}"


@click.command()
@click.argument("plan_file", metavar="PLANFILE")
@_format
@_text_diff
@options.full
@options.members
def show(
    plan_file: str, format_: str, text_diff: bool, full: bool, members: bool
) -> int:
    """Print a saved plan again."""
    plans = saved_plans(plan_file)
    if members:
        _require_members(plans)
    show_plans(plans, View(format_, text_diff, full, members))
    return Exit.OK


def _require_members(plans: Sequence["Plan"]) -> None:
    """Refuse to list members where a plan was saved without them."""
    found = [plan.access for plan in plans if plan.access]
    lines = [line for each in found for line in (*each.gained, *each.lost, *each.later)]
    if any(line.behind is None for line in lines):
        raise UsageError(
            "this plan was saved without the nodes behind its groups",
            "save it anew with: reconcile plan --members --out FILE",
        )


@click.command()
@options.plan
@_format
@_text_diff
@options.full
@options.members
@click.option(
    "--drift-exit-code",
    type=click.IntRange(0, 255),
    default=int(Exit.CHANGES),
    show_default=True,
    help="Exit code when something differs.",
)
def drift(
    format_: str,
    text_diff: bool,
    full: bool,
    members: bool,
    drift_exit_code: int,
    **flags: Any,
) -> int:
    """Tell what on the server is not as the files say. Changes nothing."""
    from reconcile.jobs.several import make_plans

    plans, failed = make_plans(options.collect(**flags), check=False)
    show_drift(plans, View(format_, text_diff, full, members), failed)
    findings = of_servers(plans, lambda plan: plan.drift_diagnostics)
    if findings:
        print_diagnostics(findings)
    found = any(plan.drifted or plan.unapplied for plan in plans)
    if found:
        moved = any(plan.drifted for plan in plans)
        what = "something differs"
        if not moved:
            what = "the files are not applied yet; nothing moved on the server"
        note(
            f"Exit code {drift_exit_code} says that {what} "
            "(--drift-exit-code N changes it); reconcile plan shows the way back."
        )
    errors = [Exit.ERROR] if findings else []
    if code := worst([*errors, *(one.error.exit_code for one in failed)]):
        return code
    return drift_exit_code if found else Exit.OK


@click.command()
@options.live
@click.option("--url", metavar="URL", help="Another server than the files name.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where it goes (default: standard output).",
)
def snapshot(url: str | None, output: Path | None, **flags: Any) -> int:
    """Save the live state, to ask it later with --snapshot FILE."""
    from reconcile.jobs.access import live_state
    from reconcile.live import snapshot as snapshots

    text = snapshots.dumps(live_state(options.collect(**flags), url))
    save(output, text, private=True)
    return Exit.OK


@click.command()
@options.live
def doctor(**flags: Any) -> int:
    """Look at server, version, credential and policy mode; say what to mend."""
    from reconcile.jobs.doctor import examine
    from reconcile.report.safe import safe
    from reconcile.report.width import filled

    codes: list[int] = []
    colour = {"ok": "green", "yes": "green", "!!": "red"}
    for finding in examine(options.collect(**flags)):
        codes += [] if finding.ok else [finding.code]
        sign = paint()(f"{finding.sign:<4}", colour.get(finding.sign, ""))
        lines = filled(f"    {safe(finding.text)}", 6)
        lines[0] = f"{sign}{lines[0].lstrip()}"
        if finding.remedy:
            label = "" if finding.ok else "= help: "
            lines += filled(f"      {label}{safe(finding.remedy)}", 8)
        out("".join(f"{line}\n" for line in lines))
    return worst(codes)


@click.command()
@click.argument("name", type=click.Choice(["desired", "plan"]), default="desired")
def schema(name: str) -> None:
    """Print the JSON Schema of the desired state or of the JSON plan."""
    from reconcile.desired.schema import text

    out(text(name))


def saved_plans(path: str) -> tuple["Plan", ...]:
    """Return the plans of a file that `plan --out` wrote."""
    from reconcile.report import json_plan
    from reconcile.source.text import decode, read

    return json_plan.loads(decode(read(path), path), path)


@click.command()
@options.files
@click.argument("what", type=click.Choice(["policy"]), default="policy")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File (default: stdout)."
)
def render(what: str, output: Path | None, **flags: Any) -> int:
    """Write the policy as the server gets it, for servers that read it from a file."""
    from reconcile.jobs.run import load

    del what  # the only one so far
    (desired, *others) = load(options.collect(**flags), offline=True)
    if desired.policy is None or others:
        raise UsageError(
            "there is no one policy to render",
            "add `policy` to the file, or choose one server with --server NAME",
        )
    save(output, desired.policy.text)
    return Exit.OK

"""The command line: options, colour and exit codes; the work is done elsewhere.

Only click is imported here at the top. Each command imports what it needs, so that
`--help` and a wrong flag answer at once.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from reconcile import __version__, options
from reconcile.errors import Diagnostic, Exit, InputError, ReconcileError, UsageError

if TYPE_CHECKING:
    from reconcile.outcome import Outcome, Result
    from reconcile.plan import Plan
    from reconcile.session import Run

_COLOURS = click.Choice(["auto", "always", "never"])
_PROGRESS = click.Choice(["auto", "plain", "none"])


def main() -> NoReturn:
    """Run the command line and end the process with the right exit code."""
    gc.disable()  # a short program: collecting costs a third of a large plan
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    This is the only place where errors end: click's usage errors become 64, because
    2 means "changes present", and every ReconcileError brings its own code.
    """
    try:
        result = cli.main(list(arguments), prog_name="reconcile", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return Exit.ERROR
    except BrokenPipeError:
        # The reader of a pipe went away, as `| head` does: that is no failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except InputError as error:
        _print_diagnostics(error.diagnostics)
        return error.exit_code
    except ReconcileError as error:
        _print_error(error)
        return error.exit_code
    return result if isinstance(result, int) else Exit.OK


def _print_error(error: ReconcileError) -> None:
    from reconcile.report.safe import safe_lines

    word = "stale" if error.exit_code == Exit.STALE else "error"
    click.secho(f"{word}: {safe_lines(str(error))}", err=True, fg="red", color=_err())
    if error.hint:
        click.echo(f"  = help: {safe_lines(error.hint)}", err=True)


def _print_diagnostics(findings: Sequence[Diagnostic]) -> None:
    from reconcile.report.diagnostics import render

    text = render(findings, "text", style=_painter(_err()))
    click.echo(text, err=True, nl=False, color=_err())


def _err() -> bool | None:
    return _colour(sys.stderr)


def _colour(stream: Any) -> bool:
    """Decide on colour: the flag, then NO_COLOR and FORCE_COLOR, then the terminal."""
    context = click.get_current_context(silent=True)
    chosen = context.find_root().params.get("color") if context else _last_colour[0]
    if chosen in ("always", "never"):
        return chosen == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


# Errors are printed when click's context is gone; the flag is kept here for them.
_last_colour = ["auto"]


def _painter(colour: bool | None) -> Callable[[str, str], str]:
    if not colour:
        return lambda text, _colour: text

    def paint(text: str, name: str) -> str:
        if name == "bold":
            return click.style(text, bold=True)
        return click.style(text, fg=name) if name else text

    return paint


def _out(text: str) -> None:
    click.echo(text, nl=False, color=_colour(sys.stdout))


def _paint() -> Callable[[str, str], str]:
    return _painter(_colour(sys.stdout))


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 92}
)
@click.version_option(
    __version__, prog_name="reconcile", message="%(prog)s %(version)s"
)
@click.option(
    "--color", type=_COLOURS, default="auto", help="When to use colour (auto)."
)
@click.option("--quiet", is_flag=True, help="No notes, only the result and errors.")
def cli(color: str, quiet: bool) -> None:
    """Keep a tailnet's users, nodes and policy in git: plan, apply, find drift.

    Start with `reconcile import` on a live server, or with a simulated one:
    HEADSCALE_URL=simulator:world.json reconcile import
    """
    _last_colour[0] = color
    del quiet  # read by _note


def _note(text: str) -> None:
    """Print a remark to standard error, unless --quiet."""
    context = click.get_current_context(silent=True)
    if not (context and context.find_root().params.get("quiet")):
        click.echo(text, err=True)


# -- reading ---------------------------------------------------------------------------


@cli.command("import")
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
    from reconcile.importing import import_server

    written = import_server(options.collect(**flags), url, kinds, policy_file, folder)
    for path in written.paths:
        click.echo(f"wrote {path}")
    click.echo(written.summary)
    click.echo("Next: edit the file, then: reconcile plan")
    return Exit.OK


@cli.command()
@options.files
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "gitlab", "sarif"]),
    default="text",
    help="How findings are printed.",
)
def validate(format_: str, **flags: Any) -> int:
    """Check the files: schema, references, policy. No network, no credential."""
    from reconcile.report.diagnostics import render
    from reconcile.session import load

    findings: tuple[Diagnostic, ...]
    try:
        states = load(options.collect(**flags))
        findings = tuple(dict.fromkeys(w for state in states for w in state.warnings))
        code = Exit.OK
    except InputError as error:
        findings, code = error.diagnostics, error.exit_code
    if format_ != "text":
        click.echo(render(findings, format_), nl=False)
    elif findings:
        _print_diagnostics(findings)
    if code == Exit.OK and format_ == "text":
        warned = f", {len(findings)} warnings" if findings else ""
        click.echo(f"Valid{warned}: {', '.join(path for path, _ in states[0].files)}")
    return code


@cli.command()
@options.plan
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text"
)
@click.option("--out", type=click.Path(path_type=Path), help="Save the plan for apply.")
@click.option("--text-diff", is_flag=True, help="Show the policy's text diff too.")
@click.option(
    "--detailed-exitcode", is_flag=True, help="End with 2 when there are changes."
)
@click.option("--check", is_flag=True, help="Like --detailed-exitcode, for CI.")
def plan(
    format_: str,
    out: Path | None,
    text_diff: bool,
    detailed_exitcode: bool,
    check: bool,
    **flags: Any,
) -> int:
    """Show what apply would do. Changes nothing."""
    from reconcile import files
    from reconcile.report import json_plan
    from reconcile.session import exit_for, make_plans

    plans = make_plans(options.collect(**flags))
    if out is not None:
        files.write(out, json_plan.dumps(plans).encode())
    _show(plans, format_, text_diff=text_diff)
    if out is not None:
        _note(f"Saved. Apply it with: reconcile apply {out}")
    changed = any(plan.changes for plan in plans)
    return exit_for(plans, changes=changed and (detailed_exitcode or check))


def _show(plans: Sequence["Plan"], format_: str, *, text_diff: bool = False) -> None:
    """Print plans to standard output, and their findings to standard error."""
    from reconcile.report import json_plan, text

    if format_ == "json":
        _out(json_plan.dumps(plans))
    else:
        _out(text.render_plans(plans, _paint(), text_diff=text_diff))
    findings = [finding for plan in plans for finding in plan.diagnostics]
    if findings:
        sys.stdout.flush()
        _print_diagnostics(findings)


@cli.command()
@click.argument("plan_file", metavar="PLANFILE")
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text"
)
@click.option("--text-diff", is_flag=True, help="Show the policy's text diff too.")
def show(plan_file: str, format_: str, text_diff: bool) -> int:
    """Print a saved plan again."""
    _show(_saved(plan_file), format_, text_diff=text_diff)
    return Exit.OK


def _saved(path: str) -> tuple["Plan", ...]:
    from reconcile.report import json_plan
    from reconcile.text import decode, read

    return json_plan.loads(decode(read(path), path), path)


@cli.command()
@options.plan
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text"
)
@click.option("--text-diff", is_flag=True, help="Show the policy's text diff too.")
@click.option(
    "--drift-exit-code",
    type=click.IntRange(0, 255),
    default=int(Exit.CHANGES),
    show_default=True,
    help="Exit code when something differs.",
)
def drift(format_: str, text_diff: bool, drift_exit_code: int, **flags: Any) -> int:
    """Tell what on the server is not as the files say. Changes nothing."""
    from reconcile.report import json_plan, text
    from reconcile.session import exit_for, make_plans

    plans = make_plans(options.collect(**flags))
    if format_ == "json":
        _out(json_plan.dumps(plans, "drift"))
    else:
        _out(text.render_drift(plans, _paint(), text_diff=text_diff))
    findings = [finding for plan in plans for finding in plan.diagnostics]
    if findings:
        sys.stdout.flush()
        _print_diagnostics(findings)
    differs = any(plan.changes or text.missing(plan) for plan in plans)
    if differs and not any(plan.errors for plan in plans):
        _note(
            f"Exit code {drift_exit_code} says that something differs "
            "(--drift-exit-code N changes it); reconcile plan shows the way back."
        )
    return exit_for(plans, changes=differs, code=drift_exit_code)


@cli.command()
@options.connection
@click.option("--url", metavar="URL", help="The server (default: HEADSCALE_URL).")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File (default: stdout)."
)
def snapshot(url: str | None, output: Path | None, **flags: Any) -> int:
    """Save the live state, to plan against it later with --from."""
    from reconcile import files
    from reconcile import snapshot as snapshots
    from reconcile.importing import read_everything

    text = snapshots.dumps(read_everything(options.collect(**flags), url))
    if output is None:
        _out(text)
    else:
        files.write(output, text.encode())
        click.echo(f"wrote {output}")
    return Exit.OK


@cli.command()
@options.live
def doctor(**flags: Any) -> int:
    """Look at server, version, credential and policy mode; say what to mend."""
    from reconcile.doctor import examine

    healthy = True
    for finding in examine(options.collect(**flags)):
        healthy = healthy and finding.ok
        sign = click.style("ok  ", fg="green") if finding.ok else "!!  "
        if not finding.ok:
            sign = click.style(sign, fg="red", bold=True)
        _out(f"{sign}{finding.text}\n")
        if finding.remedy:
            _out(f"      = help: {finding.remedy}\n")
    return Exit.OK if healthy else Exit.ERROR


@cli.command()
@click.argument("name", type=click.Choice(["desired", "plan"]), default="desired")
def schema(name: str) -> None:
    """Print the JSON Schema of the desired state or of the JSON plan."""
    from reconcile.desired.schema import text

    _out(text(name))


# -- writing ---------------------------------------------------------------------------


@cli.command()
@options.apply
@click.argument("plan_file", metavar="[PLANFILE]", required=False)
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@click.option("--checksum", metavar="SUM", help="Only if the plan has this checksum.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option("--progress", type=_PROGRESS, default="auto", show_default=True)
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text"
)
def apply(
    plan_file: str | None,
    auto_approve: bool,
    checksum: str | None,
    fail_fast: bool,
    progress: str,
    format_: str,
    **flags: Any,
) -> int:
    """Make the server what the files say: plan, ask, do it, read back."""
    from reconcile.session import runs

    chosen = options.collect(**flags)
    saved = _saved(plan_file) if plan_file else None
    opened = runs(chosen, writable=True)
    try:
        plans = _planned(opened, saved)
        if format_ == "text":
            _show(plans, "text")
        _require(plans, checksum)
        if any(plan.errors for plan in plans):
            click.echo("Nothing was changed.", err=True)
            return Exit.ERROR
        if not any(plan.changes for plan in plans):
            return _report(plans, [], format_)
        if not (auto_approve or checksum or saved):
            _ask()
        return _carry_out(
            opened, plans, chosen.parallelism, fail_fast, progress, format_
        )
    finally:
        for run_ in opened:
            run_.close()


def _planned(
    opened: Sequence["Run"], saved: tuple["Plan", ...] | None
) -> tuple["Plan", ...]:
    """Plan anew; with a saved plan, make sure that it still holds and return that."""
    from reconcile.session import require_files
    from reconcile.stale import require_same

    if saved is None:
        return tuple(run_.plan() for run_ in opened)
    by_name = {run_.ref.name: run_ for run_ in opened}
    for old in saved:
        run_ = by_name.get(old.name)
        if run_ is None or run_.shown_url != old.server.url:
            raise ReconcileError(
                f"this plan is for {old.name} at {old.server.url}, which the files "
                "do not name",
                "apply it in the folder in which it was made",
            )
        require_files(old, run_.desired)
        require_same(old, run_.plan(check=False, limited=False))
    return saved


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


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "apply asks before it writes, and there is nobody to ask",
            "use --checksum SUM of a reviewed plan, a saved plan, or --auto-approve",
        )
    if not click.confirm("Apply this?", default=False, err=True):
        raise ReconcileError("not applied; nothing was changed")


def _carry_out(
    opened: Sequence["Run"],
    plans: Sequence["Plan"],
    parallelism: int,
    fail_fast: bool,
    progress: str,
    format_: str,
) -> int:
    from reconcile.apply import Apply
    from reconcile.server import now

    outcomes = []
    for run_, plan_ in zip(opened, plans, strict=True):
        if run_.server is None:
            raise UsageError("apply needs a server, not a snapshot")
        outcomes.append(
            Apply(
                plan_,
                run_.server,
                lambda run_=run_: run_.plan(check=False),  # type: ignore[misc]
                clock=now,
                parallelism=parallelism,
                fail_fast=fail_fast,
                progress=_progress(progress),
            ).run()
        )
    return _report(plans, outcomes, format_)


def _progress(mode: str) -> Callable[["Result", int, int], None] | None:
    """Return what is called after each write: a line each, or one that is redrawn."""
    if mode == "none":
        return None
    live = mode == "auto" and sys.stderr.isatty()

    def tell(result: "Result", number: int, total: int) -> None:
        from reconcile.report.outcome import progress_line

        line = progress_line(result, number, total)
        click.echo(f"\r\x1b[2K{line}" if live else line, err=True, nl=not live)
        if live and number == total:
            click.echo(err=True)

    return tell


def _report(
    plans: Sequence["Plan"], outcomes: Sequence["Outcome"], format_: str
) -> int:
    from reconcile.report.outcome import render_json, render_text

    if format_ == "json":
        _out(render_json(plans, outcomes))
    else:
        _out(render_text(outcomes))
    return max((outcome.exit_code for outcome in outcomes), default=Exit.OK)

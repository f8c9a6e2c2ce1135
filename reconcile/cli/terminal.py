"""What the command line prints: colour, findings, errors, progress."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.errors import Diagnostic, Exit, ReconcileError
from reconcile.source import disk

if TYPE_CHECKING:
    from reconcile.apply.outcome import Result
    from reconcile.plan.plan import Failed, Plan


@dataclass(slots=True)
class Flags:
    """How to print. Errors are printed when click's context is gone, so it is here."""

    color: str = "auto"
    quiet: bool = False
    log_format: str = "text"

    def reset(self) -> None:
        """Forget the flags of an earlier run in the same process."""
        self.color, self.quiet, self.log_format = "auto", False, "text"


flags = Flags()


def print_error(error: ReconcileError) -> None:
    """Print an error and its remedy to standard error."""
    from reconcile.report.safe import safe_lines
    from reconcile.report.width import message

    if flags.log_format == "json":
        _log(
            level="error",
            message=str(error),
            help=error.hint,
            exit_code=int(error.exit_code),
        )
        return
    word = "stale" if error.exit_code == Exit.STALE else "error"
    for line in message(f"{word}: {safe_lines(str(error))}", 4):
        click.secho(line, err=True, fg="red", color=_err())
    if error.hint:
        for line in message(f"  = help: {safe_lines(error.hint)}", 4):
            click.echo(line, err=True)


def print_diagnostics(findings: Sequence[Diagnostic]) -> None:
    """Print findings with their excerpts to standard error."""
    from reconcile.report.diagnostics import as_json, render

    if flags.log_format == "json":
        for finding in findings:
            _log(level=finding.severity, **as_json(finding))
        return
    text = render(findings, "text", style=_painter(_err()))
    click.echo(text, err=True, nl=False, color=_err())


def _log(**event: object) -> None:
    """Write one event as a line of JSON to standard error (--log-format json)."""
    import json

    click.echo(json.dumps(event, ensure_ascii=False), err=True)


def _err() -> bool | None:
    return _colour(sys.stderr)


def _colour(stream: Any) -> bool:
    """Decide on colour: the flag, then NO_COLOR and FORCE_COLOR, then the terminal."""
    if flags.color in ("always", "never"):
        return flags.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def _painter(colour: bool | None) -> Callable[[str, str], str]:
    if not colour:
        return lambda text, _colour: text

    def paint(text: str, name: str) -> str:
        if name == "bold":
            return click.style(text, bold=True)
        return click.style(text, fg=name) if name else text

    return paint


def out(text: str, *, err: bool = False) -> None:
    """Print a result to standard output, as it is.

    `err` prints it to standard error, where another result takes standard output.
    """
    colour = _colour(sys.stderr if err else sys.stdout)
    click.echo(text, nl=False, err=err, color=colour)


def paint(*, err: bool = False) -> Callable[[str, str], str]:
    """Return what colours text for standard output, or for standard error."""
    return _painter(_colour(sys.stderr if err else sys.stdout))


def save(output: Path | None, text: str, *, private: bool = False) -> None:
    """Write a result to a file and say so; without one, to standard output."""
    if output is None or disk.is_stdout(output):
        out(text)
        return
    disk.output(output, text.encode(), private=private)
    click.echo(f"wrote {output}")


def note(text: str) -> None:
    """Print a remark to standard error, unless --quiet."""
    if flags.quiet:
        return
    if flags.log_format == "json":
        _log(level="info", message=text)
        return
    from reconcile.report.width import message

    for line in message(text, 2):
        click.echo(line, err=True)


def asker() -> Callable[[str], bool] | None:
    """Return what asks the person at the terminal, None when nobody is there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> bool:
        click.echo(question, err=True)
        return click.confirm("Allow it?", default=False, err=True)

    return ask


@dataclass(frozen=True, slots=True)
class View:
    """How plans are shown: as text or JSON, with all lines, on standard error.

    `members` are the nodes behind the names of access lines.
    """

    format: str = "text"
    text_diff: bool = False
    full: bool = False
    members: bool = False
    err: bool = False


def show_plans(
    plans: Sequence["Plan"], view: View, failed: Sequence["Failed"] = ()
) -> None:
    """Print plans to standard output (or error), their findings to standard error.

    The findings stand above the lines that sum up. `failed` are the servers that have
    no plan, each with its own section.
    """
    from reconcile.report import json_plan, text

    if view.format == "json":
        if plans:
            document = json_plan.dumps(plans, failed=failed, members=view.members)
            out(document, err=view.err)
        print_failed(failed)
        _plan_diagnostics(plans)
        return
    how = view.text_diff, view.full, view.members
    shape = text.Shape(paint(err=view.err), *how)
    whole, summary = text.plans_and_summary(plans, shape, failed)
    out(whole, err=view.err)
    _plan_diagnostics(plans)
    out(summary, err=view.err)


def show_drift(plans: Sequence["Plan"], view: View, failed: Sequence["Failed"]) -> None:
    """Print what moved on the servers, and which of them failed."""
    from reconcile.report import json_plan, text

    if view.format == "json":
        if plans:
            out(json_plan.dumps(plans, "drift", failed))
        print_failed(failed)
    else:
        shape = text.Shape(paint(), view.text_diff, view.full)
        out(text.render_drift(plans, shape, failed))


def print_failed(failed: Sequence["Failed"]) -> None:
    """Print why servers have no plan to standard error, where JSON is the result."""
    for one in failed:
        error = ReconcileError(f"{one.name}: {one.error}", one.error.hint)
        error.exit_code = one.error.exit_code
        print_error(error)


def _plan_diagnostics(plans: Sequence["Plan"]) -> None:
    """Print the findings of plans to standard error, after what went before."""
    findings = of_servers(plans, lambda plan: plan.diagnostics)
    if findings:
        sys.stdout.flush()
        print_diagnostics(findings)


def of_servers(
    plans: Sequence["Plan"], of: Callable[["Plan"], Sequence[Diagnostic]]
) -> list[Diagnostic]:
    """Return the findings of all plans, each once, with the servers that it is about.

    One that all of them have is about the files, and names none.
    """
    found: dict[str, tuple[Diagnostic, list[str]]] = {}
    for plan in plans:
        for finding in of(plan):
            found.setdefault(str(finding), (finding, []))[1].append(plan.name)
    return [
        finding
        if len(names) >= len(plans)
        else replace(finding, message=f"{', '.join(names)}: {finding.message}")
        for finding, names in found.values()
    ]


def progress_of(mode: str) -> Callable[["Result", int, int], None] | None:
    """Return what is called after each write: a line each, or one that is redrawn."""
    if mode == "none":
        return None
    if mode == "json" or (mode == "auto" and flags.log_format == "json"):
        return _log_progress
    live = mode == "auto" and sys.stderr.isatty()

    def tell(result: "Result", number: int, total: int) -> None:
        from reconcile.report.outcome import progress_line

        line = progress_line(result, number, total)
        click.echo(f"\r\x1b[2K{line}" if live else line, err=True, nl=not live)
        if live and number == total:
            click.echo(err=True)

    return tell


def _log_progress(result: "Result", number: int, total: int) -> None:
    from reconcile.report.outcome import operation_json

    event = operation_json(result)
    if result.lost:
        event["status"] = "unknown"
    _log(level="info", event="operation", number=number, of=total, **event)

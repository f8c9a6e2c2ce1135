"""What the command line prints: colour, findings, errors, progress."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from reconcile.errors import Diagnostic, Exit, ReconcileError

if TYPE_CHECKING:
    from reconcile.outcome import Result
    from reconcile.plan import Plan


def print_error(error: ReconcileError) -> None:
    """Print an error and its remedy to standard error."""
    from reconcile.report.safe import safe_lines

    word = "stale" if error.exit_code == Exit.STALE else "error"
    click.secho(f"{word}: {safe_lines(str(error))}", err=True, fg="red", color=_err())
    if error.hint:
        click.echo(f"  = help: {safe_lines(error.hint)}", err=True)


def print_diagnostics(findings: Sequence[Diagnostic]) -> None:
    """Print findings with their excerpts to standard error."""
    from reconcile.report.diagnostics import render

    text = render(findings, "text", style=_painter(_err()))
    click.echo(text, err=True, nl=False, color=_err())


def _err() -> bool | None:
    return _colour(sys.stderr)


def _colour(stream: Any) -> bool:
    """Decide on colour: the flag, then NO_COLOR and FORCE_COLOR, then the terminal."""
    chosen = _last_colour[0]
    if chosen in ("always", "never"):
        return chosen == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


# Errors are printed when click's context is gone, so the flag is kept here.
_last_colour = ["auto"]


_quiet = [False]


def choose_colour(when: str) -> None:
    """Remember the flag --color: auto, always or never."""
    _last_colour[0] = when


def be_quiet(quiet: bool = True) -> None:
    """Remember the flag --quiet."""
    _quiet[0] = quiet


def _painter(colour: bool | None) -> Callable[[str, str], str]:
    if not colour:
        return lambda text, _colour: text

    def paint(text: str, name: str) -> str:
        if name == "bold":
            return click.style(text, bold=True)
        return click.style(text, fg=name) if name else text

    return paint


def out(text: str) -> None:
    """Print a result to standard output, as it is."""
    click.echo(text, nl=False, color=_colour(sys.stdout))


def paint() -> Callable[[str, str], str]:
    """Return what colours text for standard output."""
    return _painter(_colour(sys.stdout))


def note(text: str) -> None:
    """Print a remark to standard error, unless --quiet."""
    if not _quiet[0]:
        click.echo(text, err=True)


def show_plans(
    plans: Sequence["Plan"], format_: str, *, text_diff: bool = False
) -> None:
    """Print plans to standard output, and their findings to standard error."""
    from reconcile.report import json_plan, text

    if format_ == "json":
        out(json_plan.dumps(plans))
    else:
        out(text.render_plans(plans, paint(), text_diff=text_diff))
    plan_diagnostics(plans)


def plan_diagnostics(plans: Sequence["Plan"]) -> None:
    """Print the findings of plans to standard error, after what went before."""
    findings = [finding for plan in plans for finding in plan.diagnostics]
    if findings:
        sys.stdout.flush()
        print_diagnostics(findings)


def progress_of(mode: str) -> Callable[["Result", int, int], None] | None:
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

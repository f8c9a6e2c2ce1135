"""The global flags, written once and put on every command that has a use for them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconcile.cli.terminal import asker, flags
from reconcile.model import RELEASES

if TYPE_CHECKING:
    from reconcile.jobs.options import Options

_F = TypeVar("_F", bound=Callable[..., Any])


class Aliased(click.Option):
    """An option with further names, which work and are not shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what --help shows: the options before the first long name's end."""
        names, long = self.opts, next(n for n in self.opts if n.startswith("--"))
        self.opts = names[: names.index(long) + 1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names


def _remember(_context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a flag of the output; it may stand before or after the command."""
    if value is not None and parameter.name is not None:
        setattr(flags, parameter.name, value)


_OUTPUT = [
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        expose_value=False,
        callback=_remember,
        help="When to use colour (auto).",
    ),
    click.option(
        "--quiet",
        is_flag=True,
        default=None,
        expose_value=False,
        callback=_remember,
        help="No notes, only the result and errors.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        expose_value=False,
        callback=_remember,
        help="Form of errors and notes on standard error (text).",
    ),
]
_FILES = [
    click.option(
        "-f",
        "--file",
        "files",
        multiple=True,
        metavar="FILE",
        help="Desired state: a file, a folder or - (repeat; default tailnet.yaml).",
    ),
    click.option("--server", metavar="NAME", help="One of several servers, or all."),
]
_LIVE = [
    click.option(
        "--timeout",
        type=click.FloatRange(0.1, 3600),
        metavar="SECONDS",
        help="Longest wait for one answer (30; for writes more, with many nodes).",
    ),
    click.option(
        "--max-answer",
        type=click.IntRange(1, 100_000),
        metavar="MB",
        help="Largest answer that is read, unpacked (512).",
    ),
    click.option(
        "--api-key-file",
        metavar="FILE",
        help="Where the API key is, whatever the files say.",
    ),
]
_LEAVE = [
    click.option(
        "--allow-commands",
        is_flag=True,
        help="Run what the files name, and connect to where they say.",
    ),
]
_PLAN = [
    click.option(
        "--target", multiple=True, metavar="ADDR", help="Only this: node:nas.routes."
    ),
    click.option(
        "--exclude", multiple=True, metavar="ADDR", help="All but this; globs work."
    ),
]
_WRITES = [
    click.option(
        "--single-policy-write",
        is_flag=True,
        help="Never write a policy in two steps, even if access has a gap.",
    ),
]
_FROM = [
    click.option(
        "--snapshot",
        "--from",
        "snapshot",
        cls=Aliased,
        metavar="FILE",
        help="Take the live state from a saved snapshot instead of the server.",
    ),
]
_FULL = [
    click.option("--full", is_flag=True, help="Every line, however many they are."),
]
_MEMBERS = [
    click.option(
        "--members",
        is_flag=True,
        help="List the nodes behind every group of an access line.",
    ),
]
_RELEASE = [
    click.option(
        "--release",
        type=click.Choice(RELEASES),
        help="Read the policy as this release of the server does, and no other.",
    ),
]
_PARALLEL = [
    click.option(
        "--parallelism",
        type=click.IntRange(1, 256),
        default=32,
        show_default=True,
        help="Most writes at the same time.",
    ),
]

_CARRY = [
    click.option("--auto-approve", is_flag=True, help="Do not ask."),
    click.option(
        "--checksum", metavar="SUM", help="Only if the plan has this checksum."
    ),
    click.option(
        "--backup",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep what is there before in this folder (in a git ref).",
    ),
    click.option("--fail-fast", is_flag=True, help="Stop at the first failure."),
    click.option(
        "--progress",
        type=click.Choice(["auto", "plain", "json", "none"]),
        default="auto",
        show_default=True,
    ),
    click.option(
        "--format", "format_", type=click.Choice(["text", "json"]), default="text"
    ),
]
_THEIRS = [
    click.option(
        "--theirs",
        is_flag=True,
        help="Leave as it is on the server what both sides changed.",
    ),
]


def _add(options: list[Callable[[_F], _F]]) -> Callable[[_F], _F]:
    def decorate(command: _F) -> _F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


output = _add(_OUTPUT)
theirs = _add(_THEIRS)
carry = _add(_CARRY)
full = _add(_FULL)
members = _add(_MEMBERS)
snapshot = _add(_FROM)
files = _add(_FILES)
offline = _add(_FILES + _FROM)
release = _add(_RELEASE)
live = _add(_FILES + _LIVE + _LEAVE)
connection = _add(_LIVE)
plan = _add(_FILES + _LIVE + _LEAVE + _PLAN + _WRITES + _FROM)
apply = _add(_FILES + _LIVE + _LEAVE + _PLAN + _WRITES + _PARALLEL)


def collect(**flags: Any) -> "Options":
    """Return the Options that the flags of a command stand for."""
    from reconcile.jobs.options import Options
    from reconcile.jobs.run import DEFAULT_FILE

    given = {name: value for name, value in flags.items() if value is not None}
    given["files"] = tuple(given.get("files") or (DEFAULT_FILE,))
    return Options(environ=os.environ, ask=asker(), **given)

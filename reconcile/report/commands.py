"""Commands that are printed to be pasted into a shell, and mean what they say there."""

import shlex
from collections.abc import Iterator

from reconcile.plan.plan import Asked
from reconcile.source.text import STDIN

_DEFAULT = ("tailnet.yaml",)


def apply(asked: Asked, *more: str) -> list[str]:
    """Return the command that applies what a plan was asked for with, and `more`.

    Its words are quoted for a shell.
    """
    verb = ("rollback", *asked.rollback) if asked.rollback else ("apply",)
    words = "reconcile", *verb, *_options(asked), *more
    return [shlex.quote(word) for word in words]


def stdin_remark(asked: Asked) -> str:
    """Return what to say of a command that needs its standard input again, or ""."""
    return " (with the same standard input)" if STDIN in asked.files else ""


def _options(asked: Asked) -> Iterator[str]:
    for path in () if asked.files == _DEFAULT else asked.files:
        yield from ("-f", path)
    if asked.server is not None:
        yield from ("--server", asked.server)
    for address in asked.target:
        yield from ("--target", address)
    for address in asked.exclude:
        yield from ("--exclude", address)
    if asked.theirs:
        yield "--theirs"
    if asked.single_policy_write:
        yield "--single-policy-write"

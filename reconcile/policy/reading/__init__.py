"""Reading a policy value: typed rules, and everything the server would refuse."""

from collections.abc import Callable, Iterable
from typing import Any

from reconcile.errors import Diagnostic, Position, Related
from reconcile.policy.document import Policy, Problem
from reconcile.policy.fields import SECTIONS, Path, section_name
from reconcile.policy.reading import attributes, names, rules, ssh
from reconcile.policy.reading.context import (
    IGNORED,
    SHAPE,
    Context,
    quoted,
)
from reconcile.policy.releases import Release, release

Locate = Callable[[Path, bool], Position | None]


def read(
    value: object,
    server: Release | str,
    domains: Iterable[str] | None = None,
    like: Policy | None = None,
) -> Policy:
    """Read a policy value as a server release does.

    `server` is a release or its name (`0.26` to `0.29`, `main`, `tailscale`);
    `domains` are the mail domains of a hosted tailnet, None when they are not known.
    `like` is a policy with mostly the same rules, of which it takes over what it can.
    Nothing is raised: what the server refuses is in `Policy.errors`, with its words.
    """
    row = release(server) if isinstance(server, str) else server
    if value is None and not row.hosted:
        value = {}  # Headscale stores a text `null` and reads it as an empty policy
    whole = value if isinstance(value, dict) else {}
    context = Context(whole, row, domains)
    if not isinstance(value, dict):
        context.shape((), "an object", value)
    _sections(context)
    declared = names.groups(context), names.hosts(context), names.tags(context)
    names.approvers(context)
    return Policy(
        value,
        row,
        *declared,
        rules.rules(context, like),
        ssh.ssh(context),
        attributes.attributions(context),
        attributes.tests(context),
        attributes.ssh_tests(context),
        attributes.randomized_ports(context),
        tuple(sorted(context.problems, key=lambda problem: problem.severity)),
    )


def diagnostics(problems: Iterable[Problem], locate: Locate) -> list[Diagnostic]:
    """Give findings their positions; `locate(path, key)` may answer None."""
    return [
        Diagnostic(
            problem.code,
            problem.message,
            locate(problem.path, problem.key),
            problem.severity,
            why=problem.why,
            help=problem.help,
            related=tuple(
                Related(place, label)
                for path, label in problem.related
                if (place := locate(path, False)) is not None
            ),
        )
        for problem in problems
    ]


def _sections(context: Context) -> None:
    """Refuse or point out top-level fields that the release does not have."""
    seen: dict[str, str] = {}
    for key in context.value:
        name = section_name(key)
        if name in seen:
            message = f"{quoted(key)} and {quoted(seen[name])} are the same field"
            help = "field names match without regard to case: keep one"
            context.problem(SHAPE, message, (key,), key=True, help=help)
        seen[name] = key
        if name not in context.release.sections:
            _unknown(context, key, name)


def _unknown(context: Context, key: str, name: str) -> None:
    known = name in SECTIONS
    place = "this release" if context.release.hosted else context.release.name
    if context.release.ignores_unknown:
        message = f"{quoted(key)} does nothing on Headscale {place}"
        help = "rules, tests and settings in it are not in force"
        context.problem(
            IGNORED, message, (key,), key=True, severity="warning", help=help
        )
        return
    why = f"Headscale {place} does not have it" if known else ""
    context.unknown_field((key,), why)


__all__ = ["Any", "Locate", "diagnostics", "read"]

"""Reading a policy value: typed rules, and everything the server would refuse."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from reconcile.errors import Diagnostic, Position, Related
from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.fields import (
    RULES,
    Path,
    get,
    rule_at,
    section_name,
    strings,
)
from reconcile.policy.language.pairing import split_ports
from reconcile.policy.language.releases import Release, release
from reconcile.policy.language.words import listed, plural
from reconcile.policy.reading import attributes, names, rules, ssh
from reconcile.policy.reading.context import SHAPE, Context, quoted

_LINES = 12  # that one finding lists

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


def diagnostics(
    problems: Iterable[Problem], locate: Locate, value: object = None
) -> list[Diagnostic]:
    """Give findings their positions; `locate(path, key)` may answer None.

    What is wrong with one word is told once, with the other lines in which it stands.
    `value` is the policy: what a finding about a rule is about are the rule's names.
    """
    found: dict[tuple[object, ...], list[Problem]] = {}
    for each in problems:
        key = each.code, each.severity, each.why, each.subject
        place = () if each.subject else (each.path, each.key, each.message)
        found.setdefault((*key, *place), []).append(each)
    return [_diagnostic(same, locate, value) for same in found.values()]


def _diagnostic(same: Sequence[Problem], locate: Locate, value: object) -> Diagnostic:
    """Return the finding for one word, wherever it stands, or for one place."""
    placed = [(each, locate(each.path, each.key)) for each in same]
    if len(placed) > 1:
        placed.sort(key=lambda found: found[1] or Position("", 0, 0))
    (first, place), *rest = placed
    others = [there for _, there in rest] if first.subject else []
    related = [
        Related(there, label)
        for path, label in first.related
        if (there := locate(path, False)) is not None
    ]
    if first.meant and (there := locate(first.meant, True)):
        related.append(Related(there, "declared here"))
    return Diagnostic(
        first.code,
        first.message,
        place,
        first.severity,
        label=_elsewhere(place, others),
        why=first.why,
        help=first.help,
        ways=((first.edit,),) if first.edit and not others else (),
        related=tuple(related),
        about=(*dict.fromkeys(_names(first, value)), "policy"),
    )


def _names(problem: Problem, value: object) -> Iterator[str]:
    """Yield the names by which a finding can be accepted, the best one first."""
    section = section_name(str(problem.path[0])) if problem.path else ""
    if problem.subject:
        yield problem.subject
    elif section in RULES and len(problem.path) > 1:
        rule = rule_at(value, problem.path)
        for field in ("src", "dst", "target"):
            for _, text in strings((), get(rule, field)):
                bare, ports = split_ports(text)
                yield bare if field == "dst" and section == "acls" and ports else text
    elif problem.key and problem.path:
        yield str(problem.path[-1])


def _elsewhere(place: Position | None, others: Sequence[Position | None]) -> str:
    """Say in which other lines a word stands, or how often it does in this one."""
    lines = dict.fromkeys(
        str(each.line) if each.file == place.file else f"{each.file}:{each.line}"
        for each in others
        if each and place and (each.file, each.line) != (place.file, place.line)
    )
    if lines:
        return f"also in line{'s' * (len(lines) > 1)} {listed([*lines], _LINES)}"
    return f"and {plural(len(others), 'more time')} in this line" if others else ""


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
            context.unknown_field((key,), "", context.value)


__all__ = ["Any", "Locate", "diagnostics", "read"]

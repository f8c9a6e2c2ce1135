"""Checks the form of one file, and explains each mistake to the person who made it."""

from typing import Any

from reconcile.desired import schema
from reconcile.desired.complaints import explain, kind
from reconcile.desired.findings import Findings, dotted
from reconcile.errors import Diagnostic
from reconcile.source import Path, Source

_EMPTY = {"array": "[]", "object": "{}", "string": '""'}


def check(source: Source, findings: Findings) -> dict[str, Any]:
    """Return the content of a file without what is wrong with its form.

    Everything wrong goes to `findings`; what is left is valid by the schema.
    """
    findings.extend(source.findings)
    if source.value is None:
        findings.error(
            "RC0022",
            f"{source.file} is empty",
            source.locate(()),
            help="write at least `version: 1`; `reconcile import` writes a whole file",
        )
        return {}
    if not isinstance(source.value, dict):
        message = f"{source.file} must be a map of sections, not {kind(source.value)}"
        findings.error("RC0007", message, source.locate(()))
        return {}
    value: dict[str, Any] = source.value
    nulls = [path for path in source.nulls if schema.knows(path)]
    findings.extend(_null(path, source) for path in nulls)
    unset = {path for path, _ in source.unset}
    kept = {path for path in unset if _of_server(path)}
    gone = {*nulls, *source.refused, *(unset - kept)}
    for path in gone:
        schema.without(value, path)
    _remove_wrong(value, gone, kept, source, findings)
    return value


def _of_server(path: Path) -> bool:
    """Tell a text that, without its variable, matters only to who connects."""
    of_server = path[:1] in (("server",), ("servers",))
    return of_server and schema.kind_at(path) == "string"


def _remove_wrong(
    value: dict[str, Any],
    gone: set[Path],
    kept: set[Path],
    source: Source,
    findings: Findings,
) -> None:
    told = False
    while wrong := [v for v in schema.violations(value) if v.path not in kept]:
        for each in wrong:
            if not told and not (each.keyword == "required" and _lost(each.path, gone)):
                findings.add(explain(each, source))
            schema.without(value, each.path)
        told = True  # what follows only follows from what was taken away


def _lost(path: Path, gone: set[Path]) -> bool:
    return any(lost[:-1] == path for lost in gone)


def _null(path: Path, source: Source) -> Diagnostic:
    """Say what absent and empty mean, which null might have meant either of."""
    name = str(path[-1]) if path else "the file"
    empty = _EMPTY.get(schema.kind_at(path), "{}")
    help = f"remove the item, or write `{empty}`"
    if path and isinstance(path[-1], str):
        help = (
            f"remove the line to leave {name} alone, or write "
            f'`{name}: {empty}` for "no {name.replace("_", " ")} at all"'
        )
        if path[:-1] in (("users",), ("nodes",)):
            help = f"write `{name}: {{}}`: nothing more to say about it"
    return Diagnostic(
        "RC0003", f"{dotted(path)} is null", source.locate(path, key=True), help=help
    )

"""Checks the form of one file, and explains each mistake to the person who made it."""

from typing import Any

from reconcile.desired import schema
from reconcile.desired.complaints import alternatives, explain, kind
from reconcile.desired.findings import Findings, dotted
from reconcile.desired.openness import is_policy, no_rules
from reconcile.desired.scalars import flow
from reconcile.errors import Diagnostic
from reconcile.remedies import Drop, Help, Put, Way
from reconcile.source.yaml import Path, Source

_VERSION = Put(("version",), "1")
# Texts for which the schema has a word, or "", that says "none".
_NONE = {"expiry": "never", "email": "", "display_name": ""}


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
            help=f"write at least {_VERSION}; `reconcile import` writes a whole file",
            ways=((_VERSION,),),
        )
        return {}
    if not isinstance(source.value, dict):
        message = f"{source.file} must be a map of sections, not {kind(source.value)}"
        findings.error("RC0007", message, source.locate(()))
        return {}
    value: dict[str, Any] = source.value
    nulls = []
    for path in source.nulls:
        if schema.knows(path):
            findings.add(_null(path, source))  # which ends at the thousandth
            nulls.append(path)
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
            if not told and not _follows(each, gone):
                findings.add(explain(each, source))
            schema.without(value, each.path)
        told = True  # what follows only follows from what was taken away


def _follows(found: schema.Violation, gone: set[Path]) -> bool:
    """Tell a complaint that is only about what was taken away before."""
    missing = found.keyword in ("required", "minProperties", "minItems", "oneOf")
    return missing and _lost(found.path, gone)


def _lost(path: Path, gone: set[Path]) -> bool:
    return any(lost[:-1] == path for lost in gone)


def _null(path: Path, source: Source) -> Diagnostic:
    """Say what absent and empty mean, which null might have meant either of."""
    if is_policy(path):
        more = no_rules(path)
    elif path and isinstance(path[-1], str):
        more = _null_key(path, path[-1], source.value)
    elif _may_go(path, source.value):
        more = {"help": "remove the item", "ways": ((Drop(path),),)}
    else:
        more = {"help": f"write the item, or take out {dotted(path[:-1])}"}
    return Diagnostic(
        "RC0003", f"{dotted(path)} is null", source.locate(path, key=True), **more
    )


def _null_key(path: Path, name: str, value: Any) -> Help:
    """Return what may be written in place of a key without a value."""
    choices = _choices(path)
    puts = [Put(path, flow(choice)) for choice in choices]
    if len(puts) > 1:  # one of them may do more than was meant, so none is proposed
        words, puts = f"say {alternatives([*map(str, choices)])}", []
    else:
        words = f"write {puts[0]}" if puts else ""
    ways: list[Way] = [(put,) for put in puts]
    if path[:-1] in (("users",), ("nodes",)):
        return {"help": f"{words}: nothing more to say about it", "ways": (*ways,)}
    if puts and puts[0].value in ("[]", "{}", "false"):
        words += f' for "no {name.replace("_", " ")} at all"'
    if _may_go(path, value):
        words = f"remove the line to leave {name} alone{', or ' * bool(words)}{words}"
        ways.insert(0, (Drop(path),))
    words = words or f"write its value, or take out {dotted(path[:-1])}"
    return {"help": words, "ways": (*ways,)}


def _choices(path: Path) -> list[Any]:
    if path[-1] in _NONE and schema.kind_at(path) == "string":
        return [_NONE[str(path[-1])]]
    return schema.choices(path)


def _may_go(path: Path, value: Any) -> bool:
    """Tell whether the rest is valid without a part, and opens nothing thereby.

    A rule without its `proto`, for one, is a wider rule.
    """
    above, last = path[:-1], path[-1]
    if is_policy(above) and last in ("acls", "grants", "file", "files"):
        return False
    if path == ("version",) or (isinstance(last, str) and _in_rule(path)):
        return False
    for step in above:
        value = value[step]
    if isinstance(value, list):
        return schema.allows(above, [v for n, v in enumerate(value) if n != last])
    return schema.allows(above, {n: v for n, v in value.items() if n != last})


def _in_rule(path: Path) -> bool:
    """Tell the path of what stands inside of a rule of a policy."""
    return any(is_policy(path[:size]) for size in (1, 3)) and any(
        isinstance(step, int) for step in path
    )

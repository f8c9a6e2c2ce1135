"""Says what jsonschema complains about in words for the person who wrote the file."""

import json
from dataclasses import replace

from reconcile.desired.findings import did_you_mean, dotted, nearest
from reconcile.desired.later import (
    later_keys,
    on_the_server_only,
    postponed,
    postponed_value,
)
from reconcile.desired.schema import UNKNOWN, Violation
from reconcile.errors import Diagnostic, Position
from reconcile.source import Source
from reconcile.variables import Expanded, quoted

# What YAML 1.1 and other languages read as true and false, and this file does not.
_SPOKEN = {
    **dict.fromkeys(("yes", "y", "on", "true"), "true"),
    **dict.fromkeys(("no", "n", "off", "false"), "false"),
}
_KINDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "array": "a list",
    "object": "a map",
}


def explain(found: Violation, source: Source) -> Diagnostic:
    """Return the finding for one complaint of jsonschema."""
    if found.keyword == UNKNOWN:
        return _unknown(found, source)
    finding = _BY_KEYWORD.get(found.keyword, _other)(found, source)
    if "credentials" in found.path:  # an excerpt could show a key written there
        return _without_text(finding)
    return finding


def _without_text(finding: Diagnostic) -> Diagnostic:
    place = finding.position
    return replace(finding, position=place and replace(place, text=""))


def _unknown(found: Violation, source: Source) -> Diagnostic:
    name = str(found.path[-1])
    place = source.locate(found.path, key=True)
    if on_the_server_only(found.path):
        return Diagnostic(
            "RC0301",
            f"{dotted(found.path)} cannot be set on a Headscale server",
            place,
            why="Headscale reads it from its own configuration file; no API changes it",
            help="remove it here, and write it in the server's config.yaml",
        )
    feature = postponed(found.path)
    if feature:
        return Diagnostic(
            "RC0006",
            f"{dotted(found.path)} is not in this version yet",
            place,
            why=f"{feature} will come with a later version",
            help="remove it; ignoring it silently would be worse",
        )
    if "credentials" in found.path:
        place = replace(place, text="")
    options = found.options
    where = f"in {dotted(found.path[:-1])}" if found.path[:-1] else "as a section"
    return Diagnostic(
        "RC0005",
        f"{quoted(name)} is not known {where}",
        place,
        label="not known",
        help=did_you_mean(name, options + later_keys(found.path[:-1]))
        or f"known here: {', '.join(options)}",
    )


def _wrong_type(found: Violation, source: Source) -> Diagnostic:
    wanted = found.wanted
    kinds = [wanted] if isinstance(wanted, str) else list(wanted)
    value = found.value
    if found.path[-2:] == ("credentials", "api_key") and isinstance(value, str):
        return _literal_secret(source.locate(found.path))
    words = " or ".join(_KINDS[name] for name in kinds)
    return Diagnostic(
        "RC0007",
        f"{dotted(found.path)} must be {words}, not {kind(value)}",
        source.locate(found.path),
        help=_type_help(kinds[0], value, str(found.path[-1] if found.path else "")),
    )


def _type_help(wanted: str, value: object, name: str) -> str:
    """Explain what YAML made of the value, where that is the surprise."""
    if isinstance(value, Expanded):
        return f"a variable always gives text; write {_KINDS[wanted]} itself"
    match wanted, value:
        case "boolean", str() if value.lower() in _SPOKEN:
            meant = _SPOKEN[value.lower()]
            return f"{quoted(value)} is text in this file; write {meant}"
        case "string", bool() | int() | float():
            spelled = json.dumps(value)
            return f'{spelled} without quotes is {kind(value)}; write "{spelled}"'
        case "array", str() if len(value) < 60:
            return f"write `{name}: [{value}]`"
        case "object", []:
            return "write `{}` for an empty map"
        case "array", dict() if not value:
            return "write `[]` for an empty list"
    return ""


def _literal_secret(place: Position) -> Diagnostic:
    return Diagnostic(
        "RC0026",
        "an API key does not belong into this file",
        replace(place, text=""),
        why="the file lives in git, and its history never forgets",
        help="name the variable that holds it: api_key: { env: HEADSCALE_API_KEY }",
    )


def _not_allowed(found: Violation, source: Source) -> Diagnostic:
    """Explain `enum` and `const`."""
    allowed = found.wanted
    options = allowed if isinstance(allowed, list) else [allowed]
    value = found.value
    shown = quoted(value) if isinstance(value, str) else kind(value)
    feature = postponed_value(found.path[-1] if found.path else "", value)
    if feature:
        return Diagnostic(
            "RC0006",
            f"{dotted(found.path)} {shown} is not in this version yet",
            source.locate(found.path),
            why=f"{feature} will come with a later version",
        )
    names = [str(option) for option in options]
    meant = nearest(str(value), names) if isinstance(value, str) else ""
    return Diagnostic(
        "RC0008",
        f"{dotted(found.path)} must be {_alternatives(names)}, not {shown}",
        source.locate(found.path),
        help=f"did you mean {quoted(meant)}?"
        if meant
        else found.schema.get("errorMessage", ""),
    )


def _pattern(found: Violation, source: Source) -> Diagnostic:
    where = dotted(found.path[:-1] if found.named else found.path)
    return Diagnostic(
        "RC0008",
        f"{quoted(found.value)} is not possible in {where}",
        source.locate(found.path, key=found.named),
        why=found.schema.get("patternErrorMessage", ""),
    )


def _missing(found: Violation, source: Source) -> Diagnostic:
    names = [name for name in found.wanted if name not in found.value]
    return Diagnostic(
        "RC0022",
        f"{dotted(found.path)} needs {quoted(names[0])}",
        source.locate(found.path, key=True),
        help=f"add `{names[0]}: …`",
    )


def _too_few(found: Violation, source: Source) -> Diagnostic:
    options = found.options
    return Diagnostic(
        "RC0022",
        f"{dotted(found.path)} is empty",
        source.locate(found.path, key=found.named),
        help=f"write one of: {', '.join(options)}" if options else "",
    )


def _too_many(found: Violation, source: Source) -> Diagnostic:
    options = ", ".join(found.options)
    return Diagnostic(
        "RC0008",
        f"{dotted(found.path)} must be exactly one of: {options}",
        source.locate(found.path),
    )


def _not_one_of(found: Violation, source: Source) -> Diagnostic:
    """Explain `oneOf`, whose forms each ask for one key."""
    names = [form["required"][0] for form in found.wanted]
    given = [name for name in names if name in found.value]
    return Diagnostic(
        "RC0008" if given else "RC0022",
        f"{dotted(found.path)} must have exactly one of: {', '.join(names)}",
        source.locate((*found.path, *given[1:2]), key=bool(given)),
        help=f"split it into {len(given)} entries" if given else "",
    )


def _not_together(found: Violation, source: Source) -> Diagnostic:
    """Explain `not` around `required`."""
    first, second = found.wanted["required"]
    return Diagnostic(
        "RC0008",
        f"{dotted(found.path)} cannot have both `{first}` and `{second}`",
        source.locate((*found.path, second), key=True),
        help="remove one of the two",
    )


def _other(found: Violation, source: Source) -> Diagnostic:
    message = f"{dotted(found.path)} must keep to {found.keyword} {found.wanted}"
    return Diagnostic("RC0008", message, source.locate(found.path))


_BY_KEYWORD = {
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_allowed,
    "pattern": _pattern,
    "required": _missing,
    "not": _not_together,
    "minProperties": _too_few,
    "minItems": _too_few,
    "minLength": _too_few,
    "maxProperties": _too_many,
    "oneOf": _not_one_of,
}


def kind(value: object) -> str:
    """Return what a value is, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    match value:
        case None:
            return "null"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "a map"


def _alternatives(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last

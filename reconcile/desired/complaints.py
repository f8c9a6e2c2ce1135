"""Says what jsonschema complains about in words for the person who wrote the file."""

import json
import shlex
from dataclasses import replace
from typing import Any

from reconcile.desired.findings import dotted, proposal
from reconcile.desired.later import (
    later_keys,
    on_the_server_only,
    postponed,
    postponed_value,
)
from reconcile.desired.openness import WHY, is_policy, no_rules
from reconcile.desired.scalars import flow, scalar
from reconcile.desired.schema import UNKNOWN, Violation, allows
from reconcile.errors import Diagnostic
from reconcile.remedies import Drop, Help, Instead, Put
from reconcile.source.near import nearest
from reconcile.source.variables import Expanded, quoted
from reconcile.source.yaml import Path, Source

# What YAML 1.1 and other languages read as true and false, and this file does not.
_SPOKEN = {
    **dict.fromkeys(("yes", "y", "on", "true"), "true"),
    **dict.fromkeys(("no", "n", "off", "false"), "false"),
}
# Lists of a program and its arguments.
_PROGRAMS = ("command", "then")
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
    return replace(finding, position=place and place.unseen())


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
        place = place.unseen()
    options = found.options
    where = f"in {dotted(found.path[:-1])}" if found.path[:-1] else "as a section"
    return Diagnostic(
        "RC0005",
        f"{quoted(name)} is not known {where}",
        place,
        label="not known",
        **_known(name, options, later_keys(found.path[:-1])),
    )


def _known(name: str, options: list[str], later: list[str]) -> Help:
    """Return the help for a name that is not known among those that are."""
    near = nearest(name, options + later)
    if near in later:
        return {"help": f"did you mean {quoted(near)}? This version cannot set it"}
    return proposal(name, options, f"known here: {', '.join(options)}")


def _wrong_type(found: Violation, source: Source) -> Diagnostic:
    wanted = found.wanted
    kinds = [wanted] if isinstance(wanted, str) else list(wanted)
    value = found.value
    if found.path[-2:] == ("credentials", "api_key") and isinstance(value, str):
        return _literal_secret(found.path, source)
    words = " or ".join(_KINDS[name] for name in kinds)
    return Diagnostic(
        "RC0007",
        f"{dotted(found.path)} must be {words}, not {kind(value)}",
        source.locate(found.path),
        **_type_help(kinds[0], value, found.path),
    )


def _type_help(wanted: str, value: object, path: Path) -> Help:
    """Explain what YAML made of the value, where that is the surprise."""
    if isinstance(value, Expanded):
        return {"help": f"a variable always gives text; write {_KINDS[wanted]} itself"}
    if is_policy(path):
        return _no_policy(value, path)
    match wanted, value:
        case "boolean", str() if value.lower() in _SPOKEN:
            meant = Instead(_SPOKEN[value.lower()])
            told = f"{quoted(value)} is text in this file; write {meant}"
            return {"help": told, "ways": ((meant,),)}
        case "string", bool() | int() | float() if allows(path, json.dumps(value)):
            spelled = json.dumps(value)
            meant = Instead(f'"{spelled}"')
            told = f"{spelled} without quotes is {kind(value)}; write {meant}"
            return {"help": told, "ways": ((meant,),)}
        case "array", str() if len(value) < 60:
            return _write(path, _items(value, str(path[-1])))
        case "object", [] if allows(path, {}):
            return _write(path, {})
        case "array", dict() if not value and allows(path, []):
            return _write(path, [])
    return {}


def _write(path: Path, value: Any) -> Help:
    if not path or not allows(path, value):
        return {}
    put = Put(path, flow(value))
    return {"help": f"write {put}", "ways": ((put,),)}


def _no_policy(value: object, path: Path) -> Help:
    """Say what to write where a policy is no map: a file's name, or what it means."""
    if isinstance(value, str) and value.endswith((".hujson", ".json")):
        return _write(path, {"file": value})
    return no_rules(path)


def _items(written: str, name: str) -> list[str]:
    """Return the list that a text was meant to be: a program's words, or items."""
    if name in _PROGRAMS:
        try:
            return shlex.split(written)
        except ValueError:  # a quote that never ends
            return [written]
    return [item.strip() for item in written.split(",")]


def _literal_secret(path: Path, source: Source) -> Diagnostic:
    named = Put(path, "{ env: HEADSCALE_API_KEY }")
    return Diagnostic(
        "RC0026",
        "an API key does not belong into this file",
        source.locate(path).unseen(),
        why="the file lives in git, and its history never forgets",
        help=f"name the variable that holds it: {named}",
        ways=((named,),),
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
    otherwise = str(found.schema.get("errorMessage", ""))
    given = value if isinstance(value, str) else ""
    more = proposal(given, names, otherwise)
    if given in names:  # not the text, but the number of that spelling
        more = {"help": f"write {given}, without quotes", "ways": ((Instead(given),),)}
    return Diagnostic(
        "RC0008",
        f"{dotted(found.path)} must be {alternatives(names)}, not {shown}",
        source.locate(found.path),
        **more,
    )


def _pattern(found: Violation, source: Source) -> Diagnostic:
    where = dotted(found.path[:-1] if found.named else found.path)
    return Diagnostic(
        "RC0008",
        f"{quoted(found.value)} is not possible in {where}",
        source.locate(found.path, key=found.named),
        why=found.schema.get("patternErrorMessage", ""),
        **_address_meant(found),
    )


def _address_meant(found: Violation) -> Help:
    """Return the line of `removed` that a misspelt kind means: `nod:nas`."""
    given, colon, name = str(found.value).partition(":")
    kind = nearest(given, ("node", "user")) if colon and name else ""
    if not kind or found.path[0] != "removed":
        return {}
    meant = scalar(f"{kind}:{name}")
    return {"help": f"did you mean {meant}?", "ways": ((Instead(meant),),)}


def _missing(found: Violation, source: Source) -> Diagnostic:
    names = [name for name in found.wanted if name not in found.value]
    return Diagnostic(
        "RC0022",
        f"{dotted(found.path)} needs {quoted(names[0])}",
        source.locate(found.path, key=True),
        help=f"add `{names[0]}: …`",
    )


def _too_few(found: Violation, source: Source) -> Diagnostic:
    if is_policy(found.path):
        return _open(found.path, source)
    options = found.options
    return Diagnostic(
        "RC0022",
        f"{dotted(found.path)} is empty",
        source.locate(found.path, key=found.named),
        help=f"write one of: {', '.join(options)}" if options else "",
    )


def _open(path: Path, source: Source) -> Diagnostic:
    return Diagnostic(
        "RC0116",
        f"{dotted(path)} says nothing, which allows everything",
        source.locate(path, key=True),
        why=WHY,
        **no_rules(path),
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
        ways=((Drop((*found.path, second)),), (Drop((*found.path, first)),)),
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


def alternatives(names: list[str]) -> str:
    """Return names as a choice: a, b or c."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last

"""A JSON Schema as a function that tells in one pass whether a value fits it.

Most files are valid. jsonschema says what is wrong with the others (`strict`), and
takes many times as long. Each keyword is a row here; one that is not raises at once.
"""

import re
from collections.abc import Callable, Iterable, Sized
from operator import ge, le
from typing import Any

Schema = dict[str, Any]
Check = Callable[[Any], bool]

# Keywords that tell something to people, or that stand in the row of another one.
_SILENT = frozenset(
    {"$schema", "$defs", "title", "description", "examples", "errorMessage"}
    | {"patternErrorMessage", "additionalProperties", "then", "else"}
)


def check_of(schema: Schema) -> Check:
    """Return the function that tells whether a value fits a schema without `$ref`.

    Raises NotImplementedError for a keyword that this file has no row for.
    """
    known = _made.get(id(schema))
    if known is None:
        known = _made[id(schema)] = schema, _make(schema)
    return known[1]


# By id, with the schema, so that its id stays its own.
_made: dict[int, tuple[Schema, Check]] = {}


def _make(schema: Schema) -> Check:
    words = {*schema} - _SILENT
    if "additionalProperties" in schema:
        words.add("properties")
    unknown = words - _ROWS.keys()
    if unknown:
        raise NotImplementedError(f"keywords of JSON Schema: {sorted(unknown)}")
    checks = [_ROWS[word](schema) for word in sorted(words, key=[*_ROWS].index)]
    return checks[0] if len(checks) == 1 else _all(checks)


def _all(checks: list[Check]) -> Check:
    def check(value: Any) -> bool:
        for each in checks:  # noqa: SIM110 - a generator takes twice as long
            if not each(value):
                return False
        return True

    return check


def _is(kind: str) -> Check:
    if kind == "integer":
        return _is_whole
    wanted, but = _KINDS[kind]
    return lambda value: isinstance(value, wanted) and not isinstance(value, but)


def _is_whole(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, tuple[type | tuple[type, ...], type | tuple[type, ...]]] = {
    "object": (dict, ()),
    "array": (list, ()),
    "string": (str, ()),
    "boolean": (bool, ()),
    "number": ((int, float), bool),
    "null": (type(None), ()),
}


def _type(schema: Schema) -> Check:
    kinds = schema["type"]
    if isinstance(kinds, str):
        return _is(kinds)
    checks = [_is(kind) for kind in kinds]
    return lambda value: any(check(value) for check in checks)


def _equal(wanted: Any, value: Any) -> bool:
    """Compare scalars as JSON does: true is not 1, and 1.0 is."""
    return isinstance(wanted, bool) == isinstance(value, bool) and bool(wanted == value)


def _one_of(options: Iterable[Any]) -> Check:
    scalars = [*options]
    if any(isinstance(option, dict | list) for option in scalars):
        raise NotImplementedError("maps and lists under const and enum")
    return lambda value: any(_equal(option, value) for option in scalars)


def _size(word: str, kind: type[Sized], holds: Callable[[int, int], bool]) -> Any:
    """Return the row of a keyword that bounds how long values of a kind are."""

    def row(schema: Schema) -> Check:
        bound = schema[word]
        return lambda value: not isinstance(value, kind) or holds(len(value), bound)

    return row


def _minimum(schema: Schema) -> Check:
    number, least = _is("number"), schema["minimum"]
    return lambda value: not number(value) or bool(value >= least)


def _pattern(schema: Schema) -> Check:
    search = re.compile(schema["pattern"]).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _required(schema: Schema) -> Check:
    names = frozenset(schema["required"])
    return lambda value: not isinstance(value, dict) or names <= value.keys()


def _properties(schema: Schema) -> Check:
    below = {k: check_of(part) for k, part in schema.get("properties", {}).items()}
    others = schema.get("additionalProperties", True)
    other = check_of(others) if isinstance(others, dict) else _always(others)

    def check(value: Any) -> bool:
        if isinstance(value, dict):
            for name, item in value.items():
                if not below.get(name, other)(item):
                    return False
        return True

    return check


def _always(answer: bool) -> Check:
    return lambda _: answer


def _names(schema: Schema) -> Check:
    name = check_of(schema["propertyNames"])
    return lambda value: not isinstance(value, dict) or all(map(name, value))


def _items(schema: Schema) -> Check:
    item = check_of(schema["items"])
    return lambda value: not isinstance(value, list) or all(map(item, value))


def _if(schema: Schema) -> Check:
    condition = check_of(schema["if"])
    then, otherwise = check_of(schema.get("then", {})), check_of(schema.get("else", {}))
    return lambda value: (then if condition(value) else otherwise)(value)


def _counted(word: str, holds: Callable[[int, int], bool]) -> Any:
    """Return the row of a keyword that says how many of some schemas fit."""

    def row(schema: Schema) -> Check:
        checks = [check_of(part) for part in schema[word]]
        return lambda value: holds(sum(check(value) for check in checks), len(checks))

    return row


def _not(schema: Schema) -> Check:
    check = check_of(schema["not"])
    return lambda value: not check(value)


# In the order in which they are asked.
_ROWS: dict[str, Callable[[Schema], Check]] = {
    "type": _type,
    "const": lambda schema: _one_of([schema["const"]]),
    "enum": lambda schema: _one_of(schema["enum"]),
    "minimum": _minimum,
    "pattern": _pattern,
    "minLength": _size("minLength", str, ge),
    "minItems": _size("minItems", list, ge),
    "minProperties": _size("minProperties", dict, ge),
    "maxProperties": _size("maxProperties", dict, le),
    "required": _required,
    "properties": _properties,
    "propertyNames": _names,
    "items": _items,
    "if": _if,
    "not": _not,
    "allOf": _counted("allOf", lambda found, every: found == every),
    "anyOf": _counted("anyOf", lambda found, _: found > 0),
    "oneOf": _counted("oneOf", lambda found, _: found == 1),
}

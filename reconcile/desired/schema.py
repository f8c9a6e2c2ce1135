"""Checks files against the JSON Schema, at a speed that suits 10,000 nodes.

jsonschema decides what is valid. Three of its keywords are replaced by ones that
keep the validator of each subschema and remember values that were found valid: of
10,000 nodes most have the same tags and routes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from reconcile.source import Path

Schema = dict[str, Any]
UNKNOWN = "unknown"
_NOTES = {"$schema", "$defs", "title", "description", "examples"}


def text(name: str) -> str:
    """Return the text of a JSON Schema of this project: `desired`, for example."""
    package = FilePath(__file__).parents[1]
    # Beside the package in a source tree, inside it where it was installed.
    for folder in (package / "schemas", package.parent / "schemas"):
        file = folder / f"{name}.schema.json"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError(f"{name}.schema.json")


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a file breaks the schema.

    `keyword` is the rule of the schema, `wanted` its value there, `schema` what
    stands around it. `named` tells that the key at the end of `path` is wrong
    itself, not what it holds.
    """

    path: Path
    keyword: str
    wanted: Any
    value: Any
    schema: Schema
    named: bool = False

    @property
    def options(self) -> list[str]:
        """The keys that the schema knows here."""
        return list(self.schema.get("properties", {}))


def violations(value: dict[str, Any]) -> list[Violation]:
    """Return what is wrong with the form of a file; each unknown key is one."""
    return [_violation(error) for error in _Validation().root.iter_errors(value)]


def _violation(error: ValidationError) -> Violation:
    path: Path = tuple(error.path)
    schema: Any = error.schema
    named = "propertyNames" in error.schema_path
    if named:
        path = (*path, cast(str, error.instance))
    unknown = error.message == UNKNOWN
    return Violation(
        path,
        UNKNOWN if unknown else str(error.validator),
        error.validator_value,
        error.instance,
        schema if isinstance(schema, dict) else {},
        named or unknown,
    )


@cache
def _schema() -> Schema:
    """Return the schema with every `$ref` filled in and without its prose."""
    whole = json.loads(text("desired"))
    filled: Schema = _fill_in(whole, whole["$defs"], names=False)
    return filled


def _fill_in(part: Any, definitions: Schema, *, names: bool) -> Any:
    if isinstance(part, list):
        return [_fill_in(item, definitions, names=False) for item in part]
    if not isinstance(part, dict):
        return part
    if not names and "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        part = definitions[name] | {k: v for k, v in part.items() if k != "$ref"}
        return _fill_in(part, definitions, names=False)
    return {
        key: _fill_in(item, definitions, names=key == "properties")
        for key, item in part.items()
        if names or key not in _NOTES
    }


class _Validation:
    """One validation: the validators of subschemas, and values known to be valid."""

    def __init__(self) -> None:
        self._validators: dict[int, Validator] = {}
        self._valid: set[tuple[int, type, object]] = set()
        keywords = {
            "properties": self._properties,
            "additionalProperties": self._additional,
            "items": self._items,
        }
        extended = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]
        self.root: Validator = extended(_schema())

    def _properties(
        self, _: object, properties: Schema, value: object, __: Schema
    ) -> Iterator[ValidationError]:
        if isinstance(value, dict):
            for name, item in value.items():
                below = properties.get(name)
                if below is not None:
                    yield from self._descend(item, below, name)

    def _additional(
        self, _: object, below: bool | Schema, value: object, schema: Schema
    ) -> Iterator[ValidationError]:
        if not isinstance(value, dict):
            return
        known: Mapping[str, object] = schema.get("properties", {})
        for name, item in value.items():
            if name in known:
                continue
            if isinstance(below, dict):
                yield from self._descend(item, below, name)
            else:
                yield ValidationError(UNKNOWN, path=[name])

    def _items(
        self, _: object, below: Schema, value: object, __: Schema
    ) -> Iterator[ValidationError]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._descend(item, below, index)

    def _descend(
        self,
        value: Any,
        schema: Schema,
        step: str | int,
    ) -> Iterator[ValidationError]:
        kind = type(value)
        known = None
        if kind is not dict or not value:
            known = id(schema), kind, str(value) if kind in (list, dict) else value
            if known in self._valid:
                return
        validator = self._validators.get(id(schema))
        if validator is None:
            validator = self.root.evolve(schema=schema)
            self._validators[id(schema)] = validator
        valid = True
        for error in validator.iter_errors(value):
            valid = False
            error.path.appendleft(step)
            yield error
        if valid and known is not None:
            self._valid.add(known)


def kind_at(path: Path) -> str:
    """Return the JSON type that the schema wants at a path, or "" if it is open."""
    wanted = (_at(path) or {}).get("type", "")
    return wanted if isinstance(wanted, str) else ""


def allows(path: Path, value: Any) -> bool:
    """Tell whether the schema takes a value at a path."""
    part = _at(path)
    return part is None or _Validation().root.evolve(schema=part).is_valid(value)


def choices(path: Path) -> list[Any]:
    """Return what may stand at a path, where that is little, or else what says none.

    Of true and false only false is named: nobody gets more by a line that was offered.
    """
    part = _at(path) or {}
    found = [part["const"]] if "const" in part else list(part.get("enum", ()))
    if not found:
        kind = part.get("type", "object" if "if" in part else "")
        found = [False] if kind == "boolean" else [_nothing(part, kind)]
    return [value for value in found if value is not None and allows(path, value)]


def _nothing(part: Schema, kind: object) -> Any:
    """Return the value that holds nothing but what the schema asks for."""
    if kind == "array":
        return []
    if kind != "object":
        return None
    below = part.get("properties", {})
    return {
        name: _nothing(below[name], below[name].get("type"))
        for name in part.get("required", ())
    }


def knows(path: Path) -> bool:
    """Tell whether the schema has a place for what is at a path."""
    return _at(path) is not None


def _at(path: Path) -> Schema | None:
    part: Any = _schema()
    for step in path:
        if isinstance(step, int):
            part = part.get("items", {})
            continue
        forms = [part, part.get("then", {}), part.get("else", {})]
        known = [form.get("properties", {}).get(step) for form in forms]
        closed = any(form.get("additionalProperties") is False for form in forms)
        others = part.get("additionalProperties")
        known += [others if isinstance(others, dict) else None, None if closed else {}]
        part = next((found for found in known if found is not None), None)
        if part is None:
            return None
    found: Schema = part
    return found


def without(value: Any, path: Path) -> None:
    """Remove from `value` the innermost map entry that holds what is at `path`.

    What stays is valid and can be checked further: a bad tag takes its list with
    it, an unknown key only itself.
    """
    parent, key = None, ""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            parent, key = value, step
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            break
    if parent is not None:
        parent.pop(key, None)

"""The JSON Schema of files: what breaks it, and what it allows at a path."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from reconcile.desired.fits import Schema, check_of
from reconcile.source.yaml import Path

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
    if check_of(_schema())(value):
        return []
    from reconcile.desired import strict

    return strict.violations(value, _schema())


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


def kind_at(path: Path) -> str:
    """Return the JSON type that the schema wants at a path, or "" if it is open."""
    wanted = (_at(path) or {}).get("type", "")
    return wanted if isinstance(wanted, str) else ""


def allows(path: Path, value: Any) -> bool:
    """Tell whether the schema takes a value at a path."""
    part = _at(path)
    return part is None or check_of(part)(value)


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

"""What is wrong with the form of a file, by jsonschema, which decides what is valid.

Three of its keywords are replaced by ones that pass over what is valid: of 10,000
nodes one has a mistake.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from reconcile.desired.fits import Schema, check_of
from reconcile.desired.schema import UNKNOWN, Violation
from reconcile.source.yaml import Path


def violations(value: Any, schema: Schema) -> list[Violation]:
    """Return what jsonschema finds in a value; each unknown key is one."""
    return [_violation(e) for e in _Validation(schema).root.iter_errors(value)]


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


class _Validation:
    """One validation, with the validator of each subschema."""

    def __init__(self, schema: Schema) -> None:
        self._validators: dict[int, Validator] = {}
        keywords = {
            "properties": self._properties,
            "additionalProperties": self._additional,
            "items": self._items,
        }
        extended = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]
        self.root: Validator = extended(schema)

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
        self, value: Any, schema: Schema, step: str | int
    ) -> Iterator[ValidationError]:
        if check_of(schema)(value):
            return
        validator = self._validators.get(id(schema))
        if validator is None:
            validator = self.root.evolve(schema=schema)
            self._validators[id(schema)] = validator
        for error in validator.iter_errors(value):
            error.path.appendleft(step)
            yield error

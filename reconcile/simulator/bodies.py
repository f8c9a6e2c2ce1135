"""Request bodies, read as strictly or as loosely as each emulated version does."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from reconcile.simulator.release import Release
from reconcile.simulator.wire import INVALID, Refusal, Request, snake

# how a route declares its fields: name -> text, texts, flag, id or time
Schema = dict[str, str]
LIMIT = 1_048_576
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")
_KINDS: dict[str, type] = {
    "text": str,
    "id": str,
    "time": str,
    "flag": bool,
    "texts": list,
}
_WORDS = {str: "string", bool: "boolean", list: "array"}


def read(
    request: Request, schema: Schema, release: Release, optional: bool
) -> dict[str, Any]:
    """Return the fields of a body; Refusal where the version refuses it."""
    if release.problem_json:
        return _strict(request, schema, optional)
    return _loose(request.body.decode("utf-8", "replace"), schema)


def instant(text: str) -> str:
    """Return a time in UTC, as the gateway answers it."""
    moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00")).astimezone(UTC)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def is_time(text: str) -> bool:
    """Tell whether a text is an RFC 3339 date-time."""
    try:
        return bool(_RFC3339.match(text)) and bool(instant(text))
    except ValueError:
        return False


def _loose(text: str, schema: Schema) -> dict[str, Any]:
    """Read as the gateway does: one JSON value, unknown fields ignored."""
    if not text.strip():
        return {}
    try:
        value, _ = json.JSONDecoder(object_pairs_hook=_once).raw_decode(text.strip())
    except json.JSONDecodeError as problem:
        raise _gateway(_syntax(problem, text.strip())) from None
    if not isinstance(value, dict):
        raise _gateway(
            f"proto: syntax error (line 1:1): unexpected token {_token(value)}"
        )
    found = {}
    for name, kind in schema.items():
        given = value.get(name, value.get(snake(name)))
        if given is not None:
            found[name] = _proto(name, kind, given)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _gateway(f'proto: (line 1:1): duplicate field "{twice}"')
    return value


def _proto(name: str, kind: str, value: Any) -> Any:
    if kind == "texts":
        if not isinstance(value, list):
            raise _gateway(
                f"proto: syntax error (line 1:1): unexpected token {_token(value)}"
            )
        return [_proto(name, "text", item) for item in value]
    if kind == "id" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "id" and isinstance(value, str) and value.isdecimal():
        return int(value)
    if kind == "time" and isinstance(value, str):
        if not is_time(value):
            raise _gateway(
                "proto: (line 1:1): invalid google.protobuf.Timestamp value "
                + _token(value)
            )
        return instant(value)
    if kind != "id" and isinstance(value, _KINDS[kind]):
        return value
    wanted = {"id": "uint64", "flag": "bool"}.get(kind, "string")
    raise _gateway(
        f"proto: (line 1:1): invalid value for {wanted} field {name}: {_token(value)}"
    )


def _token(value: Any) -> str:
    return (
        "{"
        if isinstance(value, dict)
        else "["
        if isinstance(value, list)
        else json.dumps(value)
    )


def _gateway(message: str) -> Refusal:
    return Refusal(INVALID, message)


def _syntax(problem: json.JSONDecodeError, text: str) -> str:
    if problem.pos >= len(text):
        return "unexpected EOF"
    return f"invalid character '{text[problem.pos]}' looking for beginning of value"


def _strict(request: Request, schema: Schema, optional: bool) -> dict[str, Any]:
    """Read as main does: JSON by name, nothing unknown, every value of its type."""
    if len(request.body) > LIMIT:
        raise Refusal(
            INVALID, "", 413, f"request body is too large limit={LIMIT} bytes"
        )
    text = request.body.decode("utf-8", "replace")
    if not text:
        if optional:
            return {}
        raise Refusal(INVALID, "", 400, "request body is required")
    kind = request.header("content-type").split(";")[0].strip()
    if kind and kind != "application/json":
        raise _invalid(415, [_finding(f"unknown content type: {kind}", "body", text)])
    try:
        value = json.loads(text)
    except json.JSONDecodeError as problem:
        raise _invalid(
            400, [_finding(_go_syntax(problem, text), "body", text)]
        ) from None
    if not isinstance(value, dict):
        raise _invalid(422, [_finding("expected object", "body", value)])
    findings = [
        _finding("unexpected property", f"body.{name}", value)
        for name in sorted(value)
        if name not in schema
    ]
    for name, item in value.items():
        if name in schema and item is not None:
            findings += _mistyped(f"body.{name}", schema[name], item)
    if findings:
        raise _invalid(422, findings)
    return {name: item for name, item in value.items() if item is not None}


def _go_syntax(problem: json.JSONDecodeError, text: str) -> str:
    if problem.pos >= len(text.rstrip()):
        return "unexpected end of JSON input"
    where = (
        "after top-level value" if problem.msg == "Extra data" else "looking for value"
    )
    return f"invalid character '{text[problem.pos]}' {where}"


def _mistyped(place: str, kind: str, value: Any) -> list[dict[str, Any]]:
    wanted: Any = _KINDS[kind]
    if not isinstance(value, wanted):
        return [_finding(f"expected {_WORDS[wanted]}", place, value)]
    if kind == "time" and not is_time(value):
        return [_finding("expected string to be RFC 3339 date-time", place, value)]
    found = []
    for number, item in enumerate(value if kind == "texts" else ()):
        found += _mistyped(f"{place}[{number}]", "text", item)
    return found


def _finding(message: str, location: str, value: Any) -> dict[str, Any]:
    found = {"message": message, "location": location}
    return found if value is None else found | {"value": value}


def _invalid(status: int, findings: list[dict[str, Any]]) -> Refusal:
    return Refusal(INVALID, "", status, "validation failed", *findings)

"""Writes YAML values on one line, quoted so that every reader sees the same text."""

import json
import re

from reconcile.source.yaml import is_plain_text

Value = str | int | bool | list["Value"] | dict[str, "Value"]

_LONGEST_KEY = 1000  # YAML allows 1024 characters before the colon
_PLAIN = re.compile(r"[A-Za-z0-9_](?:[\w ./@+:-]*[\w/@+-])?", re.ASCII)
# Read as something else by YAML 1.1: by editors and other tools, not by this one.
_YAML_1_1 = re.compile(
    r"(?i:y|n|yes|no|on|off|true|false|null)|[0-9][0-9_.:+-]*|0[xob]?[0-9a-fA-F_]+|"
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|[0-9.]+(?i:e)[+-]?[0-9]+"
)
# Invisible, or able to turn a line around: written as an escape instead.
_ESCAPED = re.compile(
    "[\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff"
    "\ufff0-\uffff\U000e0000-\U000e0fff]"
)


def scalar(text: str) -> str:
    """Return a text as a YAML scalar: plain where that is safe, else in quotes."""
    text = text.replace("${", "$${")
    if (
        _PLAIN.fullmatch(text)
        and ": " not in text
        and not _YAML_1_1.fullmatch(text)
        and is_plain_text(text)
    ):
        return text
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def key(text: str) -> str:
    """Return a text as the key of a block map; `? ` begins one that is very long."""
    written = scalar(text)
    return written if len(written) <= _LONGEST_KEY else f"? {written}"


def flow(value: Value) -> str:
    """Return a value on one line, in YAML's flow style."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return scalar(value)
        case list():
            return f"[{', '.join(map(flow, value))}]"
        case _ if not value:
            return "{}"
    items = [f"{scalar(name)}: {flow(item)}" for name, item in value.items()]
    return f"{{ {', '.join(items)} }}"

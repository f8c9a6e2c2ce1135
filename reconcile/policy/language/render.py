"""Write a policy value as HuJSON text: the same value always gives the same text."""

import json
from collections.abc import Callable, Iterable, Iterator

from reconcile.policy.language.fields import RULES, SECTIONS, field_name, section_name

WIDTH = 88
INDENT = "  "


def render(value: dict[str, object], header: Iterable[str] = ()) -> str:
    """Return the HuJSON text of a policy, with the header lines as comments on top.

    Known sections and the fields of rules come in a fixed order, unknown ones after
    them as they stand; everything else (groups, rules, members) keeps its order. What
    fits in 88 columns stays on one line. The text ends with a line break, which the
    servers demand after a comment. Raises TypeError for a value that is not JSON.
    """
    comments = "".join(f"// {line}".rstrip() + "\n" for line in header_lines(header))
    body = ",\n".join(
        f"{INDENT}{_string(key)}: {_member(section_name(key), item, 1, len(key) + 6)}"
        for key, item in _sorted(value, SECTIONS, section_name)
    )
    return f"{comments}{{\n{body},\n}}\n" if body else f"{comments}{{}}\n"


def header_lines(header: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a comment; a line break inside one never escapes it."""
    for text in header:
        yield from text.splitlines() or [""]


def _sorted(
    value: dict[str, object], order: tuple[str, ...], canonical: Callable[[str], str]
) -> list[tuple[str, object]]:
    rank = {field: index for index, field in enumerate(order)}
    return sorted(
        value.items(), key=lambda item: rank.get(canonical(str(item[0])), len(order))
    )


def _member(section: str, value: object, depth: int, column: int) -> str:
    if section in RULES and isinstance(value, list):
        value = [_rule(section, rule) for rule in value]
    return _write(value, depth, column)


def _rule(section: str, rule: object) -> object:
    if not isinstance(rule, dict):
        return rule
    return dict(_sorted(rule, RULES[section], lambda key: field_name(section, key)))


def _write(value: object, depth: int, column: int) -> str:
    """Write a value that begins at a column, on one line if it fits.

    The sections themselves always take a line per entry, so that a change of one rule
    is a change of one line.
    """
    short = _one_line(value)
    if not isinstance(value, dict | list) or not value:
        return short
    if (depth > 1 or not _has_containers(value)) and column + len(short) < WIDTH:
        return short
    inner = INDENT * (depth + 1)
    if isinstance(value, dict):
        items = [
            f"{_string(key)}: {_write(item, depth + 1, len(inner) + len(key) + 4)}"
            for key, item in value.items()
        ]
        opening, closing = "{", "}"
    else:
        items = [_write(item, depth + 1, len(inner)) for item in value]
        opening, closing = "[", "]"
    lines = "".join(f"{inner}{item},\n" for item in items)
    return f"{opening}\n{lines}{INDENT * depth}{closing}"


def _has_containers(value: dict[str, object] | list[object]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, dict | list) for item in items)


def _one_line(value: object) -> str:
    if isinstance(value, dict) and value:
        members = (f"{_string(key)}: {_one_line(v)}" for key, v in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_one_line(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _string(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a policy has only text keys, not {key!r}")
    return json.dumps(key, ensure_ascii=False)

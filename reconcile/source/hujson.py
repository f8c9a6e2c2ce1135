"""HuJSON, the JSON with comments and trailing commas that policies are written in.

The value comes from a fast path: comments and trailing commas are blanked in place
and the rest is plain JSON. Only when that fails, or when somebody asks for a
position, the slower reader in `hujson_reader` walks the text token by token.

Both servers read exactly JWCC (JSON with commas and comments) and so does this:
`[,]`, `NaN`, single quotes, bare names and `#` comments are refused, repeated member
names too (Headscale from 0.27 on), and so is a `//` comment that ends the text
without a line break (`parsing comment: unexpected EOF`).
"""

import json
import math
import re
from functools import cached_property
from typing import Any, NoReturn

from reconcile.errors import InputError, Position
from reconcile.source.hujson_form import mistaken
from reconcile.source.hujson_reader import MAX_DEPTH, Reader
from reconcile.source.hujson_tokens import Span
from reconcile.source.text import Lines

Path = tuple[str | int, ...]

# Possessive and atomic groups keep this linear on any input: no comment and no
# string is ever scanned a second time because what follows it did not fit.
_GAP = r"(?:[ \t\r\n]++|//[^\n]*+\n|/\*(?>.*?\*/))*+"
_BLANKED = re.compile(
    rf"""
      (?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    | (?P<comment>//[^\n]*+\n|/\*(?>.*?\*/))
    | (?P<rest>//.*+|/\*.*+)            # a comment that never ends: json will refuse
    | (?P<void>[\[{{,:]{_GAP},)         # `[,` or `,,`: left alone, json will refuse
    | (?P<comma>,(?={_GAP}[\]}}]))
    """,
    re.VERBOSE | re.DOTALL,
)
_SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


class Document:
    """A parsed HuJSON text: its plain value, and where each part of it stands."""

    def __init__(self, text: str, file: str, value: Any) -> None:
        self.text = text
        self.file = file
        self.value = value

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.text, self.file)

    @cached_property
    def lines(self) -> Lines:
        """The line index of the text: offset to Position."""
        return Lines(self.text, self.file)

    def span(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return the offsets of a value, or of the name that introduces it.

        `path` is made of member names as written and of list indexes. Raises
        KeyError when nothing stands at the path, or `key` is asked of a list item.
        """
        found: Span = self._reader.root
        for step in path:
            found = found.child(step)
        if not key:
            return found.start, found.end
        if found.name is None:
            raise KeyError(path)
        return found.name

    def locate(self, path: Path, key: bool = False) -> Position:
        """Return the position of the value at a path, or of its name.

        A value that reaches over several lines is marked to the end of its first.
        Raises KeyError as `span` does.
        """
        return self.lines.position(*self.span(path, key=key))

    def path_at(self, offset: int) -> Path:
        """Return the path of the innermost value, or name, that an offset is in."""
        path: Path = ()
        span: Span | None = self._reader.root
        while span is not None:
            inner = ((s, c) for s, c in span.children() if c.begins <= offset < c.end)
            step, span = next(inner, (None, None))
            path = path if step is None else (*path, step)
        return path


def parse(text: str, file: str = "policy.hujson") -> Document:
    """Parse a HuJSON text, strictly; `file` is the name that positions show.

    Raises InputError with every finding (RC0010 to RC0019), each with its position,
    its cause and its remedy. Takes linear time on any input and never recurses.
    """
    try:
        value = _fast(text)
    except (ValueError, RecursionError):
        whole = mistaken(text, file, _reads)
        found = [whole] if whole else Reader(text, file).refusals()
        raise InputError(found) from None
    return Document(text, file, value)


def value_of(text: str | None, otherwise: Any = None) -> Any:
    """Return what a text says; `otherwise` for none, or one that cannot be read."""
    if text is None:
        return otherwise
    try:
        return parse(text).value
    except InputError:
        return otherwise


def _reads(text: str) -> bool:
    try:
        _fast(text)
    except (ValueError, RecursionError):
        return False
    return True


def standardize(text: str) -> str:
    """Return plain JSON of the same length: comments and trailing commas blanked.

    Line breaks stay, so that every offset and line number stays. A text that is not
    HuJSON gives one that is not JSON; nothing is raised.
    """
    return _BLANKED.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    if found.lastgroup == "comment":
        return "\n".join(" " * len(line) for line in found.group().split("\n"))
    return " " if found.lastgroup == "comma" else found.group()


def _fast(text: str) -> Any:
    """Return the value of a well-formed text; ValueError for any other."""
    if _SURROGATE.search(text):
        _check_surrogates(text)
    value = json.loads(
        standardize(text),
        object_pairs_hook=_members,
        parse_constant=_refuse,
        parse_float=_finite,
    )
    if _too_deep(value):
        raise ValueError("nested too deeply")
    return value


def _check_surrogates(text: str) -> None:
    """Refuse half of a surrogate pair, which Python's json lets through."""
    if Reader(text, "").refusals():
        raise ValueError("not valid Unicode")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name is repeated")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("the number is out of range")
    return value


def _too_deep(value: object) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True

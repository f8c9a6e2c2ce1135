"""The tokens of HuJSON, the mistakes made in their place, and where text stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reconcile.source.variables import quoted

TOKEN = re.compile(
    r"""
      (?P<gap>(?:[ \t\r\n]++|//[^\n]*+\n|/\*(?>.*?\*/))++)
    | (?P<string>"[^"\\\x00-\x1f]*+
        (?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")
    | (?P<open>[\[{])
    | (?P<close>[\]}])
    | (?P<comma>,)
    | (?P<colon>:)
    | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+(?![\w.+-]))
    | (?P<word>(?:true|false|null)(?![\w.+-]))
    """,
    re.VERBOSE | re.DOTALL,
)
_WRONG = re.compile(
    r"""
      (?P<block>/\*.*+)
    | (?P<line>//[^\n]*+)
    | (?P<hash>\#[^\n]*+)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*+"?+)
    | (?P<quote>'(?:[^'\\\n]|\\[^\n])*+'?+|[\u201c\u201d\u201e\u2018\u2019]
        [^\u201c\u201d\u201e\u2018\u2019"\n\[\]{},:]*+[\u201c\u201d\u201e\u2018\u2019"]?+)
    | (?P<bom>\ufeff)
    | (?P<blank>[\x0b\x0c\x85\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u3000])
    | (?P<number>[+-]?[0-9.][\w.+-]*+)
    | (?P<bare>[+-]?[\w$][\w$.@*/-]*+)
    | (?P<other>[^\s\[\]{},:"'/\#\w]++|.)
    """,
    re.VERBOSE | re.DOTALL,
)
RAW_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f]")
_BAD_ESCAPE = re.compile(
    r'^"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+(\\(?:u[0-9a-fA-F]{0,3}|.))'
)
_LITERALS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "nil": "null",
    "undefined": "null",
    "yes": "true",
    "no": "false",
}


@dataclass(slots=True)
class Span:
    """A value's place in the text: offsets of it, of its name, and its children."""

    start: int
    end: int
    name: tuple[int, int] | None = None
    members: dict[str, "Span"] | None = None
    items: list["Span"] | None = None

    def child(self, step: str | int) -> "Span":
        """Return the member or item at one step of a path; KeyError if none."""
        if isinstance(step, str):
            return (self.members or {})[step]
        if self.items is None or not 0 <= step < len(self.items):
            raise KeyError(step)
        return self.items[step]

    def children(self) -> Iterator[tuple[str | int, "Span"]]:
        """Yield the members and items, each with the step that leads to it."""
        yield from (self.members or {}).items()
        yield from enumerate(self.items or ())

    @property
    def begins(self) -> int:
        """Where it begins, its name included."""
        return self.name[0] if self.name else self.start


@dataclass(frozen=True, slots=True)
class Mistake:
    """Text that is no token: until where, what is wrong, and what it stands for.

    `acts_as` is the kind of token the reader goes on with, "" for none; `offset` is
    where in it the marked part begins.
    """

    end: int
    code: str
    message: str
    help: str
    why: str = ""
    acts_as: str = ""
    offset: int = 0


def mistake_at(text: str, start: int) -> Mistake:
    """Say what is wrong with the text at an offset where no token begins."""
    found = _WRONG.match(text, start)
    if found is None:  # the last alternative takes any character
        raise AssertionError(text[start])
    kind, token, end = found.lastgroup, found.group(), found.end()
    if kind == "string":
        return _string(token, end)
    if kind == "number":
        return _number(token, end)
    if kind == "bare":
        return _bare(token, end)
    if kind == "quote":
        return Mistake(
            end,
            "RC0012",
            f"{_short(token)} is not in double quotes",
            'strings and names are written in straight double quotes: "…"',
            acts_as="string",
        )
    if kind == "other":
        shown = _short(token)
        return Mistake(end, "RC0010", f"unexpected {quoted(shown)}", "remove it")
    return _FIXED[kind or ""](end)


_FIXED = {
    "block": lambda end: Mistake(
        end,
        "RC0013",
        "the comment that begins here never ends",
        "close it with */",
    ),
    "line": lambda end: Mistake(
        end,
        "RC0013",
        "a // comment on the last line, without a line break after it",
        "end the file with a line break",
        why="the servers refuse it: parsing comment: unexpected EOF",
    ),
    "hash": lambda end: Mistake(
        end,
        "RC0012",
        "# does not begin a comment in HuJSON",
        "write // instead",
    ),
    "bom": lambda end: Mistake(
        end,
        "RC0017",
        "a byte order mark",
        "save the file as UTF-8 without a byte order mark",
        why="it is invisible, and the servers refuse it",
    ),
    "blank": lambda end: Mistake(
        end,
        "RC0017",
        "white space that JSON does not know",
        "replace it with plain spaces",
        why="it looks like a space but is another character, often from copied text",
    ),
}


def _string(token: str, end: int) -> Mistake:
    control = _CONTROL.search(token)
    if control:
        return Mistake(
            end,
            "RC0016",
            f"a raw control character (U+{ord(control.group()):04X}) in a string",
            f"write it as \\u{ord(control.group()):04x}, or remove it",
            acts_as="string",
            offset=control.start(),
        )
    escape = _BAD_ESCAPE.search(token)
    if escape:
        return Mistake(
            end,
            "RC0016",
            f"{escape.group(1)} is not an escape",
            "write a backslash itself as two: \\\\",
            acts_as="string",
            offset=escape.start(1),
        )
    return Mistake(
        end,
        "RC0016",
        "the string that begins here does not end on its line",
        "close it with a double quote; a line break inside is written \\n",
        acts_as="string",
    )


def _number(token: str, end: int) -> Mistake:
    help = "write a decimal number, such as 443 or -1.5, or put it in double quotes"
    if re.match(r"[+-]?0[0-9]", token):
        help = "remove the leading zeros, or put it in double quotes"
    elif re.match(r"[+-]?0[xXoObB]", token):
        help = "write the number in decimal, or put it in double quotes"
    message = f"{_short(token)} is not a number in JSON"
    return Mistake(end, "RC0012", message, help, acts_as="number")


def _bare(token: str, end: int) -> Mistake:
    shown = _short(token)
    help = f'put it in double quotes: "{shown}"'
    if token in _LITERALS:
        help = f"write {_LITERALS[token]}"
    elif token.lstrip("+-") in ("NaN", "Infinity"):
        help = "JSON has no such number; write a plain one"
    return Mistake(end, "RC0012", f"{shown} is not JSON", help, acts_as="bare")


def _short(token: str) -> str:
    first = token.split("\n")[0]
    return first if len(first) <= 24 else first[:24] + "…"

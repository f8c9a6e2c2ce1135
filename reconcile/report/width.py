"""How wide output may be, and text and tables that keep to it."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import TextIO

_NARROWEST, _LEAST, _MOST = 40, 80, 120
# What is pasted in one piece is not cut, a command or a YAML map; nor is, in tables, a
# sign from its name. Their spaces are hidden from `wrap`.
_PIECE = re.compile(
    r"reconcile [a-z]+(?: [a-z]+(?= -))?(?: (?:-\S+|\S*[.:=/@]\S*))*"
    r"|(?:write )?(?:\w+: )?\{[^{}]*\}|`[^`]*`"
)
_IN_CELLS = re.compile(r"(?<!\S)[+-] \S+|`[^`]*`")
_HIDDEN = "\x00"
_FEWEST, _WIDEST = 8, 40  # characters of a column


def width(stream: TextIO | None = None) -> int:
    """Return the characters of a line: COLUMNS, or the terminal's from 80 to 120.

    The terminal is that of a stream, by default of standard output.
    """
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return max(int(given), _NARROWEST)
    try:
        found = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (OSError, ValueError, AttributeError):  # it is no terminal
        return _MOST
    return min(max(found, _LEAST), _MOST)


def message_width() -> int | None:
    """Return the characters of a line of a message on standard error, None for any.

    Without a terminal it is a log, which is searched line by line.
    """
    if not os.environ.get("COLUMNS") and not sys.stderr.isatty():
        return None
    return width(sys.stderr)


def message(text: str, indent: int) -> list[str]:
    """Cut a message for standard error into lines, where that has a width."""
    room = message_width()
    if room is None:
        return [text]
    return [part for line in text.split("\n") for part in filled(line, indent, room)]


def filled(text: str, indent: int = 0, room: int = 0) -> list[str]:
    """Cut a sentence into lines; those after the first are indented.

    `room` is how wide they may be, by default as standard output is.
    """
    room, gap = room or width(), " " * indent
    if len(text) <= room:
        return [text]
    lead = len(text) - len(text.lstrip(" "))
    hidden = _hide(_PIECE, text.lstrip())
    lines = wrap(
        hidden,
        room,
        initial_indent=" " * lead,
        subsequent_indent=gap,
        break_long_words=_HIDDEN not in hidden,
        break_on_hyphens=False,
    )
    return [line.replace(_HIDDEN, " ") for line in lines]


def _hide(pieces: re.Pattern[str], text: str) -> str:
    return pieces.sub(lambda found: found[0].replace(" ", _HIDDEN), text)


def continued(words: Sequence[str]) -> list[str]:
    """Return a command in lines that a shell takes for one."""
    lines = [f"  {words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 > width():
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return lines


def table(rows: Sequence[Sequence[str]], marks: Sequence[str]) -> list[list[str]]:
    """Return the lines of each row; `marks` are what stands before each column.

    What is too long pushes the rest of its row aside; where that does not fit, the
    widest columns wrap inside themselves.
    """
    if not rows:
        return []
    usual = _usual(rows)
    whole = [_joined(row, marks, usual) for row in rows]
    if max(map(len, whole)) <= width():
        return [[line] for line in whole]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width() - sum(map(len, marks))
    while sum(widths) > room and max(widths) > _FEWEST:
        widths[widths.index(max(widths))] -= 1
    return [list(in_columns(row, marks, widths)) for row in rows]


def in_columns(
    row: Sequence[str], marks: Sequence[str], widths: Sequence[int]
) -> Iterator[str]:
    """Yield the lines of one row, each cell cut to the width of its column."""
    cells = [
        wrap(_hide(_IN_CELLS, cell), max(size, 1), break_on_hyphens=False) or [""]
        for cell, size in zip(row, widths, strict=True)
    ]
    for number, parts in enumerate(zip_longest(*cells, fillvalue="")):
        shown = [mark if not number else " " * len(mark) for mark in marks]
        yield _joined(parts, shown, widths).replace(_HIDDEN, " ").rstrip()


def _usual(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the widths of columns in which few cells are too long."""
    columns = [[len(cell) for cell in column] for column in zip(*rows, strict=True)]
    return [max((n for n in column if n <= _WIDEST), default=0) for column in columns]


def _joined(cells: Sequence[str], marks: Sequence[str], widths: Sequence[int]) -> str:
    triples = zip(marks, cells, widths, strict=True)
    return "".join(f"{mark}{cell:<{size}}" for mark, cell, size in triples).rstrip()

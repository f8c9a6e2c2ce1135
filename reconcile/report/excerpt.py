"""Draws the place of a finding: the source line, and a mark under what is meant."""

import unicodedata
from dataclasses import dataclass

from reconcile.errors import Position
from reconcile.report.safe import safe

WIDTH = 100
_TAB = "    "
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A source line ready to print, and the mark that belongs under it."""

    line: str
    mark_start: int
    mark_length: int

    def mark(self, sign: str, label: str) -> str:
        """Return the line under the source line."""
        drawn = " " * self.mark_start + sign * self.mark_length
        return f"{drawn} {safe(label)}".rstrip()


def excerpt(place: Position, room: int = WIDTH) -> Excerpt:
    """Return the drawing of a position: tabs, wide and unsafe characters told apart.

    A line longer than `room` is cut around what is marked.
    """
    start = min(place.column - 1, len(place.text))
    skipped = max(0, start - room)
    cells = [_cell(char) for char in place.text[skipped : start + 2 * room]]
    more = len(place.text) > start + 2 * room
    start -= skipped
    end = min(start + place.length, len(cells))
    first, last = _window(cells, start, end, room)
    before = _CUT if first or skipped else ""
    after = _CUT if more or last < len(cells) else ""
    line = before + "".join(text for text, _ in cells[first:last]) + after
    mark_start = len(before) + sum(width for _, width in cells[first:start])
    mark_length = sum(width for _, width in cells[start : min(end, last)])
    return Excerpt(line.rstrip(), mark_start, max(1, mark_length))


def _cell(char: str) -> tuple[str, int]:
    """Return what is printed for a character, and how many columns it takes."""
    if char == "\t":
        return _TAB, len(_TAB)
    shown = safe(char)
    if shown != char:
        return shown, len(shown)
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _window(
    cells: list[tuple[str, int]], start: int, end: int, room: int
) -> tuple[int, int]:
    """Return which cells of a line are shown so that the mark is among them."""
    if sum(width for _, width in cells) <= room:
        return 0, len(cells)
    first = max(0, start - 20) if end > room else 0
    last = first
    while last < len(cells) and room >= cells[last][1]:
        room -= cells[last][1]
        last += 1
    return first, last

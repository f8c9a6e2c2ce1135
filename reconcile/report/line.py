"""One line of a plan in its columns; colour comes from the caller."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconcile.errors import Position
from reconcile.report.safe import safe
from reconcile.report.width import filled, in_columns, width

Paint = Callable[[str, str], str]

LEFT, _MIDDLE, _PLACE = 44, 42, 16
_COLOURS = {
    "+": "green",
    "-": "red",
    "~": "yellow",
    ">": "cyan",
    "!": "red",
    "#": "red",
}


def plain(text: str, _colour: str) -> str:
    """Paint nothing."""
    return text


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a section: a sign, what it is about, a remark, and its source."""

    sign: str
    left: str
    middle: str = ""
    position: Position | None = None
    depth: int = 0

    def draw(self, paint: Paint, indent: int = 0) -> str:
        """Lay the line out in columns; what is too long pushes the next aside.

        Where that does not fit, columns wrap inside themselves.
        """
        head = f"{'':{indent + 2 + 4 * self.depth}}{self.sign or ' '} "
        room, cells = width(), [(len(head), safe(self.left))]
        # The columns stand as always where there is room, else they share it.
        if self.middle:
            cells.append((indent + min(LEFT, room * 2 // 5), safe(self.middle)))
        if self.position:
            place = f"{safe(self.position.file)}:{self.position.line}"
            last = room - max(len(place), _PLACE)
            cells.append((min(indent + LEFT + _MIDDLE, last), place))
        text = _pushed(head, cells)
        lines = [text] if len(text) <= room else _wrapped(head, cells, room)
        colour = _COLOURS.get(self.sign, "")
        return "\n".join(paint(line, colour) if colour else line for line in lines)


def _pushed(head: str, cells: Sequence[tuple[int, str]]) -> str:
    """Return cells, each with the column that it begins in, as one line."""
    (_, left), *rest = cells
    text = head + left
    for start, cell in rest:
        text = f"{text:<{start - 2}}  {cell}"
    return text


def _wrapped(head: str, cells: Sequence[tuple[int, str]], room: int) -> list[str]:
    if len(cells) == 1:
        return filled(_pushed(head, cells), len(head))
    starts = [start for start, _ in cells]
    ends = [*(start - 2 for start in starts[1:]), room]
    widths = [end - start for start, end in zip(starts, ends, strict=True)]
    marks = [head, *["  "] * (len(cells) - 1)]
    return list(in_columns([cell for _, cell in cells], marks, widths))

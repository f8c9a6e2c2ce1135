"""One line of a plan in its columns; colour comes from the caller."""

from collections.abc import Callable
from dataclasses import dataclass

from reconcile.errors import Position
from reconcile.report.safe import safe

Paint = Callable[[str, str], str]

LEFT, _MIDDLE = 44, 42
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

    def draw(self, paint: Paint) -> str:
        """Lay the line out in columns; what is too long pushes the next aside."""
        head = "  " + "    " * self.depth
        left = f"{head}{self.sign or ' '} {safe(self.left)}"
        text = left
        if self.middle:
            text = f"{left:<{LEFT - 2}}  {safe(self.middle)}"
        if self.position:
            place = f"{safe(self.position.file)}:{self.position.line}"
            text = f"{text:<{LEFT + _MIDDLE - 2}}  {place}"
        colour = _COLOURS.get(self.sign, "")
        return paint(text, colour) if colour else text

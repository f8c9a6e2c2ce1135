"""Collects what is wrong with the files, so that one run reports all of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict, Unpack

from reconcile.desired.scalars import scalar
from reconcile.errors import MOST_ERRORS, Diagnostic, Position, Related, too_many
from reconcile.remedies import Help, Instead, Way
from reconcile.source.near import nearest
from reconcile.source.variables import as_written, quoted
from reconcile.source.yaml import Path

_OF_SECRETS = "RC0026"


class Details(TypedDict, total=False):
    """The fields of a Diagnostic that explain it."""

    label: str
    why: str
    help: str
    related: tuple[Related, ...]
    address: str
    ways: tuple[Way, ...]
    about: tuple[str, ...]


class Findings:
    """The findings of a run, each once, whatever found it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, Position | None], Diagnostic] = {}
        self._errors = 0

    def add(self, finding: Diagnostic) -> None:
        """Note one finding. Raises InputError, with all, when they are too many."""
        key = finding.code, finding.message, finding.position
        if key in self._found:
            return
        self._found[key] = finding
        self._errors += finding.severity == "error"
        if self._errors > MOST_ERRORS:
            raise too_many(self.sorted())

    def extend(self, findings: Iterable[Diagnostic]) -> None:
        """Note several findings."""
        for finding in findings:
            self.add(finding)

    def error(
        self, code: str, message: str, place: Position | None, **more: Unpack[Details]
    ) -> None:
        """Note an error; `more` are the other fields of a Diagnostic."""
        self.add(Diagnostic(code, message, place, **more))

    def warn(
        self, code: str, message: str, place: Position | None, **more: Unpack[Details]
    ) -> None:
        """Note a warning; `more` are the other fields of a Diagnostic."""
        self.add(Diagnostic(code, message, place, severity="warning", **more))

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Return the findings in the order of files and lines.

        A line that holds a secret is not shown, whatever else is wrong with it.
        """
        found = sorted(self._found.values(), key=_order)
        secret = {_line(f.position) for f in found if f.code == _OF_SECRETS}
        if not secret:
            return tuple(found)
        return tuple(_masked(finding, secret) for finding in found)

    @property
    def failed(self) -> bool:
        """Whether one of the findings so far is an error."""
        return self._errors > 0


def _line(place: Position | None) -> tuple[str, int]:
    return (place.file, place.line) if place else ("", 0)


def _masked(finding: Diagnostic, secret: set[tuple[str, int]]) -> Diagnostic:
    place = finding.position
    if place and _line(place) in secret:
        return replace(finding, position=place.unseen())
    return finding


def _order(finding: Diagnostic) -> tuple[str, int, int, str, str]:
    place = finding.position or Position("", 0, 0)
    return place.file, place.line, place.column, finding.code, finding.message


def did_you_mean(word: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `did you mean …?` for a near miss, or ""."""
    found = nearest(word, options, cutoff)
    return f"did you mean {quoted(found)}?" if found else ""


def proposal(
    word: str, options: Iterable[str], otherwise: str = "", cutoff: float = 0.6
) -> Help:
    """Return the help for a marked word: the near miss, or `otherwise`."""
    found = nearest(word, options, cutoff)
    if not found:
        return {"help": otherwise}
    ways: tuple[Way, ...] = ((Instead(scalar(found)),),)
    return {"help": f"did you mean {quoted(found)}?", "ways": ways}


def dotted(path: Path) -> str:
    """Return a path as people write it: nodes.nas.tags[0]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = as_written(step)
        plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
        text += ("." if text else "") + (name if plain else quoted(name))
    return text or "the file"

"""Findings as text with excerpts, and as JSON; the formats of CI systems beside it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from reconcile.codes import TITLES
from reconcile.errors import Diagnostic, Position, Related
from reconcile.report.excerpt import WIDTH, excerpt
from reconcile.report.safe import safe, safe_lines
from reconcile.report.width import message, message_width

Format = Literal["text", "json", "github", "gitlab", "sarif"]
Style = Callable[[str, str], str]
LIMIT = 50
_COLOURS = {"error": "red", "warning": "yellow"}


def render(
    findings: Sequence[Diagnostic],
    format: str = "text",
    style: Style | None = None,
    policies: Sequence[dict[str, Any]] = (),
) -> str:
    """Return findings in one of the formats, ending with a line break.

    `style(text, name)` paints text, `name` being a colour or `bold`. Text shows the
    first 50 findings and counts the rest; the other formats hold all of them.
    `policies` go into the JSON: which releases take each policy.
    """
    if format == "text":
        return _text(findings, style or _plain)
    if format == "json":
        more = {"policies": policies} if policies else {}
        return _dump({**_json(findings), **more})
    from reconcile.report import ci

    if format == "github":
        return ci.github(findings)
    return _dump(ci.gitlab(findings) if format == "gitlab" else ci.sarif(findings))


def _plain(text: str, _: str) -> str:
    return text


def _dump(value: object) -> str:
    # The escapes of `safe` are those of JSON: invisible characters stay readable.
    return safe_lines(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def _text(findings: Sequence[Diagnostic], style: Style) -> str:
    if not findings:
        return ""
    blocks = [_Block(finding, style).text() for finding in findings[:LIMIT]]
    hidden = len(findings) - LIMIT
    if hidden > 0:
        blocks.append(f"… and {hidden} more, not shown.\n")
    return "\n".join([*blocks, f"{summary(findings)}\n"])


def summary(findings: Sequence[Diagnostic]) -> str:
    """Return the count of errors and warnings in words."""
    counts = Counter(finding.severity for finding in findings)
    parts = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in ("error", "warning")
        if counts[severity]
    ]
    return ", ".join(parts) + "." if parts else "No findings."


class _Block:
    """One finding as text, in the style that compilers have made familiar."""

    def __init__(self, finding: Diagnostic, style: Style) -> None:
        self._finding = finding
        self._style = style
        places = [finding.position, *(r.position for r in finding.related)]
        lines = [place.line for place in places if place and place.text]
        self._pad = " " * max(2, *(len(str(line)) for line in lines), 0)

    def text(self) -> str:
        """Return the block, each line ended."""
        finding = self._finding
        colour = _COLOURS[finding.severity]
        head = f"{finding.severity}[{finding.code}]"
        first, *rest = message(f"{head}: {safe(finding.message)}", 4)
        told = self._style(first.removeprefix(f"{head}: "), "bold")
        lines = [f"{self._style(head, colour)}: {told}"]
        lines += (self._style(line, "bold") for line in rest)
        if finding.position:
            lines.append(f"{self._pad}{self._gutter('-->')} {where(finding.position)}")
            lines += self._excerpt(finding.position, "^", finding.label, colour)
        for related in finding.related:
            lines += self._related(related)
        for name, words in (("why", finding.why), ("help", finding.help)):
            if words:
                lines += self._remark(f"{name}: {safe_lines(words)}")
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _remark(self, text: str) -> Iterator[str]:
        """Yield a cause or a remedy, which may have several lines of its own."""
        indent = len(self._pad) + 3
        for number, each in enumerate(text.split("\n")):
            first, *rest = message(f"{'':{indent}}{each}", indent)
            sign = self._gutter("=") if not number else " "
            yield f"{self._pad} {sign} {first[indent:]}"
            yield from rest

    def _related(self, related: Related) -> list[str]:
        place = related.position
        lines = [f"{self._pad} {self._gutter('|')}"] if self._has_excerpt() else []
        label = "" if place.text else f" ({safe(related.label)})"
        lines.append(f"{self._pad}{self._gutter(':::')} {where(place)}{label}")
        return lines + self._excerpt(place, "-", related.label, "blue", tight=True)

    def _has_excerpt(self) -> bool:
        return bool(self._finding.position and self._finding.position.text)

    def _excerpt(
        self,
        place: Position,
        sign: str,
        label: str,
        colour: str,
        *,
        tight: bool = False,
    ) -> list[str]:
        if not place.text:
            return []
        room = message_width()
        drawn = excerpt(place, min(WIDTH, (room or 2 * WIDTH) - len(self._pad) - 5))
        bar = f"{self._pad} {self._gutter('|')}"
        number = self._gutter(f"{place.line:>{len(self._pad)}} |")
        mark = drawn.mark(sign, label)
        blank = len(mark) - len(mark.lstrip())
        painted = mark[:blank] + self._style(mark[blank:], colour)
        lines = [f"{number} {drawn.line}", f"{bar} {painted}"]
        return lines if tight else [bar, *lines]

    def _gutter(self, text: str) -> str:
        return self._style(text, "blue")


def where(place: Position) -> str:
    """Return file:line:col, the file relative to the current folder if it is below."""
    return safe(f"{relative(place.file)}:{place.line}:{place.column}")


def relative(file: str) -> str:
    """Return a file's path relative to the current folder where that is possible."""
    path = Path(file)
    if not path.is_absolute():
        return file
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return file


def _json(findings: Sequence[Diagnostic]) -> dict[str, Any]:
    counts = Counter(finding.severity for finding in findings)
    return {
        "diagnostics": [as_json(finding) for finding in findings],
        "errors": counts["error"],
        "warnings": counts["warning"],
    }


def as_json(finding: Diagnostic) -> dict[str, Any]:
    """Return one finding as plain data, without what it leaves open."""
    value = {
        "code": finding.code,
        "title": TITLES.get(finding.code, ""),
        "severity": finding.severity,
        "message": finding.message,
        "address": finding.address,
        **(_place(finding.position) if finding.position else {}),
        "label": finding.label,
        "why": finding.why,
        "help": finding.help,
        "related": [
            {**_place(related.position), "label": related.label}
            for related in finding.related
        ],
    }
    return {name: item for name, item in value.items() if item not in ("", [])}


def _place(place: Position) -> dict[str, Any]:
    return {
        "file": relative(place.file),
        "line": place.line,
        "column": place.column,
        "end_column": place.column + place.length,
    }

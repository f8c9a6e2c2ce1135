"""Findings as CI systems read them: GitHub annotations, GitLab code quality, SARIF."""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from reconcile import __version__
from reconcile.codes import TITLES
from reconcile.errors import Diagnostic, Position
from reconcile.report.diagnostics import relative
from reconcile.report.safe import safe

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_NOWHERE = Position(".", 1, 1)


def github(findings: Sequence[Diagnostic]) -> str:
    """Return workflow commands that GitHub shows beside the changed lines."""
    return "".join(f"{_command(finding)}\n" for finding in findings)


def _command(finding: Diagnostic) -> str:
    properties = {"title": f"{finding.code}: {TITLES.get(finding.code, '')}"}
    place = finding.position
    if place:
        properties = {
            "file": relative(place.file),
            "line": str(place.line),
            "col": str(place.column),
            "endColumn": str(place.column + place.length),
            **properties,
        }
    listed = ",".join(f"{name}={_property(text)}" for name, text in properties.items())
    return f"::{finding.severity} {listed}::{_data(_told(finding))}"


def _data(text: str) -> str:
    """Escape the text of a workflow command: nothing in it can start another one."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _told(finding: Diagnostic) -> str:
    """Return message, cause and remedy, a line each."""
    parts = [finding.message, finding.why, finding.help and f"help: {finding.help}"]
    return "\n".join(safe_line for part in parts if part for safe_line in _safe(part))


def _safe(text: str) -> Iterator[str]:
    return (safe(line) for line in text.split("\n"))


def _fingerprints(findings: Sequence[Diagnostic]) -> Iterator[str]:
    """Yield an identity for each finding that survives lines moving up and down."""
    seen: Counter[str] = Counter()
    for finding in findings:
        place = finding.position or _NOWHERE
        parts = (finding.code, relative(place.file), finding.message)
        base = "\0".join(parts)
        seen[base] += 1
        yield sha256(f"{base}\0{seen[base]}".encode()).hexdigest()


def gitlab(findings: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """Return a code quality report."""
    return [
        {
            "description": _told(finding).replace("\n", " — "),
            "check_name": finding.code,
            "fingerprint": fingerprint,
            "severity": "major" if finding.severity == "error" else "minor",
            "location": _lines(finding.position or _NOWHERE),
        }
        for finding, fingerprint in zip(findings, _fingerprints(findings), strict=True)
    ]


def _lines(place: Position) -> dict[str, Any]:
    return {"path": relative(place.file), "lines": {"begin": place.line}}


def sarif(findings: Sequence[Diagnostic]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log."""
    codes = sorted({finding.code for finding in findings})
    rules = [
        {"id": code, "shortDescription": {"text": TITLES.get(code, code)}}
        for code in codes
    ]
    results = [
        _result(finding, codes.index(finding.code), fingerprint)
        for finding, fingerprint in zip(findings, _fingerprints(findings), strict=True)
    ]
    driver = {"name": "reconcile", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _result(finding: Diagnostic, rule: int, fingerprint: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": _told(finding)},
        "partialFingerprints": {"reconcile/v1": fingerprint},
    }
    if finding.position:
        result["locations"] = [_location(finding.position)]
    if finding.related:
        result["relatedLocations"] = [
            {**_location(related.position), "message": {"text": related.label}}
            for related in finding.related
        ]
    return result


def _location(place: Position) -> dict[str, Any]:
    uri = quote(PurePath(relative(place.file)).as_posix())
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endColumn": place.column + place.length,
    }
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}

"""Results of the policy's tests: for people, as JSON, and as JUnit XML for CI."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from reconcile.policy.fields import Path
from reconcile.policy.verdicts import Verdict
from reconcile.report.effect import Paint, doubts, place_json, plural
from reconcile.report.safe import safe
from reconcile.scene import Scene


@dataclass(frozen=True, slots=True)
class Results:
    """What became of every entry of `tests` and `sshTests`, and where they stand.

    `unsure` holds what could not be known: an entry that passed may rest on it.
    """

    title: str
    verdicts: Sequence[Verdict]
    scene: Scene
    unsure: Mapping[str, str]

    @property
    def failed(self) -> int:
        """How many entries failed."""
        return sum(not verdict.passed for verdict in self.verdicts)

    def place(self, path: Path) -> str:
        """Return a place in the policy as `policy.hujson:91`, "" where unknown."""
        position = self.scene.place(path)
        return f"{position.file}:{position.line}" if position else ""


def text(results: Results, paint: Paint) -> str:
    """Return the results for people: every failing item with its place and reason."""
    lines = [paint(safe(_headline(results)), "bold")]
    for verdict in results.verdicts:
        for failure in verdict.failures:
            place = results.place(failure.path)
            found = f"  failed {verdict}  {place}  {failure.reason}"
            lines.append(paint(safe(found), "red"))
    return "\n".join([*lines, *doubts(results.unsure, paint)]) + "\n"


def _headline(results: Results) -> str:
    if not results.verdicts:
        return f"Tests on {results.title}: the policy has neither tests nor sshTests"
    passed = len(results.verdicts) - results.failed
    counts = f"{passed} of {plural(len(results.verdicts), 'test')} passed"
    return f"Tests on {results.title}: {counts}"


def as_json(results: Results) -> dict[str, Any]:
    """Return the results as JSON."""
    return {
        "title": results.title,
        "release": results.scene.policy.release.name,
        "passed": len(results.verdicts) - results.failed,
        "failed": results.failed,
        "tests": [
            {
                "test": str(verdict),
                "passed": verdict.passed,
                "source": place_json(results.scene.place(verdict.assertion.path)),
                "failures": [
                    {
                        "reason": failure.reason,
                        "source": place_json(results.scene.place(failure.path)),
                    }
                    for failure in verdict.failures
                ],
            }
            for verdict in results.verdicts
        ],
        "unsure": dict(sorted(results.unsure.items())),
    }


def junit(results: Results) -> str:
    """Return the results as JUnit XML: a case for each entry."""
    counts = f'tests="{len(results.verdicts)}" failures="{results.failed}"'
    name = _attribute(results.title)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>"]
    lines.append(f'  <testsuite name="{name}" {counts}>')
    for verdict in results.verdicts:
        lines += _case(verdict, results)
    for subject, why in sorted(results.unsure.items()):
        lines.append(f"    <system-out>{_attribute(f'{subject}: {why}')}</system-out>")
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _case(verdict: Verdict, results: Results) -> Iterator[str]:
    section = verdict.assertion.section
    place = results.place(verdict.assertion.path)
    title = f"{verdict} {verdict.assertion.source} {place}".strip()
    yield f'    <testcase classname="{section}" name="{_attribute(title)}">'
    if verdict.failures:
        reasons = [f"{results.place(f.path)}: {f.reason}" for f in verdict.failures]
        yield f'      <failure message="{_attribute(verdict.failures[0].reason)}">'
        yield from (_attribute(reason) for reason in reasons)
        yield "      </failure>"
    yield "    </testcase>"


def _attribute(value: str) -> str:
    """Return text that XML can hold, whatever a policy or a device says."""
    return escape(safe(value).encode("utf-8", "replace").decode())

"""What became of tests and assertions: for people, as JSON, and as JUnit XML for CI."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from reconcile.errors import Position
from reconcile.policy.language.words import plural
from reconcile.report.effect import Paint, doubts, place_from_json, place_json
from reconcile.report.safe import safe
from reconcile.report.width import filled
from reconcile.review.tests import ASSERT, Check, Checks, Failure


def text(title: str, checks: Checks, paint: Paint) -> str:
    """Return the results for people: every failing item with its place and reason."""
    lines = [paint(safe(f"Tests on {title}: {counts(checks)}"), "bold")]
    for remark in checks.remarks:
        lines += filled(f"  ! {safe(remark)}", 4)
    lines += details(checks.all, paint)
    return "\n".join([*lines, *doubts(checks.unsure, paint)]) + "\n"


def counts(checks: Checks) -> str:
    """Return how many pass and hold, in words."""
    parts = []
    if checks.tests:
        passed = sum(check.passed for check in checks.tests)
        parts.append(f"{passed} of {plural(len(checks.tests), 'test')} passed")
    if checks.asserts:
        hold = sum(check.passed for check in checks.asserts)
        number = plural(len(checks.asserts), "assertion")
        verb = "holds" if len(checks.asserts) == 1 else "hold"
        parts.append(f"{hold} of {number} {verb}")
    nothing = "the policy has neither tests nor sshTests, the files no assert"
    return ", ".join(parts) or nothing


def section(checks: Checks, paint: Paint, *, but_tests: bool = False) -> list[str]:
    """Return what a plan or an apply says of its checks.

    `but_tests` leaves out tests that pass, where that is said elsewhere.
    """
    fine = all(check.passed for check in checks.tests)
    parts = ["" if but_tests and fine else passing(checks), holding(checks)]
    head = ", ".join(part for part in parts if part)
    lines = [paint(f"{head[0].upper()}{head[1:]}", "bold")] if head else []
    return [*lines, *details(checks.all, paint)]


def passing(checks: Checks) -> str:
    """Return `tests 7/7 pass`, "" where there are none."""
    passed = sum(check.passed for check in checks.tests)
    return f"tests {passed}/{len(checks.tests)} pass" if checks.tests else ""


def holding(checks: Checks) -> str:
    """Return `assertions 2/2 hold`, "" where there are none."""
    hold = sum(check.passed for check in checks.asserts)
    return f"assertions {hold}/{len(checks.asserts)} hold" if checks.asserts else ""


def details(checks: Sequence[Check], paint: Paint) -> Iterator[str]:
    """Yield lines for what fails, with place and reason, and for what is to be said."""
    for check in checks:
        lines = _asserted(check) if check.section == ASSERT else _tested(check)
        for line in lines:
            yield from (paint(part, "red") for part in filled(safe(line), 6))
        for note in check.notes:
            line = f"  ? {check}  {_place(check.position)}  {check.says}: {note}"
            yield from (paint(part, "yellow") for part in filled(safe(line), 6))


def _tested(check: Check) -> Iterator[str]:
    """Yield a line for each failing item of a test."""
    for failure in check.failures:
        yield f"  failed {check}  {_place(failure.position)}  {failure.reason}"


def _asserted(check: Check) -> Iterator[str]:
    if check.failures:
        because = f"  ({check.because})" if check.because else ""
        yield f"  failed {check}  {_place(check.position)}  {check.says}{because}"
    for failure in check.failures:
        yield f"      {failure.reason}"


def _place(position: Position | None) -> str:
    return f"{position.file}:{position.line}" if position else ""


# -- JSON ------------------------------------------------------------------------------


def as_json(title: str, release: str, checks: Checks) -> dict[str, Any]:
    """Return the results as JSON; `passed` and `failed` count tests and assertions."""
    return {
        "title": title,
        "release": release,
        "passed": len(checks.all) - len(checks.failed),
        "failed": len(checks.failed),
        "tests": list_json(checks.tests),
        "asserts": list_json(checks.asserts),
        "remarks": list(checks.remarks),
        "unsure": dict(sorted(checks.unsure.items())),
    }


def list_json(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return what became of some tests or assertions as JSON."""
    return [
        {
            "test": str(check),
            "section": check.section,
            "index": check.index,
            "says": check.says,
            "because": check.because,
            "passed": check.passed,
            "source": place_json(check.position),
            "failures": [_failure_json(failure) for failure in check.failures],
            "notes": list(check.notes),
        }
        for check in checks
    ]


def _failure_json(failure: Failure) -> dict[str, Any]:
    return {
        "reason": failure.reason,
        "source": place_json(failure.position),
        "rules": [place_json(place) for place in failure.rules],
    }


def list_from_json(entries: Sequence[dict[str, Any]]) -> tuple[Check, ...]:
    """Return the results that `list_json` wrote."""
    return tuple(
        Check(
            entry["section"],
            entry["index"],
            entry["says"],
            place_from_json(entry["source"]),
            tuple(_load_failure(failure) for failure in entry["failures"]),
            tuple(entry["notes"]),
            entry["because"],
        )
        for entry in entries
    )


def _load_failure(entry: dict[str, Any]) -> Failure:
    places = (place_from_json(place) for place in entry["rules"])
    return Failure(
        entry["reason"],
        place_from_json(entry["source"]),
        tuple(place for place in places if place),
    )


# -- JUnit -----------------------------------------------------------------------------


def junit(title: str, checks: Checks) -> str:
    """Return the results as JUnit XML: a case for each entry."""
    numbers = f'tests="{len(checks.all)}" failures="{len(checks.failed)}"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {numbers}>"]
    lines.append(f'  <testsuite name="{_attribute(title)}" {numbers}>')
    for check in checks.all:
        lines += _case(check)
    unknown = [f"{name}: {why}" for name, why in sorted(checks.unsure.items())]
    for said in (*checks.remarks, *unknown):
        lines.append(f"    <system-out>{_attribute(said)}</system-out>")
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _case(check: Check) -> Iterator[str]:
    title = f"{check} {check.says} {_place(check.position)}".strip()
    yield f'    <testcase classname="{check.section}" name="{_attribute(title)}">'
    if check.failures:
        reasons = [f"{_place(f.position)}: {f.reason}" for f in check.failures]
        if check.because:
            reasons.append(f"wanted because: {check.because}")
        yield f'      <failure message="{_attribute(check.failures[0].reason)}">'
        yield from (_attribute(reason) for reason in reasons)
        yield "      </failure>"
    for note in check.notes:
        yield f"      <system-out>{_attribute(note)}</system-out>"
    yield "    </testcase>"


def _attribute(value: str) -> str:
    """Return text that XML can hold, whatever a policy or a device says."""
    return escape(safe(value).encode("utf-8", "replace").decode())

"""What became of an apply, for people and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from difflib import unified_diff
from typing import Any

from reconcile.apply.outcome import PATIENCE, Outcome, Result
from reconcile.plan.changes import Action, Change
from reconcile.plan.plan import Failed, Plan
from reconcile.plan.stale import shown
from reconcile.report.json_plan import to_json, write
from reconcile.report.line import Paint, plain
from reconcile.report.safe import safe

_VERBS = {
    "user.create": "create",
    "user.rename": "rename",
    "user.remove": "remove",
    "policy.set": "write",
    "node.tags": "set tags",
    "node.name": "rename",
    "node.routes": "approve routes",
    "node.expiry": "set expiry",
    "node.remove": "remove",
}

_CONVERGED = "already as wanted"
_UNSEEN = "accepted but not applied"
_LINES = 20


def progress_line(result: Result, number: int, total: int) -> str:
    """Return one line for a step that has just ended."""
    operation = result.step.operation
    seconds = f"{result.seconds:.1f} s"
    ends = {"done": seconds, "converged": _CONVERGED, "unseen": _UNSEEN}
    end = ends.get(result.status, result.status)
    if result.lost:  # it counts when it is known, which is told at the end
        end = "no certain answer, looked up later"
    return safe(
        f"[{number}/{total}] {operation.address}: {_VERBS[operation.verb]} ({end})"
    )


def render_text(outcomes: Sequence[Outcome], paint: Paint = plain) -> str:
    """Return the end of an apply: counts, failures, and what did not stick."""
    results = [result for outcome in outcomes for result in outcome.results]
    if not results:
        return ""
    lines = [_closing(results)]
    for result in results:
        if not result.holds:
            lines += _trouble(result)
    for outcome in outcomes:
        lines += [*_overwritten(outcome), *_not_applied(outcome), *_late(outcome)]
        lines += _moved(outcome)
        if outcome.checks is not None:
            from reconcile.report import tests

            lines += tests.section(outcome.checks, paint)
    return "\n".join(lines) + "\n"


def _closing(results: Sequence[Result]) -> str:
    counts = {
        status: sum(result.status == status for result in results)
        for status in ("done", "converged", "failed", "unseen", "skipped")
    }
    text = f"Applied {counts['done']} of {len(results)}."
    if counts["converged"]:
        text += f" {counts['converged']} {_CONVERGED}."
    if counts["unseen"]:
        text += f" {counts['unseen']} {_UNSEEN}."
    if not counts["failed"] + counts["skipped"]:
        return text
    return (
        f"{text} {counts['failed']} failed, {counts['skipped']} skipped. "
        "Run again: it will continue where it stopped."
    )


def _trouble(result: Result) -> list[str]:
    operation = result.step.operation
    what = f"{operation.address}: {_VERBS[operation.verb]}"
    status = _UNSEEN if result.status == "unseen" else result.status
    lines = [safe(f"  {status}: {what}: {result.error}")]
    if result.lost:
        lines.append("    it may have happened all the same: reconcile plan shows it")
    if result.hint:
        lines.append(safe(f"    = help: {result.hint}"))
    return lines


def _overwritten(outcome: Outcome) -> Iterator[str]:
    """Yield the three values of what somebody else wrote over: safe, for people."""
    for one in outcome.overwritten:
        if not one.field:
            yield safe(f"  gone: {one.address}: somebody else removed it after us")
            continue
        yield safe(f"  overwritten: {one.address}: {one.field}, by somebody else")
        if one.address == "policy":
            yield from _text_diff("this run wrote", one.planned, one.written)
            yield from _text_diff("then somebody else", one.written, one.now)
            continue
        yield safe(f"    planned from: {shown(one.planned)}")
        yield safe(f"    this run wrote: {shown(one.written)}")
        yield safe(f"    there now: {shown(one.now)}")
    if outcome.overwritten:
        yield "  Another apply, or a person, wrote at the same time: reconcile plan"


def _moved(outcome: Outcome) -> list[str]:
    """Return lines about what is not as wanted now, though no step was about it."""
    lines = [
        safe(f"  changed meanwhile: {change.address} ({_due(change)})")
        for change in outcome.moved
    ]
    if lines:
        lines.append("  Somebody else changed that during this apply: reconcile plan")
    return lines


def _due(change: Change) -> str:
    return ", ".join(change.after) if change.action is Action.UPDATE else change.action


def _text_diff(who: str, before: Any, after: Any) -> Iterator[str]:
    """Yield the lines in which two texts differ, the first ones of many."""
    old, new = ((text or "").splitlines() for text in (before, after))
    lines = list(unified_diff(old, new, n=0, lineterm=""))[2:]
    yield f"    {who}:"
    yield from (safe(f"      {line}") for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"      and {len(lines) - _LINES} more lines"


def _late(outcome: Outcome) -> Iterator[str]:
    """Yield where another writer may have been overwritten without seeing it."""
    if late := outcome.late:
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        first = f"{late[0].step.operation.address}{more}"
        yield safe(
            f"  {first}: written more than {PATIENCE:.0f} s after being compared; "
            "what somebody else wrote in between would not show"
        )


def _not_applied(outcome: Outcome) -> list[str]:
    told = {(one.address, one.field) for one in outcome.overwritten}
    lines = []
    for change in outcome.not_applied:
        names = [n for n in change.after if (change.address, n) not in told]
        if names or not change.after:
            what = ", ".join(names) or "still there"
            lines.append(safe(f"  {_UNSEEN}: {change.address} ({what})"))
    if lines:
        lines.append("  The server said yes and shows otherwise: reconcile plan")
    if outcome.unread:
        lines.append(safe(f"  could not read back: {outcome.unread}"))
    return lines


def render_json(
    plans: Sequence[Plan],
    outcomes: Sequence[Outcome],
    backups: list[dict[str, Any]],
    failed: Sequence[Failed] = (),
) -> str:
    """Return the plan document with what became of every operation.

    `backups` says where what was there before is kept.
    """
    document = to_json(plans, "apply", failed)
    document["operations"] = [
        operation_json(result) for outcome in outcomes for result in outcome.results
    ]
    document["not_applied"] = [
        address for outcome in outcomes for address in _missing(outcome)
    ]
    document["overwritten"] = [
        asdict(one) for outcome in outcomes for one in outcome.overwritten
    ]
    document["moved"] = [c.address for outcome in outcomes for c in outcome.moved]
    document["asserts"] = [
        entry for outcome in outcomes for entry in _asserts_json(outcome)
    ]
    document["backups"] = backups
    applied = all(int(outcome.exit_code) == 0 for outcome in outcomes)
    document["applied"] = applied and not failed
    return write(document)


def _missing(outcome: Outcome) -> list[str]:
    """Return the addresses of what was accepted and does not show on the server."""
    unseen = {r.step.operation.address: None for r in outcome.of("unseen")}
    return [*unseen, *(change.address for change in outcome.not_applied)]


def _asserts_json(outcome: Outcome) -> list[dict[str, Any]]:
    if outcome.checks is None:
        return []
    from reconcile.report import tests

    return tests.list_json(outcome.checks.asserts)


def operation_json(result: Result) -> dict[str, Any]:
    """Return what became of one write."""
    operation = result.step.operation
    return {
        "address": operation.address,
        "verb": operation.verb,
        "server_id": operation.id,
        "phase": int(result.step.phase),
        "status": result.status,
        "error": result.error,
        "seconds": round(result.seconds, 3),
    }

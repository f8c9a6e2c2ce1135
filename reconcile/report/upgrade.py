"""What an upgrade changes, as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from reconcile.errors import Diagnostic
from reconcile.policy.language.words import counted, plural
from reconcile.report import diagnostics, effect
from reconcile.report.effect import Paint
from reconcile.report.safe import safe
from reconcile.review.upgrade import Upgrade


def text(found: Upgrade, paint: Paint, *, full: bool = False) -> str:
    """Return what changes in lines; what stands in the way only by its number.

    Of the losses the first only, unless `full` is set.
    """
    lines = [
        paint(safe(f"Upgrade of {found.title}: {found.old} -> {found.new}"), "bold")
    ]
    lines += [f"  {line}" for line in _standing(found, paint)]
    if found.access.failure:
        lines.append(f"Access: not evaluated: {safe(found.access.failure)}")
    else:
        lines += effect.section(found.access, paint, full=full)
    lines += [*_retagged(found, paint), *_approvals(found, paint)]
    return "\n".join([*lines, _total(found)]) + "\n"


def _standing(found: Upgrade, paint: Paint) -> Iterator[str]:
    new = found.new
    if found.refused:
        said = f"refused: the server does not start with this policy on {new}"
        yield paint(f"! {said} ({plural(len(found.refused), 'finding')})", "red")
    if found.failing:
        said = f"{plural(len(found.failing), 'check')} of policy and files no longer "
        yield paint(f"! {said}{'holds' if len(found.failing) == 1 else 'hold'}", "red")
    if found.undeclarable:
        number = plural(len(found.undeclarable), "thing")
        yield paint(f"! {number} in the files that {new} cannot do", "red")


def _retagged(found: Upgrade, paint: Paint) -> Iterator[str]:
    if found.retagged:
        yield paint("Tags and owners that change", "bold")
    for each in found.retagged:
        said = [f"+ {tag}" for tag in each.added]
        said += [f"- {tag}" for tag in each.removed]
        before, after = (owner or "(tagged)" for owner in each.owner)
        said += [f"owner {before} -> {after}"] if before != after else []
        line = f"  ~ node:{each.node}   {', '.join(said)}   because {each.because}"
        yield paint(safe(line), "yellow")


def _approvals(found: Upgrade, paint: Paint) -> Iterator[str]:
    if found.approvals:
        yield paint("Approved by the next policy write, by autoApprovers", "bold")
    for each in found.approvals:
        line = f"  + node:{each.node}   {counted(each.routes)}   because {each.because}"
        yield paint(safe(line), "green")


def _total(found: Upgrade) -> str:
    if not found:
        return f"Nothing changes: on {found.new} it all means the same."
    number = plural(len(found.findings), "finding")
    return f"Upgrade to {found.new}: {number}.{effect.total([found.access])}"


def as_json(found: Upgrade) -> dict[str, Any]:
    """Return what changes as JSON."""
    return {
        "title": found.title,
        "from": found.old,
        "to": found.new,
        "changes": bool(found),
        "refused": _findings(found.refused),
        "failing": _findings(found.failing),
        "undeclarable": _findings(found.undeclarable),
        "retagged": [
            {
                "node": each.node,
                "added": list(each.added),
                "removed": list(each.removed),
                "owner_before": each.owner[0],
                "owner_after": each.owner[1],
                "because": each.because,
            }
            for each in found.retagged
        ],
        "approvals": [
            {"node": a.node, "routes": list(a.routes), "because": a.because}
            for a in found.approvals
        ],
        **(effect.as_json(found.access) or {}),
    }


def _findings(findings: tuple[Diagnostic, ...]) -> list[dict[str, Any]]:
    return [diagnostics.as_json(finding) for finding in findings]

"""The last lines of a plan: its totals, and the command that applies it."""

from collections.abc import Sequence
from itertools import chain

from reconcile.plan.plan import Asked, Plan
from reconcile.policy.language.words import plural
from reconcile.report import commands, effect, origin
from reconcile.report.json_plan import checksum, summary
from reconcile.report.line import Paint
from reconcile.report.safe import safe
from reconcile.report.width import continued, filled, width

LEFT_OUT_BY = "--target, --exclude or --theirs"


def closing(plans: Sequence[Plan], paint: Paint) -> str:
    """Return the totals of plans, and the command that applies exactly them."""
    parts = [
        f"{number} {'pending' if word == 'pending' else f'to {word}'}"
        for word, number in summary(plans).items()
        if number and word != "blocked"
    ]
    moved = effect.total([plan.access for plan in plans if plan.access is not None])
    total = filled(f"Plan: {', '.join(parts)}.{moved}", 2)
    lines = [paint(line, "bold") for line in total]
    blocked = [c.address for plan in plans for c in plan.blocked]
    if blocked:
        listed = safe(", ".join(blocked))
        lines += filled(f"Not possible on this server: {listed} (see above).", 2)
    limited = sum(plan.limited for plan in plans)
    if limited:
        lines.append(f"{plural(limited, 'change')} left out by {LEFT_OUT_BY}.")
    conflicts = [address for plan in plans for address in plan.conflicts]
    if conflicts:
        decided = origin.decision(conflicts).split("\n")
        told = chain.from_iterable(filled(line, 2) for line in decided)
        lines += [paint(line, "red") for line in told]
    mark = checksum(plans)
    if blocked or any(plan.errors for plan in plans):
        return "\n".join([*lines, f"Checksum: {mark}", ""])
    asked, more = plans[0].asked, [*plans[0].way, *["--ours"] * bool(conflicts)]
    return "\n".join([*lines, *_how(asked, [*more, "--checksum", mark], mark), ""])


def _how(asked: Asked, more: Sequence[str], mark: str) -> list[str]:
    """Return the checksum and the command with it, which is cut as a shell allows."""
    head = f"Checksum: {mark}    Apply exactly this with: "
    tail = commands.stdin_remark(asked)
    words = [safe(word) for word in commands.apply(asked, *more)]
    line = f"{head}{' '.join(words)}{tail}"
    if len(line) <= width():
        return [line]
    return [f"Checksum: {mark}    Apply exactly this with{tail}:", *continued(words)]

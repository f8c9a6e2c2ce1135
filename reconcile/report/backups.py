"""Where what was there before an apply is kept, and how to get it back."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reconcile.apply.backup import Backup, Kept
from reconcile.desired.servers import ALL
from reconcile.plan.plan import Asked, Plan
from reconcile.policy.language.words import plural
from reconcile.report import commands
from reconcile.report.safe import safe

Pairs = Sequence[tuple[Plan, Kept | None]]
_NONE = "Backup: none, since there is no git repository; --backup DIR keeps one."


def text(kept: Pairs) -> str:
    """Return lines for each server that was changed: its backup, and the way back."""
    lines = [line for plan, one in kept for line in _told(plan, one)]
    return "".join(f"{safe(line)}\n" for line in dict.fromkeys(lines))


def _told(plan: Plan, kept: Kept | None) -> Iterator[str]:
    if kept is None:
        yield _NONE
        return
    yield f"Backup: {kept.place}"
    yield f"  undo with: {undo(plan, kept)}{commands.stdin_remark(plan.asked)}"


def undo(plan: Plan, kept: Kept) -> str:
    """Return the command that goes back to a backup."""
    asked = plan.asked
    server = plan.name if asked.server == ALL else asked.server
    back = Asked(asked.files, server, rollback=(kept.name,))
    return " ".join(commands.apply(back, *plan.way))


def list_json(kept: Pairs) -> list[dict[str, Any]]:
    """Return the backups in JSON's types."""
    return [
        {
            "server": plan.name,
            "name": one.name,
            "place": one.place,
            "undo": undo(plan, one),
        }
        for plan, one in kept
        if one is not None
    ]


def listing(kept: Iterable[tuple[str, Backup]]) -> str:
    """Return a line for each backup that is kept."""
    lines = [_line(name, found) for name, found in kept]
    return "".join(lines) or "No backup is kept.\n"


def _line(name: str, found: Backup) -> str:
    what = "rollback" if found.rollback else "apply"
    of = f" of {found.commit}" * bool(found.commit)
    number = plural(len(found.touched), "object")
    return safe(f"{name}  {found.server}  before the {what}{of} ({number})") + "\n"

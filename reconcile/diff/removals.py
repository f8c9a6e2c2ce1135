"""Lines of `removed` that remove nothing: what is gone, and what is misspelt."""

import re
from collections.abc import Iterable, Iterator

from reconcile.desired.findings import nearest
from reconcile.desired.state import Desired, Removed
from reconcile.diff.found import Found
from reconcile.errors import Diagnostic
from reconcile.model import Live, User

_NEAR = 0.75
_NUMBERS = re.compile(r"\d+")


def check_removals(
    desired: Desired, live: Live, base: Desired | None, found: Found
) -> None:
    """Add to `found` what is to be said of removals of what is not there.

    What the files of the last apply removed as well is gone, and nothing is said. A
    name that is near to one that is there is taken for a mistake.
    """
    before = {(line.kind, line.name) for line in (base.removed if base else ())}
    wanted = {"user": desired.users or {}, "node": desired.nodes or {}}
    for line in desired.removed:
        names = _names(line.kind, live)
        if names is None or line.name in names or (line.kind, line.name) in before:
            continue
        meant = near(line.name, names - wanted[line.kind].keys())
        if meant:
            found.problems.append(_misspelt(line, meant))
        else:
            found.notes.append(
                f"{line.kind}:{line.name} is not there: its line in `removed` "
                f"({line.position.file}:{line.position.line}) can go"
            )


def _names(kind: str, live: Live) -> set[str] | None:
    """Return every name by which an object of a kind may be removed."""
    if kind == "node":
        return None if live.nodes is None else {node.name for node in live.nodes}
    return None if live.users is None else {*_user_names(live.users)}


def _user_names(users: Iterable[User]) -> Iterator[str]:
    for user in users:
        yield from filter(None, (user.name, user.email, user.provider_id))


def near(name: str, names: Iterable[str]) -> str:
    """Return the name that a misspelt one stands for, or "".

    web-1 is no misspelt web-2: names that differ in numbers alone are of two objects.
    """
    shape = _NUMBERS.sub("0", name)
    others = [each for each in names if _NUMBERS.sub("0", each) != shape]
    return nearest(name, others, _NEAR)


def _misspelt(line: Removed, meant: str) -> Diagnostic:
    address = f"{line.kind}:{line.name}"
    return Diagnostic(
        "RC0105",
        f"`removed` names {address}, which is not there",
        line.position,
        help=f"did you mean {line.kind}:{meant}? If it is gone, remove this line",
        address=address,
    )

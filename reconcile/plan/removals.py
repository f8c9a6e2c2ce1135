"""Lines of `removed` that remove nothing: what is gone, and what is misspelt."""

import re
from collections.abc import Iterable, Iterator

from reconcile.desired.state import Desired, Removed
from reconcile.errors import Diagnostic
from reconcile.model import Live, User
from reconcile.plan.found import Found
from reconcile.remedies import Drop
from reconcile.source.near import nearest

_NEAR = 0.75
_NUMBERS = re.compile(r"\d+")
_WORDS = re.compile(r"[-_.]")


def check_removals(
    desired: Desired, live: Live, base: Desired | None, found: Found
) -> None:
    """Add to `found` what is to be said of removals of what is not there.

    What the files of the last apply removed as well is gone, and nothing is said. A
    name that is near to one that is there is taken for a mistake.
    """
    before = {(line.kind, line.name) for line in (base.removed if base else ())}
    wanted = {"user": desired.users or {}, "node": desired.nodes or {}}
    for index, line in enumerate(desired.removed):
        names = _names(line.kind, live)
        if names is None or line.name in names or (line.kind, line.name) in before:
            continue
        meant = _other_address(line, names, live)
        if not meant and (name := near(line.name, names - wanted[line.kind].keys())):
            meant = f"{line.kind}:{name}"
        if meant:
            found.problems.append(_misspelt(line, meant, index))
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


def _other_address(line: Removed, names: set[str], live: Live) -> str:
    """Return what is meant by the address of a field, or of the wrong kind, or ""."""
    name, dot, _ = line.name.rpartition(".")
    if dot and name in names:
        return f"{line.kind}:{name}"
    kind = "user" if line.kind == "node" else "node"
    return f"{kind}:{line.name}" if line.name in (_names(kind, live) or ()) else ""


def near(name: str, names: Iterable[str]) -> str:
    """Return the name that a misspelt one stands for, or "".

    web-1 is no misspelt web-2, and laptop no misspelt old-laptop: names that differ in
    numbers alone, or by whole words, are of two objects.
    """
    return nearest(name, [each for each in names if not _apart(name, each)], _NEAR)


def _apart(one: str, other: str) -> bool:
    if _NUMBERS.sub("0", one) == _NUMBERS.sub("0", other):
        return True
    words, others = set(_WORDS.split(one)), set(_WORDS.split(other))
    return words < others or others < words


def _misspelt(line: Removed, meant: str, index: int) -> Diagnostic:
    address = f"{line.kind}:{line.name}"
    return Diagnostic(
        "RC0105",
        f"`removed` names {address}, which is not there",
        line.position,
        help=f"did you mean {meant}? If it is gone, remove this line",
        address=address,
        ways=((Drop(("removed", index)),),),
    )

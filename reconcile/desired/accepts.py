"""The `accept` section: warnings that somebody has looked at and lives with."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from reconcile.codes import TITLES
from reconcile.desired.findings import Findings, did_you_mean
from reconcile.desired.layers import Tree
from reconcile.desired.state import Accept
from reconcile.errors import Diagnostic
from reconcile.source.variables import quoted

# What the files alone show. Of other codes, the files alone cannot tell that there is
# nothing to accept.
OF_FILES = frozenset(
    {"RC0027", "RC0101", "RC0106", "RC0108", "RC0110", "RC0115", "RC0116", "RC0207"}
    | {"RC0505", "RC0511", *(f"RC060{digit}" for digit in range(1, 10))}
)
# What a snapshot shows besides: lint, and the server's release.
OF_SNAPSHOT = OF_FILES | {"RC0308", *(code for code in TITLES if code[:4] == "RC05")}


def read(tree: Tree, findings: Findings) -> tuple[Accept, ...]:
    """Return what is accepted; a code that does not exist is an error."""
    found = []
    for index, entry in enumerate(tree.value.get("accept", ())):
        path = ("accept", index)
        if entry["code"] in TITLES:
            place = tree.locate(path)
            found.append(Accept(entry["code"], entry["for"], entry["because"], place))
            continue
        findings.error(
            "RC0008",
            f"there is no code {quoted(entry['code'])}",
            tree.locate((*path, "code")),
            help=did_you_mean(entry["code"], TITLES)
            or "write the code that the warning shows, such as RC0207",
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Sifted:
    """The findings without the accepted warnings, their number, and idle entries."""

    left: tuple[Diagnostic, ...]
    accepted: int
    idle: tuple[Accept, ...]


def sift(findings: Iterable[Diagnostic], accepts: Sequence[Accept]) -> Sifted:
    """Take the warnings out that are accepted. Errors cannot be."""
    left, used = [], set[int]()
    number = 0
    for finding in findings:
        entry = next((a for a in accepts if _is_for(a, finding)), None)
        if entry is None or finding.severity == "error":
            left.append(finding)
            continue
        used.add(id(entry))
        number += 1
    idle = tuple(accept for accept in accepts if id(accept) not in used)
    return Sifted(tuple(left), number, idle)


def _is_for(accept: Accept, finding: Diagnostic) -> bool:
    return accept.code == finding.code and accept.about in (
        finding.address,
        *finding.about,
    )


def unneeded(sifted: Sifted, codes: Collection[str]) -> list[Diagnostic]:
    """Return a warning for each entry that accepts nothing.

    `codes` are those that would have been found: of others nobody knows.
    """
    return [_unneeded(each, sifted.left) for each in sifted.idle if each.code in codes]


def _unneeded(accept: Accept, left: Iterable[Diagnostic]) -> Diagnostic:
    same = [finding for finding in left if finding.code == accept.code]
    why, help = "the warning is gone, or has another name", "remove the entry"
    names = sorted({n for f in same for n in (f.address, *f.about[:1]) if n})
    if any(_is_for(accept, finding) for finding in same):
        why, help = "what it names is an error here, and errors are not accepted", ""
    elif names:
        help = f"remove the entry, or write what the warning is about: {names[0]}"
    return Diagnostic(
        "RC0117",
        f"there is no warning {accept.code} about {quoted(accept.about)} to accept",
        accept.position,
        severity="warning",
        why=why,
        help=help,
    )

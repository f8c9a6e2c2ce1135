"""SSH rules that do less than they say, in one tailnet."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import merge
from reconcile.policy.language.document import Problem, SshRule
from reconcile.policy.lint.inclusion import asked, locked, shadowed
from reconcile.policy.lint.overlap import Crowd, Overlap


@dataclass(slots=True)
class _Count:
    """Paths of a rule, and those of them that something happens to."""

    all: int = 0
    hit: int = 0
    example: str = ""
    by: SshRule | None = None

    @property
    def share(self) -> str:
        """Return which part is hit, "" for all of it."""
        if self.hit == self.all:
            return ""
        return f" on {self.hit} of {self.all} paths, such as {self.example}"

    def add(self, overlap: Overlap, crowd: Crowd, targets: int, hit: int) -> bool:
        """Count the paths of a crowd; tell whether some are hit."""
        self.all += overlap.things.pairs(crowd.members, targets)
        struck = overlap.things.pairs(crowd.members, hit)
        self.hit += struck
        if struck and not self.example:
            self.example = overlap.example(crowd.members, hit)
        return bool(struck)


def login_findings(matrix: Matrix, index: int, overlap: Overlap) -> Iterator[Problem]:
    """Yield the SSH rules without port 22, and those that a check overrules."""
    world = matrix.worlds[index]
    closed: dict[int, _Count] = {}
    overruled: dict[int, _Count] = {}
    for crowd in overlap.crowds:
        logins = {
            number: rule
            for number in crowd.opened
            if isinstance(rule := overlap.rules[number], SshRule)
        }
        port = _port(matrix, overlap, crowd) if logins else 0
        for number, rule in logins.items():
            targets = merge(reached for _, reached in crowd.opened[number])
            count = closed.setdefault(number, _Count())
            count.add(overlap, crowd, targets, targets & ~port)
            if rule.action == "check" or not world.policy.release.ssh_checks:
                continue
            count = overruled.setdefault(number, _Count())
            hit, by = _checked(rule, logins, crowd)
            if count.add(overlap, crowd, targets, targets & hit):
                count.by = count.by or by
    for number, count in sorted(closed.items()):
        login = overlap.rules[number]
        if count.hit and isinstance(login, SshRule):
            yield locked(login, count.share)
    for number, count in sorted(overruled.items()):
        login = overlap.rules[number]
        if count.hit and count.by and isinstance(login, SshRule):
            yield shadowed(login, count.by, count.share)


def _port(matrix: Matrix, overlap: Overlap, crowd: Crowd) -> int:
    """Return the nodes whose port 22 is open to a crowd."""
    return merge(
        targets
        for number, reach in crowd.opened.items()
        if not isinstance(overlap.rules[number], SshRule)
        for atoms, targets in reach
        if atoms & matrix.atoms.ssh_port
    )


def _checked(
    rule: SshRule, logins: dict[int, SshRule], crowd: Crowd
) -> tuple[int, SshRule | None]:
    """Return where a crowd is asked for a login that a rule accepts, and by whom."""
    found, by = 0, None
    for number, check in logins.items():
        if check.action == "check" and any(asked([u], check.users) for u in rule.users):
            reached = merge(targets for _, targets in crowd.opened[number])
            found |= reached
            by = by or check
    return found, by

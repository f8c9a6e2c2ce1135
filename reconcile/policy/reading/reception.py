"""One policy as several releases read it: who takes it, and what the others refuse."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.releases import RELEASES
from reconcile.policy.language.words import counted, listed
from reconcile.policy.reading import read
from reconcile.policy.reading.context import IGNORED, UNSUPPORTED

HEADSCALES = tuple(row.name for row in RELEASES.values() if not row.hosted)
_MOST = 8  # words in one message
_YOURS = "--release, or `release` under `server`, names yours"


@dataclass(frozen=True, slots=True)
class Reception:
    """What each of some releases makes of one policy, the newest release last.

    `hopeless` tells that one of its tests fails whatever users and nodes there are: a
    release that runs tests refuses it then.
    """

    policies: Mapping[str, Policy]
    hopeless: bool = False

    @property
    def refusing(self) -> list[str]:
        """The releases that refuse the policy."""
        return [name for name, policy in self.policies.items() if self._refuses(policy)]

    def _refuses(self, policy: Policy) -> bool:
        return bool(policy.errors) or (
            self.hopeless and bool(policy.tests or policy.ssh_tests)
        )

    @property
    def ignoring(self) -> list[str]:
        """The releases that take the policy and do nothing with a part of it."""
        return [
            name
            for name, policy in self.policies.items()
            if any(p.code == IGNORED for p in policy.problems)
            and not self._refuses(policy)
        ]

    @property
    def taking(self) -> list[str]:
        """The releases that take everything in the policy."""
        left = {*self.refusing, *self.ignoring}
        return [name for name in self.policies if name not in left]

    @property
    def accepted(self) -> list[Policy]:
        """The policy as each release reads it that takes it, and looks at every word.

        0.26 does not look: what only it takes is valid for nobody, unless it is the
        one release that was asked for.
        """
        found = [policy for policy in self.policies.values() if not policy.errors]
        if len(self.policies) == 1:
            return found
        return [policy for policy in found if not policy.release.ignores_unknown]

    @property
    def valid(self) -> bool:
        """Whether a release takes all of the policy, and means it."""
        return bool(self.accepted) and [*self.policies] != self.ignoring

    @property
    def said(self) -> str:
        """Who takes the policy and who does not, "" where all take everything."""
        if len(self.policies) == 1:
            return self._said_by_one()
        if self.taking == [*self.policies]:
            return ""
        parts = [
            f"{verb} {listed(names)}"
            for verb, names in (
                ("taken by", self.taking),
                ("refused by", self.refusing),
                ("taken but in part ignored by", self.ignoring),
            )
            if names
        ]
        whole = f"The policy is {'; '.join(parts)}".replace(" by ", " by Headscale ", 1)
        return f"{whole} ({_YOURS})." if self.accepted else f"{whole}."

    def _said_by_one(self) -> str:
        name = self._newest
        server = "Tailscale" if name == "tailscale" else f"Headscale {name}"
        ignoring = ", which ignores a part of it" * bool(self.ignoring)
        return f"Read as {server} reads it{ignoring}."

    def as_json(self) -> dict[str, list[str]]:
        """Return who takes the policy and who does not, as plain data."""
        return {
            "taken_by": self.taking,
            "refused_by": self.refusing,
            "ignored_in_part_by": self.ignoring,
        }

    def problems(self) -> list[Problem]:
        """Return what is wrong with the policy, each thing once.

        It is an error where the newest release refuses it and none takes the policy,
        else a warning that names the releases which refuse or ignore it.
        """
        found: dict[tuple[object, ...], dict[str, Problem]] = {}
        for name, policy in self.policies.items():
            for problem in policy.problems:
                place = problem.path, problem.key, problem.subject or problem.code
                found.setdefault(place, {})[name] = problem
        if len(self.policies) == 1:
            return [problem for by in found.values() for problem in by.values()]
        told: list[Problem] = []
        older: dict[tuple[str, ...], list[Problem]] = {}
        for by in found.values():
            problem = self._told(by)
            if self._newest not in by and not self.accepted:
                continue  # what is wrong for the newest comes first
            if problem.subject and self._newest not in by:
                older.setdefault((problem.why, problem.help), []).append(problem)
            else:
                told.append(problem)
        return told + [each for same in older.values() for each in _joined(same)]

    @property
    def _newest(self) -> str:
        return [*self.policies][-1]

    def _told(self, by: Mapping[str, Problem]) -> Problem:
        """Return one finding for what several releases say of one thing."""
        refusing = [name for name, each in by.items() if each.severity == "error"]
        problem = by[(refusing or [*by])[-1]]
        if not refusing and len(by) == len(self.policies):
            return problem  # every release takes it, and says so
        if not self.accepted and self._newest in refusing:
            return problem
        ignoring = [name for name in by if name not in refusing]
        said = [
            f"{verb} by Headscale {', '.join(names)}"
            for verb, names in (("refused", refusing), ("ignored", ignoring))
            if names
        ]
        help = problem.help
        if self._newest not in by:  # newer servers know it: nothing is wrong with it
            taking = [name for name in self.policies if name not in by]
            help = f"nothing to do for Headscale {', '.join(taking)}"
        return replace(problem, severity="warning", why=", ".join(said), help=help)


def _joined(same: Sequence[Problem]) -> Iterator[Problem]:
    """Tell in one finding of all words that the same older releases do not know."""
    words = [*dict.fromkeys(each.subject for each in same)]
    if len(words) == 1:
        yield from same
        return
    message = f"not known to every Headscale: {counted(words, _MOST)}"
    yield replace(same[0], code=UNSUPPORTED, message=message, subject="")


def receive(value: object, release: str = "") -> Reception:
    """Read a policy value as a release does, as each of Headscale's without one."""
    names = (release,) if release else HEADSCALES
    return Reception({name: read(value, name) for name in names})

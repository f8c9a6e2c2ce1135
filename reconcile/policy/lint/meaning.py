"""What a release makes of a policy that Tailscale, and newer releases, read otherwise.

Each function is a row of the table of differences: it yields a finding only where the
policy at hand is affected. What a release refuses, or ignores as a whole section, the
reading of the policy says already.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from reconcile.policy.language.document import (
    Policy,
    Problem,
    Rule,
    SshRule,
    targets_of,
)
from reconcile.policy.language.fields import Path, find, get, rules
from reconcile.policy.language.releases import ICMPV6, PINGABLE
from reconcile.policy.lint.findings import MEANING, counted, finding, listed
from reconcile.policy.reading.ssh import localpart_domain

_NEWER = "upgrade Headscale to 0.29 or newer"


class _Reading:
    """A policy, and its rules in `acls` with their text."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    @cached_property
    def acls(self) -> list[tuple[Path, dict[str, Any]]]:
        written = rules(self.policy.value, "acls")
        return [(path, rule) for path, rule in written if isinstance(rule, dict)]

    def differs(
        self, what: str, affected: list[Path], path: Path, *, why: str, help: str
    ) -> Problem:
        """Return one finding, at the first place, for all rules that a row affects."""
        others = len(affected) - 1
        also = f" (and in {counted(others, 'other rule')})" if others > 0 else ""
        message = f"{what} on Headscale {self.policy.release.name}{also}"
        related = tuple((each, "here too") for each in affected[1:4])
        return finding(MEANING, message, path, why=why, help=help, related=related)


def meanings(policy: Policy, *, known: bool = True) -> Iterator[Problem]:
    """Yield where the release of a policy means something else by it.

    With `known` False nobody knows that the server is of this release: then only what
    takes protection away without a word is worth saying.
    """
    if policy.release.hosted:
        return
    reading = _Reading(policy)
    for row in _WEAKER + (_OTHER if known else ()):
        yield from row(reading)


def _check(reading: _Reading) -> Iterator[Problem]:
    if reading.policy.release.ssh_checks:
        return
    affected = [rule.path for rule in reading.policy.ssh if rule.action == "check"]
    if affected:
        yield reading.differs(
            f"{_name(affected[0])}: check does not ask, and accepts at once,",
            affected,
            affected[0],
            why="interactive checks came with 0.29; before it, checkPeriod only ends "
            "sessions",
            help=f"{_NEWER}, or give these logins to fewer people",
        )


def _ping(reading: _Reading) -> Iterator[Problem]:
    if reading.policy.release.protocols >= PINGABLE:
        return
    affected = [path for path, rule in reading.acls if not get(rule, "proto")]
    if affected:
        yield reading.differs(
            f"{_name(affected[0])}: without proto, ping is not let through",
            affected,
            affected[0],
            why="without proto this release opens TCP and UDP; others open ICMP too",
            help='add a rule with "proto": "icmp" for those who need ping',
        )


def _icmp(reading: _Reading) -> Iterator[Problem]:
    if ICMPV6 not in reading.policy.release.icmp:
        return
    affected = [
        path
        for path, rule in reading.acls
        if str(get(rule, "proto") or "").strip().lower() == "icmp"
    ]
    if affected:
        at = find(dict(reading.acls)[affected[0]], "proto")
        yield reading.differs(
            f"{_name(affected[0])}: icmp opens ICMPv6 as well",
            affected,
            (*affected[0], at[0]) if at else affected[0],
            why="Tailscale, and Headscale from 0.29 on, open ICMP for IPv4 only",
            help='write "proto": "1" and "proto": "58" in rules of their own to be '
            "the same everywhere",
        )


def _wildcard(reading: _Reading) -> Iterator[Problem]:
    if reading.policy.release.wildcard_is_tailnet:
        return
    affected = [
        rule.path
        for rule in reading.policy.rules or ()
        if any(source.kind == "any" for source in rule.sources)
    ]
    if affected:
        yield reading.differs(
            f'{_name(affected[0])}: "*" as source is every address there is',
            affected,
            affected[0],
            why="Tailscale, and Headscale from 0.29 on, mean the tailnet and its "
            "approved subnets",
            help=f"name groups and tags, or {_NEWER}",
        )


def _own_devices(reading: _Reading) -> Iterator[Problem]:
    if reading.policy.release.self_needs_users:
        return
    for rule in reading.policy.rules or ():
        if not any(target.selector.autogroup == "self" for target in rule.targets):
            continue
        strange = _without_owner(rule)
        if strange:
            yield reading.differs(
                f"{rule}: {listed(strange)} gets nothing by autogroup:self",
                [rule.path],
                rule.path,
                why="only users own devices; Tailscale, and Headscale from 0.29 on, "
                "refuse the rule",
                help=f"take {listed(strange)} out of src",
            )


def _without_owner(rule: Rule) -> list[str]:
    return [
        source.text
        for source in rule.sources
        if source.kind in ("tag", "address", "host") or source.autogroup == "tagged"
    ]


def _logins(reading: _Reading) -> Iterator[Problem]:
    release = reading.policy.release
    for rule in reading.policy.ssh:
        for user in rule.users:
            mapped = not release.localpart and localpart_domain(user)
            nonroot = not release.nonroot and user == "autogroup:nonroot"
            if mapped or nonroot:
                yield reading.differs(
                    f"{rule}: {user} is a login name like any other",
                    [rule.path],
                    rule.path,
                    why="this release does not map users to logins"
                    if mapped
                    else "this release does not know it as every login but root",
                    help=f"list the logins by name, or {_NEWER}",
                )


def _no_rules(reading: _Reading) -> Iterator[Problem]:
    policy = reading.policy
    if policy.release.empty_is_open or get(policy.value, "acls") is not None:
        return
    yield reading.differs(
        "a policy without acls allows nothing",
        [],
        (),
        why="elsewhere a policy without any rules allows everything",
        help='write "acls": [] to say so, or rules for what is to be allowed',
    )


def _asked_tags(reading: _Reading) -> Iterator[Problem]:
    """Seen on 0.27.1: it counts for autogroup:tagged, not against autogroup:member."""
    policy = reading.policy
    if policy.release.stored_tags:
        return
    every: list[Rule | SshRule] = [*(policy.rules or ()), *policy.ssh]
    affected = [
        rule.path
        for rule in every
        if any(s.autogroup == "tagged" for s in (*rule.sources, *targets_of(rule)))
    ]
    if affected:
        yield reading.differs(
            f"{_name(affected[0])}: autogroup:tagged has devices that ask for a tag "
            "and may not have it",
            affected,
            affected[0],
            why="no answer of the server tells who asks for a declared tag in vain: "
            "these devices are counted as members alone",
            help=f"name the tags, or {_NEWER}",
        )


def _name(path: Path) -> str:
    return f"{path[0]}[{path[1]}]"


_Row = Callable[[_Reading], Iterable[Problem]]
_WEAKER: tuple[_Row, ...] = (_check,)
_OTHER: tuple[_Row, ...] = (
    _ping,
    _icmp,
    _wildcard,
    _own_devices,
    _logins,
    _no_rules,
    _asked_tags,
)

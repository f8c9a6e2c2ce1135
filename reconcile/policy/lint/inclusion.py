"""What one rule says of another by words alone, whoever the users and nodes are.

A rule is included in another when each of its sources, destinations and services is in
the other's. Sets of rules are bits, so that no pair of rules is looked at in vain.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from operator import xor

from reconcile.policy.access.universe import bits
from reconcile.policy.language.document import Policy, Problem, Rule, Service, SshRule
from reconcile.policy.language.releases import TCP
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import IntervalSet, prefix
from reconcile.policy.lint.broad import is_open
from reconcile.policy.lint.findings import (
    COVERED,
    DEAD,
    LOCKED,
    NAMED,
    SHADOWED,
    finding,
    listed,
)
from reconcile.policy.meaning.resolve import TAILNET

Widening = Callable[[Selector], Iterable[Selector]]

# Of rules of the same sources and destinations that are held against each other.
_MOST_PAIRS = 100_000
_ANY = Selector("any", "*")
_EVERY_ADDRESS = Selector("autogroup", "autogroup:danger-all")
_MEMBER = Selector("autogroup", "autogroup:member")
_TAGGED = Selector("autogroup", "autogroup:tagged")


class Wider:
    """Which selectors mean at least what another one means, in every tailnet."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._groups = {name: frozenset(m) for name, m in policy.groups.items()}
        self._firsts: dict[frozenset[str], Selector] = {}
        for name, members in self._groups.items():
            self._firsts.setdefault(members, Selector("group", name))
        self._with: dict[str, list[frozenset[str]]] = defaultdict(list)
        for members in self._firsts:
            for member in members:
                self._with[member].append(members)
        self._sources: dict[Selector, list[Selector]] = {}
        self._targets: dict[Selector, list[Selector]] = {}

    def one(self, selector: Selector) -> Selector:
        """Return the selector that stands for all groups with the same members."""
        if selector.kind != "group" or selector.text not in self._groups:
            return selector
        return self._firsts[self._groups[selector.text]]

    def sources(self, selector: Selector) -> list[Selector]:
        """Return the selectors that hold a source, itself first; one of a kind."""
        selector = self.one(selector)
        if selector not in self._sources:
            found = [*self._identities(selector), _EVERY_ADDRESS]
            if self._in_tailnet(selector):
                found.append(_ANY)
            self._sources[selector] = found
        return self._sources[selector]

    def targets(self, selector: Selector) -> list[Selector]:
        """Return the selectors that hold a destination, itself first; one of a kind."""
        selector = self.one(selector)
        if selector not in self._targets:
            self._targets[selector] = [*self._identities(selector), _ANY]
        return self._targets[selector]

    def _identities(self, selector: Selector) -> list[Selector]:
        """An address or a role is held by itself only: releases widen them."""
        if selector.kind == "tag":
            return [selector, _TAGGED]
        if selector.autogroup == "self":
            return [selector, _MEMBER]
        if selector.kind not in ("user", "group"):
            return [selector]
        own = self._groups.get(selector.text, frozenset({selector.text}))
        larger = (group for group in self._larger(own) if group != selector)
        return [selector, *larger, _MEMBER]

    def _larger(self, own: frozenset[str]) -> Iterator[Selector]:
        """Yield the groups that hold all of some users; of nobody there are none."""
        candidates = (self._with.get(member, []) for member in own)
        for members in min(candidates, key=len, default=[]):
            if own <= members:
                yield self._firsts[members]

    def _in_tailnet(self, selector: Selector) -> bool:
        if selector.kind == "address":
            return prefix(selector.text) <= TAILNET
        if selector.kind == "host":
            return self._policy.hosts.get(selector.text, IntervalSet()) <= TAILNET
        return selector.autogroup != "danger-all"


def text_findings(policy: Policy) -> Iterator[Problem]:
    """Yield what is wrong with the rules in whatever tailnet they stand."""
    for rule in every_rule(policy):
        empty = empty_side(policy, rule)
        if empty:
            yield dead(rule, empty, "remove the rule, or fill the list")
    wider = Wider(policy)
    alive = [r for r in policy.rules or () if not empty_side(policy, r)]
    yield from _covered(alive, wider)
    logins = [r for r in policy.ssh if not empty_side(policy, r)]
    yield from _shadowed(logins, wider)
    if logins and not _opens_ssh(policy):
        for login in logins:
            yield locked(login)


def every_rule(policy: Policy) -> list[Rule | SshRule]:
    """Return grants, ACL entries and SSH rules in one list."""
    return [*(policy.rules or ()), *policy.ssh]


def dead(rule: Rule | SshRule, why: str, help: str, *, cut: bool = True) -> Problem:
    """Return the finding of a rule that matches nothing."""
    message = f"{rule} matches nothing"
    return finding(DEAD, message, rule.path, why=why, help=help, cut=cut)


def locked(login: SshRule, share: str = "") -> Problem:
    """Return the finding of an SSH rule without port 22, `share` of it."""
    return finding(
        LOCKED,
        f"{login} lets nobody in{share}: port 22 is closed",
        login.path,
        why="an SSH rule says who may log in, a rule in acls or grants who may "
        "connect; a login needs both",
        help="open port 22 from the same sources to the same destinations",
    )


def empty_side(policy: Policy, rule: Rule | SshRule) -> str:
    """Say why a rule matches nothing whatever the tailnet, "" when it may match."""
    if not rule.sources:
        return "its list of sources is empty"
    if not rule.targets:
        return "its list of destinations is empty"
    targets = [t if isinstance(t, Selector) else t.selector for t in rule.targets]
    for side, chosen in (("sources", rule.sources), ("destinations", targets)):
        if all(s.kind == "group" and not policy.groups.get(s.text) for s in chosen):
            return f"its {side} are groups without members"
    return ""


def _opens_ssh(policy: Policy) -> bool:
    return policy.rules is None or any(
        TCP in service.protocols and 22 in service.ports
        for rule in policy.rules
        for target in rule.targets
        for service in target.services
    )


# Rules in rules.


def _covered(rules: Sequence[Rule], wider: Wider) -> Iterator[Problem]:
    found = dict(_inclusions(rules, wider))
    for number, holder in found.items():
        while holder in found:  # one that is itself in a wider rule is not named
            holder = found[holder]
        if not is_open(rules[holder]):
            yield covered(rules[number], [rules[holder]])


def covered(rule: Rule | SshRule, holders: Sequence[Rule | SshRule]) -> Problem:
    """Return the finding of a rule that others make superfluous."""
    return finding(
        COVERED,
        f"{rule} adds nothing to {listed(holders)}",
        rule.path,
        why="rules only add, and all that it opens is open already",
        help="remove it; or, where it was meant to narrow, narrow the wider rule",
        related=tuple((h.path, f"{h} opens it") for h in holders[:NAMED]),
        cut=True,
    )


def _inclusions(rules: Sequence[Rule], wider: Wider) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the rules that another one includes, and of that one.

    Of rules that say the same the first is the one that stays.
    """
    by_source, by_target = _index(rules, wider)
    by_port = _Ports(rules, wider)
    left = _MOST_PAIRS
    for number, rule in enumerate(rules):
        if rule.via or rule.capabilities:
            continue
        found = by_source.holding(rule.sources)
        found &= by_target.holding(target.selector for target in rule.targets)
        found &= ~(1 << number)
        if found:
            found &= by_port.holding(rule)
        for other in islice(bits(found), left):
            left -= 1
            if _includes(rules[other], rule, wider) and (
                other < number or not _same(rules, number, other, wider)
            ):
                yield number, other
                break


class _Index:
    """The numbers of rules by one of their sides, as bits."""

    def __init__(self, wider: Widening) -> None:
        self._wider = wider
        self._rules: dict[Selector, int] = defaultdict(int)
        self._held: dict[Selector, int] = {}

    def add(self, selector: Selector, number: int) -> None:
        self._rules[selector] |= 1 << number

    def holding(self, chosen: Iterable[Selector]) -> int:
        """Return the rules that hold every one of some selectors."""
        found = -1
        for selector in chosen:
            if selector not in self._held:
                held = 0
                for other in self._wider(selector):
                    held |= self._rules.get(other, 0)
                self._held[selector] = held
            found &= self._held[selector]
        return max(found, 0)


class _Ports:
    """Which rules offer a port of a destination, as bits for each stretch of ports."""

    def __init__(self, rules: Sequence[Rule], wider: Wider) -> None:
        self._wider = wider
        self._offered: dict[Selector, list[tuple[int, IntervalSet]]] = defaultdict(list)
        for number, rule in enumerate(rules):
            offered: dict[Selector, list[IntervalSet]] = defaultdict(list)
            for target in rule.targets:
                ports = (service.ports for service in target.services)
                offered[wider.one(target.selector)] += ports
            for selector, every in offered.items():
                self._offered[selector].append((number, IntervalSet.union(every)))
        self._stretches: dict[Selector, tuple[list[int], list[int]]] = {}

    def holding(self, rule: Rule) -> int:
        """Return the rules that offer the ends of all that a rule opens, and more."""
        found = -1
        for target in rule.targets:
            for end in {e for s in target.services for pair in s.ports for e in pair}:
                found &= self._at(target.selector, end)
        return found

    def _at(self, selector: Selector, port: int) -> int:
        found = 0
        for holder in self._wider.targets(selector):
            if holder in self._offered:
                starts, rules = self._stretches_of(holder)
                found |= rules[bisect_right(starts, port)]
        return found

    def _stretches_of(self, selector: Selector) -> tuple[list[int], list[int]]:
        """Return where stretches of ports start, and who offers what is before each."""
        if selector not in self._stretches:
            changes: dict[int, int] = defaultdict(int)
            for number, ports in self._offered[selector]:
                for low, high in ports:
                    changes[low] ^= 1 << number
                    changes[high + 1] ^= 1 << number
            starts = sorted(changes)
            offering = accumulate((changes[start] for start in starts), xor, initial=0)
            self._stretches[selector] = starts, [*offering]
        return self._stretches[selector]


def _index(rules: Sequence[Rule], wider: Wider) -> tuple[_Index, _Index]:
    """Return the rules that can hold others, by their sources and destinations."""
    by_source, by_target = _Index(wider.sources), _Index(wider.targets)
    for number, rule in enumerate(rules):
        if rule.via or rule.unsure:
            continue
        for source in rule.sources:
            by_source.add(wider.one(source), number)
        for target in rule.targets:
            by_target.add(wider.one(target.selector), number)
    return by_source, by_target


def _includes(one: Rule, other: Rule, wider: Wider) -> bool:
    """Tell whether a rule opens each service of each destination of another."""
    services: dict[Selector, list[Service]] = defaultdict(list)
    for target in one.targets:
        services[wider.one(target.selector)] += target.services
    return all(
        any(
            service.protocols <= offered.protocols and service.ports <= offered.ports
            for holder in wider.targets(target.selector)
            for offered in services.get(holder, ())
        )
        for target in other.targets
        for service in target.services
    )


def _same(rules: Sequence[Rule], one: int, other: int, wider: Wider) -> bool:
    """Tell whether a rule that includes another one is included in it as well."""
    by_source, by_target = _index([rules[one]], wider)
    back = rules[other]
    return bool(
        by_source.holding(back.sources)
        and by_target.holding(target.selector for target in back.targets)
        and _includes(rules[one], back, wider)
    )


# Logins that are asked for after all.


def asked(users: Collection[str], asking: Collection[str]) -> bool:
    """Tell whether every one of some logins is among those that are asked for."""
    return all(
        user in asking or ("autogroup:nonroot" in asking and user != "root")
        for user in users
    )


def _shadowed(rules: Sequence[SshRule], wider: Wider) -> Iterator[Problem]:
    checks = [rule for rule in rules if rule.action == "check"]
    by_source, by_target = _Index(wider.sources), _Index(wider.targets)
    for number, check in enumerate(checks):
        for source in check.sources:
            by_source.add(wider.one(source), number)
        for target in check.targets:
            by_target.add(wider.one(target), number)
    for rule in rules:
        if rule.action == "check":
            continue
        found = by_source.holding(rule.sources) & by_target.holding(rule.targets)
        for check in (checks[number] for number in bits(found)):
            if asked(rule.users, check.users):
                yield shadowed(rule, check)
                break


def shadowed(rule: SshRule, check: SshRule, share: str = "") -> Problem:
    """Return the finding of an accept that check overrules, `share` of it."""
    return finding(
        SHADOWED,
        f"{check} asks for a check where {rule} accepts{share}",
        rule.path,
        why="check goes before accept, whatever their order in the policy",
        help=f"remove {rule}, or take its logins out of {check}",
        related=((check.path, "asks for the same logins"),),
        cut=not share,
    )

"""Rules that open more than a rule should, as far as their words tell.

The limits: everybody to everything on every port; sources outside of the tailnet
(`autogroup:danger-all`); the whole address space written out (`0.0.0.0/0`, `::/0`).
"""

from collections.abc import Iterable, Iterator

from reconcile.policy.language import selectors
from reconcile.policy.language.document import Policy, Problem, Rule
from reconcile.policy.language.releases import TCP
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import EVERYTHING, IntervalSet, prefix
from reconcile.policy.lint.findings import ENDLESS, finding

MANY = 1 << 20  # addresses
_FAMILIES = (prefix("0.0.0.0/0"), prefix("::/0"))


def is_open(rule: Rule) -> bool:
    """Tell whether a rule lets everybody reach everything on every port."""
    return any(_is_everybody(source) for source in rule.sources) and any(
        target.selector.kind == "any" and _all_ports(rule, target.selector)
        for target in rule.targets
    )


def opens_all_ports(rule: Rule) -> bool:
    """Tell whether a rule opens every TCP port of some destination."""
    return any(_all_ports(rule, target.selector) for target in rule.targets)


def _all_ports(rule: Rule, selector: Selector) -> bool:
    return any(
        TCP in service.protocols and service.ports.covers(1, 65535)
        for target in rule.targets
        if target.selector == selector
        for service in target.services
    )


def _is_everybody(source: Selector) -> bool:
    return source.kind == "any" or source.autogroup == "danger-all"


def breadth(policy: Policy, rule: Rule) -> tuple[str, str]:
    """Return what is too broad in a rule, and the remedy; "" for nothing."""
    if is_open(rule):
        return (
            "lets everybody reach everything on every port",
            "name who needs what, as in src group:admins, dst tag:server:22",
        )
    if any(source.autogroup == "danger-all" for source in rule.sources):
        return (
            "lets in sources outside of the tailnet: autogroup:danger-all",
            'write "*" for everything in the tailnet',
        )
    whole = _whole(policy, rule.sources)
    if whole:
        return f"lets in every address: {whole}", 'write "*" for the tailnet'
    whole = _whole(policy, [target.selector for target in rule.targets])
    if whole:
        return (
            f"opens every address, the tailnet's own nodes among them: {whole}",
            "write autogroup:internet for what exit nodes reach",
        )
    return "", ""


def endless_tests(policy: Policy) -> Iterator[Problem]:
    """Yield the `sshTests` whose source is a large network.

    Servers try each of its addresses when the policy is stored: 0.29.2 and main took
    2 s for a million. At an IPv6 /64 the call never ended, and they took 3 GB in 20 s.
    """
    for test in policy.ssh_tests:
        size = _literal(policy, selectors.parse(test.source)).size()
        if size > MANY:
            yield finding(
                ENDLESS,
                f"sshTests[{test.index}] takes the server too long",
                test.path,
                why=f"{test.source} has {size:,} addresses, and the server tries each",
                help="name a user, a tag or one address as src",
            )


def _literal(policy: Policy, selector: Selector) -> IntervalSet:
    """Return the addresses that are written out, or that a host stands for."""
    if selector.kind == "host":
        return policy.hosts.get(selector.text, IntervalSet())
    return prefix(selector.text) if selector.kind == "address" else IntervalSet()


def _whole(policy: Policy, chosen: Iterable[Selector]) -> str:
    """Return the first literal that is a whole address family."""
    for selector in chosen:
        addresses = _literal(policy, selector)
        if addresses == EVERYTHING or addresses in _FAMILIES:
            return selector.text
    return ""

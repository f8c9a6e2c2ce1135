"""The policy's own `tests` and `sshTests`: passed or failed, with the reason.

The hosted service answers only `test(s) failed`; the reasons are Headscale's lines
where it has them (`alice@ -> 100.64.0.2:22: expected ALLOWED, got DENIED`).
"""

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from reconcile.policy.language.document import Assertion, Policy, Service
from reconcile.policy.language.fields import Path
from reconcile.policy.language.pairing import split_ports
from reconcile.policy.language.releases import SCTP, TCP, UDP
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import ALL_PORTS, EMPTY, IntervalSet, ports, texts
from reconcile.policy.language.words import counted
from reconcile.policy.meaning.filters import Filters
from reconcile.policy.meaning.resolve import INTERNET, TAILNET
from reconcile.policy.meaning.ssh import LoginRule, SshRules
from reconcile.policy.meaning.tailnet import Machine, addresses_of
from reconcile.policy.reading.context import Scope
from reconcile.policy.reading.rules import protocols, unbracketed
from reconcile.policy.reading.words import Names, of_selector

_TESTABLE = (frozenset({TCP}), frozenset({UDP}), frozenset({SCTP}))
FAILED = "test(s) failed"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an entry failed: the path of the item, or of the entry, and the reason.

    `asked` are source and `destination:port` where an answer was not the expected one;
    `help` says what to write for a word that means nothing.
    """

    path: Path
    reason: str
    asked: tuple[str, str] | None = None
    help: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one entry of `tests` or `sshTests`."""

    assertion: Assertion
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether the entry holds completely."""
        return not self.failures

    def __str__(self) -> str:
        return f"{self.assertion.section}[{self.assertion.index}]"


class Unusable(Exception):
    """An entry that cannot be evaluated: it fails, in `deny` lists too.

    `help` says what to write instead, "" where nobody can know.
    """

    def __init__(self, reason: str, help: str = "") -> None:
        super().__init__(reason)
        self.help = help


class Absent(Unusable):
    """The entry is sound, but names something that has no address or node here."""


class Verdicts:
    """Runs the tests of a policy in a tailnet."""

    def __init__(self, filters: Filters, ssh: SshRules) -> None:
        self._filters = filters
        self._resolver = filters.resolver
        self._policy: Policy = filters.policy
        self._ssh = ssh
        self._scope = Scope(
            self._policy.release,
            self._policy.groups,
            self._policy.tags,
            self._policy.hosts,
            filters.tailnet.domains,
        )
        self._targets: dict[Selector, IntervalSet] = {}
        self._reaching: dict[tuple[str, frozenset[int]], IntervalSet] = {}

    def tests(self) -> tuple[Verdict, ...]:
        """Run every entry of `tests` against the rules of the whole tailnet."""
        return tuple(Verdict(t, tuple(self._test(t))) for t in self._policy.tests)

    def ssh_tests(self) -> tuple[Verdict, ...]:
        """Run every entry of `sshTests` against the SSH rules of each destination."""
        return tuple(
            Verdict(t, tuple(self._ssh_test(t))) for t in self._policy.ssh_tests
        )

    def hopeless(self) -> tuple[Verdict, ...]:
        """Return the entries that fail whatever users and nodes there are."""
        tests = (*self._policy.tests, *self._policy.ssh_tests)
        found = (Verdict(test, tuple(self._flaws(test))) for test in tests)
        return tuple(verdict for verdict in found if not verdict.passed)

    def _flaws(self, test: Assertion) -> Iterator[Failure]:
        item = self._require_login if test.section == "sshTests" else self._target
        checks: list[tuple[Path, Callable[..., object], tuple[object, ...]]] = [
            (test.path, self._known, (test.source, "source")),
            (test.path, self._protocols, (test,)),
            (test.path, _require_expectation, (test,)),
            *((test.path, self._known, (name, "destination")) for name in test.targets),
            *((path, item, (text,)) for path, text in chain(*test.expected.values())),
        ]
        for path, check, arguments in checks:
            try:
                check(*arguments)
            except Absent:
                continue
            except Unusable as reason:
                yield Failure(path, str(reason), help=reason.help)

    def _test(self, test: Assertion) -> Iterator[Failure]:
        try:
            sources = self._sources(test)
            numbers = self._protocols(test)
            _require_expectation(test)
        except Unusable as reason:
            yield Failure(test.path, str(reason), help=reason.help)
            return
        for name, items in test.expected.items():
            for path, text in items:
                try:
                    allowed = self._allowed(sources, text, numbers)
                except Unusable as reason:
                    said = f"{test.source} -> {text}: {reason}"
                    yield Failure(path, said, help=reason.help)
                    continue
                yield from _compare(test, name == "accept", path, text, allowed)

    def _sources(self, test: Assertion) -> list[IntervalSet]:
        """Return the sources that must all be allowed, or all denied.

        Each address of each node is one, but to Headscale each prefix of the whole:
        there the access of one of two neighbours is enough for both.
        """
        selector = self._known(test.source, "source")
        nowhere = ("self", "internet") if self._policy.release.hosted else ("self",)
        if selector.autogroup in nowhere:
            raise Unusable(f'source "{selector}" is not a source')
        self._need_known_users(selector, "source")
        addresses = self._test_sources(selector)
        if not addresses:
            raise Absent(f'source "{selector}" resolved to no IP addresses')
        if not self._policy.release.hosted:
            return list(_prefixes(addresses))
        machines = self._resolver.machines(selector)
        found = [IntervalSet([i]) for m in machines for i in m.addresses]
        return found or [IntervalSet([i]) for i in addresses]

    def _test_sources(self, selector: Selector) -> IntervalSet:
        """Return the addresses of a test's source.

        To Headscale's tests `*` is the nodes without the networks behind them, and
        `autogroup:internet`, which no rule has as its source, is what it says.
        """
        if not self._policy.release.hosted:
            if selector.kind == "any":
                return TAILNET
            if selector.autogroup == "internet":
                return INTERNET
        return self._resolver.sources(selector)

    def _known(self, text: str, what: str) -> Selector:
        selector = self._scope.selector(text)
        if not text:
            raise Unusable(f"the {what} is missing")
        if text != selector.text:  # Headscale trims what rules name, but no tests
            raise Unusable(f'{what} "{text}" has blanks around it')
        refusal = self._scope.refusal(selector)
        if refusal:
            advice = of_selector(selector, self._policy.release, self._names)
            raise Unusable(f"{what} {refusal[1]}", advice.help)
        return selector

    @cached_property
    def _names(self) -> Names:
        """The names that a word of a test may be a misspelling of."""
        policy = self._policy
        return {"tag": policy.tags, "group": policy.groups, "host": policy.hosts}

    def _need_known_users(self, selector: Selector, what: str) -> None:
        """A test with a user whom the server cannot find fails on Headscale."""
        strangers = self._resolver.strangers(selector)
        if strangers and not self._policy.release.hosted:
            reason = self._resolver.directory.not_one(strangers[0])
            raise Absent(f'{what} "{selector}": {reason}')

    def _protocols(self, test: Assertion) -> frozenset[int]:
        try:
            numbers = protocols(test.protocol, self._policy.release)
        except ValueError as reason:
            raise Unusable(str(reason)) from None
        if test.protocol and numbers not in _TESTABLE:
            raise Unusable(
                f'proto "{test.protocol}": only tcp, udp and sctp have ports'
            )
        return numbers

    def _allowed(
        self, sources: Iterable[IntervalSet], text: str, numbers: frozenset[int]
    ) -> bool:
        key = text, numbers
        if key not in self._reaching:
            self._reaching[key] = self._sources_to(*self._target(text), numbers)
        return all(self._reaching[key].overlaps(source) for source in sources)

    def _sources_to(
        self, target: IntervalSet, port: int, numbers: frozenset[int]
    ) -> IntervalSet:
        """Return the addresses that some rule lets reach a port of a target.

        The rules are those of the whole tailnet: `autogroup:self` and `via` mean
        something else on each node, and are not among them.
        """
        if self._policy.rules is None:
            everyone = self._filters.open()
            services = everyone.openings[0].services
            return everyone.sources if self._serves(services, port, numbers) else EMPTY
        meets: dict[Selector, bool] = {}
        found: dict[Selector, None] = {}
        for rule in self._policy.rules:
            for opened in () if rule.via else rule.targets:
                if not self._serves(opened.services, port, numbers):
                    continue
                selector = opened.selector
                if selector not in meets:
                    meets[selector] = self._meant(selector).overlaps(target)
                if meets[selector]:
                    found.update(dict.fromkeys(rule.sources))
        return self._resolver.all_sources(found)

    def _serves(
        self, services: Iterable[Service], port: int, numbers: frozenset[int]
    ) -> bool:
        # To Headscale's tests a rule without `proto` opens every protocol.
        release = self._policy.release
        unnamed = None if release.hosted else release.protocols
        return any(
            (service.protocols == unnamed or service.protocols & numbers)
            and port in service.ports
            for service in services
        )

    def _meant(self, selector: Selector) -> IntervalSet:
        """Return the addresses that a selector means as a destination."""
        if selector not in self._targets:
            parts = self._resolver.targets(selector)
            if selector.autogroup == "self":
                parts = ()
            self._targets[selector] = IntervalSet.union(parts)
        return self._targets[selector]

    def _target(self, text: str) -> tuple[IntervalSet, int]:
        release = self._policy.release
        name, port_text = split_ports(text.strip() if release.hosted else text)
        port = self._port(port_text)
        name = unbracketed(name, release)
        selector = self._known(name, "destination")
        everything = selector.kind == "any" or selector.autogroup == "danger-all"
        if everything and not release.hosted:
            return self._test_sources(selector), port
        if selector.kind == "any" or selector.autogroup in ("self", "internet"):
            raise Unusable(f'"{name}" is not one host')
        if selector.kind in ("address", "host"):
            found = self._resolver.sources(selector)
            written_out = selector.kind == "address" and "/" in name
            if written_out or found.size() != 1:
                raise Unusable(f'"{name}" is a network, not one host')
            return found, port
        self._need_known_users(selector, "destination")
        found = addresses_of(self._resolver.machines(selector))
        if not found:
            raise Absent(f'destination "{name}" resolved to no IP addresses')
        return found, port

    def _port(self, text: str) -> int:
        """Return the one port of a test; to Headscale 80-80 is one as well."""
        single = text.isdigit() or not (self._policy.release.hosted or "," in text)
        try:
            found = ports(text, lenient=True) if single else ALL_PORTS
        except ValueError as reason:
            raise Unusable(str(reason)) from None
        if found.size() != 1:
            raise Unusable("a test needs exactly one port")
        return found.intervals[0][0]

    # SSH.

    def _ssh_test(self, test: Assertion) -> Iterator[Failure]:
        try:
            source = self._known(test.source, "source")
            addresses = self._ssh_sources(source)
            machines = self._ssh_targets(test, source)
            _require_expectation(test)
        except Unusable as reason:
            yield Failure(test.path, str(reason), help=reason.help)
            return
        for name, logins in test.expected.items():
            for path, login in logins:
                try:
                    self._require_login(login)
                except Unusable as reason:
                    yield Failure(path, str(reason), help=reason.help)
                    continue
                yield from self._login(test, name, path, login, addresses, machines)

    def _ssh_sources(self, selector: Selector) -> list[str]:
        self._need_known_users(selector, "source")
        found = [
            text
            for machine in self._resolver.machines(selector)
            for text in texts(machine.addresses)
        ]
        if not found and selector.kind in ("address", "host", "any"):
            sources = self._resolver.sources(selector)
            nodes = self._filters.tailnet.touched(sources)
            found = [text for m in nodes for text in texts(m.addresses & sources)]
            # What is no node's address logs in nowhere; one such stands for all.
            found += texts(sources - addresses_of(nodes))[:1]
        if not found:
            raise Unusable(f'source "{selector}" resolved to no IP addresses')
        return found

    def _ssh_targets(self, test: Assertion, source: Selector) -> list[Machine]:
        found: dict[int, Machine] = {}
        for text in test.targets:
            selector = self._known(text, "destination")
            self._need_known_users(selector, "destination")
            machines = list(self._ssh_nodes(selector, source))
            if not machines:
                raise Unusable(f'destination "{text}" selects no node')
            found.update({machine.index: machine for machine in machines})
        if not found:
            raise Unusable("there is no destination")
        return list(found.values())

    def _ssh_nodes(self, selector: Selector, source: Selector) -> Iterable[Machine]:
        if selector.autogroup == "self":
            return self._resolver.machines(source) if source.kind == "user" else ()
        if self._policy.release.hosted and is_ipv6(selector):
            return ()  # recorded; the IPv4 form passes there, and Headscale takes both
        if selector.kind in ("address", "host", "any"):
            return self._filters.tailnet.touched(self._resolver.sources(selector))
        return self._resolver.machines(selector)

    def _require_login(self, login: str) -> None:
        if not login and self._policy.release.hosted:
            raise Unusable("the login name is empty")

    def _login(
        self,
        test: Assertion,
        name: str,
        path: Path,
        login: str,
        addresses: Iterable[str],
        machines: Iterable[Machine],
    ) -> Iterator[Failure]:
        """Check one login on every destination, for every source address."""
        found: dict[str, list[str]] = {}
        for machine in machines:
            rules = self._ssh.of(machine)
            actions = {_action(rules, address, login) for address in addresses}
            got = _UNEXPECTED[name](actions)
            if got:
                found.setdefault(got, []).append(machine.name)
        expected = _LOGIN_EXPECTED[name]
        for got, names in found.items():
            said = f"{test.source} -> {login}@{counted(names)}"
            asked = test.source, f"{names[0]}:ssh"
            yield Failure(path, f"{said}: expected {expected}, got {got}", asked)


def _action(rules: Iterable[LoginRule], address: str, login: str) -> str:
    """Return how a login is answered: accept, check, or "" when it is refused."""
    return next((r.action for r in rules if r.admits(address, login)), "")


def _not_accepted(actions: Set[str]) -> str:
    return "DENIED" if "" in actions else ""


def _not_checked(actions: Set[str]) -> str:
    return _not_accepted(actions) or ("ALLOWED without check" * ("accept" in actions))


def _not_denied(actions: Set[str]) -> str:
    return "ALLOWED" if actions - {""} else ""


_UNEXPECTED = {"accept": _not_accepted, "check": _not_checked, "deny": _not_denied}
_LOGIN_EXPECTED = {
    "accept": "ALLOWED",
    "check": "ALLOWED with check",
    "deny": "DENIED",
}


def _prefixes(addresses: IntervalSet) -> Iterator[IntervalSet]:
    """Cut a set into the largest prefixes."""
    for low, high in addresses:
        start = low
        while start <= high:
            size = 1 << ((high - start + 1).bit_length() - 1)
            while start % size:
                size >>= 1
            yield IntervalSet([(start, start + size - 1)])
            start += size


def _require_expectation(test: Assertion) -> None:
    if not any(test.expected.values()):
        names = " and ".join(test.expected)
        raise Unusable(f"nothing is expected: {names} are empty")


def is_ipv6(selector: Selector) -> bool:
    """Tell whether a selector is a literal IPv6 address."""
    return selector.kind == "address" and ":" in selector.text


def _compare(
    test: Assertion, wanted: bool, path: Path, text: str, allowed: bool
) -> Iterator[Failure]:
    if allowed != wanted:
        words = {True: "ALLOWED", False: "DENIED"}
        said = f"expected {words[wanted]}, got {words[allowed]}"
        port = text if not test.protocol else f"{text}/{test.protocol.lower()}"
        yield Failure(path, f"{test.source} -> {text}: {said}", (test.source, port))

"""Services cut into atoms: pieces that every rule opens completely or not at all.

Logging in over SSH and the capabilities of `app` grants are atoms too.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reconcile.policy.access.universe import bits
from reconcile.policy.language.document import Service
from reconcile.policy.language.releases import PINGABLE, SCTP, TCP, UDP
from reconcile.policy.language.sets import IntervalSet
from reconcile.policy.language.words import USE
from reconcile.policy.reading.rules import PROTOCOLS

NONROOT = "autogroup:nonroot"
OTHERS = "every other login"  # of `autogroup:nonroot`: those that no rule names
_PORTED = (TCP, UDP, SCTP)
_NAMES = {number: name for name, number in reversed(PROTOCOLS.items())}
_ANY = (0, 65535)


@dataclass(frozen=True, slots=True)
class Atom:
    """A piece of service: protocols and ports, a login over SSH, or a capability.

    `protocols` behave alike in every rule; those without ports have `ports` None.
    For SSH `login` is the user as the rule writes it, or OTHERS, and `check` whether it
    asks. The same `capability` with another `value` is another atom.
    """

    protocols: tuple[int, ...] = ()
    ports: tuple[int, int] | None = None
    login: str = ""
    check: bool = False
    capability: str = ""
    value: str = ""


class Atoms:
    """All atoms of some services, logins and capabilities, numbered."""

    def __init__(
        self,
        services: Iterable[Service],
        logins: Iterable[tuple[str, bool]],
        capabilities: Iterable[tuple[str, str]] = (),
    ) -> None:
        distinct = set(services)
        wanted = sorted(_told_apart(set(logins)))
        self.list: list[Atom] = []
        self._starts: list[tuple[frozenset[int], int, list[int]]] = []
        for protocols in _classes(distinct):
            atoms = _cut(protocols, distinct, bool(wanted))
            starts = [atom.ports[0] for atom in atoms if atom.ports]
            self._starts.append((frozenset(protocols), len(self.list), starts))
            self.list += atoms
        self._logins = {}
        for login, check in wanted:
            self._logins[login, check] = len(self.list)
            self.list.append(Atom(login=login, check=check))
        self._capabilities = {}
        for name, value in sorted(set(capabilities)):
            self._capabilities[name, value] = len(self.list)
            self.list.append(Atom(capability=name, value=value))
        self.logins = sum(1 << number for number in self._logins.values())
        self._masks = {service: self._mask(service) for service in distinct}
        self.ssh_port = sum(
            1 << index
            for index, atom in enumerate(self.list)
            if TCP in atom.protocols and atom.ports and _within(22, atom.ports)
        )

    def login(self, login: str, check: bool) -> int:
        """Return the atoms of a login; OTHERS is every login but root."""
        if login != OTHERS:
            return 1 << self._logins[login, check]
        return sum(1 << n for n in self._nonroot(check).values())

    def _nonroot(self, check: bool) -> dict[str, int]:
        known = self._logins.items()
        return {name: n for (name, c), n in known if c is check and name != "root"}

    @property
    def traffic(self) -> int:
        """The atoms of all packets: neither logins nor capabilities."""
        return sum(1 << i for i, atom in enumerate(self.list) if atom.protocols)

    def knows(self, services: Iterable[Service]) -> bool:
        """Tell whether atoms are cut so that they make up these services exactly."""
        return all(service in self._masks for service in services)

    @property
    def ssh(self) -> dict[tuple[str, bool], int]:
        """The number of the atom of each login, with and without check."""
        return self._logins

    def granted(self, capabilities: Iterable[tuple[str, str]]) -> int:
        """Return the atoms of capabilities with their values."""
        return sum(1 << self._capabilities[each] for each in set(capabilities))

    def named(self, capability: str) -> int:
        """Return the atoms of a capability, whatever its value."""
        known = self._capabilities.items()
        return sum(1 << number for (name, _), number in known if name == capability)

    def mask(self, services: Iterable[Service]) -> int:
        """Return the atoms that services cover."""
        found = 0
        for service in services:
            found |= self._masks[service]
        return found

    def at(self, protocol: int, port: int) -> int:
        """Return the atoms of one protocol and port, as a set."""
        found = 0
        for index, atom in enumerate(self.list):
            fits = atom.ports is None or _within(port, atom.ports)
            if protocol in atom.protocols and fits:
                found |= 1 << index
        return found

    def _mask(self, service: Service) -> int:
        found = 0
        for protocols, first, starts in self._starts:
            if not service.protocols >= protocols:
                continue
            if not starts:  # protocols without ports: one atom
                found |= 1 << first
            for low, high in service.ports if starts else ():
                begin, end = bisect_left(starts, low), bisect_right(starts, high)
                found |= ((1 << end) - (1 << begin)) << first
        return found

    def names(self, mask: int) -> list[str]:
        """Return a set of atoms as people write it: `tcp 22,443`, `all ports`."""
        known = mask & ((1 << len(self.list)) - 1)
        chosen = [self.list[index] for index in bits(known)]
        by_ports: dict[str, list[int]] = {}
        protocols = sorted(
            {p for atom in chosen for p in atom.protocols},
            key=lambda number: (number not in _PORTED, number),
        )
        for protocol in protocols:
            mine = [atom for atom in chosen if protocol in atom.protocols]
            text = _ports([atom.ports or _ANY for atom in mine])
            by_ports.setdefault(text, []).append(protocol)
        found = [_name(numbers, text) for text, numbers in by_ports.items()]
        logins = [f"ssh as {name}" for name in self._login_names(mask)]
        return found + logins + [self._use(atom) for atom in chosen if atom.capability]

    def _login_names(self, mask: int) -> list[str]:
        """Name logins; what `autogroup:nonroot` stands for is not named again."""
        found = []
        for check in (False, True):
            nonroot = self._nonroot(check)
            known = self._logins.items()
            names = [n for (n, c), i in known if c is check and mask >> i & 1]
            if OTHERS in names:
                but = [name for name, i in nonroot.items() if not mask >> i & 1]
                names = [name for name in names if name not in nonroot]
                names.append(NONROOT + (f" but {', '.join(but)}" if but else ""))
            found += [name + " (check)" * check for name in names]
        return sorted(found)

    def _use(self, atom: Atom) -> str:
        """Name a capability, with its value where there is more than one."""
        several = self.named(atom.capability).bit_count() > 1
        return f"{USE}{atom.capability}" + f" {atom.value}" * several


def _told_apart(logins: set[tuple[str, bool]]) -> set[tuple[str, bool]]:
    """Return logins, and where OTHERS is among them, all that others are told from."""
    names = {name for name, _ in logins}
    checks = {check for name, check in logins if name == OTHERS}
    return logins | {(n, check) for check in checks for n in names if n != "root"}


def service(protocol: int, port: int) -> str:
    """Return one port as people write it: `tcp 22`."""
    return _name([protocol], str(port))


def _name(numbers: Sequence[int], ports: str) -> str:
    if set(numbers) == PINGABLE and ports == "*":
        return "*"
    names = "/".join(_NAMES.get(number, str(number)) for number in numbers)
    if ports == "*":
        return f"{names} *" if set(numbers) & set(_PORTED) else names
    return f"{names} {ports}"


def _ports(intervals: Iterable[tuple[int, int]]) -> str:
    merged = IntervalSet(intervals)
    if merged.covers(1, 65535):
        return "*"
    # Nothing listens on port 0, which is a part of "all ports" only.
    spans = [(a or min(b, 1), b) for a, b in merged]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def _within(number: int, interval: tuple[int, int]) -> bool:
    return interval[0] <= number <= interval[1]


def _classes(services: Iterable[Service]) -> list[tuple[int, ...]]:
    """Group the protocols that always appear together, ported and others apart."""
    sets = sorted({tuple(sorted(service.protocols)) for service in services})
    groups: dict[tuple[object, ...], list[int]] = {}
    for number in sorted({number for each in sets for number in each}):
        key = (number in _PORTED, *(number in each for each in sets))
        groups.setdefault(key, []).append(number)
    return [tuple(numbers) for numbers in groups.values()]


def _cut(
    protocols: tuple[int, ...], services: Iterable[Service], ssh: bool
) -> list[Atom]:
    if protocols[0] not in _PORTED:
        return [Atom(protocols)]
    borders = {22, 23} if ssh and TCP in protocols else set()
    opened = [s.ports for s in services if protocols[0] in s.protocols]
    for ports in opened:
        for low, high in ports:
            borders.update((low, high + 1))
    covered = IntervalSet.union(opened)
    ordered = sorted(borders)
    return [
        Atom(protocols, (low, high - 1))
        for low, high in pairwise(ordered)
        if low in covered
    ]

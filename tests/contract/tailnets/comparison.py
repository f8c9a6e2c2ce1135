"""Where what a plan prints differs from what the server compiled before and after."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.contract.tailnets import reading
from tests.contract.tailnets.probes import (
    Point,
    Probes,
    Service,
    logins_of,
    ports_of,
    texts_of,
)
from tests.contract.tailnets.reading import Printed
from tests.contract.tailnets.truth import Compiled, Truth

_NUMBERS: dict[int | str, str] = {
    6: "tcp",
    17: "udp",
    132: "sctp",
    1: "icmp",
    58: "icmpv6",
    47: "gre",
}
_SHOWN = 3  # examples of a kind


@dataclass(frozen=True)
class Difference:
    """Paths of one kind that are told wrongly, with a few of them as examples."""

    kind: str
    paths: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.paths} paths, as {'; '.join(self.examples)}"


class Comparison:
    """The difference of two sides as the server has it, and as a plan prints it."""

    def __init__(
        self,
        release: str,
        before: Compiled,
        after: Compiled,
        told: Mapping[str, Any] | None,
        upgraded: str = "",
    ) -> None:
        """Take the two states as compiled, and the plan's member `access`.

        None is a plan that says that nothing changes for anybody. `upgraded` is the
        release of the second state, where it is another one.
        """
        lists = {key: (told or {}).get(key) or [] for key in ("gained", "lost")}
        entries = [*lists["gained"], *lists["lost"]]
        self.probes = probes = probes_of((before, after), entries)
        self.old = before.truth(probes, release)
        self.new = after.truth(probes, upgraded or release)
        self.gains = Printed(probes, self.new.names, lists["gained"], self.new.open)
        self.losses = Printed(probes, self.old.names, lists["lost"], self.old.open)
        self._told = told

    def differences(self) -> list[Difference]:
        """Return what is told wrongly, by kind."""
        found = list(self._unreadable())
        pairs = zip(self.old.open, self.new.open, strict=True)
        gained, lost = [], []
        for old, new in pairs:
            gained.append(new & ~old)
            lost.append(old & ~new)
        old, new = self.old.open, self.new.open
        found += self._against("gain", gained, self.gains.open, (new, old))
        found += self._against("loss", lost, self.losses.open, (old, new))
        return found

    def _unreadable(self) -> Iterator[Difference]:
        told = self._told
        if told is not None and not told["evaluated"]:
            yield Difference("not evaluated", 1, (told["reason"],))
        lines = [*self.gains.unreadable, *self.losses.unreadable]
        if lines:
            yield Difference("unreadable", len(lines), tuple(lines[:_SHOWN]))
        if told is not None and told["hidden"]:
            yield Difference("hidden", told["hidden"], ("lines are left out",))

    def _against(
        self,
        what: str,
        real: list[int],
        said: list[int],
        sides: tuple[list[int], list[int]],
    ) -> Iterator[Difference]:
        """Compare one list; `sides` are all that is open on its side and on the other.

        A path is wrong for one family only where the same two nodes have it, or had
        it all the time, over the other family.
        """
        probes, (here, there) = self.probes, sides
        missed = _without(real, said)
        wrong = _without(said, real)
        right = _ends(probes, map(_and, real, said))
        known = _ends(probes, there) if any(missed) else right
        yield from _kinds(probes, f"{what} not told", missed, right | known)
        shut = _without(wrong, here)
        yield from _kinds(probes, f"{what} told, never open", shut, right)
        both = list(map(_and, wrong, here))
        ends = _ends(probes, real) if any(both) else right
        yield from _kinds(probes, f"{what} told, on both sides", both, ends)


def lists_differ(
    what: str,
    truth: Truth,
    entries: Sequence[Mapping[str, Any]],
    asked: Sequence[int] | None = None,
) -> Iterator[Difference]:
    """Yield where a list of what is open in one state is wrong.

    `asked` are the paths of each point that the list is about, None for all.
    """
    probes = truth.probes
    printed = Printed(probes, truth.names, entries, truth.open)
    open_ = truth.open if asked is None else list(map(_and, truth.open, asked))
    if printed.unreadable:
        lines = printed.unreadable
        yield Difference(f"{what}: unreadable", len(lines), tuple(lines[:_SHOWN]))
    right = _ends(probes, map(_and, open_, printed.open))
    missed = _without(open_, printed.open)
    yield from _kinds(probes, f"{what}: not told", missed, right)
    wrong = _without(printed.open, open_)
    yield from _kinds(probes, f"{what}: told, not open", wrong, right)


def _kinds(
    probes: Probes, what: str, paths: list[int], known: set[object]
) -> Iterator[Difference]:
    """Split paths by where they lead; `known` are those of another family."""
    by_place: dict[str, list[str]] = {}
    for source, mask in zip(probes.points, paths, strict=True):
        for service, target in probes.paths(mask):
            kind = f"{_place(source)} to {_place(target)}"
            kind += ", ssh" * isinstance(service[0], str)
            if _key(source, service, target) in known:
                kind += ", one family"
            by_place.setdefault(kind, []).append(_path(source, service, target))
    for place, texts in sorted(by_place.items()):
        some = texts[:: max(1, len(texts) // _SHOWN)][:_SHOWN]
        yield Difference(f"{what}, {place}", len(texts), tuple(some))


def _place(point: Point) -> str:
    if point.devices:
        return "node"
    return "network" if point.network else "internet"


def _and(one: int, other: int) -> int:
    return one & other


def _without(one: list[int], other: list[int]) -> list[int]:
    return [a & ~b for a, b in zip(one, other, strict=True)]


def _ends(probes: Probes, paths: Iterable[int]) -> set[object]:
    return {
        _key(source, service, target)
        for source, mask in zip(probes.points, paths, strict=True)
        for service, target in probes.paths(mask)
    }


def _key(source: Point, service: Service, target: Point) -> object:
    """Return a path between nodes without its family: ping is one service.

    The internet is of both families as well, and all of it is one end.
    """
    protocol = 1 if service[0] == 58 else service[0]
    ends = (point.devices or point.network or "internet" for point in (source, target))
    return *ends, protocol, service[1]


def _path(source: Point, service: Service, target: Point) -> str:
    protocol, port = service
    name = str(_NUMBERS.get(protocol, protocol)) + (f" {port}" if port else "")
    return f"{source.text} -> {target.text} {name}"


def probes_of(
    sides: Sequence[Compiled], entries: Sequence[Mapping[str, Any]]
) -> Probes:
    """Return what is tried where these sides and these printed lines are compared."""
    filters = [rule for side in sides for rule in side.filter]
    return Probes(
        (side.state for side in sides),
        {*texts_of(filters), *_addresses(entries)},
        {*ports_of(filters), *reading.edges(entries)},
        {login for side in sides for login in logins_of(side.ssh)},
    )


def _addresses(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the addresses that printed words hold."""
    from tests.contract.tailnets.names import addresses_in

    for entry in entries:
        for word in (*entry["sources"], *entry["targets"]):
            yield from addresses_in(word)

"""Sets of whole numbers as sorted, disjoint intervals: addresses and ports.

Both address families live on one number line, IPv6 above IPv4, so that one set holds
any mixture and every operation is the same for addresses and for ports.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_address,
    ip_network,
    summarize_address_range,
)
from socket import AF_INET, AF_INET6, inet_pton

from reconcile.source.variables import quoted

Interval = tuple[int, int]

V6 = 1 << 128  # where IPv6 begins on the number line


class IntervalSet:
    """An immutable set of integers; `|`, `&`, `-`, `in`, `<=` and equality."""

    __slots__ = ("intervals",)

    intervals: tuple[Interval, ...]

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self.intervals = tuple(_merged(sorted(intervals)))

    @classmethod
    def _of(cls, intervals: Iterable[Interval]) -> "IntervalSet":
        """Make a set of intervals that are sorted and disjoint already."""
        made = cls.__new__(cls)
        made.intervals = tuple(intervals)
        return made

    @classmethod
    def union(cls, sets: Iterable["IntervalSet"]) -> "IntervalSet":
        """Return the union of many sets in one pass."""
        return cls(interval for each in sets for interval in each.intervals)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and self.intervals == other.intervals

    def __hash__(self) -> int:
        return hash(self.intervals)

    def __len__(self) -> int:
        raise TypeError("an interval set may be larger than len() can say: use size()")

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def __repr__(self) -> str:
        return f"IntervalSet({list(self.intervals)})"

    def parts(self) -> list["IntervalSet"]:
        """Return each interval as a set of its own."""
        return [IntervalSet._of([interval]) for interval in self.intervals]

    def size(self) -> int:
        """Return how many numbers are in the set."""
        return sum(high - low + 1 for low, high in self.intervals)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self.intervals, (number, _INFINITE)) - 1
        return index >= 0 and number <= self.intervals[index][1]

    def __or__(self, other: "IntervalSet") -> "IntervalSet":
        return IntervalSet((*self.intervals, *other.intervals))

    def __and__(self, other: "IntervalSet") -> "IntervalSet":
        return IntervalSet._of(_common(self.intervals, other.intervals))

    def __sub__(self, other: "IntervalSet") -> "IntervalSet":
        return IntervalSet._of(_remaining(self.intervals, other.intervals))

    def __le__(self, other: "IntervalSet") -> bool:
        return all(other.covers(low, high) for low, high in self.intervals)

    def covers(self, low: int, high: int) -> bool:
        """Tell whether every number from low to high is in the set."""
        index = bisect_right(self.intervals, (low, _INFINITE)) - 1
        return index >= 0 and high <= self.intervals[index][1]

    def overlaps(self, other: "IntervalSet") -> bool:
        """Tell whether the two sets have any number in common."""
        few, many = self.intervals, other.intervals
        if len(few) > len(many):
            few, many = many, few
        return any(_touches(many, low, high) for low, high in few)


_INFINITE = 1 << 200


def _touches(intervals: tuple[Interval, ...], low: int, high: int) -> bool:
    index = bisect_left(intervals, (low, 0))
    if index and intervals[index - 1][1] >= low:
        return True
    return index < len(intervals) and intervals[index][0] <= high


def _merged(intervals: list[Interval]) -> Iterator[Interval]:
    if not intervals:
        return
    low, high = intervals[0]
    for start, end in intervals:
        if start > high + 1:
            yield low, high
            low, high = start, end
        elif end > high:
            high = end
    yield low, high


def _common(
    one: tuple[Interval, ...], other: tuple[Interval, ...]
) -> Iterator[Interval]:
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            yield low, high
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1


def _remaining(
    whole: tuple[Interval, ...], taken: tuple[Interval, ...]
) -> Iterator[Interval]:
    first = 0
    for low, high in whole:
        while first < len(taken) and taken[first][1] < low:
            first += 1
        at = first
        while at < len(taken) and taken[at][0] <= high:
            if taken[at][0] > low:
                yield low, taken[at][0] - 1
            low = taken[at][1] + 1
            at += 1
        if low <= high:
            yield low, high


@lru_cache(maxsize=65536)
def prefix(text: str) -> IntervalSet:
    """Return the set of an address, a prefix, a range `a-b`, or `*` for everything.

    Host bits are masked as the servers do. Raises ValueError for any other text.
    """
    if text == "*":
        return EVERYTHING
    with suppress(ValueError):
        low = address(text)
        return IntervalSet._of([(low, low)])
    if "-" in text:
        first, last = (ip_address(part) for part in text.split("-", 1))
        return IntervalSet([(number(first), number(last))])
    network = ip_network(text, strict=False)
    low = number(network.network_address)
    return IntervalSet._of([(low, low + network.num_addresses - 1)])


def address(text: str) -> int:
    """Return where an address stands on the number line of both families.

    Raises ValueError when the text is no address.
    """
    try:
        if ":" in text:
            return V6 + int.from_bytes(inet_pton(AF_INET6, text))
        return int.from_bytes(inet_pton(AF_INET, text))
    except OSError:
        raise ValueError(f"{quoted(text)} is not an address") from None


def number(address: IPv4Address | IPv6Address) -> int:
    """Return where an address stands on the number line of both families."""
    return int(address) + (V6 if address.version == 6 else 0)


def texts(addresses: IntervalSet) -> list[str]:
    """Return a set as the servers write it: prefixes where they fit, else ranges."""
    if addresses == EVERYTHING:
        return ["*"]
    return [_text(low, high) for low, high in addresses]


def prefixes(addresses: IntervalSet) -> list[str]:
    """Return a set as prefixes, an address without a length."""
    found = []
    for low, high in addresses:
        for network in summarize_address_range(_address(low), _address(high)):
            text = str(network)
            found.append(text.removesuffix(f"/{network.max_prefixlen}"))
    return found


def _text(low: int, high: int) -> str:
    first, last = _address(low), _address(high)
    size = high - low + 1
    if low == high:
        return str(first)
    if size & (size - 1) == 0 and (low % V6) % size == 0:
        length = first.max_prefixlen - size.bit_length() + 1
        return f"{first}/{length}"
    return f"{first}-{last}"


def _address(value: int) -> IPv4Address | IPv6Address:
    return IPv6Address(value - V6) if value >= V6 else IPv4Address(value)


EVERYTHING = IntervalSet([(0, (1 << 32) - 1), (V6, V6 + (1 << 128) - 1)])
FAMILIES = {
    4: IntervalSet(EVERYTHING.intervals[:1]),
    6: IntervalSet(EVERYTHING.intervals[1:]),
}
EMPTY = IntervalSet()
ALL_PORTS = IntervalSet([(0, 65535)])


@lru_cache(maxsize=4096)
def ports(text: str, *, lenient: bool = False) -> IntervalSet:
    """Return the set of a port list such as `22`, `80,443`, `1000-2000` or `*`.

    `lenient` is as Headscale reads ranges: from 0, and with dashes to spare. Raises
    ValueError with the server's words when it is none.
    """
    if text == "*":
        return ALL_PORTS
    try:
        return IntervalSet(_port_range(part, lenient) for part in text.split(","))
    except ValueError as reason:
        raise ValueError(f'port range "{text}": {reason}') from None


def _port_range(part: str, lenient: bool) -> Interval:
    ends, dashed = part.split("-"), "-" in part
    if dashed and lenient:
        ends = list(filter(None, ends))
    if dashed and len(ends) != 2:
        raise ValueError("invalid port range format")
    low, high = _port(ends[0]), _port(ends[-1])
    if low == 0 and not (dashed and lenient):
        raise ValueError("first port must be >0, or use '*' for wildcard")
    if high < low:
        raise ValueError("invalid port range: first port is greater than last port")
    return low, high


def _port(text: str) -> int:
    plain = text.removeprefix("+")  # which Go reads as part of the number
    if not (plain.isascii() and plain.isdigit()):
        raise ValueError("invalid first integer")  # whichever it is
    if int(plain) > 65535:
        raise ValueError("port number out of range")
    return int(plain)

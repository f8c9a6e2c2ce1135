"""Addresses as numbers: how this harness reads prefixes, apart from the project."""

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

V6 = 1 << 200  # added to IPv6 addresses, so that the families never meet
Range = tuple[int, int]

_PRIVATE = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
)


@cache
def number(text: str) -> int:
    """Return an address as a number."""
    return _number(ip_address(text))


def _number(address: IPv4Address | IPv6Address) -> int:
    return int(address) + (V6 if address.version == 6 else 0)


@cache
def spans(text: str) -> tuple[Range, ...]:
    """Return what a server or a person writes for addresses: `*`, a prefix, a range."""
    if text == "*":
        return (*spans("0.0.0.0/0"), *spans("::/0"))
    low, dash, high = text.partition("-")
    if dash:
        return ((number(low), number(high)),)
    network = ip_network(text, strict=False)
    return ((_number(network[0]), _number(network[-1])),)


@lru_cache(maxsize=200_000)
def inside(address: int, text: str) -> bool:
    """Tell whether an address lies in what a text says."""
    return any(low <= address <= high for low, high in spans(text))


@cache
def overlap(one: str, other: str) -> bool:
    """Tell whether two texts have an address in common."""
    return any(a <= d and c <= b for a, b in spans(one) for c, d in spans(other))


def alone(address: str) -> str:
    """Return the prefix of one address."""
    return f"{address}/{128 if ':' in address else 32}"


def public(address: int) -> bool:
    """Tell whether an address is in the internet, as `autogroup:internet` means it."""
    if address >= V6:
        return inside(address, "2000::/3")
    return not any(inside(address, text) for text in _PRIVATE)


@cache
def is_public(text: str) -> bool:
    """Tell whether all of what a text says lies in the internet."""
    if any(overlap(text, private) for private in _PRIVATE):
        return False
    (within,) = spans("2000::/3")
    return all(
        high < V6 or (within[0] <= low and high <= within[1])
        for low, high in spans(text)
    )


def is_covered(span: Range, spans_: Iterable[Range]) -> bool:
    """Tell whether ranges together hold all of a range."""
    low, high = span
    for first, last in sorted(spans_):
        if first <= low <= last:
            low = last + 1
    return low > high


def _between() -> Iterator[Range]:
    """Yield what is left of IPv4 between the private ranges."""
    ((low, end),) = spans("0.0.0.0/0")
    for first, last in sorted(spans(text)[0] for text in _PRIVATE):
        yield low, first - 1
        low = last + 1
    yield low, end


PUBLIC4, PUBLIC6 = tuple(_between()), spans("2000::/3")

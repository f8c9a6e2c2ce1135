"""The words that select nodes and addresses: `tag:db`, `alice@`, `10.0.0.0/8`, `*`."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Literal

Kind = Literal[
    "any",
    "user",
    "domain",
    "group",
    "tag",
    "autogroup",
    "address",
    "host",
    "ipset",
    "service",
    "posture",
    "owner",  # one user by id; no text is read so
    "unknown",
]

SELF = "autogroup:self"
UNKNOWN: tuple[Kind, ...] = ("ipset", "service", "posture")  # as to what they hold
LITERAL: tuple[Kind, ...] = ("address", "host")  # addresses that a policy spells out
_BY_ADDRESS = frozenset({"any", *LITERAL, *UNKNOWN})
_DOMAIN = "user:*@"
_PREFIXES: tuple[tuple[str, Kind], ...] = (
    ("group:", "group"),
    ("tag:", "tag"),
    ("autogroup:", "autogroup"),
    ("ipset:", "ipset"),
    ("svc:", "service"),
    ("posture:", "posture"),
)


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector and its kind; `text` is trimmed, as the servers trim it."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def by_address(self) -> bool:
        """Whether it means addresses, whoever has them."""
        return self.kind in _BY_ADDRESS or self.text == "autogroup:danger-all"

    @property
    def autogroup(self) -> str:
        """The name after `autogroup:`, "" for every other kind."""
        return self.text[10:] if self.kind == "autogroup" else ""

    @property
    def domain(self) -> str:
        """The mail domain of `user:*@domain`, "" for every other kind."""
        return self.text[len(_DOMAIN) :] if self.kind == "domain" else ""


@lru_cache(maxsize=65536)
def parse(text: str) -> Selector:
    """Classify a selector in the servers' order of trying.

    Nothing is raised: what no rule fits is of kind `unknown`.
    """
    text = text.strip()
    return Selector(_kind(text), text)


def _kind(text: str) -> Kind:
    if text == "*":
        return "any"
    if is_address(text):
        return "address"
    if "@" in text:
        return "domain" if text.startswith(_DOMAIN) else "user"
    for start, kind in _PREFIXES:
        if text.startswith(start):
            return kind
    return "unknown" if ":" in text or not text else "host"


@lru_cache(maxsize=65536)  # each of some releases asks
def is_address(text: str) -> bool:
    """Tell whether a text is an IP address or a prefix."""
    if not text or text[0] not in "0123456789abcdefABCDEF:" or "%" in text:
        return False
    address, slash, length = text.partition("/")
    if slash and not (length.isascii() and length.isdigit()):
        return False  # Python would take a netmask there, the servers do not
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "." in address or ":" in address

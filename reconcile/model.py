"""The live tailnet as this tool sees it, in Headscale's words, whatever the server."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_interface, ip_network
from itertools import chain

EXIT_ROUTES = frozenset({"0.0.0.0/0", "::/0"})
Natural = tuple[list[tuple[int, int, str]], str]
_DIGITS = re.compile(r"([0-9]+)")


def natural(text: str) -> Natural:
    """Sort key for people: node-2 before node-10, upper case beside lower case."""
    parts = [part for part in _DIGITS.split(text.casefold()) if part]
    ranks = [
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part)
        for part in parts
    ]
    return ranks, text


def canonical_route(text: str) -> str:
    """Return a prefix in the one spelling that is compared.

    Host bits stay, as Headscale keeps them: `10.2.0.5/24` is not `10.2.0.0/24`.
    Raises ValueError when the text is not an address with a prefix length.
    """
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length")
    return str(ip_interface(text))


def route_order(route: str) -> tuple[int, int, int]:
    """Sort key for prefixes: IPv4 first, then by number, then by length."""
    network = ip_interface(route)
    return network.version, int(network), network.network.prefixlen


def covers(prefix: str, route: str) -> bool:
    """Tell whether `prefix` contains the whole of `route`."""
    outer, inner = ip_network(prefix, strict=False), ip_network(route, strict=False)
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class User:
    """An owner account. `provider` is empty for a local user, `oidc` otherwise.

    `provider_id` is what the identity provider calls the user, "" for a local one.
    Only the id tells two users apart: a local user and one of an identity provider may
    share a name, and up to 0.27 the latter may have none.
    """

    id: str
    name: str
    display_name: str = ""
    email: str = ""
    provider: str = ""
    provider_id: str = ""


def user_labels(users: Iterable[User]) -> dict[str, str]:
    """Return what to call each user, by id: the name, and more where two share it.

    A user without a name goes by e-mail, or else by the identity provider's id. An
    e-mail that another user has as well is shared, whatever that one goes by.
    """
    known = tuple(users)
    short = {user.id: _short_label(user) for user in known}
    words = ({short[user.id], user.name, user.email} - {""} for user in known)
    shared = _doubles(chain.from_iterable(words))
    long = {
        user.id: _long_label(user) if short[user.id] in shared else short[user.id]
        for user in known
    }
    shared = _doubles(long.values())
    return {
        number: f"{label} (#{number})" if label in shared else label
        for number, label in long.items()
    }


def _short_label(user: User) -> str:
    return user.name or user.email or user.provider_id or f"#{user.id}"


def _long_label(user: User) -> str:
    """Return `max (oidc, max@example.com)`, or `max (local)`."""
    label = _short_label(user)
    if not user.provider:
        return f"{label} (local)"
    more = user.email if user.email != label else user.provider_id
    return f"{label} ({', '.join(filter(None, (user.provider, more)))})"


def _doubles(labels: Iterable[str]) -> set[str]:
    return {label for label, count in Counter(labels).items() if count > 1}


@dataclass(frozen=True, slots=True)
class Node:
    """A device. `name` is the unique MagicDNS name, `hostname` what the client says.

    `user_id` is its owner's id, None for a tagged node. `tags` can be set; up to 0.27
    there are also those that its pre-auth key gave (`key_tags`) and those that the
    device asked for and may have (`asked_tags`). `approved` is what an
    administrator approved and `available` what the client advertises, both canonical
    prefixes. `expiry` is None for "never". `preauth_key` is the id of the key it joined
    with, or "". `last_seen` and `created` are only shown, and stay as the server wrote
    them.
    """

    id: str
    name: str
    hostname: str = ""
    user_id: str | None = None
    tags: frozenset[str] = frozenset()
    key_tags: frozenset[str] = frozenset()
    asked_tags: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    available: frozenset[str] = frozenset()
    expiry: datetime | None = None
    addresses: tuple[str, ...] = ()
    machine_key: str = ""
    node_key: str = ""
    preauth_key: str = ""
    ephemeral: bool = False
    online: bool = False
    last_seen: str = ""
    created: str = ""

    def expired(self, now: datetime) -> bool:
        """Tell whether its key has expired: it is logged out until it logs in again."""
        return self.expiry is not None and over(self.expiry, now)

    @property
    def worn(self) -> frozenset[str]:
        """Every tag that rules heed: those asked for count where nobody gave one."""
        return self.tags | self.key_tags or self.asked_tags

    def with_stored_tags(self) -> "Node":
        """Return the node as 0.28 takes it over from an older release.

        Seen in a database of 0.27.1 that 0.28.0 was started on: the tags that the
        device asked for and may have become its own, those of its key are dropped.
        """
        tags, none = self.tags | self.asked_tags, frozenset[str]()
        return replace(self, tags=tags, asked_tags=none, key_tags=none)

    @property
    def owner(self) -> str | None:
        """Its user's id where rules heed the user: as long as nobody gave it a tag.

        Seen on 0.26.1 and 0.27.1: a tag that a device asked for comes beside its user.
        """
        return None if self.tags | self.key_tags else self.user_id

    @property
    def routes(self) -> frozenset[str]:
        """The approved subnet routes, exit routes left out."""
        return self.approved - EXIT_ROUTES

    @property
    def exit_node(self) -> bool:
        """Whether both exit routes are approved (Headscale approves them as a pair)."""
        return bool(self.approved & EXIT_ROUTES)


@dataclass(frozen=True, slots=True)
class PolicyText:
    """The stored policy, byte for byte; `text` is None when none was ever stored.

    `writable` is False when the server reads it from a file and refuses writes.
    """

    text: str | None
    writable: bool = True


# What people may call a server's release; 0.30 is still the main branch.
RELEASES = ("0.26", "0.27", "0.28", "0.29", "0.30", "main", "tailscale")


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What is known of the server itself.

    `type` is `headscale` or `tailscale`; `version` is for people (`0.28.0`, `dev`);
    `release` is the row of the capability table that applies (`0.28`, `main`).
    `lacking` maps what it cannot do to the reason; `caveats` maps a kind of
    write to what it does besides.
    """

    type: str
    url: str
    version: str
    release: str
    lacking: dict[str, str] = field(default_factory=dict)
    caveats: dict[str, str] = field(default_factory=dict)
    tags_need_owner: bool = True
    tagging_drops_user: bool = True

    def lacks(self, capability: str) -> str:
        """Return why the server cannot do a thing, or "" when it can."""
        return self.lacking.get(capability, "")


@dataclass(frozen=True, slots=True)
class Live:
    """What the server says now: complete for each kind that was read.

    A kind that was not asked for is None. `taken_at` is the only clock that a plan
    knows, so that the same inputs give the same plan.
    """

    server: ServerInfo
    taken_at: datetime
    users: tuple[User, ...] | None = None
    nodes: tuple[Node, ...] | None = None
    policy: PolicyText | None = None


def over(moment: datetime, now: datetime) -> bool:
    """Tell whether an instant has passed.

    `now` is a whole second: what a server made expire in the course of it has expired.
    """
    return moment < now + timedelta(seconds=1)


def instant(value: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, with a fraction only where there is one."""
    text = value.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def temporary_name(name: str) -> str:
    """Return the name that a user or node bears while it exchanges names.

    It is short enough for a DNS label, and its owner can be found again by it.
    """
    if len(name) > 55:
        name = f"{name[:46]}-{sha256(name.encode()).hexdigest()[:8]}"
    return f"{name}-rc-swap"


@dataclass(frozen=True, slots=True)
class Operation:
    """One write: what to do to which object.

    `verb` is `user.create`, `node.tags` and so on; `id` is the server's id of an
    existing object, "" for a new one; `value` is what the verb needs: a name, a
    tuple of tags or routes, an instant or None, a User, or a policy text. `before`
    is the policy text that the plan saw, for the verbs that must not overwrite
    anything else.
    """

    verb: str
    address: str
    id: str = ""
    value: object = None
    before: str | None = None

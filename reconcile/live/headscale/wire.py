"""Headscale's lists, read with the type of every field checked, into the model.

A proxy, a bug or another program may answer anything; what is not as Headscale
answers it ends here, in a sentence, and never deeper in a traceback.
"""

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

from reconcile.errors import NotAControlServer
from reconcile.model import Node, User, canonical_route
from reconcile.source.mask import masked

# Proto3 and Go print "not set" as the zero time in some releases and fields.
_UNSET = "0001-01-01T00:00:00Z"
# From 0.28 on, the node list shows the user with this id in place of a tagged node's
# owner. Its name, tagged-devices, may be a real user's.
_TAGGED_DEVICES = "2147455555"

_NONE: frozenset[str] = frozenset()
_JSON = dict[str, Any]
_Item = TypeVar("_Item", User, Node)


def users(body: object) -> tuple[User, ...]:
    """Return the users of a list answer. Raises NotAControlServer for any other."""
    return _distinct([_user(entry) for entry in items(body, "users")], "users")


def nodes(body: object) -> tuple[Node, ...]:
    """Return the nodes of a list answer. Raises NotAControlServer for any other."""
    found = items(body, "nodes")
    # Taken from the end, so that each entry's memory is free for the next node.
    found.reverse()
    return _distinct([_node(found.pop()) for _ in range(len(found))], "nodes")


def items(body: object, name: str) -> list[_JSON]:
    """Return the list under `name`, or say that this is not Headscale's answer."""
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, list) or not all(isinstance(i, dict) for i in found):
        raise odd(f"the server's answer holds no list named {name}")
    return found


def _distinct(found: list[_Item], name: str) -> tuple[_Item, ...]:
    """Return the items of a list, none of which may have the id of another."""
    if len({item.id for item in found}) != len(found):
        raise odd(f"the server's list of {name} holds two with the same id")
    return tuple(found)


def odd(message: str) -> NotAControlServer:
    """Return the error for an answer that no control server gives."""
    return NotAControlServer(
        message, "is this a Headscale server, and does a proxy change its answers?"
    )


def parse_instant(text: object) -> datetime | None:
    """Return an instant of the wire, None when it is absent, null or the zero time.

    Go prints up to nine digits of a second and Python reads six: the rest is cut.
    Raises NotAControlServer when it is no time at all.
    """
    if not text or text == _UNSET:
        return None
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise odd(f"the server sent {_short(text)} for a time")
    seconds, fraction, zone = found.groups()
    zone = "+00:00" if zone == "Z" else zone
    if seconds.startswith("0001-01-01"):
        return None
    try:
        moment = datetime.fromisoformat(f"{seconds}{(fraction or '')[:7]}{zone}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise odd(f"the server sent {_short(text)} for a time") from None


_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def _short(value: object) -> str:
    text = masked(repr(value))
    return text if len(text) <= 60 else f"{text[:60]}…"


# Characters of a name: it is printed many times. Real ones have some 250.
_LONGEST = 10_000


class _Entry:
    """One object of a list, whose fields are read with their types checked."""

    __slots__ = ("_fields", "_kind")

    def __init__(self, fields: _JSON, kind: str) -> None:
        self._fields, self._kind = fields, kind

    def must(self, name: str) -> str:
        """Return a text that has to be there."""
        value = self._fields.get(name)
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise self._wrong(name, value)
        return value

    def text(self, name: str) -> str:
        """Return a text, "" when it is absent or null."""
        value = self._fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise self._wrong(name, value)
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, [] when it is absent or null."""
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, value)
        for item in value:
            if not isinstance(item, str) or len(item) > _LONGEST:
                raise self._wrong(name, value)
        return value

    def routes(self, name: str) -> frozenset[str]:
        """Return a list of prefixes in their canonical spelling."""
        try:
            return frozenset(map(_route, self.texts(name)))
        except ValueError:
            raise self._wrong(name, self._fields[name]) from None

    def within(self, name: str) -> "_Entry":
        """Return the object under a name, an empty one when it is absent or null."""
        value = self._fields.get(name)
        if not isinstance(value, dict | None):
            raise self._wrong(name, value)
        return _Entry(value or {}, self._kind)

    def flag(self, name: str) -> bool:
        """Return whether something is set; absent means that it is not."""
        return self._fields.get(name) is True

    def instant(self, name: str) -> datetime | None:
        """Return an instant, None when it is not set."""
        return parse_instant(self._fields.get(name))

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def _wrong(self, name: str, value: object) -> NotAControlServer:
        if name not in self._fields:
            return odd(f"a {self._kind} in the server's list has no {name}")
        return odd(
            f"a {self._kind} in the server's list has {_short(value)} for its {name}"
        )


# The usual case, told without the slower parser.
_IPV4 = re.compile(
    r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!/)|(?=/))){4}"
    r"/(?:3[0-2]|[12]?\d)",
    re.ASCII,
)


def _route(text: str) -> str:
    return text if _IPV4.fullmatch(text) else canonical_route(text)


def _user(fields: _JSON) -> User:
    entry = _Entry(fields, "user")
    return User(
        id=entry.must("id"),
        name=entry.must("name"),
        display_name=entry.text("displayName"),
        email=entry.text("email"),
        provider=entry.text("provider"),
        provider_id=entry.text("providerId"),
    )


def _node(fields: _JSON) -> Node:
    entry = _Entry(fields, "node")
    key = entry.within("preAuthKey")
    tags = _tags(entry)
    old = "tags" not in entry
    return Node(
        id=entry.must("id"),
        name=entry.must("givenName"),
        hostname=entry.text("name"),
        user_id=_owner(entry, tags),
        tags=tags,
        key_tags=frozenset(key.texts("aclTags")) if old else _NONE,
        asked_tags=frozenset(entry.texts("validTags")) - tags if old else _NONE,
        approved=entry.routes("approvedRoutes"),
        available=entry.routes("availableRoutes"),
        expiry=entry.instant("expiry"),
        addresses=tuple(entry.texts("ipAddresses")),
        machine_key=entry.text("machineKey"),
        node_key=entry.text("nodeKey"),
        preauth_key=key.text("id"),
        ephemeral=key.flag("ephemeral"),
        online=entry.flag("online"),
        last_seen=entry.text("lastSeen"),
        created=entry.text("createdAt"),
    )


def _tags(entry: _Entry) -> frozenset[str]:
    """The tags of a node: `tags` from 0.28 on, before that the forced ones.

    Only `forcedTags` can be set. `validTags` adds what the client asked for and may
    have, and policies heed the pre-auth key's tags besides (seen on 0.26.1 and 0.27.1).
    """
    if "tags" not in entry and "forcedTags" not in entry:
        raise odd("a node in the server's list has no tags")
    return frozenset(entry.texts("tags" if "tags" in entry else "forcedTags"))


def _owner(entry: _Entry, tags: frozenset[str]) -> str | None:
    """The owner's id. The name beside it may be old.

    After a user is renamed, 0.27 to main show the old name here until they restart.
    """
    number = entry.within("user").text("id") or None
    return None if tags and number == _TAGGED_DEVICES else number

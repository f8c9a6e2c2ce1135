"""Headscale's v1 wire format: lists become the model, operations become requests.

Nodes are read from the list call alone: the answers of "get one" and of writes leave
fields out or show them differently (`subnetRoutes`, `user`, `validTags`).
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from reconcile.errors import Rejected, StalePlan
from reconcile.live.headscale import wire as entries
from reconcile.live.headscale.releases import Release, detect
from reconcile.live.http import Http, error_message
from reconcile.model import (
    Live,
    Node,
    Operation,
    PolicyText,
    ServerInfo,
    User,
    instant,
)
from reconcile.source.programs import holds

_T = TypeVar("_T")


class Headscale:
    """One Headscale server. `http` decides whether it can be written to."""

    def __init__(self, http: Http, clock: Callable[[], datetime]) -> None:
        self._http = http
        self._clock = clock
        self._version, self._release = detect(http)
        self._node_count = _UNREAD

    @property
    def release(self) -> Release:
        """The row of the capability table that applies."""
        return self._release

    @property
    def url(self) -> str:
        """The server's address."""
        return self._http.url

    @property
    def version(self) -> str:
        """The server's version for people: `0.28.0`, or `dev` for a plain build."""
        return self._version

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def read(self, kinds: AbstractSet[str]) -> Live:
        """Return the live state of the kinds named, each read with one list call.

        Raises AuthError, Unreachable, NotAControlServer or another ServerError.
        """
        readers = {"user": self._read_users, "policy": self._read_policy}
        # Each answer costs the server some 55 ms for the key alone: ask side by side.
        # The nodes, the one long list, are read in this thread, whose memory is reused.
        with ThreadPoolExecutor(len(readers)) as pool:
            asked = {kind: pool.submit(readers[kind]) for kind in kinds - {"node"}}
            nodes = self._read_nodes() if "node" in kinds else None
            found: dict[str, Any] = {kind: asked[kind].result() for kind in asked}
        return Live(
            server=self._info(found.get("policy")),
            taken_at=self._clock(),
            users=found.get("user"),
            nodes=nodes,
            policy=found.get("policy"),
        )

    def check_policy(self, text: str) -> None:
        """Let the server check a policy without storing it (0.29 and later).

        It runs the policy's tests against the live users and nodes. Raises Rejected
        with the server's words.
        """
        response = self._http.send(
            "POST", "/api/v1/policy/check", body={"policy": text}
        )
        self._http.decode(response)

    def policy_to_write(self, operation: Operation) -> str:
        """Return the text of a policy write, right before it is made.

        Raises StalePlan when the server's policy is not the one that the plan saw.
        """
        text = _expect(operation.value, str)
        if not text.strip():
            # Headscale takes an empty text and allows everything after a restart.
            raise Rejected("an empty policy is never sent: it would allow everything")
        if self.policy() != operation.before:
            raise StalePlan(_POLICY_MOVED, "see what changed: reconcile plan")
        return text

    def policy(self) -> str | None:
        """Return the text of the policy as the server shows it, None for none."""
        return self._read_policy().text

    def holds_key(self, text: str) -> bool:
        """Tell whether the API key of this server stands in a text."""
        return self._http.key is not None and holds(text, self._http.key.reveal())

    def credential_expiry(self) -> datetime | None:
        """Return when the API key expires, None if it is not listed.

        The list shows the beginning of each key only.
        """
        key = self._http.key.reveal() if self._http.key else ""
        for entry in entries.items(self._http.get("/api/v1/apikey"), "apiKeys"):
            prefix = str(entry.get("prefix", "")).removesuffix("-***")
            if prefix and key.startswith(prefix):
                return entries.parse_instant(entry.get("expiration"))
        return None

    def write(self, operation: Operation) -> None:
        """Make one change and return when the server acknowledged it.

        Raises Rejected with the server's words, NotFound when the object is gone,
        StalePlan when a policy is not the one that the plan saw, Unreachable when no
        answer came (then it may or may not have happened).
        """
        _WRITERS[operation.verb](self, operation)

    # -- reading -----------------------------------------------------------------

    def _info(self, policy: PolicyText | None) -> ServerInfo:
        lacks = dict(self._release.lacks)
        if policy is not None and not policy.writable:
            lacks["policy.write"] = (
                "this Headscale reads its policy from a file (policy.mode: file) "
                "and refuses writes"
            )
        return ServerInfo(
            type="headscale",
            url=self._http.url,
            version=self._version,
            release=self._release.name,
            lacking=lacks,
            caveats=self._release.caveats,
            tags_need_owner=self._release.tags_need_owner,
            tagging_drops_user=self._release.tagging_drops_user,
        )

    def _read_users(self) -> tuple[User, ...]:
        return entries.users(self._http.get("/api/v1/user"))

    def _read_nodes(self) -> tuple[Node, ...]:
        nodes = entries.nodes(self._http.get("/api/v1/node"))
        self._node_count = len(nodes)
        return nodes

    def _read_policy(self) -> PolicyText:
        response = self._http.send("GET", "/api/v1/policy")
        if response.status_code != 200:
            message = error_message(response)
            if "acl policy not found" in message:
                return PolicyText(None)
            if "reading policy from path" in message:
                return PolicyText(None, writable=False)
        body = self._http.decode(response)
        if not isinstance(body, dict) or not isinstance(body.get("policy"), str):
            raise entries.odd("GET /api/v1/policy answered no policy text")
        # File mode shows itself by a missing time: null up to 0.29, zero on main.
        updated = entries.parse_instant(body.get("updatedAt"))
        return PolicyText(body["policy"], writable=updated is not None)

    # -- writing -----------------------------------------------------------------

    def _slow(self) -> float:
        """Seconds to wait for a write: their cost grows with the number of nodes.

        Measured: 10,000 nodes, one tag change 25 s, one policy 13 s; and parallel
        writes share the server's work. A time that somebody chose is heeded.
        """
        if self._http.chosen:
            return self._http.timeout
        return 30.0 + self._node_count * 0.03

    def _post(self, path: str, body: object, *, repeatable: bool = True) -> None:
        response = self._http.send(
            "POST", path, body=body, repeatable=repeatable, timeout=self._slow()
        )
        self._http.check(response)

    def _delete(self, path: str) -> None:
        self._http.check(self._http.send("DELETE", path, timeout=self._slow()))

    def _create_user(self, operation: Operation) -> None:
        user = _expect(operation.value, User)
        body = {
            "name": user.name,
            "displayName": user.display_name,
            "email": user.email,
        }
        body = {key: value for key, value in body.items() if value}
        self._post("/api/v1/user", body, repeatable=False)

    def _rename_user(self, operation: Operation) -> None:
        self._post(_path("user", operation.id, "rename", operation.value), {})

    def _remove_user(self, operation: Operation) -> None:
        self._delete(_path("user", operation.id))

    def _set_tags(self, operation: Operation) -> None:
        tags = sorted(_expect(operation.value, frozenset))
        self._post(_path("node", operation.id, "tags"), {"tags": tags})

    def _set_routes(self, operation: Operation) -> None:
        routes = sorted(_expect(operation.value, frozenset))
        self._post(_path("node", operation.id, "approve_routes"), {"routes": routes})

    def _rename_node(self, operation: Operation) -> None:
        # 0.26 refuses to rename a node to its own name, so it is not sent twice.
        path = _path("node", operation.id, "rename", operation.value)
        self._post(path, {}, repeatable=False)

    def _set_expiry(self, operation: Operation) -> None:
        """Set, clear or bring about a node's key expiry.

        0.27 to 0.29 read the options from the query, main from the body, and what
        they do not find there means "expire now". Both places are therefore sent.
        """
        path = _path("node", operation.id, "expire")
        if operation.value is None:
            self._post(f"{path}?disableExpiry=true", {"disableExpiry": True})
        elif _expect(operation.value, datetime) <= self._clock():
            self._post(path, {})
        else:
            text = instant(_expect(operation.value, datetime))
            self._post(f"{path}?expiry={quote(text, safe='')}", {"expiry": text})

    def _remove_node(self, operation: Operation) -> None:
        self._delete(_path("node", operation.id))

    def _set_policy(self, operation: Operation) -> None:
        """Compare the stored text and write, in the same moment.

        v1 has no precondition. main's v2 has If-Match, but stores the text with its
        first comments blanked out, so it is not used.
        """
        text = self.policy_to_write(operation)
        response = self._http.send(
            "PUT", "/api/v1/policy", body={"policy": text}, timeout=self._slow()
        )
        self._http.check(response)


# How many nodes there may be where none were read: a write must not fail for that.
_UNREAD = 3000

_POLICY_MOVED = "the policy on the server is not the one that this plan was made from"

_WRITERS: dict[str, Callable[[Headscale, Operation], None]] = {
    "user.create": Headscale._create_user,
    "user.rename": Headscale._rename_user,
    "user.remove": Headscale._remove_user,
    "policy.set": Headscale._set_policy,
    "node.tags": Headscale._set_tags,
    "node.name": Headscale._rename_node,
    "node.routes": Headscale._set_routes,
    "node.expiry": Headscale._set_expiry,
    "node.remove": Headscale._remove_node,
}


def _expect(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"an operation holds {type(value).__name__}")
    return value


def _path(*parts: object) -> str:
    """Join path segments; a name may hold anything, so each is percent-encoded."""
    return "/api/v1/" + "/".join(quote(str(part), safe="") for part in parts)

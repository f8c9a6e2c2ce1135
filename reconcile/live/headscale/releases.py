"""What each Headscale release can do, in one table, and how to tell which it is.

Every entry was seen on a running server of that release; the contract tests hold
the table to it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reconcile.errors import NotAControlServer, ServerError
from reconcile.live.http import Http, is_html

# What a server may be able to do: the name in plans, and the words in `doctor`.
CAPABILITIES = {
    "user.profile": "change e-mail and display name of an existing user",
    "node.untag": "remove the last tag of a node",
    "node.expiry.at": "set a node's key expiry to a date",
    "node.expiry.never": "set a node's key expiry to never",
    "policy.write": "write the policy",
    "policy.check": "check a policy without storing it",
    "policy.if_match": "refuse a policy write when somebody else wrote first",
}

_PROFILE = "Headscale takes e-mail and display name only when it creates a user"
_UNTAG = (
    "Headscale 0.28 and later keep at least one tag on a tagged node; only the device "
    "itself can go back, with `tailscale up --advertise-tags= --force-reauth`"
)
_NEVER = "Headscale can switch a node's expiry off from 0.29 on"
_AT = "Headscale 0.26 ignores the date and logs the node out at once"
_CHECK = "Headscale can check a policy without storing it from 0.29 on"
_IF_MATCH = "this API has no precondition; the text is compared right before the write"
_BLANKED = (
    "its one call with a precondition (v2) blanks out comments of the policy; the text "
    "is compared right before the write"
)
_LOST = "Headscale {} keeps this only until the server restarts"
_ASKED = (
    "Headscale {} does not tell whether the device asks for one of these tags itself: "
    "it keeps such a tag"
)


@dataclass(frozen=True, slots=True)
class Release:
    """One row: what a release lacks, and what its writes do besides.

    `lacks` maps a capability to the reason. `caveats` maps a kind of change to what
    has to be said about it in the plan. The rest are the wire's differences.
    """

    name: str
    lacks: dict[str, str]
    caveats: dict[str, str] = field(default_factory=dict)
    tags_need_owner: bool = True
    tagging_drops_user: bool = True


RELEASES = {
    "0.26": Release(
        "0.26",
        lacks={
            "user.profile": _PROFILE,
            "node.expiry.at": _AT,
            "node.expiry.never": _NEVER,
            "policy.check": _CHECK,
            "policy.if_match": _IF_MATCH,
        },
        caveats={
            "node.tags": "Headscale 0.26 goes by the old tags until some device joins, "
            "or the server restarts",
            "node.tags.empty": _ASKED.format("0.26"),
            "user.rename": "Headscale 0.26 goes by the old name in its policy until it "
            "restarts, or a user is created or removed",
        },
        tags_need_owner=False,
        tagging_drops_user=False,
    ),
    "0.27": Release(
        "0.27",
        lacks={
            "user.profile": _PROFILE,
            "node.expiry.never": _NEVER,
            "policy.check": _CHECK,
            "policy.if_match": _IF_MATCH,
        },
        caveats={
            "node.tags": "Headscale 0.27 goes by the old tags until a policy is "
            "stored, a user is created or renamed, a device joins or leaves, or the "
            "server restarts",
            "user.remove": "Headscale 0.27 still heeds a removed user in its policy "
            "until one is created or renamed, or it restarts",
            "node.routes.empty": _LOST.format("0.27"),
            "node.tags.empty": f"{_LOST.format('0.27')}; {_ASKED.format('0.27')}",
            "node.expiry": _LOST.format("0.27"),
        },
        tags_need_owner=False,
        tagging_drops_user=False,
    ),
    "0.28": Release(
        "0.28",
        lacks={
            "user.profile": _PROFILE,
            "node.untag": _UNTAG,
            "node.expiry.never": _NEVER,
            "policy.check": _CHECK,
            "policy.if_match": _IF_MATCH,
        },
        caveats={
            "node.routes.empty": _LOST.format("0.28"),
            "node.expiry": _LOST.format("0.28"),
            "user.remove": "Headscale 0.28.0 deletes every pre-auth key of every "
            "user along with any user",
        },
    ),
    "0.29": Release(
        "0.29",
        lacks={
            "user.profile": _PROFILE,
            "node.untag": _UNTAG,
            "policy.if_match": _IF_MATCH,
        },
    ),
    "main": Release(
        "main",
        lacks={
            "user.profile": _PROFILE,
            "node.untag": _UNTAG,
            "policy.if_match": _BLANKED,
        },
    ),
}

# The hosted service, which this version cannot talk to: what an upgrade asks of it.
HOSTED = Release(
    "tailscale",
    lacks={
        "user.profile": "Tailscale takes users from its identity provider",
        "node.expiry.at": "Tailscale switches a key's expiry on or off, with no date",
    },
)

OLDEST, NEWEST = 26, 29


def detect(http: Http) -> tuple[str, Release]:
    """Return (version for people, release) of the server behind `http`.

    `/version` tells it for a release build. A plain build says `dev`, and 0.26 has
    no such path (404); then the descriptions of the API that the server publishes
    tell, and where a proxy hides those, a few harmless requests do. Raises
    NotAControlServer when nothing there looks like Headscale, ServerError when its
    release is not supported.
    """
    version = _version(http)
    if found := re.match(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version):
        number = int(found[1]), int(found[2])
        return version.removeprefix("v"), _supported(version, number)
    release = _from_description(http) or _from_probes(http)
    return version or release.name, release


def _version(http: Http) -> str:
    response = http.send("GET", "/version")
    if response.status_code == 404:
        return ""
    if response.status_code != 200 or is_html(response):
        http.check(response)
    body = http.decode(response)
    return str(body.get("version", "")) if isinstance(body, dict) else ""


def _supported(version: str, number: tuple[int, int]) -> Release:
    if number < (0, OLDEST):
        raise ServerError(
            f"{version} is older than reconcile supports",
            f"Headscale 0.{OLDEST} is the oldest that works",
        )
    return RELEASES[f"0.{number[1]}" if number <= (0, NEWEST) else "main"]


def _from_description(http: Http) -> Release | None:
    """Read the release off the API description, which needs no credential."""
    description = _json_or_none(http, "/swagger/v1/openapiv2.json")
    if description is None:
        described = _json_or_none(http, "/api/v1/openapi.json") is not None
        return RELEASES["main"] if described else None
    paths = description.get("paths", {})
    node = description.get("definitions", {}).get("v1Node", {}).get("properties", {})
    if "/api/v1/policy/check" in paths:
        return RELEASES["0.29"]
    if "tags" in node:
        return RELEASES["0.28"]
    return RELEASES["0.27" if "/api/v1/health" in paths else "0.26"]


def _from_probes(http: Http) -> Release:
    """Tell the release by what it answers, when a proxy shows nothing but /api."""
    probes: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("0.29", lambda: _policy_check_exists(http)),
        ("0.28", lambda: _json_or_none(http, "/api/v1/preauthkey") is not None),
        ("0.27", lambda: _json_or_none(http, "/api/v1/health") is not None),
        ("0.26", lambda: _json_or_none(http, "/api/v1/user") is not None),
    )
    http.get("/api/v1/user")
    for name, answers in probes:
        if answers():
            return RELEASES[name]
    raise NotAControlServer(f"{http.url} does not answer like a Headscale server")


def _policy_check_exists(http: Http) -> bool:
    answer = http.send("POST", "/api/v1/policy/check", body={"policy": "{}"})
    return answer.status_code == 200


def _json_or_none(http: Http, path: str) -> dict[str, Any] | None:
    response = http.send("GET", path)
    if response.status_code != 200 or is_html(response):
        return None
    body = http.decode(response)
    return body if isinstance(body, dict) else None

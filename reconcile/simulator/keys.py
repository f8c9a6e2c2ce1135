"""The end points of pre-auth keys and API keys."""

import secrets
from typing import Any

from reconcile.simulator import users
from reconcile.simulator.call import Call, Route, unsigned
from reconcile.simulator.release import Release
from reconcile.simulator.wire import INVALID, UNKNOWN, Refusal
from reconcile.simulator.world import ZERO_TIME, ApiKey, Key, World, now


def view(world: World, key: Key, *, whole: bool = False) -> dict[str, Any]:
    """Return a pre-auth key; from 0.28 on only its creation shows the secret."""
    user = world.user(key.user) or world.gone_user(key.user)
    secret = key.secret if whole else _masked(key.secret)
    return {
        "user": users.view(world, user) if user else None,
        "id": str(key.id),
        "key": secret,
        "reusable": key.reusable,
        "ephemeral": key.ephemeral,
        "used": key.used,
        "expiration": key.expiration,
        "createdAt": key.created,
        "aclTags": key.tags,
    }


def _masked(secret: str) -> str:
    """Return a secret as lists show it: keys of the old shape stay in plain text."""
    if not secret.startswith("hskey-"):
        return secret
    return "-".join(secret.split("-", 3)[:3]) + "-***"


def new_secret(release: Release, kind: str) -> str:
    """Return a secret shaped as the release makes them; kind is auth or api."""
    if release.keys_by_id:
        return f"hskey-{kind}-{secrets.token_hex(6)}-{secrets.token_hex(32)}"
    if kind == "auth":
        return secrets.token_hex(24)
    return f"{secrets.token_hex(4)[:7]}.{secrets.token_hex(16)}"


def check_tag(release: Release, tag: str) -> str:
    """Return why a tag's text is refused, or nothing."""
    if not tag.startswith("tag:"):
        return "tag must start with the string 'tag:'"
    if tag.lower() != tag:
        return "tag should be lowercase"
    return release.tag_space_error if len(tag.split()) > 1 else ""


def listing(call: Call) -> dict[str, Any]:
    """List keys: of one user up to 0.27, of everybody after."""
    world = call.world
    keys = sorted(world.keys, key=lambda key: key.id)
    if not call.release.keys_by_id:
        number = unsigned(call.query.get("user", "0"), 'parsing field "user": ')
        _owner(call, number)
        keys = [key for key in keys if key.user == number]
    return {"preAuthKeys": [view(world, key) for key in keys]}


def create(call: Call) -> dict[str, Any]:
    """Create a key; one without an expiration is expired at birth."""
    world, body = call.world, call.body
    tags = body.get("aclTags", [])
    for tag in tags:
        if problem := check_tag(call.release, tag):
            raise Refusal(INVALID, problem, 400, "invalid tag", problem)
    number = unsigned(str(body.get("user") or 0), "", "invalid user id")
    if number or not call.release.keys_by_id:
        _owner(call, number)
    elif not tags:
        reason = "auth-key must be either tagged or owned by user"
        raise Refusal(UNKNOWN, reason, 400, "creating pre-auth key", reason)
    key = Key(
        world.new_id("key"),
        number or None,
        new_secret(call.release, "auth"),
        reusable=body.get("reusable", False),
        ephemeral=body.get("ephemeral", False),
        tags=sorted(set(tags)),
        expiration=body.get("expiration", ZERO_TIME),
    )
    world.keys.append(key)
    return {"preAuthKey": view(world, key, whole=True)}


def _owner(call: Call, number: int) -> None:
    if call.world.user(number) is None:
        raise Refusal(
            UNKNOWN, "user not found", 404, "creating pre-auth key", "user not found"
        )


def expire(call: Call) -> dict[str, Any]:
    """Expire a key now; 0.28 and 0.29 say yes to any id, also to none."""
    if call.release.keys_by_id:
        key = _by_id(call, str(call.body.get("id") or 0), "expiring")
    else:
        key = _by_secret(call)
    if key is not None:
        key.expiration = now()
    return {}


def delete(call: Call) -> dict[str, Any]:
    """Delete a key; the nodes that joined with it stay."""
    key = _by_id(call, call.query.get("id") or "0", "deleting")
    if key is not None:
        call.world.delete_keys([key])
    return {}


def _by_id(call: Call, text: str, doing: str) -> Key | None:
    number = unsigned(text, 'parsing field "id": ', "invalid pre-auth key id")
    key = call.world.key(number)
    if key is None and call.release.unknown_key_is_an_error:
        reason = "auth-key not found: record not found"
        raise Refusal(UNKNOWN, reason, 404, f"{doing} pre-auth key", reason)
    return key


def _by_secret(call: Call) -> Key:
    secret = call.body.get("key", "")
    for key in call.world.keys:
        if key.secret == secret and secret:
            if key.user != call.body.get("user"):
                raise Refusal(UNKNOWN, "preauth key does not belong to user")
            return key
    raise Refusal(UNKNOWN, "AuthKey not found")


def api_listing(call: Call) -> dict[str, Any]:
    """List API keys by their prefix; when one was used last is never known."""
    return {
        "apiKeys": [
            {
                "id": str(key.id),
                "prefix": prefix(key),
                "expiration": key.expiration,
                "createdAt": key.created,
                "lastSeen": None,
            }
            for key in sorted(call.world.api_keys, key=lambda key: key.id)
        ]
    }


def prefix(key: ApiKey) -> str:
    """Return the part of an API key by which it is listed and named."""
    return _masked(key.key) if key.key.startswith("hskey-") else key.key.split(".")[0]


def api_create(call: Call) -> dict[str, Any]:
    """Create an API key; the answer holds nothing but the key."""
    world = call.world
    key = ApiKey(
        world.new_id("api_key"),
        new_secret(call.release, "api"),
        call.body.get("expiration", ZERO_TIME),
    )
    world.api_keys.append(key)
    return {"apiKey": key.key}


def api_expire(call: Call) -> dict[str, Any]:
    """Expire an API key, named by its prefix or, from 0.28 on, its id."""
    number, name = str(call.body.get("id") or 0), call.body.get("prefix", "")
    if not call.release.keys_by_id:
        number = "0"
    elif number != "0" and name:
        raise Refusal(INVALID, "provide either id or prefix, not both")
    elif number == "0" and not name:
        raise Refusal(INVALID, "must provide id or prefix")
    _api_key(call, unsigned(number, ""), name).expiration = now()
    return {}


def api_delete(call: Call) -> dict[str, Any]:
    """Delete an API key by its prefix."""
    call.world.api_keys.remove(_api_key(call, 0, call.path["prefix"]))
    return {}


def _api_key(call: Call, number: int, name: str) -> ApiKey:
    for key in call.world.api_keys:
        if key.id == number or (name and prefix(key) == name):
            return key
    raise Refusal(
        UNKNOWN, "record not found", 404, "getting api key", "record not found"
    )


_FIELDS = {
    "user": "id",
    "reusable": "flag",
    "ephemeral": "flag",
    "expiration": "time",
    "aclTags": "texts",
}
_OLD_EXPIRE = {"user": "id", "key": "text"}
_NEW_EXPIRE = {"id": "id"}


def _new(release: Release) -> bool:
    return release.keys_by_id


def _old(release: Release) -> bool:
    return not release.keys_by_id


ROUTES = (
    Route("GET", "preauthkey", listing),
    Route("POST", "preauthkey", create, _FIELDS),
    Route("POST", "preauthkey/expire", expire, _OLD_EXPIRE, available=_old),
    Route("POST", "preauthkey/expire", expire, _NEW_EXPIRE, available=_new),
    Route("DELETE", "preauthkey", delete, available=_new),
    Route("GET", "apikey", api_listing),
    Route("POST", "apikey", api_create, {"expiration": "time"}),
    Route("POST", "apikey/expire", api_expire, {"prefix": "text", "id": "id"}),
    Route("DELETE", "apikey/{prefix}", api_delete),
)

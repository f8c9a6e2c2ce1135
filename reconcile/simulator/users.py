"""The end points of users."""

from typing import Any

from reconcile.simulator.call import Call, Route, unsigned
from reconcile.simulator.wire import UNKNOWN, Refusal
from reconcile.simulator.world import ZERO_TIME, User, World

UNIQUE = "constraint failed: UNIQUE constraint failed: users.name (2067)"
# what lists show as the owner of a node that its tags own
TAGGED_DEVICES = User(2147455555, "tagged-devices", "Tagged Devices", created=ZERO_TIME)


def view(world: World, user: User) -> dict[str, Any]:
    """Return a user as every version shows it."""
    name = user.name
    if not name and world.release.nameless_shows_id:
        name = user.email or str(user.id)
    return {
        "id": str(user.id),
        "name": name,
        "createdAt": user.created,
        "displayName": user.display_name,
        "email": user.email,
        "providerId": user.provider_id,
        "provider": user.provider,
        "profilePicUrl": user.picture,
    }


def listing(call: Call) -> dict[str, Any]:
    """List users; one filter counts, in the order name, email, id."""
    query = call.query
    number = unsigned(query.get("id", "") or "0", 'parsing field "id": ', "invalid id")
    users = sorted(call.world.users, key=lambda user: user.id)
    if name := query.get("name"):
        users = [user for user in users if user.name == name]
    elif email := query.get("email"):
        users = [user for user in users if user.email == email]
    elif number:
        users = [user for user in users if user.id == number]
    return {"users": [view(call.world, user) for user in users]}


def create(call: Call) -> dict[str, Any]:
    """Create a user; a request says `pictureUrl` where answers say `profilePicUrl`."""
    world, body = call.world, call.body
    name = body.get("name", "")
    _check_name(call, name)
    if _taken(world, name):
        raise _duplicate(call, name)
    user = User(
        world.new_id("user"),
        name,
        display_name=body.get("displayName", ""),
        email=body.get("email", ""),
        picture=body.get("pictureUrl", ""),
    )
    world.users.append(user)
    return {"user": view(world, user)}


def rename(call: Call) -> dict[str, Any]:
    """Rename a user; its own name is accepted."""
    user = _found(call, "old_id", "renaming user")
    world, name = call.world, call.path["name"]
    _check_name(call, name)
    if user.provider and not call.release.renames_oidc_users:
        raise Refusal(UNKNOWN, "cannot edit OIDC user")
    if name != user.name and not user.provider and _taken(world, name):
        reason = call.release.rename_error_prefix + UNIQUE
        raise Refusal(UNKNOWN, reason, 500, "renaming user", reason)
    if call.release.nodes_show_old_names:
        for node in world.nodes:
            key = world.key(node.key)
            if user.id in (node.user, key.user if key else None):
                node.old_names.setdefault(str(user.id), user.name)
    user.name = name
    only_one(world, name, "renaming user")
    return {"user": view(world, user)}


def only_one(world: World, name: str, detail: str, prefix: str = "") -> None:
    """Fail as servers do that look a user up by a name that two of them have.

    What was done before that is done.
    """
    count = sum(user.name == name for user in world.users)
    if count > 1:
        reason = f"expected exactly one user, found {count}"
        raise Refusal(UNKNOWN, prefix + reason, 500, detail, reason)


def delete(call: Call) -> dict[str, Any]:
    """Delete a user that owns no node, and its pre-auth keys."""
    world = call.world
    user = _found(call, "id", "deleting user")
    if any(node.user == user.id for node in world.nodes):
        reason = "user not empty: node(s) found"
        raise Refusal(UNKNOWN, reason, 400, "deleting user", reason)
    world.users.remove(user)
    world.gone_users.append(user)
    # 0.28.0 deletes the keys of every user, which is its fault
    every = call.release.delete_user_wipes_keys
    world.delete_keys([key for key in world.keys if every or key.user == user.id])
    return {}


def _found(call: Call, parameter: str, detail: str) -> User:
    message = f"type mismatch, parameter: {parameter}, error: "
    number = unsigned(call.path["id"], message, "invalid user id")
    user = call.world.user(number)
    if user is None:
        raise Refusal(UNKNOWN, "user not found", 404, detail, "user not found")
    return user


def _taken(world: World, name: str) -> bool:
    """Tell whether a local user has the name; those of a provider do not count."""
    return any(user.name == name and not user.provider for user in world.users)


def _duplicate(call: Call, name: str) -> Refusal:
    release = call.release
    message = f"{release.user_error_prefix}creating user: {UNIQUE}"
    if not name or sum(user.name == name for user in call.world.users) > 1:
        # main asks for the user of that name first, whom it finds only when it is one
        return Refusal(
            release.user_error_code,
            message,
            500,
            "creating user",
            f"creating user: {UNIQUE}",
        )
    return Refusal(release.user_error_code, message, 409, "user already exists")


def _check_name(call: Call, name: str) -> None:
    """Refuse the names that 0.26 refuses; later versions take any text."""
    if not call.release.user_name_rules:
        return
    problem = ""
    if len(name) < 2:
        problem = "must be at least 2 characters long"
    elif name[0].isdigit():
        problem = "cannot start with a number"
    elif name.count("@") > 1:
        problem = "cannot contain more than one '@'"
    else:
        wrong = [char for char in name if not (char.isalnum() or char in "-._@")]
        problem = f"contains invalid character: '{wrong[0]}'" if wrong else ""
    if problem:
        raise Refusal(UNKNOWN, f"username {problem}")


ROUTES = (
    Route("GET", "user", listing),
    Route(
        "POST",
        "user",
        create,
        {"name": "text", "displayName": "text", "email": "text", "pictureUrl": "text"},
    ),
    Route("POST", "user/{id}/rename/{name}", rename),
    Route("DELETE", "user/{id}", delete),
)

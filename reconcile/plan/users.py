"""Users: created, renamed, removed; never deleted and made anew for a new name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from reconcile.desired import entries
from reconcile.desired.scalars import scalar
from reconcile.desired.state import Desired, WantedUser
from reconcile.desired.users import expired
from reconcile.errors import Diagnostic, Position
from reconcile.model import Live, User, temporary_name
from reconcile.plan.changes import Action, Change, Unlisted
from reconcile.plan.departures import Departures, Reason, state, unwanted_users
from reconcile.plan.found import Found
from reconcile.remedies import Drop, Help, Put
from reconcile.source.variables import quoted

_PROFILE = ("display_name", "email")


def diff_users(desired: Desired, live: Live, found: Found) -> None:
    """Add to `found` what has to happen to users."""
    if live.users is None:
        return
    now = live.taken_at
    local = {user.name: user for user in live.users if not user.provider}
    foreign = {user.name: user for user in live.users if user.provider}
    unwanted = unwanted_users(desired, live)
    departures = Departures(desired, live, found)
    wanted = {
        name: user
        for name, user in (desired.users or {}).items()
        if name not in unwanted
    }
    renames = _renames(wanted, local, found)
    for name, user in wanted.items():
        if name in renames:
            found.changes.append(_rename(user, local[renames[name]], live))
            _profile(user, local[renames[name]], live, found)
        elif name in local:
            _profile(user, local[name], live, found)
        elif name not in foreign:
            found.changes.append(_create(user))
            _suggest_rename(user, wanted, local, found)
    _foreign(desired, {n: u for n, u in foreign.items() if n not in local}, now, found)
    departures.all(unwanted)
    kept = {*wanted, *renames.values(), *unwanted}
    for name, account in local.items():
        if desired.users is not None and name not in kept:
            _unlisted(account, desired, departures, found)


def called(desired: Desired, live: Live) -> tuple[User, ...]:
    """Return the users of a server with the names that they will have."""
    local = {user.name: user for user in live.users or () if not user.provider}
    gone = unwanted_users(desired, live)
    wanted = {n: u for n, u in (desired.users or {}).items() if n not in gone}
    new = {old: name for name, old in _renames(wanted, local, Found()).items()}
    return tuple(
        user if user.provider else replace(user, name=new.get(user.name, user.name))
        for user in live.users or ()
    )


def _foreign(
    desired: Desired, foreign: Mapping[str, User], now: datetime, found: Found
) -> None:
    """Warn about wishes for users of an identity provider, which are its business."""
    for name, user in (desired.users or {}).items():
        account = foreign.get(name)
        differs = account and any(
            getattr(user, field) not in (None, getattr(account, field))
            for field in _PROFILE
        )
        if differs or (account and user.until and not expired(user, now)):
            found.problems.append(_read_only(name, name, user.position))
        for old in user.was:
            if old in foreign and name not in foreign:
                found.problems.append(_read_only(old, name, user.position))


def _read_only(account: str, name: str, position: Position) -> Diagnostic:
    return Diagnostic(
        "RC0211",
        f"user:{account} comes from the identity provider and is left as it is",
        position,
        severity="warning",
        why="the identity provider would undo a change at the user's next login",
        help="make the change there, and take it out of this file",
        address=f"user:{name}",
    )


def _renames(
    wanted: Mapping[str, WantedUser], local: Mapping[str, User], found: Found
) -> dict[str, str]:
    """Return the renames that are due, new name -> old name.

    A name that is taken counts as free once its bearer is to be renamed itself, so
    chains (a to b, b to c) are found. `was` is history once the old name is gone.
    """
    renames: dict[str, str] = {}
    while due := _due(wanted, local, renames):
        renames.update(due)
    for name, user in wanted.items():
        both = [old for old in user.was if old in local and old not in wanted]
        if name in local and name not in renames and both:
            found.problems.append(_cannot_rename(user, both[0]))
        elif name in local and name not in renames:
            _exchange(user, wanted, local, found)
    return renames


def _due(
    wanted: Mapping[str, WantedUser],
    local: Mapping[str, User],
    renames: Mapping[str, str],
) -> dict[str, str]:
    leaving = set(renames.values())
    for name, user in wanted.items():
        taken = name in local and name not in leaving
        if name in renames or (taken and not _swapped(user, wanted, local, leaving)):
            continue
        for old in _former(user):
            if old in local and old not in leaving:
                return {name: old}
    return {}


def _former(user: WantedUser) -> tuple[str, ...]:
    """Return the names by which a user may still go, the most certain first.

    A temporary name is left where an exchange of names was cut off in the middle.
    """
    return (*(temporary_name(old) for old in user.was), *user.was)


def _swapped(
    user: WantedUser,
    wanted: Mapping[str, WantedUser],
    local: Mapping[str, User],
    leaving: Iterable[str],
) -> bool:
    """Tell whether two users are to exchange names and have not done so yet.

    Both names exist before and after, so only an e-mail or a display name that the
    file gives can tell: it must be the other one's now. A backup knows their ids.
    """
    for old in _exchanging(user, wanted, local):
        here, there = local[user.name], local[old]
        if user.number and old not in leaving:
            return user.number == there.id
        if old not in leaving and any(
            (mine := getattr(user, field)) is not None
            and getattr(there, field) == mine != getattr(here, field)
            for field in _PROFILE
        ):
            return True
    return False


def _exchanging(
    user: WantedUser, wanted: Mapping[str, WantedUser], local: Mapping[str, User]
) -> Iterator[str]:
    """Yield the users of the server with whom a user is to exchange names."""
    for old in user.was:
        other = wanted.get(old)
        if old in local and other and user.name in other.was:
            yield old


def _exchange(
    user: WantedUser,
    wanted: Mapping[str, WantedUser],
    local: Mapping[str, User],
    found: Found,
) -> None:
    """Report an exchange of names of which nothing tells whether it is done."""
    for old in _exchanging(user, wanted, local):
        here, there = local[user.name], local[old]
        given = [f for f in _PROFILE for u in (user, wanted[old]) if getattr(u, f)]
        if user.name > old or any(getattr(here, f) != getattr(there, f) for f in given):
            continue  # told once, and not where the file says who is who
        entry = f"{user.name}: {{ was: {old}, email: {there.email} }}"
        told = there.email and there.email != here.email
        way = f"write whom you mean: {entry}" if told else "go by a third name"
        found.problems.append(
            Diagnostic(
                "RC0210",
                f"nothing tells whether user:{old} and user:{user.name} have exchanged "
                "their names already",
                user.position,
                why="both names are on the server, before and after",
                help=f"{way}; if it is done, remove `was` from both",
                address=f"user:{user.name}",
            )
        )


def _cannot_rename(user: WantedUser, old: str) -> Diagnostic:
    return Diagnostic(
        "RC0210",
        f"user:{old} cannot be renamed to {user.name}: both are on the server",
        user.position,
        severity="warning",
        **_without(user, old),
        about=(f"user:{old}",),
    )


def _without(user: WantedUser, old: str) -> Help:
    """Return the remedy that gives up a rename: both users stay as they are."""
    path = ("users", user.name, "was")
    rest = [scalar(former) for former in user.was if former != old]
    if not rest:
        return {"help": f"remove `was: {old}` here", "ways": ((Drop(path),),)}
    put = Put(path, f"[{', '.join(rest)}]")
    return {"help": f"write {put} here", "ways": ((put,),)}


def _create(user: WantedUser) -> Change:
    fields = {"name": user.name}
    fields |= {f: getattr(user, f) for f in _PROFILE if getattr(user, f)}
    return Change(
        f"user:{user.name}", "user", Action.CREATE, position=user.position, after=fields
    )


def _rename(user: WantedUser, old: User, live: Live) -> Change:
    keeps = ""
    if live.nodes is not None:
        count = sum(node.user_id == old.id for node in live.nodes)
        keeps = f"keeps {count} node{'' if count == 1 else 's'}" if count else ""
    return Change(
        f"user:{old.name}",
        "user",
        Action.RENAME,
        old.id,
        user.position,
        before=state(old),
        after={"name": user.name},
        reason=keeps,
        caveats=tuple(filter(None, [live.server.caveats.get("user.rename")])),
    )


def _profile(user: WantedUser, old: User, live: Live, found: Found) -> None:
    """Say what cannot be changed: the profile is set at creation only."""
    differing = {
        name: mine
        for name in _PROFILE
        if (mine := getattr(user, name)) is not None and mine != getattr(old, name)
    }
    if not differing:
        return
    reason = live.server.lacks("user.profile")
    found.stuck.append(
        Change(
            f"user:{user.name}",
            "user",
            Action.UPDATE,
            old.id,
            user.position,
            before=state(old),
            after=differing,
            notes=dict.fromkeys(differing, reason),
        )
    )
    for name, mine in differing.items():
        found.unsupported(
            "RC0304",
            f"user:{user.name}: {name} cannot be changed from "
            f"{quoted(getattr(old, name))} to {quoted(mine)}",
            user.position,
            why=reason,
            remedy=_leave(user, name),
            address=f"user:{user.name}",
        )


def _leave(user: WantedUser, name: str) -> Help:
    """Return the remedy that leaves a field of a user as the server has it."""
    return {
        "help": f"remove `{name}` from the entry to leave it alone",
        "ways": ((Drop(("users", user.name, name)),),),
    }


def _suggest_rename(
    user: WantedUser,
    wanted: Mapping[str, WantedUser],
    local: Mapping[str, User],
    found: Found,
) -> None:
    for other in local.values():
        if user.email and other.email == user.email and other.name not in wanted:
            found.notes.append(
                f"user:{user.name} (new) and user:{other.name} (not in the file) share "
                f"the e-mail {user.email}: rename? add `was: {other.name}`"
            )


def _unlisted(
    user: User, desired: Desired, departures: Departures, found: Found
) -> None:
    if desired.manage.users == "prune":
        departures.remove(user, Reason("not in the file (manage.users: prune)"))
    elif desired.manage.users == "report":
        found.unlisted.append(_offer(user))


def _offer(user: User) -> Unlisted:
    address = f"user:{user.name}"
    if not entries.usable(user.name):
        return Unlisted(address, "user", "", "no file can hold its name")
    return Unlisted(address, "user", entries.line(user.name, entries.user(user)))

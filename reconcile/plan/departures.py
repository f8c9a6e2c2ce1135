"""Users who are to go, what stands in the way, and whom a line of the file means."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from reconcile.desired.scalars import scalar
from reconcile.desired.state import Desired
from reconcile.desired.users import expired
from reconcile.errors import Diagnostic, Position
from reconcile.model import Live, User, natural
from reconcile.plan.changes import Action, Change, OneWay, Origin, State
from reconcile.plan.found import Found
from reconcile.plan.matching import quoted
from reconcile.remedies import Add, Drop

_KEYS = "its pre-auth keys go with it"
_COMES_BACK = "the identity provider makes the account anew at the user's next login"


class Reason(NamedTuple):
    """Why a user is to go, where that is said, and whether time alone moved."""

    text: str
    position: Position | None = None
    origin: Origin = Origin.INTENT


def unwanted_users(desired: Desired, live: Live) -> dict[str, Reason]:
    """Return the users that are to go: name -> why, said out loud in the file."""
    gone = {
        line.name: Reason("listed in `removed:`", line.position)
        for line in desired.removed
        if line.kind == "user"
    }
    for user in (desired.users or {}).values():
        if expired(user, live.taken_at):
            text = f"until {user.until} has passed"
            gone[user.name] = Reason(text, user.position, Origin.DUE)
    return gone


def state(user: User) -> State:
    """Return what can be managed of a user, in JSON's types."""
    return {
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
    }


class Departures:
    """Adds the removals of users to what was found."""

    def __init__(self, desired: Desired, live: Live, found: Found) -> None:
        self._wanted = desired.nodes or {}
        self._live, self._found = live, found
        self._users = live.users or ()

    def all(self, unwanted: Mapping[str, Reason]) -> None:
        """Remove who is unwanted: a local user by name, others by what is theirs alone.

        The line `user:max` stays in the file after the local max is gone. It must not
        go on to remove a max of the identity provider: that one goes by e-mail or id.
        """
        for name, why in unwanted.items():
            local = [u for u in self._users if u.name == name and not u.provider]
            foreign = [u for u in self._users if u.provider]
            meant = local or [u for u in foreign if name in (u.email, u.provider_id)]
            if len(meant) == 1:
                self.remove(meant[0], why, name)
                continue
            for account in meant or [u for u in foreign if u.name == name]:
                self._found.stuck.append(self._change(account, why, name))
                self._found.problems.append(self._not_by_name(account, why, name))

    def remove(self, user: User, why: Reason, called: str = "") -> None:
        """Add the removal of a user; one that owns nodes is stuck until they go.

        `called` is what the file calls the user, the name where it does not.
        """
        change = self._change(user, why, called or user.name)
        owned = [
            node.name
            for node in self._live.nodes or ()
            if node.user_id == user.id and node.id not in self._found.removed_nodes
        ]
        if not owned:
            self._found.changes.append(change)
            return
        self._found.stuck.append(replace(change, reason=f"{why.text}, but owns nodes"))
        self._found.problems.append(
            self._owns(change.address, why, sorted(owned, key=natural))
        )

    def _change(self, user: User, why: Reason, called: str) -> Change:
        caveat = self._live.server.caveats.get("user.remove", "")
        caveats = caveat, _COMES_BACK if user.provider else ""
        return Change(
            f"user:{called}",
            "user",
            Action.DELETE,
            user.id,
            why.position,
            before=state(user),
            reason=why.text,
            irreversible=(OneWay("", "user", "removed", _KEYS),),
            caveats=tuple(filter(None, caveats)),
            origins={} if why.origin is Origin.INTENT else {"": why.origin},
        )

    def _not_by_name(self, account: User, why: Reason, called: str) -> Diagnostic:
        emails = [user.email for user in self._users if user.provider]
        unique = account.email and emails.count(account.email) == 1
        own = account.email if unique else account.provider_id
        return Diagnostic(
            "RC0211",
            f"user:{called} comes from the identity provider and is left as it is",
            why.position,
            severity="warning",
            why="only the e-mail or the identity provider's id tells such a user from "
            "a local one of the same name",
            help=f"to remove it, write `removed: [{quoted(f'user:{own}')}]`; where a "
            "local user was meant, who is gone, this line can go",
            address=f"user:{called}",
        )

    def _owns(self, address: str, why: Reason, owned: list[str]) -> Diagnostic:
        """Return the finding about a user who owns nodes.

        Where time alone moved (`until`), it stops no other change.
        """
        wanted = [name for name in owned if name in self._wanted]
        entries = f", and take out of `nodes`: {', '.join(wanted)}" if wanted else ""
        lines = Add(("removed",), tuple(scalar(f"node:{name}") for name in owned))
        drops = tuple(Drop(("nodes", name)) for name in wanted)
        each, them = ("it", "it") if len(owned) == 1 else ("each of them", "them")
        return Diagnostic(
            "RC0305",
            f"{address} cannot be removed: it owns {len(owned)} "
            f"node{'' if len(owned) == 1 else 's'} ({', '.join(owned)})",
            why.position,
            severity="warning" if why.origin is Origin.DUE else "error",
            why="the server refuses to remove a user that has nodes",
            help=f"let {each} log in as another user first; or, to delete {them} too, "
            f"add {them} to `removed:` as well: {lines}{entries}",
            ways=((lines, *drops),),
            address=address,
        )

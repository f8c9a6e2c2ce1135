"""What to want of a server so that it is again as it was before an apply.

Only what that apply was to change is wanted, field by field: what others did since
stays. Where they changed the same field it stays too, and that is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from reconcile.apply.backup import Backup, Touched
from reconcile.desired.state import (
    NEVER,
    Desired,
    Expiry,
    Manage,
    Match,
    NodeSettings,
    Removed,
    Routes,
    WantedNode,
    WantedPolicy,
    WantedUser,
)
from reconcile.errors import Position
from reconcile.model import EXIT_ROUTES, Live, Node, User, over, temporary_name
from reconcile.plan.bridge import is_bridge
from reconcile.plan.changes import Action
from reconcile.policy.meaning.identity import approvals
from reconcile.review.after import instant_of
from reconcile.source.hujson import parse, value_of

_MADE_ANEW = "is made anew, with another id; its pre-auth keys stay gone"
_FROM_PROVIDER = "the identity provider makes it anew at its next login"
_ENROL = "the device must enrol again"
_NO_POLICY = "none was stored then, and a stored one cannot be taken away"
_SINCE = "somebody else changed it since, so it stays; --ours takes it back too"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a rollback wants of a server, and sentences on what does not come back.

    `live` is what it had then, and `since` what others had changed since the apply.
    """

    desired: Desired
    lost: tuple[str, ...]
    live: Live
    since: frozenset[str]


def aim(
    backup: Backup,
    live: Live,
    files: Desired,
    label: str,
    first: Aim | None = None,
    *,
    ours: bool = False,
) -> Aim:
    """Return what to want of a server to get back to a backup.

    `live` is what it has now; assertions and the way to deliver a policy are those of
    the files. `label` is what people call the backup, and `ours` takes back what others
    changed since as well. `first` is the aim with which a run began: what it wanted it
    goes on to want, so that what others change meanwhile is noticed.
    """
    return _Towards(backup, live, label, first, ours).aim(files)


class _Towards:
    """Collects what is wanted, object by object, and what does not come back."""

    def __init__(
        self, backup: Backup, live: Live, label: str, first: Aim | None, ours: bool
    ) -> None:
        self._backup, self._live, self._ours = backup, live, ours
        self._place = Position(label, 1, 1)
        self._users = _by_id(backup.live.users), _by_id(live.users)
        self._nodes = _by_id(backup.live.nodes), _by_id(live.nodes)
        self._first, self._since = first, set[str]()
        self._start = _by_id((first.live if first else live).nodes)
        self._wanted_users: dict[str, WantedUser] = {}
        self._wanted_nodes: dict[str, WantedNode] = {}
        self._removed: list[Removed] = []
        self._lost: list[str] = []

    def aim(self, files: Desired) -> Aim:
        """Return what is wanted in place of what the files want."""
        policy = None
        for touched in self._backup.touched:
            match touched.kind:
                case "user":
                    self._user(touched)
                case "node":
                    self._node(touched)
                case _:
                    policy = self._policy(touched, files)
        desired = replace(
            files,
            users=self._wanted_users or None,
            nodes=self._wanted_nodes or None,
            removed=tuple(self._removed),
            policy=policy,
            node_defaults=NodeSettings(),
            node_pending=None,
            node_replace=None,
            rules=(),
            manage=Manage(users="ignore", nodes="ignore"),
            if_unsupported="warn",
            files=(),
            warnings=(),
        )
        return Aim(desired, tuple(self._lost), self._live, frozenset(self._since))

    def _lose(self, address: str, why: str) -> None:
        self._lost.append(f"{address}: {why}")

    # -- users -------------------------------------------------------------------------

    def _user(self, touched: Touched) -> None:
        then, now = (users.get(touched.number) for users in self._users)
        if touched.action is Action.CREATE:
            self._unmake(touched.after["name"])
        elif touched.action is Action.DELETE and then and not now:
            self._remake(then)
        elif "name" in touched.after and then:
            self._rename(then, now, touched.after["name"])

    def _local(self, name: str) -> bool:
        users = self._live.users or ()
        return any(user.name == name and not user.provider for user in users)

    def _unmake(self, name: str) -> None:
        if self._local(name):
            self._removed.append(Removed("user", name, self._place))

    def _remake(self, then: User) -> None:
        address = f"user:{then.name or then.email}"
        if then.provider:
            self._lose(address, _FROM_PROVIDER)
        elif not self._local(then.name):
            profile = then.display_name or None, then.email or None
            user = WantedUser(then.name, self._place, (), *profile)
            self._wanted_users[then.name] = user
            self._lose(address, _MADE_ANEW)

    def _rename(self, then: User, now: User | None, given: str) -> None:
        if now is None:
            self._lose(f"user:{then.name}", "it was removed since, and stays so")
        elif self._is_ours(
            f"user:{now.name}.name", then.id, (now.name, then.name, given)
        ):
            user = WantedUser(then.name, self._place, (now.name,), number=now.id)
            self._wanted_users[then.name] = user

    def _is_ours(self, address: str, number: str, names: tuple[str, str, str]) -> bool:
        """Tell whether a name is to be taken back: the apply gave it, or began to."""
        now, then, given = names
        on_the_way = now in (temporary_name(then), temporary_name(given))
        return self._returns(address, number, now, then, now if on_the_way else given)

    # -- nodes -------------------------------------------------------------------------

    def _node(self, touched: Touched) -> None:
        then, now = (nodes.get(touched.number) for nodes in self._nodes)
        if then and now and then.machine_key != now.machine_key:
            now = None  # another device has the number now
        if touched.action is Action.DELETE:
            if then and not now:
                self._lose(f"node:{then.name}", _ENROL)
        elif now is not None:
            self._settings(touched, then, now)
        elif then is not None:
            self._lose(f"node:{then.name}", f"it is not there any more; {_ENROL}")

    def _settings(self, touched: Touched, then: Node | None, now: Node) -> None:
        after, address, name = touched.after, f"node:{now.name}", now.name
        known = _approved(self._with_approvals(touched, now), then, now)
        then = then or now  # of an approval of the policy alone, which has no fields
        if "name" in after and self._is_ours(
            f"{address}.name", now.id, (now.name, then.name, after["name"])
        ):
            name = then.name
        if "tags" in after:
            given = frozenset(after["tags"])
            if self._returns(f"{address}.tags", now.id, now.tags, then.tags, given):
                known["tags"] = then.tags
        if "expiry" in after and self._returns(
            f"{address}.expiry",
            now.id,
            self._moment(now.expiry),
            self._moment(then.expiry),
            self._moment(instant_of(after["expiry"])),
        ):
            known["expiry"] = then.expiry or NEVER
        settings = NodeSettings(**known, positions=dict.fromkeys(known, self._place))
        if settings.said or name != now.name:
            key = name if name not in self._wanted_nodes else f"{name} #{now.id}"
            match = Match({"id": now.id}, lambda: self._place)
            entry = WantedNode(name, lambda: self._place, match, settings)
            self._wanted_nodes[key] = entry

    def _with_approvals(self, touched: Touched, now: Node) -> Touched:
        """Add what the policy of the backup approves by tags that it did not know.

        It is written before the tags go back, and approves routes by those until then.
        What this run sets off by that is left to the next one.
        """
        start = self._start.get(now.id)
        if "tags" not in touched.after or self._before is None or start is None:
            return touched
        node = replace(now, tags=frozenset(touched.after["tags"]))
        more = approvals(self._before, node, self._live.users or ())
        there = start.approved.intersection(more)
        return replace(touched, set_off=touched.set_off | there)

    @cached_property
    def _before(self) -> object:
        """The policy of the backup, None where the apply wrote none."""
        policy = self._backup.live.policy
        if policy and any(each.kind == "policy" for each in self._backup.touched):
            return value_of(policy.text)
        return None

    def _moment(self, expiry: datetime | None) -> Expiry | None:
        """Return an expiry for comparison: all that are over are one."""
        if expiry is None:
            return NEVER
        return None if over(expiry, self._live.taken_at) else expiry

    def _returns(
        self, address: str, number: str, now: object, then: object, given: object
    ) -> bool:
        """Tell whether a field is to get its former value."""
        if now == then:
            return False
        field = f"{address.partition(':')[0]} {number} {address.rpartition('.')[2]}"
        if self._first is not None:
            wanted = field not in self._first.since
        else:
            wanted = self._ours or now == given
        if not wanted:
            self._since.add(field)
            self._lose(address, _SINCE)
        return wanted

    # -- the policy --------------------------------------------------------------------

    def _policy(self, touched: Touched, files: Desired) -> WantedPolicy | None:
        then = self._backup.live.policy.text if self._backup.live.policy else None
        now = self._live.policy.text if self._live.policy else None
        if now == then:
            return None
        if then is None or not then.strip():
            self._lose("policy", _NO_POLICY)
            return None
        given = now if _alike(now, touched.after["text"]) else touched.after["text"]
        if not is_bridge(now) and not self._returns("policy", "", now, then, given):
            return None
        document = parse(then, self._place.file)
        return WantedPolicy(
            then,
            document.value,
            rendered=False,
            position=self._place,
            locate=document.locate,
            deliver=files.policy.deliver if files.policy else None,
        )


def _by_id(items: tuple[Any, ...] | None) -> Mapping[str, Any]:
    return {item.id: item for item in items or ()}


def _approved(touched: Touched, then: Node | None, now: Node) -> dict[str, Any]:
    """Return what to want of routes and exit node: what the apply did is undone.

    Routes that others approved since stay, and those that they took away stay away.
    """
    before = after = then.approved if then else frozenset()
    if then and {"routes", "exit_node"} & touched.after.keys():
        routes = frozenset(touched.after.get("routes", then.routes))
        exits = touched.after.get("exit_node", then.exit_node)
        after = routes | (EXIT_ROUTES if exits else frozenset[str]())
    added = (after - before) | (touched.set_off - before)
    wanted = (now.approved - added) | (before - after)
    known: dict[str, Any] = {}
    if wanted - EXIT_ROUTES != now.routes:
        known["routes"] = Routes(wanted - EXIT_ROUTES)
    if bool(wanted & EXIT_ROUTES) != now.exit_node:
        known["exit_node"] = bool(wanted & EXIT_ROUTES)
    return known


def _alike(one: str | None, other: str) -> bool:
    """Tell whether two policies mean the same: a server may lay them out anew."""
    meaning = value_of(one)
    return meaning is not None and bool(meaning == value_of(other))

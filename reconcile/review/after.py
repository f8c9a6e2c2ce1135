"""The users and nodes as they are when changes are made, and what else that sets off.

A server approves routes by itself when a policy is written: what the plan's own policy
writes approve is told here, and nowhere else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconcile.desired.state import NEVER, NodeSettings, WantedNode
from reconcile.errors import Position
from reconcile.model import EXIT_ROUTES, Live, Natural, Node, User, natural, route_order
from reconcile.plan.changes import Action, Change
from reconcile.plan.order import approved
from reconcile.plan.policies import approves
from reconcile.policy.language.fields import Path
from reconcile.policy.language.releases import Release
from reconcile.policy.meaning.identity import allowed_tags, approvals

_ROUTES = frozenset({"routes", "exit_node"})


@dataclass(frozen=True, slots=True)
class SetOff:
    """Routes of a node that the plan's own policy write approves, beside its changes.

    `position` is where the item of `autoApprovers` stands that does it.
    """

    address: str
    server_id: str
    routes: tuple[str, ...]
    position: Position | None = None

    @property
    def exit_node(self) -> bool:
        """Whether it makes an exit node; then the routes are those of one."""
        return not EXIT_ROUTES.isdisjoint(self.routes)

    def __str__(self) -> str:
        verb = "is" if len(self.routes) == 1 else "are"
        return (
            f"{self.address}: {', '.join(self.routes)} {verb} approved by autoApprovers"
        )


def instant_of(text: str) -> datetime | None:
    """Return the instant of an expiry as changes have it, None for never."""
    return None if text == NEVER else datetime.fromisoformat(text)


def users_after(live: Live, changes: Iterable[Change]) -> tuple[User, ...]:
    """Return the users as they are when the changes are made.

    New users have no ids yet: each gets one that no server gives.
    """
    users = {user.id: user for user in live.users or ()}
    made = []
    for change in changes:
        if change.kind != "user":
            continue
        if change.action is Action.CREATE:
            after = change.after
            profile = after.get("display_name", ""), after.get("email", "")
            made.append(User(f"new {after['name']}", after["name"], *profile))
        elif change.action is Action.DELETE:
            users.pop(change.server_id, None)
        elif change.server_id in users and "name" in change.after:
            renamed = replace(users[change.server_id], name=change.after["name"])
            users[change.server_id] = renamed
    return (*users.values(), *made)


def nodes_after(live: Live, changes: Sequence[Change]) -> tuple[Node, ...]:
    """Return the nodes as they are when the changes are made."""
    due = {change.server_id: change for change in changes if change.kind == "node"}
    found = []
    for node in live.nodes or ():
        change = due.get(node.id)
        if change is not None and change.action is Action.DELETE:
            continue
        found.append(_node_after(node, change))
    return tuple(found)


def _node_after(node: Node, change: Change | None) -> Node:
    if change is None:
        return node
    if "tags" in change.after:
        node = replace(node, tags=frozenset(change.after["tags"]))
    if _ROUTES & change.after.keys():
        routes = approved({**change.before, **change.after})
        node = replace(node, approved=routes)
    if "expiry" in change.after:
        node = replace(node, expiry=instant_of(change.after["expiry"]))
    return replace(node, name=change.after.get("name", node.name))


def with_allowed_tags(
    nodes: tuple[Node, ...], users: Sequence[User], value: object
) -> tuple[Node, ...]:
    """Leave out the tags that a device asked for and a policy does not let it have."""
    if not any(node.asked_tags for node in nodes):
        return nodes
    return tuple(
        replace(node, asked_tags=allowed_tags(value, node, users)) for node in nodes
    )


def with_approvals(
    nodes: Iterable[Node], more: Mapping[str, Iterable[str]]
) -> tuple[Node, ...]:
    """Add routes to what is approved, by the id of the node."""
    return tuple(
        replace(node, approved=node.approved.union(more[node.id]))
        if more.get(node.id)
        else node
        for node in nodes
    )


def approved_by(
    nodes: Iterable[Node], users: Sequence[User], value: object
) -> dict[str, Mapping[str, Path]]:
    """Return what a policy approves by itself, of each node what is not approved yet.

    Each route has the path of the item of the policy that does it.
    """
    found: dict[str, Mapping[str, Path]] = {}
    for node in nodes:
        if node.available - node.approved:
            of_node = approvals(value, node, users)
            more = {r: path for r, path in of_node.items() if r not in node.approved}
            found |= {node.id: more} if more else {}
    return found


def approved_by_writes(
    live: Live, changes: Sequence[Change], old: object, new: object, row: Release
) -> dict[str, Mapping[str, Path]]:
    """Return what the plan's own policy writes approve beside its changes.

    `old` and `new` are the policies as values, `row` how the server reads them. The
    policy is written before the nodes: it sees the tags that they have until then.
    With a bridge it is written once more when the nodes have their new tags.
    """
    policy = next((c for c in changes if c.kind == "policy"), None)
    if not policy or not approves(row, old, new):
        return {}
    users, nodes = users_after(live, changes), nodes_after(live, changes)
    known = {user.id for user in users}
    # Users are removed last: until then their tokens mean them.
    leaving = [user for user in live.users or () if user.id not in known]
    # Routes of the plan itself are written later, and as the whole list of a node.
    written = {c.server_id for c in changes if _ROUTES & c.after.keys()}
    there = [node for node in live.nodes or () if node.id not in written]
    found = approved_by(there, (*users, *leaving), new)
    if policy.bridge:
        for node, more in approved_by(nodes, users, new).items():
            found[node] = {**more, **found.get(node, {})}
    return {node.id: found[node.id] for node in nodes if node.id in found}


def set_off(
    more: Mapping[str, Mapping[str, Path]],
    nodes: Iterable[Node],
    place: Callable[[Path], Position | None],
) -> tuple[SetOff, ...]:
    """Return the approvals of each node by what approves them, with its place."""
    found: list[SetOff] = []
    for node in nodes:
        by_item: dict[Path, list[str]] = {}
        for route, path in more.get(node.id, {}).items():
            by_item.setdefault(path, []).append(route)
        for path, routes in by_item.items():
            ordered = tuple(sorted(routes, key=route_order))
            found.append(SetOff(f"node:{node.name}", node.id, ordered, place(path)))
    return tuple(sorted(found, key=_in_order))


def _in_order(one: SetOff) -> tuple[Natural, bool, tuple[int, int, int]]:
    return natural(one.address), one.exit_node, route_order(one.routes[0])


def with_advertised(before: Iterable[Node], after: Iterable[Node]) -> tuple[Node, ...]:
    """Return nodes as they are once they advertise what has been approved ahead.

    That is what is approved of them now and was not before.
    """
    old = {node.id: node.approved for node in before}
    nodes = []
    for node in after:
        new = node.approved - old.get(node.id, node.approved) - node.available
        nodes.append(replace(node, available=node.available | new) if new else node)
    return tuple(nodes)


def opens_something(settings: NodeSettings) -> bool:
    """Tell whether a node that is not there yet can open something when it comes."""
    approve = settings.routes.approve if settings.routes else frozenset[str]()
    return bool(settings.tags or approve or settings.exit_node)


def joined(
    entries: Iterable[WantedNode], users: Sequence[User], nodes: Iterable[Node]
) -> tuple[Node, ...]:
    """Return nodes as entries want them whose devices are not there yet.

    Each has addresses that nobody has, and advertises what it is to route. Whose it is
    only a match by user tells.
    """
    used = {address for node in nodes for address in node.addresses}
    free = (a for n in range(254, 0, -1) if (a := f"100.127.255.{n}") not in used)
    found = []
    for number, (entry, address) in enumerate(zip(entries, free, strict=False)):
        settings, owner = entry.settings, entry.match.fields.get("user", "")
        routes = settings.routes.approve if settings.routes else frozenset[str]()
        routes |= EXIT_ROUTES if settings.exit_node else frozenset[str]()
        fits = [u.id for u in users if owner and owner in (u.name, u.email)]
        found.append(
            Node(
                f"to come {entry.name}",
                entry.name,
                user_id=fits[0] if len(fits) == 1 and not settings.tags else None,
                tags=settings.tags or frozenset(),
                approved=routes,
                available=routes,
                addresses=(address, f"fd7a:115c:a1e0:ffff::{number + 1:x}"),
            )
        )
    return tuple(found)

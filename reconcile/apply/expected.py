"""What a run expects of the objects of its plan, and what is there instead.

Somebody else may write at the same time. An object is expected to be as the plan saw
it, with what this run wrote since. What the server changes by itself is no surprise.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain
from typing import Any

from reconcile.apply.outcome import Overwritten
from reconcile.model import Live, Node, Operation
from reconcile.plan import departures, nodes
from reconcile.plan.changes import Change, State
from reconcile.plan.order import approved
from reconcile.plan.stale import differences
from reconcile.review.after import approved_by
from reconcile.source.hujson import value_of

CONVERGED = "converged"
_MOVED = "it was changed by somebody else after the plan"
_ROUTES = frozenset({"routes", "exit_node"})


class Expected:
    """The objects of a plan, as they should be on the server at any moment of a run."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = {change.address: change for change in changes}
        self._written: dict[str, State] = {}
        self._policies: list[object] = []
        self._there = _There()

    def wrote(self, operation: Operation) -> None:
        """Take note of a write that the server acknowledged."""
        self._written.setdefault(operation.address, {}).update(_fields(operation))
        if operation.verb == "policy.set":
            # What the server takes and we cannot read may be newer than we are.
            self._policies.append(value_of(str(operation.value), {}))

    def kinds(self, operations: Iterable[Operation]) -> frozenset[str]:
        """Return what to read before some writes: nothing for those of a policy.

        They are compared as they are made. With a policy of ours come its approvals,
        which depend on the users.
        """
        found = {_kind(operation) for operation in operations} - {"policy"}
        approves = "node" in found and self._policies
        return frozenset(found | {"user"} if approves else found)

    def see(self, live: Live) -> None:
        """Take note of what is there."""
        self._there = _There(live)

    def obstacle(self, operation: Operation) -> str:
        """Return why not to make a write, seen from what is there; "" to make it.

        It is CONVERGED when all is there already as it would be.
        """
        if _kind(operation) == "policy":
            return ""
        aim = _fields(operation)
        now = self._there.find(_kind(operation), operation.id, aim.get("name"))
        if now is None:
            if operation.verb.endswith(".remove"):
                return CONVERGED
            return f"{_MOVED}: it is gone" if operation.id else ""
        if aim and all(now[name] == value for name, value in aim.items()):
            return CONVERGED
        return self._moved(operation, now)

    def _moved(self, operation: Operation, now: State) -> str:
        """Return how what a write is about differs from what is expected."""
        change = self._changes[operation.address]
        then = change.before | self._written.get(change.address, {})
        # What the owner of a node is called says nothing of the node: the id does.
        names = set(_fields(operation) or now) - {"user"}
        if names & _ROUTES:
            before, after = approved(then), approved(now)
            more = after - before
            if before <= after and not (more and more - self._approvals(change)):
                names -= _ROUTES
        told = differences(then, now, names, "before")
        return f"{_MOVED}: {told}" if told else ""

    def _approvals(self, change: Change) -> set[str]:
        """Return the routes of a node that the policies of this run approve.

        They were written before the node got its tags, or after.
        """
        node = replace(self._there.nodes[change.server_id], approved=frozenset())
        tags, owner = frozenset(change.before["tags"]), change.before["user_id"]
        both = (node, replace(node, tags=tags, user_id=owner))
        users = tuple(self._there.users.values())
        found = (
            approved_by([one], users, value).get(node.id, ())
            for value in self._policies
            for one in both
        )
        return set(chain.from_iterable(found))

    def overwritten(self, live: Live, due: Iterable[Change]) -> Iterator[Overwritten]:
        """Yield what this run wrote and somebody else wrote over, or removed.

        `due` are the changes that a plan of the same live state asks for. What is not
        due is as wanted, whoever made it so; what is as it was before this run was
        never applied, or put back.
        """
        there, again = _There(live), _names_due(due)
        for address, fields in self._written.items():
            change = self._changes[address]
            name = change.after.get("name")
            now = there.find(change.kind, change.server_id, name)
            if now is None and change.server_id and fields:
                yield Overwritten(address)
            # A user whom somebody else named otherwise is to be made anew, for a plan.
            names = again[address] | again[f"{change.kind}:{name}"]
            for field in sorted(fields.keys() & names if now else ()):
                planned, seen = change.before.get(field), (now or {})[field]
                if seen not in (fields[field], planned):
                    yield Overwritten(address, field, planned, fields[field], seen)


class _There:
    """What is on the server, found by id."""

    def __init__(self, live: Live | None = None) -> None:
        self.nodes = {node.id: node for node in (live and live.nodes) or ()}
        self.users = {user.id: user for user in (live and live.users) or ()}
        self._names = {u.name: u for u in self.users.values() if not u.provider}
        self._policy = live.policy if live else None

    def find(self, kind: str, number: str, name: object) -> State | None:
        """Return an object as a plan has it, None for nothing.

        A user whom this run makes has no id yet, and is found by name.
        """
        if kind == "policy":
            return {"text": self._policy.text} if self._policy else None
        if kind == "node":
            node = self.nodes.get(number)
            return nodes.state(node, None) if node else None
        user = self.users.get(number) if number else self._names.get(str(name))
        return departures.state(user) if user else None


def _names_due(due: Iterable[Change]) -> Mapping[str, AbstractSet[str]]:
    """Return the fields that are due, by address."""
    found: dict[str, set[str]] = defaultdict(set)
    for change in due:
        found[change.address] |= change.after.keys()
    return found


def _kind(operation: Operation) -> str:
    return operation.verb.partition(".")[0]


def _fields(operation: Operation) -> State:
    """Return what an operation writes, as a plan has it; {} for a removal."""
    value: Any = operation.value
    match operation.verb:
        case "user.create":
            return {
                name: text for name, text in departures.state(value).items() if text
            }
        case "user.rename" | "node.name":
            return {"name": value}
        case "policy.set":
            return {"text": value}
        case "node.tags":
            node, names = Node("", "", tags=value), frozenset({"tags"})
        case "node.routes":
            node, names = Node("", "", approved=value), _ROUTES
        case "node.expiry":
            node, names = Node("", "", expiry=value), frozenset({"expiry"})
        case _:
            return {}
    return {n: v for n, v in nodes.state(node, None).items() if n in names}

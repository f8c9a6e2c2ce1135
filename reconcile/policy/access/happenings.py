"""What happened to nodes and users between two states, in words."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from reconcile.model import Node, User, route_order
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import bits, merge
from reconcile.policy.language.words import USER, counted
from reconcile.policy.meaning.tailnet import Tailnet

_TOLD_APART = 64  # kinds of things that happened to nodes
_PLURAL = {
    "becomes": "become",
    "is": "are",
    "moves": "move",
    "routes": "route",
    "advertises": "advertise",
    "changes its address": "change their addresses",
    "expires": "expire",
}
_VERBS = re.compile(rf"(?<![^ ])({'|'.join(_PLURAL)})(?![^ ,])")


@dataclass(frozen=True, slots=True)
class Happening:
    """The same thing that happened to some nodes; `gone` when they are no more there.

    `numbers` are the nodes, as bits; `behind` are the networks that they lead or led
    to. What happened to users, or comes by a release, has no nodes.
    """

    text: str
    numbers: int = 0
    behind: int = 0
    gone: bool = False
    kind: Literal["nodes", "release"] = "nodes"

    def __str__(self) -> str:
        return self.text


class Happenings:
    """What happened to the nodes and the users between two worlds of a matrix."""

    def __init__(self, matrix: Matrix, before: int, after: int) -> None:
        self._universe = matrix.universe
        self._before, self._after = matrix.worlds[before], matrix.worlds[after]

    @cached_property
    def of_nodes(self) -> list[Happening]:
        """What happened to nodes; the rarest are taken together when they are many."""
        by_text: dict[str, list[int]] = {}
        for number, text in self._nodes.items():
            by_text.setdefault(text, []).append(number)
        ordered = sorted(by_text.items(), key=lambda item: -len(item[1]))
        kept = [self._happening(*each) for each in ordered[:_TOLD_APART]]
        rest = [number for _, numbers in ordered[_TOLD_APART:] for number in numbers]
        return [*kept, self._happening("", rest)] if rest else kept

    @cached_property
    def of_users(self) -> list[Happening]:
        """What happened to users; a token may mean somebody else by it."""
        told = _Users(self._before.tailnet, self._after.tailnet).all()
        return [Happening(text) for text in told]

    def told(
        self, happening: Happening, touched: int, name: Callable[[int], str]
    ) -> list[str]:
        """Say what happened to those of the nodes that some bits are about."""
        if not happening.numbers:
            return [happening.text]
        by_text: dict[str, list[str]] = {}
        for number in bits(happening.numbers):
            places = self._universe.node(number) | self._behind(number)
            if touched & places:
                by_text.setdefault(self._nodes[number], []).append(name(number))
        return [_sentence(names, text) for text, names in by_text.items()]

    def _happening(self, text: str, numbers: Sequence[int]) -> Happening:
        now = self._after.machines
        return Happening(
            text,
            merge(1 << number for number in numbers),
            merge(map(self._networks, numbers)),
            bool(text) and not any(number in now for number in numbers),
        )

    def _networks(self, number: int) -> int:
        """Return the networks behind a node, in either world."""
        known = (each.machines.get(number) for each in (self._before, self._after))
        return merge(map(self._universe.behind, filter(None, known)))

    def _behind(self, number: int) -> int:
        """Return what a node leads to, in either world."""
        ends = self._before, self._after
        return merge(self._universe.leading(world, number) for world in ends)

    @cached_property
    def _nodes(self) -> Mapping[int, str]:
        """The nodes that changed, each with what happened to it."""
        before, after = self._before, self._after
        found: dict[int, str] = {}
        if before.tailnet is after.tailnet:
            return found
        users = _Users(before.tailnet, after.tailnet)
        for number in range(self._universe.size):
            old, new = before.machines.get(number), after.machines.get(number)
            happened = ""
            if old and new:
                happened = _node_change(old.node, new.node, users)
            elif old:
                happened = _gone(old.node, after.tailnet, "expires", "is removed")
            elif new:
                verbs = "is logged in again", "is added"
                happened = _gone(new.node, before.tailnet, *verbs)
            if happened:
                found[number] = happened
        return found


def _gone(node: Node, tailnet: Tailnet, expired: str, absent: str) -> str:
    """Say why a node of one side is not in the tailnet of the other."""
    return expired if node.id in tailnet.expired else absent


class _Users:
    """What happened to users, and so to their nodes, from one tailnet to another."""

    def __init__(self, before: Tailnet, after: Tailnet) -> None:
        self._before, self._after = before, after
        self._old = {user.id: user for user in before.users}
        self._new = {user.id: user for user in after.users}
        self._told = self._renames()
        self._namesakes(before, self._old, self._new, "is removed")
        self._namesakes(after, self._new, self._old, "is added")

    def all(self) -> list[str]:
        """Say what happened to all users who came, went or were renamed."""
        gone, made = (
            self._old.keys() - self._new.keys(),
            self._new.keys() - self._old.keys(),
        )
        found = [
            f"{USER}{self._before.label(each)} is removed" for each in sorted(gone)
        ]
        found += [f"{USER}{self._after.label(each)} is added" for each in sorted(made)]
        return [*found, *self._renames().values()]

    def change(self, old: str | None, new: str | None) -> str:
        """Say what happened to a node through its owners, "" for nothing."""
        if old == new:
            return self._told.get(new or "", "")
        here = self._before.label(old) if old else "nobody"
        return f"moves from {here} to {self._after.label(new) if new else 'nobody'}"

    def _renames(self) -> dict[str, str]:
        both = self._old.keys() & self._new.keys()
        return {
            each: f"{USER}{self._before.label(each)} is renamed {self._new[each].name}"
            for each in both
            if self._old[each].name != self._new[each].name
        }

    def _namesakes(
        self, side: Tailnet, here: Mapping[str, User], there: Container[str], verb: str
    ) -> None:
        """Note who shares a name or an e-mail with a user who came or went.

        A token means a user as long as it fits nobody else.
        """
        for number in (each for each in here if each not in there):
            for other in _sharing(here[number], side.users):
                said = f"{USER}{side.label(number)} {verb}"
                self._told.setdefault(other.id, said)


def _sharing(user: User, users: Iterable[User]) -> Iterator[User]:
    """Yield the other users whom a token of a user fits as well."""
    tokens = {user.name, user.email} - {""}
    for other in users:
        if other.id != user.id and not tokens.isdisjoint({other.name, other.email}):
            yield other


def _sentence(names: Sequence[str], text: str) -> str:
    if text.startswith(USER):
        return text
    if len(names) > 1:
        text = _VERBS.sub(lambda verb: _PLURAL[verb[0]], text)
    return f"{counted(names)} {text}"


def _node_change(old: Node, new: Node, users: _Users) -> str:
    said = []
    if old.worn != new.worn:
        added, removed = sorted(new.worn - old.worn), sorted(old.worn - new.worn)
        if added:
            said.append(f"becomes {', '.join(added)}")
        if removed:
            said.append(f"is no longer {', '.join(removed)}")
    elif happened := users.change(old.owner, new.owner):
        said.append(happened)
    if old.approved & old.available != new.approved & new.available:
        said += _route_change(old, new)
    if set(old.addresses) != set(new.addresses):
        said.append("changes its address")
    # What happened to its user has a subject of its own, so it comes last.
    return ", ".join(sorted(said, key=lambda text: text.startswith(USER)))


def _route_change(old: Node, new: Node) -> list[str]:
    more, less = sorted(new.routes - old.routes), sorted(old.routes - new.routes)
    said = [f"routes {', '.join(more)}"] if more else []
    said += [f"no longer routes {', '.join(less)}"] if less else []
    if old.exit_node != new.exit_node:
        verb = "becomes" if new.exit_node else "is no longer"
        said.append(f"{verb} an exit node")
    return said or _advertised(old, new)


def _advertised(old: Node, new: Node) -> list[str]:
    here, there = old.approved & old.available, new.approved & new.available
    more, less = (sorted(s, key=route_order) for s in (there - here, here - there))
    said = [f"advertises {', '.join(more)}"] if more else []
    return said + ([f"no longer advertises {', '.join(less)}"] if less else [])

"""Causes of a difference: what happened to which nodes, and which rules changed.

Every path that is gained or lost is given to one cause, so that a line of a report
has one reason and the lines together have all paths, none of them twice.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

from reconcile.model import Node, User
from reconcile.policy.document import Origin, Rule, SshRule, targets_of
from reconcile.policy.fields import Path, find, get
from reconcile.policy.matrix import Compiled, Matrix
from reconcile.policy.naming import Naming
from reconcile.policy.pairing import canonical, folded, pair
from reconcile.policy.reach import Reach
from reconcile.policy.rows import Row
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import bits, merge
from reconcile.policy.words import counted

_TOLD_APART = 64  # kinds of things that happened to nodes
_USER = "user:"  # what happened to a user, and so to all of his or her nodes
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

    `touched` are the nodes and the networks that they lead or led to.
    """

    text: str
    places: int
    touched: int
    gone: bool

    def __str__(self) -> str:
        return self.text

    @property
    def apart(self) -> int:
        """The nodes that go by their own names, since it happened to each of them."""
        return 0 if self.text.startswith(_USER) else self.places

    def takes(self, members: int) -> bool:
        """Tell whether all of some sources are gone with it."""
        return self.gone and not members & ~self.places


class Change:
    """Names what changed: rules, the names that rules use, and nodes."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._sides = matrix.worlds[0].policy, matrix.worlds[-1].policy
        self._texts: dict[tuple[int, str], set[str]] = {}
        self._became: dict[str, dict[int, int]] = {}

    # Nodes.

    def by_nodes(
        self, members: int, reach: Reach
    ) -> Iterator[tuple[Happening | None, int, Reach]]:
        """Share out what sources gain or lose by what happened to nodes.

        What happened to a source comes first, then to a destination, then to the
        routers in between. None is for what cannot be put down to a node.
        """
        if not reach:
            return
        for happening in self.happenings:
            own = members & happening.touched
            if own:
                yield happening, own, reach
                members &= ~own
        if not members:
            return
        parts: dict[Happening | None, Reach] = {}
        every = merge(targets for _, targets in reach)
        near = [each for each in self._destinations if each[0] & every]
        for atoms, targets in reach:
            for mask, happening in near:
                part = targets & mask
                if part:
                    parts.setdefault(happening, []).append((atoms, part))
                    targets &= ~part
            if targets:
                parts.setdefault(None, []).append((atoms, targets))
        for about, found in parts.items():
            yield about, members, found

    @cached_property
    def _destinations(self) -> list[tuple[int, Happening]]:
        """What destinations are looked up in: the nodes first, then their networks."""
        nodes = [(each.places, each) for each in self.happenings]
        routers = [each for each in self.happenings if each.touched != each.places]
        return nodes + [(each.touched, each) for each in routers]

    @cached_property
    def happenings(self) -> list[Happening]:
        """What happened to nodes; the rarest are taken together when they are many."""
        by_text: dict[str, list[int]] = {}
        for place, text in self.nodes.items():
            by_text.setdefault(text, []).append(place)
        ordered = sorted(by_text.items(), key=lambda item: -len(item[1]))
        kept = [self._happening(*each) for each in ordered[:_TOLD_APART]]
        rest = [place for _, places in ordered[_TOLD_APART:] for place in places]
        return [*kept, self._happening("", rest)] if rest else kept

    def _happening(self, text: str, places: Sequence[int]) -> Happening:
        there = merge(1 << place for place in places)
        behind = merge(self._behind(place) for place in places)
        now = self._matrix.worlds[-1].machines
        gone = bool(text) and not any(place in now for place in places)
        return Happening(text, there, there | behind, gone)

    @cached_property
    def nodes(self) -> dict[int, str]:
        """The nodes that changed, each with what happened to it."""
        before, after = self._matrix.worlds[0], self._matrix.worlds[-1]
        found: dict[int, str] = {}
        if before.tailnet is after.tailnet:
            return found
        users = _Users(before.tailnet, after.tailnet)
        for place in range(self._matrix.universe.size):
            old, new = before.machines.get(place), after.machines.get(place)
            if old and new:
                happened = _node_change(old.node, new.node, users)
            elif old:
                happened = _gone(old.node, after.tailnet, "expires", "is removed")
            elif new:
                verbs = "is logged in again", "is added"
                happened = _gone(new.node, before.tailnet, *verbs)
            else:
                happened = ""
            if happened:
                found[place] = happened
        return found

    def happened(self, about: Happening, touched: int, naming: Naming) -> Sequence[str]:
        """Say what happened to those of the nodes that a set of bits is about."""
        by_text: dict[str, list[str]] = {}
        for place in bits(about.places):
            if touched >> place & 1 or touched & self._behind(place):
                name = naming.node(place)
                by_text.setdefault(self.nodes[place], []).append(name)
        return [_sentence(names, text) for text, names in by_text.items()]

    def _behind(self, place: int) -> int:
        """Return what a node routes to, in any of the worlds."""
        known = (world.machines.get(place) for world in self._matrix.worlds)
        return merge(map(self._matrix.universe.behind, filter(None, known)))

    # Rules.

    def by_rules(
        self, row: Row, index: int, reach: Reach
    ) -> Iterator[tuple[Origin, Reach]]:
        """Share out what a row gains or loses by the rules that changed.

        `index` is the world that allows it. What no changed rule opens by itself (a
        login whose port was opened, for instance) is shared out by the rules that it
        needs besides; the rest comes with the origin None.
        """
        if not reach:
            return
        matrix, side = self._matrix, 1 if index else 0
        own = matrix.own(row, index)
        numbers = row.sides[index].rules & self._changed[side]
        rules = [matrix.rules[index][number] for number in bits(numbers)]
        found: dict[str, tuple[Origin, Reach]] = {}
        for widened in (False, True):
            for rule in rules:
                atoms = rule.atoms
                if widened:
                    atoms = matrix.atoms.needing(atoms)
                parts, reach = _taken(reach, atoms, own if rule.own else rule.targets)
                if parts:
                    known = found.setdefault(str(rule.origin), (rule.origin, []))
                    known[1].extend(parts)
        yield from found.values()
        if reach:
            yield None, reach

    @cached_property
    def _changed(self) -> tuple[int, int]:
        """The rules of each side, as bits, that the other side does not have."""
        before, after = self._matrix.rules[0], self._matrix.rules[-1]
        return self._differing(before, 0), self._differing(after, 1)

    def _differing(self, rules: Mapping[int, Compiled], side: int) -> int:
        known: dict[int, bool] = {}  # a rule is compiled once for each address family
        for rule in rules.values():
            if id(rule.origin) not in known:
                known[id(rule.origin)] = self._differs(rule.origin, side)
        return merge(1 << n for n, rule in rules.items() if known[id(rule.origin)])

    def _differs(self, origin: Origin, side: int) -> bool:
        if origin is None:
            return self._sides[1 - side].rules is not None
        return not self._same(origin, side) or bool(
            self._redefined and self._moved(origin)
        )

    def because(self, rules: Iterable[Origin], side: int) -> dict[str, Path | None]:
        """Return the changed rules, for unchanged ones the names that moved.

        Each comes with its place in the new policy, None where it has none there.
        """
        found: dict[str, Path | None] = {}
        for rule in rules:
            if rule is None:
                verb = "are" if side else "were"
                found[f"there {verb} neither acls nor grants"] = None
                continue
            moved = self._moved(rule) if self._same(rule, side) else {}
            found.update(moved or [self._now(rule, side)])
        return found

    def _now(self, rule: Rule | SshRule, side: int) -> tuple[str, Path | None]:
        """Return a rule by its name in the new policy: an old number misleads there."""
        if side:
            return str(rule), rule.path
        section = _section(rule)
        index = self._successors(section).get(rule.index)
        if index is None:
            return f"{rule} is removed", None
        named = find(self._sides[1].value, section)
        return f"{section}[{index}]", (named[0], index) if named else None

    def _successors(self, section: str) -> Mapping[int, int]:
        """Return which rule of the new policy each rule of the old one became."""
        if section not in self._became:
            old, new = (side[section] for side in self._written)
            pairs = pair(_unlike(section, old, new), _unlike(section, new, old))
            self._became[section] = dict((*pairs.same, *pairs.changed))
        return self._became[section]

    def _same(self, rule: Rule | SshRule, side: int) -> bool:
        """Tell whether the other side has the same rule, in whatever place."""
        section = _section(rule)
        mine, others = self._written[side][section], self._written[1 - side][section]
        if rule.index < len(others) and mine[rule.index] == others[rule.index]:
            return True
        key = 1 - side, section
        if key not in self._texts:
            # Only what has not its like in the same place can have it in another.
            pairs = zip_longest(others, mine[: len(others)])
            self._texts[key] = {
                canonical(other) for other, one in pairs if other != one
            }
        return canonical(mine[rule.index]) in self._texts[key]

    @cached_property
    def _written(self) -> list[dict[str, Sequence[object]]]:
        """The rules of each side as they stand in the policy, by section."""
        sections = "acls", "grants", "ssh"
        return [
            {name: get(side.value, name) or () for name in sections}
            for side in self._sides
        ]

    def _moved(self, rule: Rule | SshRule) -> dict[str, Path | None]:
        """Return the names of a rule that mean something else on the other side."""
        names = [selector.text for selector in (*rule.sources, *targets_of(rule))]
        found = [self._redefined[name] for name in names if name in self._redefined]
        return dict(found)

    @cached_property
    def _redefined(self) -> dict[str, tuple[str, Path | None]]:
        """The groups and hosts that the two sides define differently."""
        before, after = self._sides
        return {
            **self._changed_names("groups", before.groups, after.groups),
            **self._changed_names("hosts", before.hosts, after.hosts),
        }

    def _changed_names(
        self, section: str, before: Mapping[str, object], after: Mapping[str, object]
    ) -> dict[str, tuple[str, Path | None]]:
        written = find(self._sides[1].value, section)
        return {
            name: (
                f'{section}."{name}"',
                (written[0], name) if written and name in after else None,
            )
            for name in {*before, *after}
            if before.get(name) != after.get(name)
        }


def _unlike(
    section: str, rules: Sequence[object], others: Sequence[object]
) -> list[Any]:
    """Return rules in canonical spelling, but for those that need none to be paired."""
    return [
        rule if place < len(others) and rule == others[place] else folded(section, rule)
        for place, rule in enumerate(rules)
    ]


def _section(rule: Rule | SshRule) -> str:
    return "ssh" if isinstance(rule, SshRule) else rule.section


def _taken(reach: Reach, atoms: int, targets: int) -> tuple[Reach, Reach]:
    """Return what some atoms open on some targets, and the rest of a reach."""
    inside, outside = [], []
    for have, reached in reach:
        both, there = have & atoms, reached & targets
        if not both or not there:
            outside.append((have, reached))
            continue
        inside.append((both, there))
        if have & ~atoms:
            outside.append((have & ~atoms, reached))
        if reached & ~targets:
            outside.append((both, reached & ~targets))
    return inside, outside


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

    def change(self, old: str | None, new: str | None) -> str:
        """Say what happened to a node through its owners, "" for nothing."""
        if old == new:
            return self._told.get(new or "", "")
        here = self._before.label(old) if old else "nobody"
        return f"moves from {here} to {self._after.label(new) if new else 'nobody'}"

    def _renames(self) -> dict[str, str]:
        both = self._old.keys() & self._new.keys()
        return {
            each: f"{_USER}{self._before.label(each)} is renamed {self._new[each].name}"
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
                said = f"{_USER}{side.label(number)} {verb}"
                self._told.setdefault(other.id, said)


def _sharing(user: User, users: Iterable[User]) -> Iterator[User]:
    """Yield the other users whom a token of a user fits as well."""
    tokens = {user.name, user.email} - {""}
    for other in users:
        if other.id != user.id and not tokens.isdisjoint({other.name, other.email}):
            yield other


def _sentence(names: Sequence[str], text: str) -> str:
    if text.startswith(_USER):
        return text
    if len(names) > 1:
        text = _VERBS.sub(lambda verb: _PLURAL[verb[0]], text)
    return f"{counted(names)} {text}"


def _node_change(old: Node, new: Node, users: _Users) -> str:
    said = []
    if old.tags != new.tags:
        added, removed = sorted(new.tags - old.tags), sorted(old.tags - new.tags)
        if added:
            said.append(f"becomes {', '.join(added)}")
        if removed:
            said.append(f"is no longer {', '.join(removed)}")
    elif not new.tags and (happened := users.change(old.user_id, new.user_id)):
        said.append(happened)
    if old.approved & old.available != new.approved & new.available:
        said += _route_change(old, new)
    if set(old.addresses) != set(new.addresses):
        said.append("changes its address")
    return ", ".join(said)


def _route_change(old: Node, new: Node) -> list[str]:
    more, less = sorted(new.routes - old.routes), sorted(old.routes - new.routes)
    said = [f"routes {', '.join(more)}"] if more else []
    said += [f"no longer routes {', '.join(less)}"] if less else []
    if old.exit_node != new.exit_node:
        verb = "becomes" if new.exit_node else "is no longer"
        said.append(f"{verb} an exit node")
    return said or ["advertises other routes"]

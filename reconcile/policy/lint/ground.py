"""What names mean in one tailnet: users, tags and addresses that are not there."""

from collections.abc import Collection, Iterator
from functools import cached_property

from reconcile.model import natural
from reconcile.policy.access.absence import Absence
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import bits, merge
from reconcile.policy.language.document import Problem, Rule, SshRule, targets_of
from reconcile.policy.language.fields import Path, field_name, find, section_name
from reconcile.policy.language.references import Mention, References, references
from reconcile.policy.language.selectors import UNKNOWN, Selector
from reconcile.policy.language.sets import IntervalSet, prefix, texts
from reconcile.policy.lint.findings import (
    MEANING,
    STRANGER,
    UNOWNED,
    UNREACHED,
    UNWORN,
    finding,
    listed,
)
from reconcile.policy.meaning.identity import Directory
from reconcile.policy.meaning.refusals import refuses_namesakes
from reconcile.policy.meaning.resolve import INTERNET
from reconcile.source.near import nearest

_RULES = ("acls", "grants", "ssh", "nodeAttrs")
_TESTS = ("tests", "sshTests")


class Ground:
    """One world of a matrix, and why a selector means nothing in it.

    `expected` are tags that nodes will wear, although none does yet.
    """

    def __init__(
        self, matrix: Matrix, index: int, expected: Collection[str] = ()
    ) -> None:
        self.expected = frozenset(expected)
        self.world = matrix.worlds[index]
        self._universe = matrix.universe
        self._index = index
        self._same: dict[str, str] = {}
        self._absence = Absence(self.world)
        self._directory = Directory(self.world.tailnet.users, self.world.policy.groups)

    def same(self, token: str) -> str:
        """Return the id of the user that a token means, else the token."""
        if token not in self._same:
            ids = self._directory.ids(token) if "@" in token else ()
            self._same[token] = next(iter(ids)) if len(ids) == 1 else token
        return self._same[token]

    @cached_property
    def names(self) -> References:
        """The names that the policy declares and mentions."""
        return references(self.world.policy.value)

    def absent(self, selector: Selector) -> str:
        """Say why a selector means nothing here; "" when it means something.

        What cannot be known (IP sets, roles, postures) is never called absent.
        """
        world = self.world
        if selector.kind in (*UNKNOWN, "domain"):
            return ""
        if selector.kind == "any" or selector.autogroup == "danger-all":
            return "" if world.present else "there is no node"
        if selector.kind in ("address", "host"):
            return self._unserved(selector)
        if selector.autogroup == "internet":
            public = self._universe.network(INTERNET) & world.routed
            served = world.exits or public
            return "" if served else self._absence.reason(selector)
        if selector.autogroup == "self" or self._universe.selected(world, selector):
            return ""
        return self._absence.reason(selector)

    def _unserved(self, selector: Selector) -> str:
        served = self._universe.meaning(selector, self._index)
        return "" if served else self._absence.reason(selector)

    def leads_out(self, rule: Rule | SshRule) -> bool:
        """Tell whether a rule names something that only exit nodes lead to."""
        meant = (self._universe.meaning(s, self._index) for s in targets_of(rule))
        return bool(merge(meant) & self._universe.internet & ~self.world.routed)

    def findings(self, told: Collection[str]) -> Iterator[Problem]:
        """Yield the names that mean nothing here, but for those told already."""
        seen = {*told, *self.expected}
        for mention in self.names.mentions:
            if mention.name in seen or not self._counts(mention):
                continue
            seen.add(mention.name)
            yield from self._of(mention)
        yield from self._unowned()

    def _counts(self, mention: Mention) -> bool:
        section = section_name(mention.section)
        known = section in self.world.policy.release.sections
        return known and section not in _TESTS

    def _of(self, mention: Mention) -> Iterator[Problem]:
        selector = Selector(mention.kind, mention.name)
        if mention.kind == "user":
            several = len(self._directory.fitting(mention.name)) > 1
            refused = several and refuses_namesakes(self.world.policy, mention.section)
            if not refused and not self._directory.ids(mention.name):
                yield self._stranger(mention)
        elif section_name(mention.section) in _RULES:
            why = self.absent(selector)
            if why and mention.kind == "tag":
                yield finding(
                    UNWORN,
                    why,
                    mention.path,
                    why="the rule does nothing for it until a node gets the tag",
                    help="tag a node, or take the tag out of the rule",
                    cut=True,
                )
            elif why and mention.kind in ("address", "host"):
                side = (
                    "has no node" if _is_source(mention.path) else "cannot be reached"
                )
                help = "approve a route that has it, or correct the address"
                message = f"{mention.name} {side}"
                yield finding(UNREACHED, message, mention.path, why=why, help=help)
            elif why and selector.autogroup == "internet":
                message = f"{mention.name} cannot be reached"
                help = "approve an exit node, or take it out of the rule"
                yield finding(UNREACHED, message, mention.path, why=why, help=help)

    def _stranger(self, mention: Mention) -> Problem:
        directory, token = self._directory, mention.name
        several = bool(directory.fitting(token))
        why = "a name that is no user's selects nothing, without an error"
        if several:
            why = "a name that fits several users selects the devices of none of them"
        return finding(
            STRANGER,
            directory.no_user(token),
            mention.path,
            why=why,
            help=directory.ways_out(token) if several else self._near(token),
        )

    def _near(self, token: str) -> str:
        near = nearest(token, self._tokens)
        hint = f"did you mean {near}? Otherwise add the user" if near else ""
        return f"{hint or 'add the user'}, or remove the name"

    @cached_property
    def _tokens(self) -> list[str]:
        users = self.world.tailnet.users
        return [*filter(None, map(self._directory.token, users))]

    def widened(self) -> Iterator[Problem]:
        """Yield the addresses that bring in more than themselves on this release."""
        release, seen = self.world.policy.release, set()
        if not (release.literals_widen or release.aliases_widen):
            return
        for mention in self.names.mentions:
            selector = Selector(mention.kind, mention.name)
            if mention.kind not in ("address", "host") or mention.name in seen:
                continue
            if not self._counts(mention):
                continue
            seen.add(mention.name)
            own = self.world.policy.hosts.get(mention.name, IntervalSet())
            own = prefix(mention.name) if mention.kind == "address" else own
            more = self.world.resolver.sources(selector) - own
            if more:
                yield finding(
                    MEANING,
                    f"{mention.name} means {listed(texts(more))} as well on Headscale "
                    f"{release.name}",
                    mention.path,
                    why="this release adds the other addresses of a node whose address "
                    "it meets; Tailscale and newer releases do not",
                    help="name the node by a tag or a user to be the same everywhere",
                )

    def _unowned(self) -> Iterator[Problem]:
        declared = find(self.world.policy.value, "tagOwners")
        path: Path = (declared[0],) if declared else ()
        worn = {tag: nodes for tag, nodes in self.world.tags.items() if nodes}
        tags = sorted(worn.keys() - self.world.policy.tags, key=natural)
        if tags:
            nodes = self._universe.nodes(merge(worn[tag] for tag in tags))
            machines = self.world.machines
            names = [f"node:{machines[number].name}" for number in bits(nodes)]
            owners = ", ".join(f'"{tag}": []' for tag in tags)
            yield finding(
                UNOWNED,
                f"tagOwners does not have {listed(tags)}, which "
                f"{listed(names)} {'wears' if len(names) == 1 else 'wear'}",
                path,
                key=bool(path),
                why="no rule can name such a tag, and the server refuses to set it "
                "again",
                help=f"add {owners} to tagOwners, or give the nodes other tags",
            )


def _is_source(path: Path) -> bool:
    return len(path) > 2 and field_name(str(path[0]), str(path[2])) in ("src", "target")

"""What a policy declares and what it mentions, with the path of every mention."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconcile.policy.language import selectors
from reconcile.policy.language.fields import Path, entries, find, get, rules, strings
from reconcile.policy.language.pairing import split_ports
from reconcile.policy.language.selectors import Kind

# Where selectors stand: section, field, and whether ports follow them.
_IN_RULES = (
    ("acls", "src", False),
    ("acls", "dst", True),
    ("grants", "src", False),
    ("grants", "dst", False),
    ("grants", "via", False),
    ("ssh", "src", False),
    ("ssh", "dst", False),
    ("nodeAttrs", "target", False),
    ("tests", "src", False),
    ("tests", "accept", True),
    ("tests", "deny", True),
    ("sshTests", "src", False),
    ("sshTests", "dst", False),
)


@dataclass(frozen=True, slots=True)
class Mention:
    """One use of a name: of which kind, and the path to the text that holds it."""

    kind: Kind
    name: str
    path: Path

    @property
    def section(self) -> str:
        """The top-level key that the mention stands under, as written."""
        return str(self.path[0])


@dataclass(frozen=True, slots=True)
class References:
    """The names that a policy declares and mentions.

    `groups`, `tags` and `hosts` map each declared name to its path; the position of
    the name itself is `Document.locate(path, key=True)`.
    """

    groups: Mapping[str, Path]
    tags: Mapping[str, Path]
    hosts: Mapping[str, Path]
    mentions: tuple[Mention, ...]

    def declared(self, kind: Kind) -> Mapping[str, Path]:
        """Return the declared names of a kind: group, tag or host."""
        return {"group": self.groups, "tag": self.tags, "host": self.hosts}.get(
            kind, {}
        )

    def mentioned(self, kind: Kind) -> dict[str, list[Path]]:
        """Return the mentioned names of a kind with every path, in policy order."""
        found: dict[str, list[Path]] = {}
        for mention in self.mentions:
            if mention.kind == kind:
                found.setdefault(mention.name, []).append(mention.path)
        return found

    @property
    def users(self) -> dict[str, list[Path]]:
        """The user tokens (`alice@`, `bob@example.com`) with every path."""
        return self.mentioned("user")

    def undeclared(self, kind: Kind) -> tuple[Mention, ...]:
        """Return the mentions of a group, tag or host that nothing declares."""
        known = self.declared(kind)
        return tuple(m for m in self.mentions if m.kind == kind and m.name not in known)

    def unused(self, kind: Kind) -> dict[str, Path]:
        """Return the declared names that nothing mentions.

        A tag in `tagOwners` is in use when a rule, a test, an approver or another
        tag's owners name it; that a node carries it is not known here. Servers refuse
        a policy whose tests name what it does not declare.
        """
        used = self.mentioned(kind)
        known = self.declared(kind)
        return {name: path for name, path in known.items() if name not in used}


def references(value: object) -> References:
    """Collect the names of a policy value; parts of odd shape are passed over."""
    return References(
        {name: path for path, name, _ in entries(value, "groups")},
        {name: path for path, name, _ in entries(value, "tagOwners")},
        {name: path for path, name, _ in entries(value, "hosts")},
        tuple(_mentions(value)),
    )


def owned_tags(value: object) -> frozenset[str]:
    """Return the tags that `tagOwners` declares: only those can be put on a node."""
    return frozenset(name for _, name, _ in entries(value, "tagOwners"))


def _mentions(value: object) -> Iterator[Mention]:
    for section in ("groups", "tagOwners"):
        for path, _, members in entries(value, section):
            yield from _selectors(strings(path, members))
    for path, _, names in entries(value, "autoApprovers", "routes"):
        yield from _selectors(strings(path, names))
    approvers, exit_node = find(value, "autoApprovers"), None
    if approvers:
        exit_node = find(approvers[1], "exitNode")
    if approvers and exit_node:
        yield from _selectors(strings((approvers[0], exit_node[0]), exit_node[1]))
    for section, name, with_ports in _IN_RULES:
        for path, rule in rules(value, section):
            found = find(rule, name)
            if found:
                texts = strings((*path, found[0]), found[1])
                yield from _selectors(texts, with_ports=with_ports)
    posture = get(value, "defaultSrcPosture")
    yield from _selectors(strings(("defaultSrcPosture",), posture))


def _selectors(
    texts: Iterable[tuple[Path, str]], *, with_ports: bool = False
) -> Iterator[Mention]:
    for path, text in texts:
        if with_ports:
            text = split_ports(text)[0].replace("[", "").replace("]", "")
        selector = selectors.parse(text)
        yield Mention(selector.kind, selector.text, path)

"""Which live node does each entry of the file mean?

Nodes appear by themselves, so an entry may find none (pending), one (bound) or too
many (an error that offers narrower matches). Nothing here changes anything.
"""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconcile.desired.findings import did_you_mean
from reconcile.desired.state import Desired, Match, NodeRule, NodeSettings, WantedNode
from reconcile.errors import Diagnostic, Position
from reconcile.model import Node, User
from reconcile.plan.matching import Index, quoted
from reconcile.plan.replacement import own_name, successors
from reconcile.remedies import Drop, Put, Way

_SETTINGS = ("tags", "routes", "exit_node", "expiry")
_NOTHING = NodeSettings()
# What tells two candidates apart, best first: set by the server before the client.
_TELLING = ("preauth_key", "user", "hostname", "name", "machine_key", "id")


@dataclass(frozen=True, slots=True)
class Bound:
    """A live node, what is wanted of it, and the entry or rule that says so.

    `wanted_name` is None where only rules speak: rules never rename. `replaced` tells
    that the entry's match finds nothing, and that this node is its device anew.
    `below` is what an entry for the node wants where it is silent.
    """

    node: Node
    wanted_name: str | None
    settings: NodeSettings
    entry: WantedNode | None
    replaced: bool = False
    below: NodeSettings = _NOTHING


@dataclass(frozen=True, slots=True)
class Bindings:
    """Every node that the file speaks of, and what could not be bound.

    `unlisted` are the nodes of which it says nothing; `strangers` have no entry, but
    perhaps a rule. `index` are the nodes among which it was looked.
    """

    index: Index

    bound: tuple[Bound, ...] = ()
    pending: tuple[WantedNode, ...] = ()
    unlisted: tuple[Node, ...] = ()
    strangers: tuple[Node, ...] = ()
    problems: tuple[Diagnostic, ...] = field(default=())


def bind(
    desired: Desired, nodes: Iterable[Node], users: Iterable[User] = ()
) -> Bindings:
    """Bind the entries and rules of the desired state to the live nodes.

    An entry's own field wins over a rule's, and a rule's over `defaults`. Nodes that
    the file removes are bound to nothing.
    """
    removed = {line.name for line in desired.removed if line.kind == "node"}
    there = (node for node in nodes if node.name not in removed)
    index = Index(there, users, _renamed(desired))
    problems = list(_strange_users(desired, index))
    entries, missing, several = _matched(desired, index, problems)
    free = {node.id for node in index.nodes} - entries.keys() - several
    anew = {
        node.id: entry
        for entry, node in successors(missing, index, free)
        if desired.replaces(entry)
    }
    meaning = entries | anew
    left = free - anew.keys()
    bound, unlisted = [], []
    for node in index.nodes:
        rules = [rule for rule in desired.rules if index.rule_holds(rule, node)]
        one = _settle(node, meaning.get(node.id), rules, desired, problems)
        if one is not None:
            bound.append(replace(one, replaced=True) if node.id in anew else one)
        elif node.id in left:
            unlisted.append(node)
    taken = {entry.name for entry in anew.values()}
    return Bindings(
        index=index,
        bound=tuple(bound),
        pending=tuple(entry for entry in missing if entry.name not in taken),
        unlisted=tuple(unlisted),
        strangers=tuple(n for n in index.nodes if n.id in left),
        problems=tuple(problems),
    )


def _renamed(desired: Desired) -> dict[str, list[str]]:
    """Return the other names of each user whom the file renames."""
    found: dict[str, list[str]] = {}
    for user in (desired.users or {}).values():
        for old in user.was:
            found.setdefault(user.name, []).append(old)
            found.setdefault(old, []).append(user.name)
    return found


def _strange(match: Match, desired: Desired, index: Index) -> bool:
    """Tell whether a match names a user who is not one: nobody, or several.

    A user whom the file makes is nobody yet. Without users nothing can be said.
    """
    token = match.fields.get("user")
    if token is None or not index.users:
        return False
    users = index.meant(token)
    return len(users) > 1 or (not users and token not in (desired.users or {}))


def _strange_users(desired: Desired, index: Index) -> Iterator[Diagnostic]:
    entries = (desired.nodes or {}).values()
    matches = [(f"node:{entry.name}", entry.match) for entry in entries]
    matches += [("", rule.match) for rule in desired.rules]
    directory = index.directory
    for address, match in matches:
        if not _strange(match, desired, index):
            continue
        token = match.fields["user"]
        ways = directory.ways_out(token)
        yield Diagnostic(
            "RC0106",
            directory.no_user(token),
            match.position,
            why="a match names one user: by name, e-mail or the identity provider's id",
            help=ways or did_you_mean(token, index.tokens()) or "correct the name",
            address=address,
        )


def _matched(
    desired: Desired, index: Index, problems: list[Diagnostic]
) -> tuple[dict[str, WantedNode], list[WantedNode], set[str]]:
    """Return what the matches find.

    That is: the entries by the id of the one node that each finds, the entries that
    find none, and the ids of the nodes among which an entry cannot tell.
    """
    entries: dict[str, WantedNode] = {}
    missing: list[WantedNode] = []
    several: set[str] = set()
    for entry in (desired.nodes or {}).values():
        if _strange(entry.match, desired, index):
            continue
        found = index.find(entry.match.fields)
        if not found:
            missing.append(entry)
        elif len(found) > 1:
            problems.append(_ambiguous(entry, found, index, desired))
            several |= {node.id for node in found}
        elif found[0].id in entries:
            problems.append(_bound_twice(entry, entries[found[0].id], found[0]))
        else:
            entries[found[0].id] = entry
    return entries, missing, several


def _settle(
    node: Node,
    entry: WantedNode | None,
    rules: list[NodeRule],
    desired: Desired,
    problems: list[Diagnostic],
) -> Bound | None:
    """Put together what entry, rules and defaults want of one node."""
    if entry is None and not rules:
        return None
    settings, problem = _merge_rules(node, rules)
    if problem:
        problems.append(problem)
    below = _over(settings, desired.node_defaults)
    if entry is not None:
        settings = _over(entry.settings, below)
    return Bound(node, entry.name if entry else None, settings, entry, below=below)


def _over(upper: NodeSettings, lower: NodeSettings) -> NodeSettings:
    """Return `upper` with what it leaves open taken from `lower`."""
    if lower is _NOTHING or upper == _NOTHING:
        return upper if lower is _NOTHING else lower
    chosen = {
        name: getattr(lower, name)
        for name in _SETTINGS
        if getattr(upper, name) is None and getattr(lower, name) is not None
    }
    if not chosen:
        return upper
    # Chained, not copied: a position is looked up only when a message needs it.
    positions = ChainMap(dict[str, Position](), upper.positions, lower.positions)  # type: ignore[arg-type]
    return replace(upper, **chosen, positions=positions)


def _merge_rules(
    node: Node, rules: list[NodeRule]
) -> tuple[NodeSettings, Diagnostic | None]:
    """Return what the rules want together; two that disagree are an error."""
    merged = _NOTHING
    for rule in rules:
        for name in _SETTINGS:
            mine, theirs = getattr(merged, name), getattr(rule.settings, name)
            if None not in (mine, theirs) and mine != theirs:
                return merged, Diagnostic(
                    "RC0205",
                    f"two rules want different {name} of node {node.name} (#{node.id})",
                    rule.position,
                    why="a rule has no rank over another",
                    help="narrow one `match`, or give the node an entry of its own",
                )
        merged = _over(merged, rule.settings)
    return merged, None


def _ambiguous(
    entry: WantedNode, found: list[Node], index: Index, desired: Desired
) -> Diagnostic:
    among = Index(found, index.users)
    offered = [_offer(entry, node, among, index, desired) for node in found[:10]]
    return Diagnostic(
        "RC0203",
        f"node:{entry.name} matches {len(found)} nodes and must name exactly one",
        entry.match.position,
        label=f"{len(found)} nodes match",
        help="one of these matches tells them apart:\n    "
        + "\n    ".join(words for words, _ in offered),
        ways=tuple(way for _, way in offered),
        address=f"node:{entry.name}",
    )


def _offer(
    entry: WantedNode, node: Node, among: Index, index: Index, desired: Desired
) -> tuple[str, Way]:
    """Return the words and the edits that let an entry mean one of the nodes.

    The entry takes the name of the node where its own is another node's.
    """
    tagged = bool(_over(entry.settings, desired.node_defaults).tags)
    narrow = f"{{ {_narrow(entry, node, among, tagged=tagged)} }}"
    put = Put(("nodes", entry.name, "match"), narrow)
    words = (
        f"#{node.id} {node.name}: user {index.owner(node) or '(tagged)'}, hostname "
        f"{node.hostname}, {'online' if node.online else f'seen {node.last_seen}'}"
        f"\n      match: {put.value}"
    )
    own = own_name(entry, node, index, desired)
    return (f"{words}\n      {own[0]}", (put, own[1])) if own else (words, (put,))


def _narrow(entry: WantedNode, node: Node, among: Index, *, tagged: bool) -> str:
    """Return the shortest addition to a match that only one candidate fulfils.

    It must go on matching: tags take the user away, and a name is about to change.
    """
    given = entry.match.fields
    for name in _TELLING:
        values = list(among.values_of(node, name))
        passing = (name == "user" and tagged) or (
            name == "name" and node.name != entry.name
        )
        if name in given or not values or passing:
            continue
        if len(among.find({name: values[0]})) == 1:
            alone = name in ("id", "machine_key")
            return _written(
                {**(_conditions(given) if alone else given), name: values[0]}
            )
    return _written({**_conditions(given), "id": node.id})


def _conditions(given: Mapping[str, str]) -> dict[str, str]:
    """Return what a match asks for beside the device itself, which is named better."""
    return {k: v for k, v in given.items() if k in ("user", "preauth_key", "tag")}


def _written(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {quoted(value)}" for name, value in fields.items())


def _bound_twice(entry: WantedNode, first: WantedNode, node: Node) -> Diagnostic:
    return Diagnostic(
        "RC0204",
        f"node:{entry.name} and node:{first.name} are the same node, "
        f"#{node.id} {node.name}",
        entry.match.position,
        why="two entries for one node would undo each other",
        help=f"remove this one; the other stands at {first.position}",
        ways=((Drop(("nodes", entry.name)),),),
        address=f"node:{entry.name}",
    )

"""Lint: what is valid in a policy, and probably not what was meant.

- `of_text(policy, tags)`: what the words alone show, whoever the users and nodes are.
- `of_tailnet(matrix, index, tags)`: that and what takes users and nodes to see.
- `meaning.meanings(policy)`: what the policy's release reads otherwise than others.

All findings are warnings, each with a path. What cannot be known is never held against
a rule, and no rule is called superfluous on the ground of what cannot be known.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import World
from reconcile.policy.language.document import (
    Origin,
    Policy,
    Problem,
    Rule,
    SshRule,
    targets_of,
)
from reconcile.policy.language.fields import Path
from reconcile.policy.language.references import references
from reconcile.policy.lint.broad import breadth, endless_tests, is_open, opens_all_ports
from reconcile.policy.lint.findings import BROAD, NAMED, counted, finding, listed
from reconcile.policy.lint.ground import Ground
from reconcile.policy.lint.inclusion import (
    covered,
    dead,
    empty_side,
    every_rule,
    text_findings,
)
from reconcile.policy.lint.logins import login_findings
from reconcile.policy.lint.meaning import meanings
from reconcile.policy.lint.names import twice, unused
from reconcile.policy.lint.overlap import Among, Overlap

MOST = 0.5  # of all pairs of nodes: a rule for more of them, on all ports, is broad
SMALL = 5  # a tailnet of fewer nodes has no "most of it"


def of_text(policy: Policy, tags: Collection[str] = ()) -> Iterator[Problem]:
    """Yield what the words of a policy show.

    `tags` are those that nodes are to have. The policy must be without errors.
    """
    yield from unused(references(policy.value), tags)
    yield from twice(policy)
    yield from text_findings(policy)
    yield from endless_tests(policy)
    opened = False
    for rule in policy.rules or ():
        what, help = breadth(policy, rule)
        if what and not (opened and is_open(rule)):  # the first one says it
            yield _broad(rule, what, help)
        opened = opened or is_open(rule)


def _any(rule: Origin) -> bool:
    return rule is not None


def of_tailnet(
    matrix: Matrix, index: int = 0, tags: Collection[str] = (), among: Among = _any
) -> Iterator[Problem]:
    """Yield what one world of a matrix shows, `index` in its `worlds`.

    Which rules are superfluous takes the most time to tell: it is asked only of those
    that `among` takes.
    """
    world = matrix.worlds[index]
    if not world.machines:  # everything would match nothing
        yield from of_text(world.policy, tags)
        yield from meanings(world.policy)
        return
    ground, overlap = Ground(matrix, index, tags), Overlap(matrix, index)
    yield from unused(ground.names, {*tags, *world.tags})
    yield from twice(world.policy, ground.same)
    told: set[str] = set()
    back = _holding_back(world)
    yield from _kept(back, _dead(ground, overlap, told))
    yield from ground.findings(told)
    yield from _kept(back, _overlapping(matrix, index, overlap, among))
    yield from login_findings(matrix, index, overlap)
    yield from ground.widened()
    yield from meanings(world.policy)
    yield from endless_tests(world.policy)


def _holding_back(world: World) -> frozenset[Path]:
    """Return the paths of the rules for whose sake groups are dropped.

    Beside a rule to `autogroup:self` 0.27 drops groups with an unknown member: without
    that rule they count again, and more is open than before.
    """
    rules = every_rule(world.policy) if world.resolver.drops else ()
    return frozenset(
        rule.path
        for rule in rules
        if any(target.autogroup == "self" for target in targets_of(rule))
    )


def _kept(back: Collection[Path], problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield findings; a rule that holds others back is not offered to be cut."""
    for problem in problems:
        held = problem.edit is not None and problem.path in back
        yield replace(problem, edit=None, help=_HELD_BACK) if held else problem


_HELD_BACK = (
    "take the unknown members out of the groups first: beside a rule to autogroup:self "
    "this release drops such groups, and without the rule they would count again"
)


def _dead(ground: Ground, overlap: Overlap, told: set[str]) -> Iterator[Problem]:
    """Yield the rules that match nothing; `told` gets the names that are to blame."""
    policy, alive = ground.world.policy, overlap.alive
    for rule in every_rule(policy):
        if str(rule) in alive:
            continue
        why = empty_side(policy, rule)
        if why:
            yield dead(rule, why, "remove the rule, or fill the list")
            continue
        reasons = _missing(ground, rule)
        if ground.expected & reasons.keys():
            continue  # the files will see to it
        told.update(reasons)
        if reasons or isinstance(rule, SshRule) or not rule.capabilities:
            help, can_go = "remove the rule, or correct what it names", True
            why = "; ".join([*dict.fromkeys(reasons.values())][:NAMED]) or _apart(rule)
            if not reasons and overlap.shows(rule):
                continue  # it makes somebody the peer of an exit node
            if not reasons and ground.leads_out(rule):
                (why, help), can_go = _NOT_OFFERED, False
            if not reasons and overlap.steers(rule):
                (why, help), can_go = _NOT_SHOWN, False
            if not reasons and overlap.is_apart(rule):
                (why, help), can_go = _APART, False
            if not reasons and _is_dropped(ground.world, rule):
                (why, help), can_go = _DROPPED, False
            yield dead(rule, why, help, cut=can_go)


_NOT_OFFERED = (
    "no exit node is offered to its sources: an address of the internet does not do "
    "that, and a client that offers to be an exit node uses no other",
    "write autogroup:internet for what exit nodes reach (up to 0.28 in a rule of its "
    "own), or add a rule to the exit node itself",
)


_NOT_SHOWN = (
    "the server sends its sources to no router of it: beside other rules, via makes "
    "nobody a peer",
    "add a rule from its sources to the router itself, for any one port",
)


_APART = (
    "up to 0.28 a network as a source makes its router nobody's peer, and packets go "
    "between peers alone",
    "add a rule between the router itself and the destinations",
)


_DROPPED = (
    "its groups have a member whom the server does not know: beside a rule to "
    "autogroup:self this release drops such groups",
    "take the unknown members out of the groups",
)


def _is_dropped(world: World, rule: Rule | SshRule) -> bool:
    """Tell whether a side of a rule has nothing left but groups that are dropped."""
    sides = (rule.sources, targets_of(rule))
    return not all(any(True for _ in world.resolver.heeded(side)) for side in sides)


def _missing(ground: Ground, rule: Rule | SshRule) -> dict[str, str]:
    """Return the names of each side that means nothing at all, with the reasons."""
    sides = [
        {selector.text: ground.absent(selector) for selector in chosen}
        for chosen in (rule.sources, targets_of(rule))
    ]
    return {k: why for side in sides if all(side.values()) for k, why in side.items()}


def _apart(rule: Rule | SshRule) -> str:
    """Say why a rule with sources and destinations still opens nothing."""
    if isinstance(rule, Rule) and rule.via:
        return f"no router that wears {listed(rule.via)} serves its destinations"
    if any(target.autogroup == "self" for target in targets_of(rule)):
        return "none of its sources is the node of a user"
    return "its sources and destinations are of different address families"


def _overlapping(
    matrix: Matrix, index: int, overlap: Overlap, among: Among
) -> Iterator[Problem]:
    """Yield the rules that add nothing, and those that open too much."""
    world = matrix.worlds[index]
    gone = overlap.superfluous(among)
    added: dict[int, list[Origin]] = defaultdict(list)
    for number, holders in sorted(gone.items()):
        rule, by = overlap.rules[number], [overlap.rules[h] for h in holders]
        if len(by) == 1 and isinstance(by[0], Rule) and is_open(by[0]):
            added[holders[0]].append(rule)
        elif rule is not None:
            yield covered(rule, [holder for holder in by if holder is not None])
    for number, each in enumerate(overlap.rules):
        if isinstance(each, Rule) and number not in gone:
            what, help = breadth(world.policy, each)
            if not what and _is_most(matrix, index, overlap, number):
                what = "opens all ports of most of the tailnet to most of it"
                help = "name the ports, or who needs them"
            if what:
                why = _told(matrix, overlap, number, added[number])
                yield _broad(each, what, help, why)


def _is_most(matrix: Matrix, index: int, overlap: Overlap, number: int) -> bool:
    rule, nodes = overlap.rules[number], len(matrix.worlds[index].machines)
    if nodes < SMALL or not isinstance(rule, Rule) or not opens_all_ports(rule):
        return False
    if any(target.selector.autogroup == "self" for target in rule.targets):
        return False
    return overlap.extent(number).paths > MOST * nodes * (nodes - 1)


def _told(
    matrix: Matrix, overlap: Overlap, number: int, added: Sequence[Origin]
) -> str:
    extent = overlap.extent(number)
    adds = "adds" if len(added) == 1 else "add"
    others = f"; {listed(added, NAMED)} {adds} nothing to it" if added else ""
    return (
        f"it lets {extent.sources} reach {extent.targets}"
        f" ({counted(extent.paths, 'path')}): "
        f"{', '.join(matrix.atoms.names(extent.atoms))}{others}"
    )


def _broad(rule: Rule, what: str, help: str, why: str = "") -> Problem:
    return finding(BROAD, f"{rule} {what}", rule.path, why=why, help=help)


__all__ = ["meanings", "of_tailnet", "of_text"]

"""What changes do to access: who can reach what after them, and could not before.

The evaluator is loaded when a change can move access, and only then: a plan without
such a change costs nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reconcile.desired.state import Desired, WantedNode
from reconcile.errors import Diagnostic, InputError, Position, ReconcileError
from reconcile.model import Live, Node
from reconcile.plan.changes import Action, Change
from reconcile.policy.language.fields import Path, get
from reconcile.policy.language.references import references
from reconcile.policy.language.words import Size
from reconcile.review.after import (
    SetOff,
    approved_by_writes,
    instant_of,
    joined,
    nodes_after,
    set_off,
    users_after,
    with_advertised,
    with_allowed_tags,
    with_approvals,
)
from reconcile.source.hujson import parse

if TYPE_CHECKING:
    from reconcile.policy.access.counts import Totals
    from reconcile.policy.access.entries import Behind, Entry
    from reconcile.policy.language.document import Policy
    from reconcile.policy.meaning.tailnet import Tailnet
    from reconcile.review.state import Scene, Words

_MOVES = {
    "policy": frozenset({"text"}),
    "node": frozenset({"tags", "routes", "exit_node"}),
    "user": frozenset({"name"}),
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Paths that are gained or lost together, in words.

    `because` says what makes the difference, `rules` which rules allow it (of lost
    paths: allowed it); `position` is where what makes the difference stands. `behind`
    finds the nodes behind the names; a saved plan may not have them.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_size: Size
    target_size: Size
    services: tuple[str, ...]
    paths: int
    cause: str
    because: tuple[str, ...]
    rules: tuple[str, ...] = ()
    position: Position | None = None
    family: str = ""
    behind: "Behind | None" = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Effect:
    """The access before and after, and what is gained and lost between the two.

    `failure` says why nothing could be evaluated; then all else is empty and means
    nothing. `hidden` counts flows that are left out of the two lists, but not of the
    counts. `remarks` are sentences about the whole; `unsure` maps what cannot be
    known, and was taken as large as it could be, to the reason. `set_off` is what the
    server changes by itself when the changes are made, `later` what opens when nodes
    advertise what the changes approve ahead, and when nodes join that are wanted.
    """

    nodes: int = 0
    before: int = 0
    after: int = 0
    gained: tuple[Flow, ...] = ()
    lost: tuple[Flow, ...] = ()
    paths_gained: int = 0
    paths_lost: int = 0
    paths_wider: int = 0
    paths_narrower: int = 0
    hidden: int = 0
    unsure: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    failure: str = ""
    runner: "Runner | None" = None
    set_off: tuple[SetOff, ...] = ()
    later: tuple[Flow, ...] = ()


@dataclass(frozen=True, slots=True)
class Runner:
    """The node that this program runs on, and how many of its own paths change."""

    node: str
    gained: int = 0
    lost: int = 0


# -- the state after the changes -------------------------------------------------------


def moves_access(changes: Iterable[Change], live: Live) -> bool:
    """Tell whether one of the changes can make somebody reach more or less."""
    return any(_moves(change, live) for change in changes)


def _moves(change: Change, live: Live) -> bool:
    now = live.taken_at
    if change.action in (Action.CREATE, Action.DELETE):
        return change.kind != "user" or _named(change, live)
    if "expiry" in change.after:
        old, new = (instant_of(s["expiry"]) for s in (change.before, change.after))
        if (old is None or old > now) is not (new is None or new > now):
            return True
    return bool(_MOVES[change.kind] & change.after.keys())


def _named(change: Change, live: Live) -> bool:
    """Tell whether the live policy names a user who comes or goes.

    A token that fits two users means neither: who comes can take away the access of
    another user, and who goes can give it back.
    """
    if live.policy is None:
        return True  # not read: it may
    try:
        tokens = references(parse(live.policy.text or "{}").value).users
    except InputError:
        return True
    fits = {change.after.get("name"), change.after.get("email")}
    for user in live.users or ():
        if user.id == change.server_id:
            fits = {user.name, user.email, user.provider_id}
    return any(token.removesuffix("@") in fits for token in tokens)


# -- before against after --------------------------------------------------------------


def of_changes(
    desired: Desired,
    live: Live,
    changes: Sequence[Change],
    limit: int | None = None,
    runner: Node | None = None,
) -> Effect | None:
    """Return what the changes do to access, None when they cannot touch it.

    `runner` is the node that this program runs on, if that is known.
    """
    if not moves_access(changes, live):
        return None
    return of_sides(sides(desired, live, changes), changes, limit, runner)


@dataclass(frozen=True, slots=True)
class Sides:
    """The state before the changes and after them, each ready to be asked.

    A side that cannot be evaluated is None, and `failure` says why. `refused` is what
    the server refuses in the policy, where the changes write one; `set_off` is what
    the server does besides when it is written. `later` is the state after them once
    nodes advertise what is approved ahead and those that are wanted have joined, None
    where there is no such.
    """

    before: "Scene | None" = None
    after: "Scene | None" = None
    failure: str = ""
    refused: tuple[Diagnostic, ...] = ()
    set_off: tuple[SetOff, ...] = ()
    later: "Scene | None" = None


def sides(
    desired: Desired,
    live: Live,
    changes: Sequence[Change],
    waiting: Iterable[WantedNode] = (),
) -> Sides:
    """Return the live state, and what the changes make of it.

    `waiting` are entries whose nodes are still to come.
    """
    if live.users is None or live.nodes is None or live.policy is None:
        return Sides(failure="users, nodes and policy were not all read")
    before = after = None
    failures, found = [], list[Diagnostic]()
    written = any(change.kind == "policy" for change in changes)
    try:
        before = scene_now(live)
    except ReconcileError as error:
        failures.append(f"on the server: {_first(error)}")
    try:
        after = scene_after(desired, live, changes, before)
        found += _refused(live, changes, after) if written else ()
    except ReconcileError as error:
        failures.append(f"after the plan: {_first(error)}")
        if written and isinstance(error, InputError):
            found += error.diagnostics
    said = tuple(replace(each, address="policy") for each in found)
    besides = _set_off(live, changes, before, after) if after and written else ()
    later = _later(live, after, waiting) if after else None
    return Sides(before, after, failures[0] if failures else "", said, besides, later)


def _refused(live: Live, changes: Sequence[Change], after: "Scene") -> list[Diagnostic]:
    """Return what the server refuses in a policy when it is written.

    Users go after that: a token that means one user in the end may fit two then.
    """
    from reconcile.review.state import refused, tailnet

    going = [c for c in changes if c.kind == "user" and c.action is Action.DELETE]
    found = refused(after)
    if found or not going:
        return found
    users = users_after(live, [change for change in changes if change not in going])
    nodes = nodes_after(live, changes)
    place = tailnet(users, nodes, live.server, after.tailnet)
    first = " ".join(f"--target {change.address}" for change in going)
    way = f"or remove users first, on their own: reconcile apply {first}"
    then = refused(replace(after, tailnet=place, computed=None))
    return [replace(each, help=f"{each.help}; {way}") for each in then]


def _later(live: Live, after: "Scene", waiting: Iterable[WantedNode]) -> "Scene | None":
    from reconcile.review.state import tailnet

    there = tuple(machine.node for machine in after.tailnet.machines)
    nodes = with_advertised(live.nodes or (), there)
    nodes += joined(waiting, after.tailnet.users, there)
    if nodes == there:
        return None
    place = tailnet(after.tailnet.users, nodes, live.server, after.tailnet)
    return replace(after, tailnet=place, computed=None)


def _set_off(
    live: Live, changes: Sequence[Change], before: "Scene | None", after: "Scene"
) -> tuple[SetOff, ...]:
    """Return what the server approves by itself, beside the plan's changes."""
    old = before.words.value if before else {}
    more = _approvals(live, changes, old, after.words.value)
    return set_off(more, nodes_after(live, changes), after.place)


def _approvals(
    live: Live, changes: Sequence[Change], old: object, new: object
) -> dict[str, Mapping[str, Path]]:
    from reconcile.review.state import row_of

    return approved_by_writes(live, changes, old, new, row_of(live.server))


def of_sides(
    both: Sides,
    changes: Sequence[Change],
    limit: int | None = None,
    runner: Node | None = None,
) -> Effect:
    """Return what changes that can move access do to it."""
    if both.before is None or both.after is None:
        return Effect(failure=both.failure)
    policy = next((c for c in changes if c.kind == "policy"), None)
    found = between(both.before, both.after, limit, runner)
    said = map(str, both.set_off)
    remarks = *_about(policy), *_besides(policy, found), *said
    later = between(both.after, both.later, limit).gained if both.later else ()
    return replace(found, remarks=remarks, set_off=both.set_off, later=later)


def _besides(policy: Change | None, found: Effect) -> list[str]:
    """Return the remarks but for what the policy's own section says already."""
    told = bool(policy and policy.policy and policy.policy.warnings)
    return [r for r in found.remarks if not (told and "neither acls nor" in r)]


def _about(policy: Change | None) -> list[str]:
    found = []
    if policy and policy.policy and policy.policy.first:
        found.append("the first policy: until now every node could reach every other")
    if policy and policy.blocked:
        found.append("told as if the server had the new policy, which it does not take")
    return found


def _first(error: ReconcileError) -> str:
    """Return the first finding in one line, and how many more there are."""
    if not isinstance(error, InputError):
        return str(error)
    more = len(error.diagnostics) - 1
    shown = str(error.diagnostics[0])
    return f"{shown} (and {more} more)" if more else shown


def scene_now(live: Live) -> "Scene":
    """Return the live policy in the live tailnet. Raises InputError."""
    from reconcile.review.state import Scene, read_words, stored, tailnet

    words = stored(live.policy)
    policy = read_words(words, live.server)
    place = tailnet(live.users, live.nodes, live.server)
    return Scene(policy, place, words, _expired(live.nodes or (), live))


def _expired(nodes: Iterable[Node], live: Live) -> frozenset[str]:
    return frozenset(node.id for node in nodes if node.expired(live.taken_at))


def scene_after(
    desired: Desired, live: Live, changes: Sequence[Change], now: "Scene | None" = None
) -> "Scene":
    """Return policy and tailnet as they are when the changes are made.

    What does not change is taken from `now`. Raises InputError for a policy that the
    server would refuse.
    """
    from reconcile.review.state import Scene, read_words, stored, tailnet, wanted

    users, nodes = users_after(live, changes), nodes_after(live, changes)
    written = any(change.kind == "policy" for change in changes)
    old: Words = stored(live.policy)
    words = old
    if desired.policy and (written or words.value == desired.policy.value):
        words = wanted(desired.policy)  # its rules stand in the user's own files
    nodes = with_allowed_tags(nodes, users, words.value)
    if written:
        more = _approvals(live, changes, old.value, words.value)
        nodes = with_approvals(nodes, more)
    policy = now.policy if now else None
    if not policy or written:
        policy = read_words(words, live.server, policy)
    same = now and users == live.users and nodes == live.nodes
    known = now.tailnet if now else None
    place = known if known and same else tailnet(users, nodes, live.server, known)
    return Scene(policy, place, words, _expired(nodes, live))


def between(
    before: "Scene",
    after: "Scene",
    limit: int | None = None,
    runner: Node | None = None,
) -> Effect:
    """Return what is gained and lost from one policy and tailnet to another.

    A node that is logged out on one side only loses or gains all that it has there.
    """
    from reconcile.policy.access.difference import diff
    from reconcile.review.state import said

    pair = [
        (one.policy, _without(one, one.expired - other.expired, other))
        for one, other in ((before, after), (after, before))
    ]
    found = diff(pair[0], pair[1], limit, runner.id if runner else "")
    if pair[1][1] is after.tailnet:
        after.computed = found.access
    old = said(before.policy)
    remarks = [remark for remark in said(after.policy) if remark not in old]
    if _unknown(before.policy) != _unknown(after.policy):
        remarks.append(
            "conditions change that cannot be evaluated: more access than is listed "
            "may be gained or lost"
        )
    both = before.expired & after.expired
    counted = replace(after, expired=frozenset(filter(found.touches, both)))
    remarks += [f"{name}: {why}" for name, why in counted.unsure.items()]
    return Effect(
        len(before.tailnet.machines),
        gained=tuple(flow(entry, after) for entry in found.gained),
        lost=tuple(flow(entry, after) for entry in found.lost),
        hidden=found.hidden,
        unsure=found.unsure,
        remarks=tuple(remarks),
        **paths(found.totals),
        runner=Runner(f"node:{runner.name}", *found.watched) if runner else None,
    )


def paths(totals: "Totals") -> dict[str, Any]:
    """Return the counts of paths as an effect has them."""
    return {
        "before": totals.before,
        "after": totals.after,
        "paths_gained": totals.opened + totals.wider,
        "paths_lost": totals.closed + totals.narrower,
        "paths_wider": totals.wider,
        "paths_narrower": totals.narrower,
    }


def _without(scene: "Scene", expired: frozenset[str], other: "Scene") -> "Tailnet":
    """Return the tailnet without nodes whose key expired there and not in the other."""
    there = {machine.node.id for machine in other.tailnet.machines}
    gone = expired & there
    return scene.tailnet.without(gone) if gone else scene.tailnet


def _unknown(policy: "Policy") -> object:
    """Return the parts of a policy that stand for what nobody can know here."""
    sections = "postures", "ipsets", "defaultSrcPosture"
    rules = {
        (str(rule.sources), str(rule.targets), rule.unsure)
        for rule in policy.rules or ()
        if rule.unsure
    }
    return rules, [get(policy.value, name) for name in sections]


def flow(entry: "Entry", scene: "Scene") -> Flow:
    """Return an entry of a difference with the place of its cause in a policy."""
    return Flow(
        entry.sources,
        entry.targets,
        entry.source_size,
        entry.target_size,
        entry.services,
        entry.paths,
        entry.cause,
        entry.because,
        tuple(str(rule) for rule in entry.rules if rule is not None),
        scene.place(entry.place) if entry.place else None,
        entry.family,
        entry.behind,
    )

"""What the same files and nodes mean on another release of the server.

An upgrade writes no policy and changes no node, and still can change who reaches what:
each release reads a policy in its own way. Nothing here asks a server.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reconcile.desired.state import Desired
from reconcile.errors import Diagnostic
from reconcile.live.headscale import releases
from reconcile.model import Live, ServerInfo, route_order
from reconcile.plan.plan import build
from reconcile.policy.access.claims import Assert
from reconcile.policy.access.upgrading import compare
from reconcile.policy.language.document import Policy
from reconcile.policy.language.release_words import label, sentence
from reconcile.policy.language.releases import RELEASES, Release
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from reconcile.review import tests as checks
from reconcile.review.access import Effect, flow, paths
from reconcile.review.after import approved_by
from reconcile.review.state import Scene, findings, refused, said

TAILSCALE = "tailscale"


@dataclass(frozen=True, slots=True)
class Approval:
    """Routes of a node that the other release approves at the next policy write."""

    node: str
    routes: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Retagged:
    """A node that has other tags there, or another owner; None is no owner at all."""

    node: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    owner: tuple[str | None, str | None]
    because: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What another release makes of a state, whose name is `title`.

    `old` and `new` are what people call the releases. `refused` is what the new one
    refuses in the policy: it does not start with it. `failing` are tests of the
    policy and assertions of the files that no longer hold. `undeclarable` is what the
    files can no longer say. `access` has a failure where the policy is refused.
    """

    title: str
    old: str
    new: str
    access: Effect
    refused: tuple[Diagnostic, ...] = ()
    failing: tuple[Diagnostic, ...] = ()
    undeclarable: tuple[Diagnostic, ...] = ()
    retagged: tuple[Retagged, ...] = ()
    approvals: tuple[Approval, ...] = ()

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """Everything that stands in the way."""
        return (*self.refused, *self.failing, *self.undeclarable)

    def __bool__(self) -> bool:
        moved = (*self.access.gained, *self.access.lost, *self.retagged)
        return bool(self.findings or moved or self.approvals)


def upgraded(
    title: str,
    now: Scene,
    release: str,
    asserts: Sequence[Assert] = (),
) -> Upgrade:
    """Return what another release makes of a policy in a tailnet.

    `asserts` is what the files say must hold. See `undeclarable` for the rest.
    """
    old = now.policy.release
    new = RELEASES[release]
    if not now.words.stored:  # every release is open then
        new = replace(new, empty_is_open=True)
    elsewhere = _Elsewhere(now)
    there = elsewhere.scene(new)
    stopped = findings(now.words, there.policy.errors) or refused(there)
    failing = [] if stopped else list(_failing(now, there, asserts))
    access = Effect(failure=f"{label(new)} refuses the policy")
    if not stopped:
        access = _access(now, elsewhere, there)
    return Upgrade(
        title,
        label(old),
        label(new),
        access,
        tuple(stopped),
        tuple(failing),
        retagged=tuple(_retagged(now, there)),
        approvals=tuple(_approvals(now, old, new)),
    )


class _Elsewhere:
    """The same policy and nodes as the rows of other releases have them."""

    def __init__(self, now: Scene) -> None:
        self._now = now
        row = now.policy.release
        # Rows that see the nodes alike share a tailnet, which is compared faster.
        self._places = {(row.advertised_routes, row.stored_tags): now.tailnet}

    def scene(self, row: Release) -> Scene:
        """Return the state of today as another release has it."""
        policy, place = self.sides(row)
        return replace(self._now, policy=policy, tailnet=place, computed=None)

    def sides(self, row: Release) -> tuple[Policy, Tailnet]:
        """Return policy and nodes as another release has them."""
        key = row.advertised_routes, row.stored_tags
        if key not in self._places:
            self._places[key] = self._now.tailnet.seen(*key)
        policy = read(self._now.words.value, row, like=self._now.policy)
        return policy, self._places[key]


def _access(now: Scene, elsewhere: _Elsewhere, there: Scene) -> Effect:
    found = compare(elsewhere.sides, now.policy.release, there.policy.release)
    before = said(now.policy)
    remarks = [remark for remark in said(there.policy) if remark not in before]
    remarks += [f"{name}: {why}" for name, why in now.unsure.items()]
    return Effect(
        len(now.tailnet.machines),
        gained=tuple(flow(entry, there) for entry in found.gained),
        lost=tuple(flow(entry, now) for entry in found.lost),
        unsure=found.unsure,
        remarks=tuple(remarks),
        **paths(found.totals),
    )


def _failing(
    now: Scene, there: Scene, asserts: Sequence[Assert]
) -> Iterator[Diagnostic]:
    """Yield the tests and assertions that fail there, and do not fail here.

    A server that does not know tests does not run them.
    """
    sides = []
    for scene in (now, there):
        runs = "tests" in scene.policy.release.sections
        sides.append(checks.findings(checks.run(scene, asserts, tests=runs)))
    known = {_key(finding) for finding in sides[0]}
    yield from (finding for finding in sides[1] if _key(finding) not in known)


def _retagged(now: Scene, there: Scene) -> Iterator[Retagged]:
    """Yield the nodes that the two releases give other tags or another owner."""
    pairs = zip(now.tailnet.machines, there.tailnet.machines, strict=True)
    label = now.tailnet.label
    for one, other in pairs:
        if one.identity != other.identity:
            yield Retagged(
                one.name,
                tuple(sorted(other.tags - one.tags)),
                tuple(sorted(one.tags - other.tags)),
                (
                    label(one.owner) if one.owner else None,
                    label(other.owner) if other.owner else None,
                ),
                sentence("stored_tags", now.policy.release, there.policy.release),
            )


def _approvals(now: Scene, old: Release, new: Release) -> Iterator[Approval]:
    """Yield what the next policy write approves there, and would not approve here."""
    if old.approves_always or not new.approves_always:
        return
    nodes = tuple(machine.node for machine in now.tailnet.machines)
    more = approved_by(nodes, now.tailnet.users, now.words.value)
    for node in nodes:
        if routes := more.get(node.id):
            told = sentence("approves_always", old, new)
            yield Approval(node.name, tuple(sorted(routes, key=route_order)), told)


# -- what the files say ----------------------------------------------------------------


def undeclarable(desired: Desired, live: Live, release: str) -> list[Diagnostic]:
    """Return what the files say and another release cannot do, but this one can."""
    there = replace(live, server=_server(live.server, release))
    known = {_key(each) for each in _errors(desired, live)}
    found = [each for each in _errors(desired, there) if _key(each) not in known]
    if release == TAILSCALE and desired.users:
        found.append(
            Diagnostic(
                "RC0301",
                "Tailscale has no call to make, rename or remove users",
                next(iter(desired.users.values())).position,
                help="invite them, and leave `users` out of the file",
            )
        )
    return found


def _errors(desired: Desired, live: Live) -> Iterable[Diagnostic]:
    return (
        d for d in build(desired, live, name="").diagnostics if d.severity == "error"
    )


def _key(finding: Diagnostic) -> tuple[object, ...]:
    return finding.code, finding.address, finding.position, finding.message


def _server(server: ServerInfo, release: str) -> ServerInfo:
    """Return what is known of a server once it runs another release."""
    row = releases.HOSTED if release == TAILSCALE else releases.RELEASES[release]
    kept = {
        name: reason
        for name, reason in server.lacking.items()
        if name == "policy.write" and release != TAILSCALE  # its policy is in a file
    }
    return replace(
        server,
        type="tailscale" if release == TAILSCALE else server.type,
        version=release,
        release=release,
        lacking={**row.lacks, **kept},
        caveats=row.caveats,
        tags_need_owner=row.tags_need_owner,
        tagging_drops_user=row.tagging_drops_user,
    )

"""Questions to policy and tailnet: what `access` and `test` work on."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconcile.desired.state import Desired
from reconcile.errors import ReconcileError, UsageError
from reconcile.jobs.options import Options
from reconcile.jobs.run import DEFAULT_FILE, Run, load, snapshot_live
from reconcile.model import Live, ServerInfo
from reconcile.plan.plan import build
from reconcile.review import access as effect
from reconcile.review import state as scene
from reconcile.review import upgrade
from reconcile.review.access import Effect
from reconcile.review.upgrade import Upgrade
from reconcile.source.text import decode, read

if TYPE_CHECKING:
    from reconcile.policy.access.claims import Assert

_KINDS = frozenset({"user", "node", "policy"})


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A scene, where it is from (`prod, as desired`), and the server that reads it.

    `asserts` is what the files say must hold there.
    """

    title: str
    server: ServerInfo
    scene: scene.Scene
    asserts: tuple["Assert", ...] = ()


def ask(options: Options, *, live: bool = False) -> Inquiry:
    """Return the desired state as the plan would make it, or with `live` as it is.

    Raises InputError with all that the server would refuse in the policy.
    """
    desired, now, name = _both(options)
    if live:
        still, title = effect.scene_now(now), f"{name}, as it is"
        return Inquiry(title, now.server, still, desired.asserts)
    changes = build(desired, now, name=name).changes
    after = effect.scene_after(desired, now, changes)
    words = "as desired" if desired.files else "as it is"
    return Inquiry(f"{name}, {words}", now.server, after, desired.asserts)


def live_state(options: Options, url: str | None = None) -> Live:
    """Return the whole live state of the server that the files or a URL name."""
    states = (Desired(server=None),) if url else _states(options)
    _require_one(states)
    (desired,) = states
    environ = {**options.environ, "HEADSCALE_URL": url} if url else options.environ
    with closing(Run(desired, replace(options, environ=environ))) as run:
        return run.read(_KINDS)


def upgraded(options: Options, release: str, *, live: bool = False) -> Upgrade:
    """Return what another release makes of the desired state, or of the live one.

    Raises InputError with all that today's release would refuse in the policy.
    """
    desired, now, name = _both(options)
    by_files = bool(desired.files) and not live
    changes = build(desired, now, name=name).changes if by_files else ()
    state = (
        effect.scene_after(desired, now, changes) if by_files else effect.scene_now(now)
    )
    title = f"{name}, {'as desired' if by_files else 'as it is'}"
    asserts = desired.asserts if by_files else ()
    found = upgrade.upgraded(title, state, release, asserts)
    if not by_files:
        return found
    left = upgrade.undeclarable(desired, now, release)
    return replace(found, undeclarable=tuple(left))


def desired_effect(options: Options) -> tuple[str, Effect]:
    """Return what the whole plan does to access: the live state against the files."""
    desired, now, name = _both(options)
    changes = build(desired, now, name=name).changes
    found = effect.of_changes(desired, now, changes)
    if found is None:
        still = effect.scene_now(now)
        found = effect.between(still, still)
    return f"{name}, now -> as desired", found


def snapshots_effect(before: str, after: str) -> tuple[str, Effect]:
    """Return what changed from one snapshot to another."""
    old, new = (_complete(snapshot_live(path), path) for path in (before, after))
    found = effect.between(effect.scene_now(old), effect.scene_now(new))
    return f"{before} -> {after}", found


def policies_effect(options: Options, before: str, after: str) -> tuple[str, Effect]:
    """Return what changes from one policy file to another in the live tailnet."""
    _, now, name = _both(options)
    machines = scene.tailnet(now.users, now.nodes, now.server)
    sides = []
    for path in (before, after):
        words = scene.written(decode(read(path), path), path)
        policy = scene.read_words(words, now.server)
        sides.append(scene.Scene(policy, machines, words))
    return f"{before} -> {after} on {name}", effect.between(sides[0], sides[1])


def _both(options: Options) -> tuple[Desired, Live, str]:
    """Return the desired state, the live one with every kind, and the server's name."""
    states = _states(options)
    _require_one(states)
    _require_state(states[0], options)
    with closing(Run(states[0], options)) as run:
        live = _complete(run.read(_KINDS), options.snapshot or run.ref.name)
        return states[0], live, run.ref.name


def _require_one(states: Sequence[Desired]) -> None:
    if len(states) > 1:
        raise UsageError(
            "this is asked of one server at a time",
            "choose one: " + " or ".join(f"--server {_name(each)}" for each in states),
        )


def _name(desired: Desired) -> str:
    return desired.server.name if desired.server else "NAME"


def _states(options: Options) -> tuple[Desired, ...]:
    """Return the desired states; without files a live state can be asked alone."""
    nameless = options.files == (DEFAULT_FILE,) and not Path(DEFAULT_FILE).exists()
    if nameless and (options.snapshot or options.environ.get("HEADSCALE_URL")):
        return (Desired(server=None),)
    return load(options)


def _require_state(desired: Desired, options: Options) -> None:
    known = options.snapshot or desired.server or options.environ.get("HEADSCALE_URL")
    if not known:
        raise UsageError(
            "a policy alone reaches nothing: users and nodes are needed, and no "
            "server is named to read them from",
            "add --snapshot FILE (made by: reconcile snapshot -o FILE), or name the "
            "server: export HEADSCALE_URL=https://… and HEADSCALE_API_KEY=…",
        )


def _complete(live: Live, name: str) -> Live:
    """Refuse a state in which a kind is missing: nothing could be said of access."""
    kinds = {"users": live.users, "nodes": live.nodes, "policy": live.policy}
    missing = [kind for kind, found in kinds.items() if found is None]
    if missing:
        raise ReconcileError(
            f"{name} does not hold {' and '.join(missing)}, which access depends on",
            "make a complete one with: reconcile snapshot -o FILE",
        )
    return live

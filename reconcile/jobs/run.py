"""One run: from the files and options to plans, with the server in between.

Every command starts here, so that `plan`, `drift` and `apply` cannot differ in how
they get to a plan.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from reconcile import desired as desired_state
from reconcile.apply import backup
from reconcile.desired.accepts import sift
from reconcile.desired.servers import SIMULATOR, default_name
from reconcile.desired.state import Delivery, Desired, ServerRef, WantedNode
from reconcile.errors import (
    Diagnostic,
    Position,
    ReconcileError,
    Rejected,
    ServerError,
    StalePlan,
    UsageError,
)
from reconcile.jobs.connection import default_server, open_server
from reconcile.jobs.last_apply import History, LastApply
from reconcile.jobs.leave import Leave
from reconcile.jobs.options import Options
from reconcile.live import snapshot
from reconcile.live.headscale.adapter import Headscale
from reconcile.live.own_node import own_node
from reconcile.model import Live, Node, Operation, natural
from reconcile.plan.changes import Change
from reconcile.plan.compare import kinds_needed
from reconcile.plan.plan import Plan, build
from reconcile.policy.language.words import plural
from reconcile.review.access import Effect, Sides, moves_access, of_sides, sides
from reconcile.review.after import opens_something

if TYPE_CHECKING:
    from reconcile.review.tests import Checks


def load(options: Options, *, offline: bool = False) -> tuple[Desired, ...]:
    """Read the desired state of every server that was asked for.

    With `offline` or a snapshot no server will be asked, so that the variables of its
    URL and credential need not be set.
    Raises InputError with every finding, and UsageError when there is no file.
    """
    if options.files == (DEFAULT_FILE,) and not Path(DEFAULT_FILE).exists():
        raise UsageError(
            f"there is no {DEFAULT_FILE} in this folder",
            "name the file with -f FILE, or make one from a live server with: "
            "reconcile import",
        )
    return desired_state.read(
        options.files,
        server=options.server,
        environ=options.environ,
        offline=offline or options.snapshot is not None,
        release=options.release,
    )


DEFAULT_FILE = "tailnet.yaml"
_DELIVERY = 30.0  # seconds for a program that delivers a policy


class Run:
    """The desired state of one server, and how its live state is got at.

    With a snapshot there is no server: the live state comes from the file.
    """

    def __init__(
        self, desired: Desired, options: Options, *, writable: bool = False
    ) -> None:
        self.desired = desired
        self._options = options
        self.server: Headscale | None = None
        self.first: Plan | None = None  # the first plan of this run
        self._live: Callable[[AbstractSet[str]], Live]
        self._last: Live
        if options.snapshot is not None:
            saved = snapshot_live(options.snapshot)
            self.ref = _server_of(saved, desired.server)
            self._live = partial(_only, saved)
        else:
            self.ref = desired.server or default_server(options.environ)
        self._history = History(desired, self.ref, options)
        self._leave = Leave(self.ref, options, self._history)
        if options.snapshot is None:
            self.server = open_server(self.ref, options, self._leave, writable=writable)
            self._live = self.server.read

    def close(self) -> None:
        """Close the connection to the server."""
        if self.server is not None:
            self.server.close()

    def read(self, more: AbstractSet[str] = frozenset()) -> Live:
        """Return the live state of every kind that the files speak of, and of more."""
        live = self._live(kinds_needed(self.desired) | more)
        if self.server is not None and self.ref.url.startswith(SIMULATOR):
            live = replace(live, server=replace(live.server, url=self.ref.url))
        return live

    @property
    def last(self) -> LastApply:
        """What was applied last, with which a plan is compared."""
        return self._history.last

    @property
    def label(self) -> str:
        """The commit of the files as people know it, "" for none."""
        return self._history.label

    @property
    def seen(self) -> Live:
        """What was read for the last plan."""
        return self._last

    def look(self, kinds: AbstractSet[str]) -> Live:
        """Return what is there now of some kinds, for those who write."""
        return self._live(kinds)

    @property
    def shown_url(self) -> str:
        """The server's address as plans show it."""
        if self.server is None or self.ref.url.startswith(SIMULATOR):
            return self.ref.url
        return self.server.url

    def plan(self, *, check: bool = True, limited: bool = True) -> Plan:
        """Read the live state and return the plan towards the desired one.

        `check` tells what the changes do to access, runs tests and assertions, and
        lets a server that can do so look at a new policy, without storing it.
        `limited` heeds --target and --exclude.
        """
        self._last = self.read()
        made = replace(
            self._build(limited=limited),
            asked=self._options.asked,
            way=self._options.way,
        )
        self.first = self.first or made
        if why := self.last.why_not:
            made = replace(made, notes=(*made.notes, why))
        return self._checked(self.judged(made)) if check else self._sifted(made)

    def _build(self, *, limited: bool) -> Plan:
        """Build the plan; --theirs excludes the conflicts that a first one finds."""
        options = self._options
        made = partial(
            build,
            self.desired,
            self._last,
            name=self.ref.name,
            commit=self.label,
            base=self.last.base,
            bridge=not options.single_policy_write,
        )
        if not limited:
            return made()
        plan = made(target=options.target, exclude=options.exclude)
        if not (options.theirs and plan.conflicts):
            return plan
        theirs = (escape(address) for address in plan.conflicts)
        return made(target=options.target, exclude=(*options.exclude, *theirs))

    def back_up(self, plan: Plan, folder: Path | None) -> backup.Kept | None:
        """Keep what the server has before a plan is done, as it was read last.

        Returns None where there is neither a folder nor a repository. Raises
        ReconcileError when it cannot be kept.
        """
        history = self._history
        taken = backup.before(plan, self._last, history.identity)
        return backup.keep(taken, plan.name, history.top, folder)

    def applied(self, plan: Plan) -> str:
        """Remember that the server is as the files say; return what to tell of it.

        Nothing is remembered when the plan left something out. That git could not do
        it is told, and no more: the server is as it should be.
        """
        options = self._options
        if plan.limited or options.target or options.exclude:
            return ""
        try:
            return self._history.record()
        except ReconcileError as error:
            return str(error)

    def judged(self, plan: Plan) -> Plan:
        """Add what the changes do, as `_judged` says, without accepted warnings."""
        return self._sifted(self._judged(plan))

    def _sifted(self, plan: Plan) -> Plan:
        """Take out the warnings that the files accept, and count them."""
        sifted = sift(plan.diagnostics, self.desired.accepts)
        if not sifted.accepted:
            return plan
        note = f"{plural(sifted.accepted, 'warning')} accepted in the files"
        return replace(plan, diagnostics=sifted.left, notes=(*plan.notes, note))

    def _judged(self, plan: Plan) -> Plan:
        """Add what the changes do to access, and whether tests and assertions hold.

        They hold, or not, in the state that was read last with the plan's changes
        made. Each that does not is an error of the plan.
        """
        asserts, waiting = self.desired.asserts, self._waiting(plan)
        moved = moves_access(plan.changes, self._last) and self._really(plan.changes)
        if not (asserts or moved or waiting):
            return plan
        from reconcile.review import tests as checks

        both = self._sides(plan.changes, waiting)
        effect = Effect()
        if moved or waiting:
            effect = of_sides(both, plan.changes, runner=self._runner(both))
        if moved or effect.later:
            found = (*plan.diagnostics, *self._said(both))
            plan = replace(plan, access=effect, diagnostics=found)
        if both.after is None:
            done = checks.unchecked(asserts, both.failure)
        else:
            done = checks.run(both.after, asserts, tests=moved)
        if not done.all:
            return plan
        return replace(
            plan,
            checks=done,
            notes=(*plan.notes, *done.remarks),
            diagnostics=(*plan.diagnostics, *checks.findings(done)),
        )

    def _waiting(self, plan: Plan) -> list[WantedNode]:
        """Return the entries that are new and can open something once a node joins."""
        new = {p.address for p in plan.pending if not p.origin.moved}
        return [
            entry
            for entry in (self.desired.nodes or {}).values()
            if f"node:{entry.name}" in new and opens_something(entry.settings)
        ]

    def _really(self, changes: Sequence[Change]) -> bool:
        """Tell whether changes can move access, once the policy is known as well."""
        try:
            return moves_access(changes, self._with({"policy"}))
        except ServerError:
            return True  # what is missing then is told where access is

    def _said(self, both: Sides) -> Iterator[Diagnostic]:
        """Yield what the server refuses in a policy to be written, and what is odd."""
        yield from both.refused
        if both.before and both.after:
            from reconcile.review.lint import brought

            yield from brought(both.before, both.after, self.desired)

    def holding(self) -> "Checks | None":
        """Hold the assertions against the state that was read last, as it is.

        None where the files assert nothing.
        """
        if not self.desired.asserts:
            return None
        from reconcile.review import tests as checks

        asserts, both = self.desired.asserts, self._sides(())
        if both.after is None:
            return checks.unchecked(asserts, both.failure)
        return checks.run(both.after, asserts, tests=False)

    def _sides(
        self, changes: Sequence[Change], waiting: Sequence[WantedNode] = ()
    ) -> Sides:
        """Return the last state before and after changes; what is missing is read."""
        try:
            live = self._with({"user", "node", "policy"})
        except ServerError as error:
            return Sides(failure=str(error))
        return sides(self.desired, live, changes, waiting)

    def _with(self, kinds: AbstractSet[str]) -> Live:
        """Return the last state with these kinds too, read where they are missing."""
        live = self._last
        known = {"user": live.users, "node": live.nodes, "policy": live.policy}
        missing = frozenset(kind for kind in kinds if known[kind] is None)
        if not missing:
            return live
        rest = self._live(missing)
        found = {f: getattr(rest, f) for f in ("users", "nodes", "policy")}
        return replace(live, **{f: v for f, v in found.items() if v is not None})

    def _runner(self, both: Sides) -> Node | None:
        """Return the node that this program runs on, when that can be known."""
        far = self.server is not None and not self.ref.url.startswith(SIMULATOR)
        if not far or both.before is None:
            return None
        return own_node(machine.node for machine in both.before.tailnet.machines)

    def _checked(self, plan: Plan) -> Plan:
        policy = next((c for c in plan.changes if c.kind == "policy"), None)
        if policy is None or self.server is None or plan.server.lacks("policy.check"):
            return plan
        if plan.checks and not all(check.passed for check in plan.checks.tests):
            return plan  # the server would say the same in fewer words
        text = policy.after["text"]
        made = [c for c in plan.changes if c.kind == "user" and "name" in c.after]
        if any(f"{c.after['name']}@" in text for c in made):
            return plan  # the server does not know these users yet
        try:
            self.server.check_policy(text)
        except ServerError as error:
            if not isinstance(error, Rejected) or error.status >= 500:
                note = f"the server could not check the policy beforehand: {error}"
                return replace(plan, notes=(*plan.notes, note))
            refused = Diagnostic(
                "RC0307",
                "the server refuses this policy",
                self._refused(str(error)) or policy.position,
                why=str(error),
                help="correct the policy; nothing was stored",
                address="policy",
            )
            return replace(plan, diagnostics=(*plan.diagnostics, refused))
        return replace(plan, diagnostics=tuple(map(_taken, plan.diagnostics)))

    def write(self, operation: Operation) -> None:
        """Make one change; a refusal of the policy tells the place in its file.

        Raises the ServerError that says why it was not made, UsageError when there is
        only a snapshot, and for a policy that is delivered what `deliver` raises.
        """
        if self.server is None:
            raise UsageError("apply needs a server, not a snapshot")
        policy = self.desired.policy
        way = self._way_of_policy() if operation.verb == "policy.set" else None
        try:
            if way:
                self._deliver(way, operation, self.server)
            else:
                self.server.write(operation)
        except Rejected as error:
            if policy and operation.value == policy.text:
                place = self._refused(str(error))
                error.args = (f"{place}: {error}",) if place else error.args
            raise

    def require_leave(self, plan: Plan) -> None:
        """Make sure of the leave for what an apply of a plan would run or write.

        Raises InputError (exit code 4) without it.
        """
        if any(change.kind == "policy" for change in plan.changes):
            self._way_of_policy()

    def _way_of_policy(self) -> Delivery | None:
        """Return how the policy is delivered, None when the server takes it."""
        policy, way = self.desired.policy, None
        if policy and self._last.server.lacks("policy.write"):
            way = policy.deliver
        if way:
            self._leave.deliver(way)
        return way

    def _deliver(self, way: Delivery, operation: Operation, server: Headscale) -> None:
        from reconcile.apply.deliver import deliver

        environ = self._leave.environment(server.holds_key)
        text = server.policy_to_write(operation)
        patience = self._options.timeout or _DELIVERY
        deliver(way, text, server.policy, environ, timeout=patience)

    def _refused(self, message: str) -> Position | None:
        """Return what a refusal of the wanted policy is about, in the user's file."""
        from reconcile.policy.language.pointers import path_of
        from reconcile.source import hujson

        if self.desired.policy is None:
            return None
        path = path_of(message, hujson.parse(self.desired.policy.text))
        return None if path is None else self.desired.policy.locate(path)


def _taken(finding: Diagnostic) -> Diagnostic:
    """Turn an error of ours in a policy that the server takes into a warning."""
    if finding.address != "policy" or finding.severity != "error":
        return finding
    why = "the server takes it: it may be newer than this version of reconcile"
    return replace(finding, severity="warning", why=why)


def _server_of(live: Live, said: ServerRef | None) -> ServerRef:
    """Return the server that a snapshot was taken of, where the files do not tell.

    They do not when its address is a variable that is not set.
    """
    if said is not None and "${" not in said.url:
        return said
    url = live.server.url
    if said is not None and said.name != default_name(said.url):
        return replace(said, url=url)
    return ServerRef(name=default_name(url), type="headscale", url=url)


def _only(live: Live, kinds: AbstractSet[str]) -> Live:
    """Return what a server would have been asked for, so that plans are the same."""
    return replace(
        live,
        users=live.users if "user" in kinds else None,
        nodes=live.nodes if "node" in kinds else None,
        policy=live.policy if "policy" in kinds else None,
    )


def snapshot_live(path: str) -> Live:
    """Return the live state of a snapshot file. Raises InputError when it is none."""
    from reconcile.source.text import decode, read

    return snapshot.loads(decode(read(path), path), path)


def require_files(plan: Plan, desired: Desired) -> None:
    """Raise StalePlan unless the files are those that a saved plan was made from."""
    if dict(plan.files) == dict(desired.files):
        return
    old, new = dict(plan.files), dict(desired.files)
    names = [n for n in old.keys() | new.keys() if old.get(n) != new.get(n)]
    raise StalePlan(
        f"{', '.join(sorted(names, key=natural))} changed after this plan was saved",
        "make a new plan: reconcile plan --out FILE",
    )

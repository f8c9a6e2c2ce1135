"""One run: from the files and options to plans, with the server in between.

Every command starts here, so that `plan`, `drift` and `apply` cannot differ in how
they get to a plan.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from reconcile import desired as desired_state
from reconcile.apply import backup
from reconcile.desired.servers import SIMULATOR, default_name
from reconcile.desired.state import Delivery, Desired, ServerRef
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
from reconcile.jobs.review import Review
from reconcile.live import snapshot
from reconcile.live.headscale.adapter import Headscale
from reconcile.model import Live, Operation, natural
from reconcile.plan.compare import kinds_needed
from reconcile.plan.plan import Plan, build

if TYPE_CHECKING:
    pass


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
        live = self.read()
        made = replace(
            self._build(live, limited=limited),
            asked=self._options.asked,
            way=self._options.way,
        )
        self.first = self.first or made
        if why := self.last.why_not:
            made = replace(made, notes=(*made.notes, why))
        review = self.review
        return self._checked(review.judged(made)) if check else review.sifted(made)

    @property
    def review(self) -> Review:
        """What tells of a plan what it means."""
        far = self.server is not None and not self.ref.url.startswith(SIMULATOR)
        return Review(self.desired, self._live, far=far)

    def _build(self, live: Live, *, limited: bool) -> Plan:
        """Build the plan; --theirs excludes the conflicts that a first one finds."""
        options = self._options
        made = partial(
            build,
            self.desired,
            live,
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
        """Keep what the server has before a plan is done, as the plan was made from it.

        Returns None where there is neither a folder nor a repository. Raises
        ReconcileError when it cannot be kept.
        """
        history = self._history
        taken = backup.before(plan, plan.state, history.identity)
        return backup.keep(taken, plan.name, history.top, folder)

    def applied(self, plan: Plan, _live: Live) -> str:
        """Remember that the server is as the files say; return what to tell of it.

        The second argument is what the server has now. Nothing is remembered when the
        plan left something out. That git could not do it is told, and no more: the
        server is as it should be.
        """
        options = self._options
        if plan.limited or options.target or options.exclude:
            return ""
        try:
            return self._history.record()
        except ReconcileError as error:
            return str(error)

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

    def writer(self, plan: Plan) -> "Writer":
        """Return what makes the changes of a plan."""
        return Writer(self, plan)

    def write(self, operation: Operation, plan: Plan) -> None:
        """Make one change of a plan; a refused policy tells the place in its file.

        Raises the ServerError that says why it was not made, UsageError when there is
        only a snapshot, and for a policy that is delivered what `deliver` raises.
        """
        if self.server is None:
            raise UsageError("apply needs a server, not a snapshot")
        policy = self.desired.policy
        way = self._way_of_policy(plan) if operation.verb == "policy.set" else None
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
            self._way_of_policy(plan)

    def _way_of_policy(self, plan: Plan) -> Delivery | None:
        """Return how the policy is delivered, None when the server takes it."""
        policy, way = self.desired.policy, None
        if policy and plan.server.lacks("policy.write"):
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


@dataclass(frozen=True, slots=True)
class Writer:
    """What makes the changes of one plan; `apply.run.Writable`."""

    run: Run
    plan: Plan

    def look(self, kinds: AbstractSet[str]) -> Live:
        """Return what is there now of some kinds."""
        return self.run.look(kinds)

    def write(self, operation: Operation) -> None:
        """Make one change; raises what `Run.write` raises."""
        self.run.write(operation, self.plan)


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

"""A run towards a backup: the same plan, checks and writes as towards the files."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from reconcile.apply import backup
from reconcile.apply.backup import Backup
from reconcile.desired.state import Desired
from reconcile.errors import Diagnostic, Refused, UsageError
from reconcile.jobs.connection import default_server
from reconcile.jobs.last_apply import History, LastApply
from reconcile.jobs.options import Options
from reconcile.jobs.restore import Aim, aim
from reconcile.jobs.run import Run, load
from reconcile.model import Live
from reconcile.plan.changes import DIFFERENCES, Change
from reconcile.plan.compare import diff
from reconcile.plan.plan import Plan
from reconcile.policy.language.words import plural
from reconcile.source import git
from reconcile.source.text import decode, read

_STAYS = "it stays as it is; everything else is taken back"
_AGAIN = (
    "the policy approved routes of nodes by the tags that they still had: run this "
    "again to take them back"
)
_KINDS = frozenset({"user", "node", "policy"})


@dataclass(frozen=True, slots=True)
class Found:
    """A backup, its name or path as it is given to `rollback`, and its digest."""

    name: str
    backup: Backup
    digest: str


class Rollback(Run):
    """The way back to a backup of one server; `files` are what the files want of it.

    `name` is that of a kept backup, or a path; "" is the last one that an apply kept.
    `ours` takes back what others changed since as well. Raises UsageError where there
    is none, Refused for one of another server, and what a run raises.
    """

    def __init__(
        self, files: Desired, options: Options, name: str, *, ours: bool = False
    ) -> None:
        self._files, self._ours = files, ours
        self.found = _find(name, history(files, options))
        words = (self.found.name, *["--ours"] * ours)
        super().__init__(files, replace(options, rollback=words), writable=True)
        self._aim: Aim
        self._first: Aim | None = None

    def read(self, more: Set[str] = frozenset()) -> Live:
        """Return the live state, and aim from there at the backup."""
        touched = {each.kind for each in self.found.backup.touched}
        routes = any(each.set_off for each in self.found.backup.touched)
        kinds = _KINDS if routes or touched - {"policy"} else {"policy"}
        live = super().read(more | kinds)
        self._aim = self._aim_at(live, self._first)
        self._first = self._first or self._aim
        self.desired = self._aim.desired
        return live

    def _aim_at(self, live: Live, first: Aim | None) -> Aim:
        found, label = self.found.backup, f"backup {self.found.name}"
        return aim(found, live, self._files, label, first, ours=self._ours)

    @property
    def last(self) -> LastApply:
        """Nothing: who moved since is told from the backup itself."""
        return LastApply()

    @property
    def label(self) -> str:
        """Nothing: a backup stands in no commit."""
        return ""

    def _build(self, live: Live, *, limited: bool) -> Plan:
        plan = super()._build(live, limited=limited)
        lost = (f"not brought back: {sentence}" for sentence in self._aim.lost)
        return replace(
            plan,
            files=((f"backup {self.found.name}", self.found.digest),),
            changes=tuple(map(_placeless, plan.changes)),
            stuck=tuple(map(_placeless, plan.stuck)),
            notes=(*plan.notes, *lost),
            diagnostics=tuple(map(_told, plan.diagnostics)),
        )

    def applied(self, plan: Plan, live: Live) -> str:
        """Return what is still to be done, here and in the files; no ref moves."""
        told = []
        anew = self._aim_at(live, None).desired
        if not plan.limited and diff(anew, live).changes:
            told.append(_AGAIN)
        if left := len(diff(self._files, live).changes):
            commit = self.found.backup.commit
            undo = f": git revert {commit}" if commit and "+" not in commit else ""
            told.append(
                f"the files still want what was taken back ({plural(left, 'change')}): "
                f"plan and apply go there again until the files change too{undo}"
            )
        return "\n".join(told)


def history(files: Desired, options: Options) -> History:
    """Return what the repository of the files knows of the server that they name."""
    return History(files, files.server or default_server(options.environ), options)


def _find(name: str, history: History) -> Found:
    """Return the backup of a name or path, for this server."""
    if "/" in name or Path(name).is_file():
        text = decode(read(name), name)
    else:
        name, text = _kept(name, history)
    found = backup.loads(text, name)
    if found.server != history.identity:
        raise Refused(
            f"{name} is a backup of {found.server}, not of {history.identity}",
            "choose its server with --server NAME or HEADSCALE_URL",
        )
    return Found(name, found, sha256(text.encode()).hexdigest())


def _kept(name: str, history: History) -> tuple[str, str]:
    """Return the name and text of a kept backup; "" is the last that an apply made."""
    for each, text in _newest_first(history, name):
        if name or not backup.loads(text, each).rollback:
            return each, text
    raise UsageError(
        f"there is no backup{' ' * bool(name)}{name} of {history.identity}",
        "reconcile rollback --list shows those that are kept; one in another folder "
        "is named by its path",
    )


def _newest_first(history: History, only: str = "") -> Iterator[tuple[str, str]]:
    if history.top is None:
        return
    for name in reversed(git.backups(history.top, history.identity)):
        text = git.backup(history.top, history.identity, name)
        if text is not None and only in ("", name):
            yield name, text


def kept(options: Options) -> list[tuple[str, Backup]]:
    """Return the backups that are kept of each server, with their names, newest first.

    Raises what `load` does.
    """
    return [
        (name, backup.loads(text, name))
        for files in load(options, offline=True)
        for name, text in _newest_first(history(files, options))
    ]


def open_rollback(options: Options, name: str, *, ours: bool) -> Rollback:
    """Return the run towards a backup. Raises what `load` and `Rollback` do."""
    states = load(options)
    if len(states) > 1:
        raise UsageError("a backup is of one server", "name it with --server NAME")
    return Rollback(states[0], options, name, ours=ours)


def _placeless(change: Change) -> Change:
    """Return a change without places and words of a file: a backup is none."""
    if change.kind == "policy":
        return change
    reason = change.reason.replace("listed in `removed:`", "made by what is taken back")
    return replace(change, position=None, reason=reason)


def _told(finding: Diagnostic) -> Diagnostic:
    """Return a finding about a user or node as it is told of a rollback.

    Its remedies are edits of a file, and what cannot be brought back stops nothing.
    """
    if not finding.address.startswith(("user:", "node:")):
        return finding
    if finding.code in DIFFERENCES | {"RC0210"}:
        finding = replace(finding, severity="warning")
    return replace(finding, position=None, help=_STAYS, ways=())

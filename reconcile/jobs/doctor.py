"""The checks of `doctor`: each says what was found and, when wrong, what to do."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from reconcile.desired.state import Desired, ServerRef
from reconcile.errors import AuthError, Exit, InputError, ReconcileError
from reconcile.jobs.connection import default_server, open_server
from reconcile.jobs.last_apply import History
from reconcile.jobs.leave import Leave
from reconcile.jobs.options import Options
from reconcile.jobs.run import DEFAULT_FILE, load
from reconcile.live.headscale.adapter import Headscale
from reconcile.live.headscale.releases import CAPABILITIES
from reconcile.live.server import now

_SOON = timedelta(days=14)
# The words for the writes that the release table has a caveat for.
_CAVEATS = {
    "node.routes.empty": "approving no route at all",
    "node.tags": "setting tags",
    "node.tags.empty": "removing all tags",
    "node.expiry": "setting a key expiry",
    "user.rename": "renaming a user",
    "user.remove": "removing a user",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination: fine, wrong (with the remedy), or just a fact.

    `sign` is what stands in front of it; only `!!` means that something is wrong,
    and `code` is how a command ends then.
    """

    ok: bool
    text: str
    remedy: str = ""
    fact: str = ""
    code: Exit = Exit.ERROR

    @property
    def sign(self) -> str:
        """The mark in front of the line."""
        return self.fact or ("ok" if self.ok else "!!")


def examine(options: Options) -> Iterator[Finding]:
    """Yield findings, from the files to the server's abilities.

    What a failed check makes impossible is not tried.
    """
    for found in _servers(options):
        if isinstance(found, Finding):
            yield found
        else:
            yield from _server(found, options)


def _servers(options: Options) -> Iterator[Finding | Desired]:
    if options.files == (DEFAULT_FILE,) and not Path(DEFAULT_FILE).exists():
        yield Finding(
            True, f"files: no {DEFAULT_FILE} here, looking at the server only"
        )
        yield Desired(server=None)
        return
    try:
        states = load(options)
    except InputError as error:
        number = len(error.diagnostics)
        yield Finding(
            False,
            f"files: {number} finding{'' if number == 1 else 's'}, the first at "
            f"{error.diagnostics[0].position}",
            "see them all: reconcile validate",
            code=error.exit_code,
        )
        return
    for state in states:
        yield Finding(True, f"files: {', '.join(path for path, _ in state.files)}")
        yield state


def _server(desired: Desired, options: Options) -> Iterator[Finding]:
    ref = desired.server or default_server(options.environ)
    leave = Leave(ref, options, History(desired, ref, options))
    try:
        server = open_server(ref, options, leave)
    except ReconcileError as error:
        yield _failure(error)
        return
    with closing(server):
        yield Finding(True, f"server: {ref.url} answers")
        release = server.release.name
        yield Finding(
            True, f"version: {server.version}, treated as Headscale {release}"
        )
        try:
            yield from _inside(server, ref)
        except ReconcileError as error:
            yield _failure(error)


def _failure(error: ReconcileError) -> Finding:
    what = "credential" if isinstance(error, AuthError) else "server"
    return Finding(False, f"{what}: {error}", error.hint, code=error.exit_code)


def _inside(server: Headscale, ref: ServerRef) -> Iterator[Finding]:
    live = server.read({"policy"})
    yield Finding(True, f"credential: accepted ({_origin(ref)})")
    yield from _expiry(server)
    if live.policy is not None:
        yield _policy(live.policy.writable, live.policy.text is not None)
    for name, words in CAPABILITIES.items():
        reason = live.server.lacks(name)
        yield Finding(True, words, reason, fact="no" if reason else "yes")
    for what, caveat in live.server.caveats.items():
        yield Finding(True, f"{_CAVEATS[what]}: {caveat}", fact="!")


def _origin(ref: ServerRef) -> str:
    if ref.command:
        return f"from the program {ref.command[0]}"
    return f"from the file {ref.file}" if ref.file else f"from the variable {ref.env}"


def _expiry(server: Headscale) -> Iterator[Finding]:
    expiry = server.credential_expiry()
    if expiry is None:
        yield Finding(True, "credential expiry: the server does not tell")
        return
    left = expiry - now()
    yield Finding(
        left > _SOON,
        f"credential expiry: {expiry:%Y-%m-%d}, in {left.days} days",
        ""
        if left > _SOON
        else "make a new key in time: headscale apikeys create --expiration 90d",
    )


def _policy(writable: bool, stored: bool) -> Finding:
    if writable:
        state = (
            "" if stored else ", no policy stored yet: everything may reach everything"
        )
        return Finding(True, f"policy mode: database{state}")
    return Finding(
        False,
        "policy mode: file, so the policy cannot be written through the API",
        "set policy.mode: database in the server's configuration, or say in the file "
        "how to deliver the policy (`deliver` in the policy section)",
    )

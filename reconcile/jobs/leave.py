"""Leave: whether the files may run a program, or send an API key to an address.

Files may come from a stranger, so that what they name is done only with leave. It is
given by a person on the command line or in the environment, by the commit that was
applied last, where it says the same, or by an answer that the repository remembers.
Every question of this kind is asked here, and nowhere else.
"""

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from reconcile.desired.servers import SIMULATOR
from reconcile.desired.state import API_KEY, Delivery, Desired, ServerRef
from reconcile.errors import Diagnostic, InputError, Position
from reconcile.jobs.last_apply import History, place
from reconcile.jobs.options import Options
from reconcile.report.safe import safe
from reconcile.source import git, programs
from reconcile.source.border import Border
from reconcile.source.programs import holds
from reconcile.source.text import read
from reconcile.source.variables import as_written

URL = "HEADSCALE_URL"
_PROGRAM, _ADDRESS, _OUTSIDE = "RC0701", "RC0702", "RC0703"
_PORTS = {"http": 80, "https": 443}
_ONCE = "--allow-commands allows all that the files name, for one run"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the files want to do, which needs leave.

    `parts` are what must be the same for a leave to hold, `told` says it to people,
    and `arguments` are the words of the programs that would run.
    """

    code: str
    parts: tuple[str, ...]
    told: str
    position: Position | None
    arguments: tuple[str, ...] = ()


def connection(ref: ServerRef, variables: Sequence[str] = ()) -> Wish:
    """Return the wish to get a server's API key and send it to the server."""
    where, credential = address(ref.url), ref.credential or ref.position
    if ref.command:
        words = tuple(map(as_written, ref.command))
        parts = ("connect", where, "command", *words, "variables", *variables)
        told = f"a program to get the API key for {where}: {shlex.join(words)}"
        return Wish(_PROGRAM, parts, told + _with(variables), credential, ref.command)
    source = f"file {_inside(ref)}" if ref.file else f"variable {ref.env}"
    return Wish(
        _ADDRESS,
        ("connect", where, source),
        f"{where} as where to send the API key in the {source}",
        ref.position if ref.env else credential,
    )


def delivery(ref: ServerRef, way: Delivery, variables: Sequence[str] = ()) -> Wish:
    """Return the wish to deliver the policy of a server."""
    told = f"how to deliver the policy of {address(ref.url)}: {way.told}"
    return Wish(
        _PROGRAM,
        ("deliver", address(ref.url), way.told, "variables", *variables),
        told + _with(variables),
        way.position,
        (*way.command, *way.then),
    )


def _with(variables: Sequence[str]) -> str:
    return f" (it gets the variables {', '.join(variables)})" if variables else ""


def address(url: str) -> str:
    """Return one spelling for all URLs of a server, with how it is talked to."""
    where, scheme = place(url), url.partition(":")[0].lower()
    return where if where.startswith(SIMULATOR) else f"{scheme}://{where}"


def _inside(ref: ServerRef) -> str:
    """Return the file of a key as seen from the top of the repository."""
    real = Path(ref.file).resolve()
    inside = ref.root and real.is_relative_to(ref.root)
    return str(real.relative_to(ref.root) if ref.root and inside else real)


class Leave:
    """What the files may do on one run, with one server.

    Without `history` there are no files: a person names the server.
    """

    def __init__(
        self, ref: ServerRef, options: Options, history: History | None = None
    ) -> None:
        if options.api_key_file:  # whatever the files say of the key
            ref = replace(ref, env=API_KEY, file="", command=())
        self._ref = ref
        self._options = options
        self._history = history
        self._variables = history.variables if history else ()
        self._given: set[tuple[str, ...]] = set()

    def connect(self) -> None:
        """Make sure of the leave to get the API key and to send it to the server.

        Raises InputError (exit code 4) with the way to give it.
        """
        ref, named = self._ref, self._is_named()
        if ref.file:
            self._require_inside(ref.file, ref.credential, "--api-key-file ")
        if ref.url.startswith(SIMULATOR):
            world = ref.url.removeprefix(SIMULATOR)
            if not named:
                self._require_inside(world, ref.position, f"export {URL}={SIMULATOR}")
            if not ref.command:
                return
        elif self._key_is_bound() or (named and ref.env == API_KEY):
            return

        def before(then: Desired) -> Wish | None:
            return connection(then.server, then.variables) if then.server else None

        self._require(connection(ref, self._variables), before)

    def deliver(self, way: Delivery) -> None:
        """Make sure of the leave to deliver the policy as the files say.

        Raises InputError (exit code 4) with the way to give it.
        """

        def before(then: Desired) -> Wish | None:
            policy = then.policy
            if policy is None or policy.deliver is None:
                return None
            return delivery(self._ref, policy.deliver, then.variables)

        self._require(delivery(self._ref, way, self._variables), before)

    def environment(
        self, secret: Callable[[str], bool] = lambda _value: False
    ) -> dict[str, str]:
        """Return the variables for a program that the files name.

        No key of any server is among them, nor a value that `secret` knows for one.
        """
        environ, keys = self._options.environ, {API_KEY, *self._ref.keys}
        values = [environ.get(name, "") for name in keys]
        also = [name for name in self._variables if name not in keys]
        return programs.environment(
            environ,
            also,
            lambda value: secret(value) or any(holds(value, key) for key in values),
        )

    # -- what needs no leave ---------------------------------------------------------

    def _is_named(self) -> bool:
        """Tell whether a person names this address, in the environment."""
        url = self._options.environ.get(URL, "")
        return bool(url) and address(url) == address(self._ref.url)

    def _key_is_bound(self) -> bool:
        """Tell whether the variable of the key has another that says where it may go.

        Raises InputError when that is elsewhere.
        """
        name = self._ref.env
        said = self._options.environ.get(f"{name}_HOST", "").replace(",", " ").split()
        if not name or not said:
            return False
        if any(_means(host, self._ref.url) for host in said):
            return True
        wish = connection(self._ref)
        raise self._refusal(
            wish,
            f"{name}_HOST binds the key to {' and '.join(said)}",
            f"if the key is of that server as well: {self._bind(name, said)}",
        )

    def _bind(self, name: str, said: Sequence[str] = ()) -> str:
        hosts = ",".join((*said, _host(self._ref.url)))
        return f"export {name}_HOST={shlex.quote(hosts)}"

    # -- leave -----------------------------------------------------------------------

    def _require(self, wish: Wish, before: Callable[[Desired], Wish | None]) -> None:
        """Make sure of the leave for a wish; `before` makes that of earlier files."""
        mark = self._mark(wish)
        if (
            wish.parts in self._given
            or self._options.allows_all
            or self._was_applied(wish, before)
            or (self._top and mark in git.allowed(self._top))
            or self._says_yes(wish, mark)
        ):
            self._given.add(wish.parts)
            return
        raise self._refusal(wish, self._why(wish), self._way(wish, mark))

    @property
    def _top(self) -> Path | None:
        return self._history.top if self._history else None

    def _was_applied(
        self, wish: Wish, before: Callable[[Desired], Wish | None]
    ) -> bool:
        """Tell whether the commit that was applied last says the same.

        A key that a person gave belongs to HEADSCALE_URL, where that is set.
        """
        if wish.code == _ADDRESS and self._elsewhere:
            return False
        base = self._history.last.base if self._history else None
        then = base and before(base.desired)
        if not (self._history and then and then.parts == wish.parts):
            return False
        return all(map(self._history.holds, self._scripts(wish)))

    @property
    def _elsewhere(self) -> str:
        """The server to which a person's own key belongs, "" where it may be this."""
        own = self._ref.env == API_KEY and not self._is_named()
        return self._options.environ.get(URL, "") if own else ""

    def _scripts(self, wish: Wish) -> Iterator[str]:
        """Yield the files of the repository that a program would run, or be given."""
        if self._top is None:
            return
        top = self._top.resolve()
        for word in wish.arguments:
            if _is_file(word) and Path(word).resolve().is_relative_to(top):
                yield word

    def _mark(self, wish: Wish) -> str:
        """Return what a repository remembers of a leave: for this and nothing else."""
        held = [sha256(read(path)).hexdigest() for path in self._scripts(wish)]
        own = self._elsewhere if wish.code == _ADDRESS else ""
        return sha256(json.dumps([*wish.parts, held, own]).encode()).hexdigest()

    def _says_yes(self, wish: Wish, mark: str) -> bool:
        """Ask the person, if there is one; the repository remembers a yes."""
        if self._options.ask is None:
            return False
        where = f"{wish.position}: " if wish.position else ""
        kept = "in this repository, for exactly this" if self._top else "nowhere"
        lines = (
            f"{where}the files name {wish.told}",
            self._why(wish),
            f"a yes is remembered {kept}",
        )
        if not self._options.ask("\n".join(map(safe, lines))):
            return False
        if self._top:
            git.allow(self._top, mark)
        return True

    # -- what is told ----------------------------------------------------------------

    def _why(self, wish: Wish) -> str:
        if wish.code == _ADDRESS and self._elsewhere:
            return f"{URL} names another server: {self._elsewhere}"
        return (
            "no commit that was applied here says the same, and nobody has allowed it"
        )

    def _way(self, wish: Wish, mark: str) -> str:
        if wish.code == _ADDRESS and self._ref.env:
            return f"if the key belongs there: {self._bind(self._ref.env)}; {_ONCE}"
        if self._top is None:
            return f"look at it first; {_ONCE}"
        command = shlex.join(git.allow_command(self._top, mark))
        return f"look at it, then allow just this: {command}; {_ONCE}"

    def _refusal(self, wish: Wish, why: str, way: str) -> InputError:
        who = "the files name" if wish.position else "you name"
        message = f"not done without leave: {who} {wish.told}"
        return InputError(
            [Diagnostic(wish.code, message, wish.position, why=why, help=way)]
        )

    def _require_inside(self, path: str, place: Position | None, option: str) -> None:
        """Refuse a file outside of the repository that a person has not named."""
        why = Border(self._ref.root).outside(path) if self._ref.root else ""
        if why:
            message = f"{path} is not used: {why}"
            limit = f"what files name is below {self._ref.root}"
            way = f"if you mean it, say it yourself: {option}{shlex.quote(path)}"
            raise InputError(
                [Diagnostic(_OUTSIDE, message, place, why=limit, help=way)]
            )


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a name; a NUL in it
        return False


def _means(host: str, url: str) -> bool:
    """Tell whether a host to which a key is bound is that of a URL.

    Without a scheme it is reached over TLS, or on this machine; without a port it is
    any service there.
    """
    try:
        wanted, parts = urlsplit(host if "://" in host else f"//{host}"), urlsplit(url)
        port = wanted.port
    except ValueError:  # a port that is no number, or `[` without `]`
        return False
    schemes = (wanted.scheme,) if wanted.scheme else ("https", _local(parts.hostname))
    there = parts.port or _PORTS.get(parts.scheme)
    return (
        parts.scheme in schemes
        and wanted.hostname == parts.hostname
        and port in (None, there)
    )


def _local(host: str | None) -> str:
    """Return the scheme that needs no TLS, for a server on this machine."""
    return "http" if host in ("127.0.0.1", "::1", "localhost") else "https"


def _host(url: str) -> str:
    """Return the shortest word that binds a key to the host of a URL."""
    parts = urlsplit(url)
    tls = parts.scheme in ("https", _local(parts.hostname))
    return parts.netloc if tls else f"{parts.scheme}://{parts.netloc}"

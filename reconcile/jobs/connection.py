"""The one way to a server: its address and its key, with leave to use both."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconcile.desired.servers import SIMULATOR, default_name
from reconcile.desired.state import ServerRef
from reconcile.errors import ReconcileError, UsageError
from reconcile.jobs.leave import Leave
from reconcile.jobs.options import Options
from reconcile.live.credential import Secret, from_command, from_env, from_file
from reconcile.live.headscale.adapter import Headscale
from reconcile.live.server import connect

if TYPE_CHECKING:
    import httpx


def default_server(environ: Mapping[str, str], url: str | None = None) -> ServerRef:
    """Return the server that the environment names, for files that name none."""
    address = url or environ.get("HEADSCALE_URL", "")
    if not address:
        raise UsageError(
            "no server: neither the file nor HEADSCALE_URL names one",
            "export HEADSCALE_URL=https://… and HEADSCALE_API_KEY=…, or add "
            "`server: { type: headscale, url: … }` to the file",
        )
    return ServerRef(name=default_name(address), type="headscale", url=address)


def open_server(
    ref: ServerRef, options: Options, leave: Leave, *, writable: bool = False
) -> Headscale:
    """Connect to a server, read-only unless asked otherwise.

    Raises InputError (exit code 4) without leave to run the program that prints the
    key, or to send it to that address; AuthError when there is no credential, and
    ServerError when it does not answer as it should.
    """
    if ref.type != "headscale":
        raise ReconcileError(
            "this version talks to Headscale only",
            "Tailscale's own service comes in a later version",
        )
    transport: httpx.BaseTransport | None = None
    url = ref.url
    if not url.startswith(SIMULATOR):
        _require_http(url)
    leave.connect()
    if url.startswith(SIMULATOR):
        from reconcile.simulator import SimulatorTransport

        world = Path(url.removeprefix(SIMULATOR))
        transport = SimulatorTransport(world, writable=writable)
        url = "http://simulator"
    return connect(
        url,
        _credential(ref, options, leave),
        writable=writable,
        timeout=options.timeout,
        connections=options.parallelism,
        size=options.max_answer,
        transport=transport,
    )


def _require_http(url: str) -> None:
    try:
        parts = urlsplit(url)
        secret = bool(parts.username or parts.password)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        valid = valid and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:  # such as a port that is no number, or `[` without `]`
        secret, valid = "@" in url, False
    if secret:
        raise UsageError(
            "the server's URL holds a user name or a password",
            "leave it out; the API key comes from HEADSCALE_API_KEY",
        )
    if not valid:
        raise UsageError(
            f"{url} is not the URL of a server",
            "it looks like https://headscale.example.com",
        )


def _credential(ref: ServerRef, options: Options, leave: Leave) -> Secret:
    """Return the API key of a server, from where a person or the file says it is."""
    if options.api_key_file:
        return from_file(options.api_key_file)
    if ref.command:
        return from_command(ref.command, leave.environment())
    if ref.file:
        return from_file(ref.file)
    if ref.url.startswith(SIMULATOR) and not options.environ.get(ref.env):
        return Secret("simulator")
    return from_env(ref.env, options.environ)

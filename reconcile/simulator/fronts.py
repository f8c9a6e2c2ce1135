"""The two doors to a simulated server: in the process, and over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from reconcile.errors import ReconcileError
from reconcile.simulator import headscale
from reconcile.simulator.wire import Request, Response, plain
from reconcile.simulator.world import World
from reconcile.simulator.worldfile import WorldFile


class Simulator:
    """A control server: a world, in memory or in a file, and one request at a time."""

    def __init__(self, source: World | WorldFile) -> None:
        self._source = source
        self._lock = threading.RLock()

    @contextmanager
    def changing(self) -> Iterator[World]:
        """Yield the world for one change; a world in a file is read and kept."""
        with self._lock:
            if isinstance(self._source, World):
                yield self._source
            else:
                with self._source.changing() as world:
                    yield world

    @contextmanager
    def reading(self) -> Iterator[World]:
        """Yield the world to look at."""
        with self._lock:
            if isinstance(self._source, World):
                yield self._source
            else:
                with self._source.reading() as world:
                    yield world

    def handle(self, request: Request) -> Response:
        """Answer one request; only those that may change something are kept."""
        safe = request.method in ("GET", "HEAD", "OPTIONS")
        with self.reading() if safe else self.changing() as world:
            return headscale.handle(world, request)

    def restart(self) -> None:
        """Do what a restart of the server does to what it knows."""
        with self.changing() as world:
            world.restart()


class SimulatorTransport(httpx.BaseTransport):
    """The door for httpx in the same process; takes a world or the path of a file.

    Unless it is `writable`, a file that is missing is an error and no file is written.
    """

    def __init__(
        self, source: World | WorldFile | Path | str, *, writable: bool = True
    ) -> None:
        if isinstance(source, (Path, str)):
            create = World if writable else None
            source = WorldFile(Path(source), create, only_read=not writable)
        self.simulator = Simulator(source)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as a server would, without one."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        found = self.simulator.handle(
            Request(request.method, path, query, headers, request.read())
        )
        return httpx.Response(found.status, headers=found.headers, content=found.body)


class Server(ThreadingHTTPServer):
    """The door for everybody else on this machine; it listens on loopback only."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def received(handler: BaseHTTPRequestHandler) -> Request | None:
    """Return the request that a handler is to answer.

    None for half of one, from a client that was cut off: the connection is closed.
    """
    size = int(handler.headers.get("Content-Length") or 0)
    url = urlsplit(handler.path)
    headers = {name.lower(): value for name, value in handler.headers.items()}
    body = handler.rfile.read(size)
    if len(body) < size:
        handler.close_connection = True
        return None
    return Request(handler.command, url.path, url.query, headers, body)


class _Handler(BaseHTTPRequestHandler):
    # connections stay open between requests, and small answers leave at once
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def _answer(self) -> None:
        request = received(self)
        if request is None:
            return
        try:
            self._send(self.server.simulator.handle(request))
        except ReconcileError as problem:  # the world's file is broken or gone
            self._send(plain(500, f"{problem}\n"))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the command that serves prints what people want to see."""


@contextmanager
def serve(source: World | WorldFile | Path | str, port: int = 0) -> Iterator[Server]:
    """Serve a world on loopback while the block runs; port 0 takes a free one."""
    if isinstance(source, (Path, str)):
        source = WorldFile(Path(source))
    with Server(Simulator(source), port) as server:
        thread = threading.Thread(
            target=server.serve_forever, args=(0.02,), daemon=True
        )
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

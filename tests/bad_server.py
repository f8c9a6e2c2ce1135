"""A control server on loopback that misbehaves on demand, and a way to run commands.

Behind it is the simulator; a fault takes its place for the requests it is about.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reconcile.simulator import Simulator
from reconcile.simulator.fronts import received
from reconcile.simulator.worldfile import parse

KEY = "hskey-api-SECRETprefix-SECRETsecretSECRETsecretSECRET"
POLICY = """// rules
{
  "tagOwners": {"tag:web": [], "tag:db": []},
  "acls": [{"action": "accept", "src": ["tag:db"], "dst": ["tag:web:443"]}],
}
"""
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}, {"id": 2, "name": "bob"}],
    "nodes": [
        {"id": 1, "name": "nas", "user": 1, "machine_key": f"mkey:{1:064x}"},
        {"id": 2, "name": "tv", "user": 2, "machine_key": f"mkey:{2:064x}"},
    ],
    "policy": {"text": POLICY, "updated": "2030-01-01T00:00:00Z"},
}


@dataclass
class Fault:
    """What happens to requests whose `METHOD /path` fits a pattern.

    `act` gets the handler and a function that lets the simulator answer.
    """

    pattern: str
    act: Callable[["Handler", Callable[[], object]], None]
    times: int = 10**6


@dataclass
class BadServer:
    """A server, its faults, and every request that it got."""

    simulator: Simulator
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def world(self):
        with self.simulator.changing() as world:
            return world

    @property
    def writes(self) -> list[str]:
        """The requests that could have changed something."""
        return [
            r
            for r in self.requests
            if not r.startswith("GET ") and not r.endswith("/policy/check")
        ]

    def fault(self, pattern: str, act, times: int = 10**6) -> None:
        self.faults.append(Fault(pattern, act, times))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        bad: BadServer = self.server.bad
        request = received(self)
        if request is None:
            return
        line = f"{request.method} {request.path}"
        bad.requests.append(line)

        def good():
            return bad.simulator.handle(request)

        for fault in bad.faults:
            if fault.times > 0 and re.search(fault.pattern, line):
                fault.times -= 1
                fault.act(self, good)
                return
        answer = good()
        self.reply(answer.status, answer.body, answer.headers)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

    def reply(self, status: int, body: bytes, headers: dict, length=None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """End the connection with a reset, not with a goodbye."""
        self.wfile.flush()
        self.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.close_connection = True
        self.connection.close()
        self.rfile.close()

    def finish(self) -> None:
        if not self.rfile.closed:
            super().finish()

    def log_message(self, *arguments) -> None:
        pass


@contextmanager
def running(world=None, context=None) -> Iterator[BadServer]:
    """Serve a world with faults while the block runs; `context` makes it speak TLS."""
    bad = BadServer(Simulator(parse(json.dumps(world or WORLD))))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.bad = bad
        server.handle_error = lambda *_: None
        scheme = "http"
        if context is not None:
            scheme = "https"
            server.socket = context.wrap_socket(server.socket, server_side=True)
        bad.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(
            target=server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        try:
            yield bad
        finally:
            bad.stopped.set()
            server.shutdown()
            thread.join()


# -- what can go wrong ---------------------------------------------------------------


def answer(status, body=b"", kind="application/json", **headers):
    """Answer this whatever was asked."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"Content-Type": kind, **names} if kind else names

    def act(handler, _good):
        handler.reply(status, body, sent)

    return act


def edited(change):
    """Give the right answer after `change` had its way with the JSON."""

    def act(handler, good):
        found = good()
        body = json.loads(found.body)
        replaced = change(body)
        body = body if replaced is None else replaced
        handler.reply(found.status, json.dumps(body).encode(), found.headers)

    return act


def cut(handler, good):
    """Promise more bytes than come, then end the connection."""
    found = good()
    half = found.body[: len(found.body) // 2]
    handler.reply(found.status, half, found.headers, length=len(found.body))
    handler.close_connection = True


def half_json(handler, good):
    found = good()
    handler.reply(found.status, found.body[: len(found.body) // 2], found.headers)


def reset_before(handler, _good):
    """Break the connection without doing anything."""
    handler.reset()


def reset_after(handler, good):
    """Do what was asked, then break the connection instead of answering."""
    good()
    handler.reset()


def reset_inside(handler, good):
    """Break the connection in the middle of the answer."""
    found = good()
    half = found.body[: len(found.body) // 2]
    handler.reply(found.status, half, found.headers, length=len(found.body))
    handler.reset()


def silent(handler, _good):
    """Do not answer until the test is over."""
    handler.server.bad.stopped.wait(60)
    handler.close_connection = True


def endless(head, part, pause=0.0):
    """Send `head`, then `part` again and again until the other side has enough."""

    def act(handler, _good):
        handler.close_connection = True
        with suppress(OSError):
            handler.connection.sendall(head)
            while not handler.server.bad.stopped.wait(pause):
                handler.connection.sendall(part)

    return act


def claims(handler, good):
    """Say that it is done and do nothing."""
    del good
    handler.reply(200, b"{}", {"Content-Type": "application/json"})

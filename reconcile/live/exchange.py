"""One request and its whole answer, within bounds of time and of size."""

import math
import random
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

# A request that timed out is not sent again: a busy server would only get busier.
_BROKEN = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)
_BUSY = (429, 502, 503, 504)
_TRIES = 3
_PAUSES = 20.0  # seconds of all pauses of a request: nobody watches a plan for longer
# Others, or one inside another, can make gigabytes of a few bytes in a single step.
_ENCODINGS = ("", "identity", "gzip", "deflate")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may take: seconds with all its tries, and bytes of an answer.

    The bytes are those after unpacking.
    """

    seconds: float
    size: int


class TooLarge(Exception):
    """The answer has more bytes than it may have."""


def exchange(
    client: httpx.Client, request: httpx.Request, bounds: Bounds, *, again: bool
) -> httpx.Response:
    """Send a request and return its answer, read to the end.

    With `again` it is sent up to three times: when the connection broke, and when the
    server is busy, unless it asks for a longer pause than anybody waits for.
    Raises httpx.RequestError or TooLarge.
    """
    _deadline.at = time.monotonic() + bounds.seconds
    try:
        return _tried(client, request, bounds.size, _TRIES if again else 1)
    finally:
        _deadline.at = math.inf


def _tried(
    client: httpx.Client, request: httpx.Request, size: int, tries: int
) -> httpx.Response:
    left = _PAUSES
    for number in range(1, tries):
        pause = random.uniform(0, 0.3 * 2**number)  # noqa: S311
        try:
            answer = _whole(client.send(request, stream=True), size)
        except _BROKEN:
            pass
        else:
            pause = max(pause, _asked_pause(answer))
            if answer.status_code not in _BUSY or pause > left:
                return answer
        left -= pause
        time.sleep(pause)
    return _whole(client.send(request, stream=True), size)


def _whole(response: httpx.Response, size: int) -> httpx.Response:
    """Return an answer with its body unpacked, which is read bit by bit."""
    headers = response.headers
    body = bytearray()
    with closing(response):
        if headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:
            raise httpx.DecodingError("packed in a way that was not asked for")
        for part in response.iter_bytes():
            body += part
            if len(body) > size:
                raise TooLarge
    kept = [(k, v) for k, v in headers.raw if k.lower() != b"content-encoding"]
    status, request = response.status_code, response.request
    return httpx.Response(status, headers=kept, content=bytes(body), request=request)


def _asked_pause(answer: httpx.Response) -> float:
    """Return the seconds of Retry-After, a number or a date; 0 for neither."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)  # infinity, when it is very long
    try:
        moment = parsedate_to_datetime(text)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (zoned - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0


class _Deadline(threading.local):
    """When the request of this thread has to be over, by the monotonic clock."""

    at = math.inf


_deadline = _Deadline()


def _left(timeout: float | None) -> float | None:
    """Return how long one step may take: as long as given, and never past the end.

    Time-outs alone bound a step: a server that sends a byte a second, or "100 Continue"
    again and again, would keep a request for ever.
    """
    left = _deadline.at - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    if math.isinf(left):
        return timeout
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose steps end when the request has to."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(timeout))
        return _Stream(inner)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Opens connections that heed the deadline of a request."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(
            host, port, _left(timeout), local_address, socket_options
        )
        return _Stream(stream)


def bounded(transport: httpx.HTTPTransport) -> httpx.HTTPTransport:
    """Let the connections of a transport heed the deadlines of requests."""
    # httpx offers no other way to choose the backend; a test holds this one.
    transport._pool._network_backend = _Backend()
    return transport

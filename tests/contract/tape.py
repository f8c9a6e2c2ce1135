"""Tapes: the traffic of a whole run with a real server, kept and played again.

A tape is JSON: `answers`, each once, and `exchanges`, which name a request and the
number of its answer. Requests are matched by method, path and body, so that writes
may run side by side; secrets are replaced before anything is kept.
"""

import json
import re
import threading
from collections import defaultdict, deque
from pathlib import Path

import httpx

_SECRETS = re.compile(rb'("key":\s*")[^"]+(")')


def _named(request: httpx.Request) -> list[str]:
    path = request.url.raw_path.decode("ascii")
    return [request.method, path, request.read().decode()]


class Recorder(httpx.BaseTransport):
    """Passes everything on and keeps it."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self._lock = threading.Lock()
        self._exchanges: list[dict] = []
        self._answers: list[dict] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        body = _SECRETS.sub(rb"\1(secret)\2", response.read())
        answer = {
            "status": response.status_code,
            "type": response.headers.get("content-type", ""),
            "body": body.decode(),
        }
        with self._lock:
            if answer not in self._answers:
                self._answers.append(answer)
            number = self._answers.index(answer)
            self._exchanges.append({"request": _named(request), "answer": number})
        return response

    def close(self) -> None:
        self._inner.close()

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        tape = {"exchanges": self._exchanges, "answers": self._answers}
        path.write_text(json.dumps(tape, indent=1) + "\n", encoding="utf-8")


class Player(httpx.BaseTransport):
    """Answers as the server did; a request that was never made is an error."""

    def __init__(self, path: Path) -> None:
        tape = json.loads(path.read_text(encoding="utf-8"))
        self._answers = tape["answers"]
        self._left: dict[tuple[str, ...], deque[int]] = defaultdict(deque)
        self._lock = threading.Lock()
        for exchange in tape["exchanges"]:
            self._left[tuple(exchange["request"])].append(exchange["answer"])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = tuple(_named(request))
        with self._lock:
            if not self._left[name]:
                raise AssertionError(f"never asked on the real server: {name}")
            answer = self._answers[self._left[name].popleft()]
        return httpx.Response(
            answer["status"],
            headers={"content-type": answer["type"]},
            content=answer["body"].encode(),
            request=request,
        )

    def require_end(self) -> None:
        """Fail when the real server was asked for more than this run asked."""
        left = [name for name, answers in self._left.items() if answers]
        assert not left, left

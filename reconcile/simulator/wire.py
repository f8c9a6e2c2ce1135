"""Requests, answers and refusals as the emulated servers spell them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from reconcile.simulator.release import Release

UNKNOWN, INVALID, NOT_FOUND, UNIMPLEMENTED, INTERNAL = 2, 3, 5, 12, 13
STATUS = {UNKNOWN: 500, INVALID: 400, NOT_FOUND: 404, UNIMPLEMENTED: 501, INTERNAL: 500}
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    500: "Internal Server Error",
}
JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What arrives: the path and query are still percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def parameters(self) -> dict[str, str]:
        """The query's first value of each name."""
        pairs = parse_qs(self.query, keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}

    def header(self, name: str) -> str:
        """Return a header by its lower-case name, or an empty text."""
        return self.headers.get(name, "")


@dataclass(frozen=True)
class Response:
    """What is answered."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refusal(Exception):
    """An error answer, in the words of both worlds.

    Up to 0.29 the gateway shows a gRPC code and one message; main shows an HTTP
    status, a detail and a list of reasons.
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        detail: str | None = None,
        *reasons: str | dict[str, Any],
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.detail = message if detail is None else detail
        self.reasons = [
            reason if isinstance(reason, dict) else {"message": reason}
            for reason in reasons
        ]

    def response(self, release: Release, spaced: bool) -> Response:
        """Return the answer as this release spells it."""
        if not release.problem_json:
            body = {"code": self.code, "message": self.message, "details": []}
            return answer(body, release, spaced, STATUS[self.code])
        problem: dict[str, Any] = {
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
        }
        if self.reasons:
            problem["errors"] = self.reasons
        return answer(problem, release, spaced, self.status, PROBLEM_TYPE)


def answer(
    value: Any,
    release: Release,
    spaced: bool = False,
    status: int = 200,
    kind: str = JSON_TYPE,
) -> Response:
    """Return a JSON answer.

    The gateway's JSON library puts spaces after `,` and `:` in some builds and not in
    others; main never does, and ends the body with a newline.
    """
    separators = (", ", ": ") if spaced and not release.problem_json else (",", ":")
    text = json.dumps(value, ensure_ascii=False, separators=separators)
    end = "\n" if release.problem_json else ""
    return Response(status, {"Content-Type": kind}, (text + end).encode())


def plain(status: int, text: str = "", kind: str = TEXT_TYPE) -> Response:
    """Return a text answer; an empty one says no type."""
    return Response(status, {"Content-Type": kind} if text else {}, text.encode())


def snake(name: str) -> str:
    """Return a field name as the protocol buffers spell it."""
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)

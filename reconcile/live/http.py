"""The HTTP client: authentication, time-outs, retries, and errors for people.

A client is made read-only unless an apply asks for more; a read-only one refuses,
inside its transport, every request that could change something. That way a plan
cannot write, whatever the code above it does.
"""

import json
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from reconcile import __version__
from reconcile.errors import (
    AuthError,
    NotAControlServer,
    NotFound,
    Refused,
    Rejected,
    ServerError,
    Unreachable,
)
from reconcile.live.credential import Secret
from reconcile.live.exchange import Bounds, TooLarge, exchange
from reconcile.live.interrupts import held_back
from reconcile.live.network import network
from reconcile.source.mask import masked
from reconcile.source.text import from_json

# POSTs that change nothing: validation and previews.
HARMLESS_POSTS = ("/policy/check", "/acl/validate", "/acl/preview", "/oauth/token")

_READ = 30.0  # seconds for one answer, where nobody chose them

_SIZE = 512  # MB of one answer, unpacked
# Of a whole request, with all its tries, where nobody chose a time: this many times
# what the server may keep silent.
_WHOLE = 10


class ReadOnlyTransport(httpx.BaseTransport):
    """Passes on what cannot change the server, and refuses the rest."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a GET or a harmless POST; raise Refused for anything else."""
        # The raw path: in the decoded one, a name like `x/policy/check` would do.
        path = request.url.raw_path.partition(b"?")[0].decode("ascii")
        harmless = request.method == "POST" and path.endswith(HARMLESS_POSTS)
        if request.method != "GET" and not harmless:
            raise Refused(
                f"a read command tried to send {request.method} {request.url.path}",
                "this is a mistake in reconcile, please report it; nothing was sent",
            )
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the transport below."""
        self._inner.close()


class Http:
    """Requests to one server: JSON in and out, every failure a ServerError.

    `transport` replaces the network (tests, the embedded simulator). `timeout` is
    in seconds, for one request; None leaves it to this program, where a read gets 30
    and the caller passes longer ones for slow writes. `size` is how many megabytes an
    answer may have, by default 512. Cookies are not kept: only the key says who asks.
    """

    def __init__(
        self,
        url: str,
        key: Secret | None,
        *,
        writable: bool,
        timeout: float | None = None,
        connections: int = 32,
        size: int | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._size = size or _SIZE
        inner = transport or network(self.url, connections)
        headers = {
            "User-Agent": f"reconcile/{__version__}",
            "Accept-Encoding": "gzip, deflate",
        }
        if key is not None:
            headers["Authorization"] = f"Bearer {key.reveal()}"
        self._client = httpx.Client(
            base_url=self.url,
            headers=headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            transport=inner if writable else ReadOnlyTransport(inner),
        )
        self.timeout = timeout or _READ
        self.chosen = timeout is not None

    @property
    def key(self) -> Secret | None:
        """The API key that is sent with every request."""
        return self._key

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def get(self, path: str) -> Any:
        """Return the JSON that GET answers. Raises ServerError."""
        return self.decode(self.send("GET", path))

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: str | None = None,
        headers: dict[str, str] | None = None,
        repeatable: bool = False,
        timeout: float | None = None,
    ) -> httpx.Response:
        """Send one request and return the answer, whatever its status.

        `body` goes as JSON, `content` as it is. A request other than GET is sent
        again after a failure only when `repeatable` says that sending it twice is the
        same as once. Raises Unreachable when no answer came.
        """
        seconds = timeout or self.timeout
        whole = seconds if self.chosen else _WHOLE * seconds
        sent = dict(headers or {})
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
            sent["Content-Type"] = "application/json"
        request = self._client.build_request(
            method,
            path,
            content=content.encode() if content is not None else None,
            headers=sent,
            timeout=_patience(seconds),
        )
        bounds = Bounds(whole, self._size * 10**6)
        again = repeatable or method == "GET"
        try:
            with held_back():
                return exchange(self._client, request, bounds, again=again)
        except TooLarge:
            raise ServerError(
                f"{method} {path} at {self.url} answered more than {self._size} MB",
                "--max-answer MB takes more; 1,000 nodes are about 1 MB",
                request=f"{method} {path}",
            ) from None
        except httpx.DecodingError:
            raise NotAControlServer(
                f"{method} {path} at {self.url} answered something that cannot be "
                "decompressed",
                _NOT_OURS,
            ) from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._unreachable(error, f"{method} {path}") from None

    def decode(self, response: httpx.Response) -> Any:
        """Return the JSON of a good answer. Raises ServerError for any other."""
        self.check(response)
        problem = self._not_json(response)
        try:
            text = response.content.decode()
            del response  # of a long list, its bytes would take a fifth of the memory
            return _json(text)
        except ValueError:
            raise problem from None

    def check(self, response: httpx.Response) -> None:
        """Raise the ServerError that an answer stands for; return when it is good."""
        if 200 <= response.status_code < 300:
            return
        raise self._failure(response)

    def _failure(self, response: httpx.Response) -> ServerError:
        status, request = response.status_code, _request(response)
        if is_unauthorized(response):
            return AuthError(
                f"{self.url} refuses the API key",
                "keys expire: make a new one with `headscale apikeys create` and "
                "check that it is the one this run uses (`reconcile doctor`)",
                status=status,
                request=request,
            )
        if 300 <= status < 400:
            return NotAControlServer(
                f"{self.url} redirects to {response.headers.get('location', '?')}",
                "if that is the same server, use that address as its URL; if it is a "
                "sign-in page, the proxy must pass /api on without one",
                status=status,
                request=request,
            )
        if is_html(response) and status < 500:
            return self._not_json(response)
        message = "a web page"
        if not is_html(response):
            message = error_message(response)
        kind = _error_class(status, message)
        return kind(
            f"{request} answered {status}: {message}",
            _HINTS.get(status, ""),
            status=status,
            request=request,
        )

    def _not_json(self, response: httpx.Response) -> ServerError:
        what = "a web page" if is_html(response) else "something that is not JSON"
        return NotAControlServer(
            f"{_request(response)} at {self.url} answered {what} "
            f"(HTTP {response.status_code})",
            _NOT_OURS,
            status=response.status_code,
            request=_request(response),
        )

    def _unreachable(self, error: Exception, request: str) -> Unreachable:
        message, hint = explain_failure(error)
        return Unreachable(f"{self.url}: {message}", hint, request=request)


def _patience(seconds: float) -> httpx.Timeout:
    """Return the time-outs of a request: a connection is there soon, or never."""
    return httpx.Timeout(seconds, connect=min(seconds, 10.0))


_NOT_OURS = (
    "check the URL: it must be the control server's own address, the same that "
    "`tailscale up --login-server` takes, and a proxy in front must pass /api on"
)
_BUSY = (
    "the control server is down or busy: try again, then look at it and at the proxy "
    "in front of it"
)
_LOG = "the control server's own log says more; reconcile doctor looks at the rest"
_HINTS = {
    403: "use a credential that may do this; any API key of Headscale may do all",
    404: "reconcile plan shows what is there now; if it fails as well, check the URL",
    409: "reconcile plan shows what is there now",
    412: "somebody else wrote first: reconcile plan shows what is there now",
    429: "wait a little and try again, with a lower --parallelism for an apply",
    500: _LOG,
    502: _BUSY,
    503: _BUSY,
    504: _BUSY,
}


# What a list, an object and an item of one take in memory, in bytes.
_COSTS = {"[": 64, "{": 200, ",": 10}


def _json(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError for anything else.

    Values that would take far more memory than their text are refused: a control server
    has no lists of millions of empty lists.
    """
    cost = sum(text.count(sign) * size for sign, size in _COSTS.items())
    if cost > 4 * len(text) + 64 * 10**6:
        raise ValueError("nothing but brackets")
    return from_json(text)


def _request(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def is_html(response: httpx.Response) -> bool:
    """Tell whether an answer is a web page: 0.28.0 gives one for unknown paths."""
    return "html" in response.headers.get("content-type", "")


def is_unauthorized(response: httpx.Response) -> bool:
    """Tell whether the key was refused: 0.26 says so with 500 and a plain text."""
    if response.status_code == 401:
        return True
    return response.status_code == 500 and response.content.strip() == b"Unauthorized"


def _error_class(status: int, message: str) -> type[ServerError]:
    if status == 403:
        return AuthError
    if status == 404 or message.endswith(("user not found", "node not found")):
        return NotFound
    if status in (400, 409, 412, 413, 415, 422, 500):
        return Rejected
    return ServerError


def error_message(response: httpx.Response) -> str:
    """Return the server's own words, from either of its two error shapes.

    Up to 0.29 an error is `{"code", "message"}`; later it is a problem document
    whose `detail` alone ("setting policy") says nothing without `errors[].message`.
    """
    try:
        body = _json(response.content.decode())
    except ValueError:
        text = response.content[:10_000].decode("utf-8", "replace")
        return _shortened(text.strip(), 300)
    if not isinstance(body, dict):
        return "(no message)"
    parts = [body.get("message") or body.get("detail") or body.get("title") or ""]
    errors = body.get("errors")
    for entry in errors if isinstance(errors, list) else ():
        if isinstance(entry, dict) and entry.get("message"):
            where = f" at {entry['location']}" if entry.get("location") else ""
            parts.append(f"{entry['message']}{where}")
    return _shortened(": ".join(str(part) for part in parts if part), 4000)


def _shortened(text: str, limit: int) -> str:
    if not text:
        return "(no message)"
    text = masked(text)  # half of a secret would not be known any more
    return text if len(text) <= limit else text[:limit] + " […]"


def explain_failure(error: Exception) -> tuple[str, str]:
    """Return (what happened, what to do) for a request that got no answer."""
    text = str(error)
    for matches, message, hint in _FAILURES:
        if matches(error, text):
            return message, hint
    return f"the connection failed ({text or type(error).__name__})", ""


def _timed_out(error: Exception, _text: str) -> bool:
    return isinstance(error, httpx.TimeoutException)


def _mentions(*words: str) -> Callable[[Exception, str], bool]:
    return lambda _error, text: any(word in text for word in words)


_FAILURES: tuple[tuple[Callable[[Exception, str], bool], str, str], ...] = (
    (
        _timed_out,
        "no complete answer in time",
        "the server may be busy: --timeout SECONDS waits longer",
    ),
    (
        _mentions("CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
        "its TLS certificate is not trusted by this machine",
        "if it is signed by a private authority, name that authority's file in "
        "SSL_CERT_FILE",
    ),
    (
        _mentions("SSL", "TLS"),
        "it does not speak TLS there, or not a version that this machine speaks",
        "check http:// against https://, and the port",
    ),
    (
        _mentions("refused"),
        "nothing listens there (connection refused)",
        "check host and port, and that the server runs",
    ),
    (
        _mentions("Name or service", "nodename", "name resolution", "No address"),
        "its name cannot be resolved",
        "check the spelling of the host, and this machine's DNS",
    ),
    (
        _mentions("No route", "unreachable"),
        "there is no way to that address from this machine",
        "check the network, a VPN that it needs, and the address",
    ),
    (
        _mentions("illegal status line", "illegal header"),
        "what answers there does not speak HTTP",
        "check http:// against https://, and the port",
    ),
    (
        _mentions("disconnected", "reset", "peer closed", "incomplete"),
        "the connection broke off before the answer was complete",
        "run the command again; if it stays so, look at the proxy in front",
    ),
)

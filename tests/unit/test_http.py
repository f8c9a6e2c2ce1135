"""The HTTP client: what it may send, and how it says what went wrong."""

import json
import sys
import tracemalloc

import httpx
import pytest

from reconcile.errors import NotAControlServer, Refused, Unreachable
from reconcile.live.credential import Secret
from reconcile.live.http import Http, ReadOnlyTransport, error_message
from reconcile.live.network import proxy_of


class Recorder(httpx.BaseTransport):
    def __init__(self):
        self.seen = []

    def handle_request(self, request):
        self.seen.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx.Response(200, json={})


class Breaking(Recorder):
    """Breaks off in the middle of the first answers."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def handle_request(self, request):
        answer = super().handle_request(request)
        if not self.left:
            return answer
        self.left -= 1
        return httpx.Response(200, stream=Half())


class Half(httpx.SyncByteStream):
    def __iter__(self):
        yield b"{"
        raise httpx.RemoteProtocolError("peer closed connection")


@pytest.mark.parametrize(
    ("method", "times", "sent", "fails"),
    [("GET", 2, 3, False), ("GET", 3, 3, True), ("POST", 1, 1, True)],
)
def test_only_a_get_that_broke_off_is_asked_again(method, times, sent, fails):
    inner = Breaking(times)
    http = Http("http://hs", Secret("k"), writable=True, transport=inner)
    if fails:
        with pytest.raises(Unreachable, match="broke off before the answer"):
            http.send(method, "/api/v1/node", body={} if method == "POST" else None)
    else:
        assert http.get("/api/v1/node") == {}
    assert len(inner.seen) == sent


HTTP, HTTPS = "http://10.1.2.3:8080", "https://hs.example.com"
PROXY = "http://user:word@proxy:3128"


@pytest.mark.parametrize(
    ("url", "environ", "found"),
    [
        (HTTP, {"HTTP_PROXY": PROXY}, ("HTTP_PROXY", PROXY)),
        (HTTP, {"HTTPS_PROXY": PROXY}, ("", None)),
        (HTTPS, {"HTTPS_PROXY": PROXY}, ("HTTPS_PROXY", PROXY)),
        (HTTPS, {"ALL_PROXY": PROXY}, ("ALL_PROXY", PROXY)),
        (HTTPS, {"https_proxy": "proxy:3128"}, ("HTTPS_PROXY", "http://proxy:3128")),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "10.1.2.3"}, ("", None)),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "x, 10.0.0.0/8"}, ("", None)),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "10.1.2.3/8"}, ("", None)),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "11.0.0.0/8"}, ("ALL_PROXY", PROXY)),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "10.1.2.3:8080"}, ("", None)),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "10.1.2.3:80"}, ("ALL_PROXY", PROXY)),
        (HTTPS, {"ALL_PROXY": PROXY, "NO_PROXY": "hs.example.com:443"}, ("", None)),
        (HTTPS, {"ALL_PROXY": PROXY, "NO_PROXY": ".example.com"}, ("", None)),
        (HTTPS, {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ("", None)),
        (
            "http://[fd7a::1]:8080",
            {"ALL_PROXY": PROXY, "NO_PROXY": "fd7a::/16"},
            ("", None),
        ),
        (
            "http://[fd7a::1]:8080",
            {"ALL_PROXY": PROXY, "NO_PROXY": "[fd7a::1]"},
            ("", None),
        ),
        (
            "http://[fd7a::1]:8080",
            {"ALL_PROXY": PROXY, "NO_PROXY": "[fd7a::1]:8080"},
            ("", None),
        ),
        (
            "http://[fd7a::1]:8080",
            {"ALL_PROXY": PROXY, "NO_PROXY": "[fd7a::1]:80"},
            ("ALL_PROXY", PROXY),
        ),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    monkeypatch, url, environ, found
):
    for name in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{name}_PROXY", raising=False)
        monkeypatch.delenv(f"{name.lower()}_proxy", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == found


@pytest.mark.parametrize(
    ("proxy", "message", "hint"),
    [
        ("ftp://user:SECRET@proxy", "not the URL of a proxy", "looks like http://"),
        ("http://user:SECRET@proxy:port", "not the URL of a proxy", "http://"),
        ("http://user:SECRET@[proxy", "not the URL of a proxy", "http://"),
        ("http://", "not the URL of a proxy", "http://"),
        ("user:SECRET@ proxy", "not the URL of a proxy", "http://"),
        ("socks5://user:SECRET@proxy", "names a SOCKS proxy", "pip install"),
        ("socks9://user:SECRET@proxy", "not the URL of a proxy", "http://"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_sentence(monkeypatch, proxy, message, hint):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(Unreachable, match=message) as caught:
        Http("https://hs.example.com", Secret("k"), writable=False)
    assert str(caught.value).startswith(("what HTTPS_PROXY holds", "HTTPS_PROXY names"))
    assert "SECRET" not in f"{caught.value} {caught.value.hint}"
    assert hint in caught.value.hint


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/user",
        "/api/v1/node/1/tags",
        "/api/v1/policy",
        "/api/v1/user/1/rename/x%2Fpolicy%2Fcheck",
        "/api/v1/node/1/rename/policy%2Fcheck",
        "/api/v1/policy?x=/policy/check",
        "/api/v1/policy#/policy/check",
        "/api/v1/policy/check/",
    ],
)
def test_a_read_only_client_sends_nothing_that_could_write(method, path):
    inner = Recorder()
    with (
        httpx.Client(transport=ReadOnlyTransport(inner)) as client,
        pytest.raises(Refused, match="a read command tried to send") as caught,
    ):
        client.request(method, f"http://hs{path}")
    assert inner.seen == []
    assert "please report it" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/node"),
        ("POST", "/api/v1/policy/check"),
        ("POST", "/prefix/api/v1/policy/check"),
        ("POST", "/api/v2/tailnet/-/acl/validate"),
        ("POST", "/api/v2/tailnet/-/acl/preview"),
        ("POST", "/api/v2/oauth/token"),
    ],
)
def test_it_sends_what_changes_nothing(method, path):
    inner = Recorder()
    with httpx.Client(transport=ReadOnlyTransport(inner)) as client:
        client.request(method, f"http://hs{path}")
    assert inner.seen == [f"{method} {path}"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"code": 13, "message": "user not found", "details": []}, "user not found"),
        (
            {
                "title": "Not Found",
                "detail": "deleting",
                "errors": [{"message": "gone"}],
            },
            "deleting: gone",
        ),
        (
            {"detail": "bad", "errors": [{"message": "no", "location": "body.x"}, {}]},
            "bad: no at body.x",
        ),
        ({"title": "Conflict"}, "Conflict"),
        ({}, "(no message)"),
        ([], "(no message)"),
        ({"message": None, "errors": [5, None]}, "(no message)"),
    ],
)
def test_the_servers_own_words_come_from_both_shapes(body, message):
    assert error_message(httpx.Response(500, json=body)) == message


def test_text_that_is_no_json_is_shown_but_not_all_of_it():
    assert error_message(httpx.Response(500, text=" oops \n")) == "oops"
    long = error_message(httpx.Response(500, text="x" * 10_000))
    assert long == "x" * 300 + " […]"


@pytest.mark.parametrize("body", ["[" + "[]," * 3_000_000 + "[]]", "[" * 3_000_000])
def test_an_answer_of_brackets_is_refused_before_it_takes_all_memory(body):
    tracemalloc.start()
    try:
        with pytest.raises(NotAControlServer, match="something that is not JSON"):
            Http("http://hs", None, writable=False, transport=Saying(body)).get("/")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(body)


def test_a_policy_may_be_full_of_brackets():
    rules = '{"src": ["a@"], "dst": ["b@:22"]}, ' * 100_000
    body = json.dumps({"policy": f'{{"acls": [{rules}]}}'})
    http = Http("http://hs", None, writable=False, transport=Saying(body))
    assert len(http.get("/")["policy"]) > 3_000_000


class Saying(httpx.BaseTransport):
    def __init__(self, body):
        self.body = body

    def handle_request(self, request):
        return httpx.Response(200, content=self.body.encode())

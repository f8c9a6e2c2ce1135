"""Whole commands against servers that misbehave, one row of a table each."""

import gzip
import json
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.bad_server import (
    KEY,
    POLICY,
    WORLD,
    answer,
    cut,
    edited,
    endless,
    half_json,
    reset_before,
    reset_inside,
    running,
    silent,
)

YAML = """\
version: 1
users: { alice: {}, bob: {}, ci-bot: {} }
policy: { file: policy.hujson }
nodes:
  nas: { match: { id: '1' }, tags: [tag:web] }
  tv: { match: { id: '2' }, tags: [tag:db] }
"""
APPLY = ["apply", "--auto-approve", "--progress", "none"]
READING = {
    "plan": ["plan"],
    "apply": APPLY,
    "import": ["import", "-o", "new"],
    "doctor": ["doctor"],
    "drift": ["drift"],
}
HTML = "<html><body><h1>It works!</h1></body></html>"
API = "/api/v1/"
NODES, USERS, STORED = (f"GET /api/v1/{kind}$" for kind in ("node", "user", "policy"))


@pytest.fixture
def bad(tmp_path, monkeypatch, no_waiting):
    """A server with faults, files that want changes of it, and the credential."""
    with running() as server:
        prepare(tmp_path, monkeypatch, server.url)
        yield server


def prepare(folder, monkeypatch, url):
    (folder / "tailnet.yaml").write_text(YAML)
    (folder / "policy.hujson").write_text(POLICY.replace("443", "22"))
    monkeypatch.setenv("HEADSCALE_URL", url)
    monkeypatch.setenv("HEADSCALE_API_KEY", KEY)


def clean(text):
    """Make sure that nothing of an output is secret, steers a terminal, or leaks."""
    for never in ("SECRET", "Traceback", "\x1b", "\u202e", "\x07"):
        assert never not in text
    return text


def first(kind, **new):
    return edited(lambda body: body[kind][0].update(new))


def without(kind, name):
    return edited(lambda body: [entry.pop(name) for entry in body[kind]] and None)


def echo(handler, _good):
    text = f"no such token: {handler.headers['Authorization']}"
    handler.reply(500, text.encode(), {"Content-Type": "text/plain"})


OURS = "check the URL: it must be the control server's own address"
SHAPE = "is this a Headscale server, and does a proxy change its answers?"
BUSY = "the control server is down or busy"
LOG = "the control server's own log says more"
KEYS = "headscale apikeys create"
AGAIN = "run the command again; if it stays so, look at the proxy"
PROBLEM = "application/problem+json"

# name: (requests, what happens to them, words of the message, words of the help)
EVERYWHERE = {
    # connections that end
    "cut short": (API, cut, "broke off before the answer was complete", AGAIN),
    "reset at once": ("", reset_before, "broke off before the answer", AGAIN),
    "reset inside": (API, reset_inside, "broke off before the answer", AGAIN),
    # something else answers
    "page 200": (
        "",
        answer(200, HTML, "text/html"),
        "answered a web page (HTTP 200)",
        OURS,
    ),
    "page 404": (
        "",
        answer(404, HTML, "text/html"),
        "answered a web page (HTTP 404)",
        OURS,
    ),
    "page 502": ("", answer(502, HTML, "text/html"), "answered 502: a web page", BUSY),
    "page below /api": (API, answer(200, HTML, "text/html"), "a web page", OURS),
    "redirect to a login": (
        "",
        answer(302, b"", None, Location="https://login.example.com/"),
        "redirects to https://login.example.com/",
        "the proxy must pass /api on",
    ),
    "permanent redirect": (
        "",
        answer(308, b"", None, Location="https://hs.example.com/"),
        "redirects to https://hs.example.com/",
        "use that address as its URL",
    ),
    # the credential
    "401 as text": (
        API,
        answer(401, "Unauthorized", "text/plain"),
        "refuses the API key",
        KEYS,
    ),
    "401 as problem": (
        API,
        answer(
            401,
            {"title": "Unauthorized", "status": 401, "detail": "Unauthorized"},
            PROBLEM,
        ),
        "refuses the API key",
        KEYS,
    ),
    "500 Unauthorized of 0.26": (
        API,
        answer(500, "Unauthorized\n", "text/plain"),
        "refuses the API key",
        KEYS,
    ),
    "401 everywhere": (
        "",
        answer(401, "no", "text/plain"),
        "refuses the API key",
        KEYS,
    ),
    "403 missing scope": (
        API,
        answer(
            403, {"message": "token is missing the required scope policy_file:read"}
        ),
        "answered 403: token is missing the required scope",
        "use a credential that may do this",
    ),
    # other refusals
    "404": (
        API,
        answer(404, {"code": 5, "message": "Not Found"}),
        "404: Not Found",
        "the URL",
    ),
    "409": (
        API,
        answer(409, {"detail": "busy"}, PROBLEM),
        "409: busy",
        "reconcile plan",
    ),
    "412": (API, answer(412, {"message": "old hash"}), "412: old hash", "wrote first"),
    "422": (
        API,
        answer(
            422, {"detail": "bad", "errors": [{"message": "no", "location": "body.x"}]}
        ),
        "answered 422: bad: no at body.x",
        "",
    ),
    "429 that asks for an hour": (
        API,
        answer(429, "slow down", "text/plain", Retry_After="3600"),
        "answered 429: slow down",
        "try again",
    ),
    "500 of the gateway": (
        API,
        answer(500, {"code": 13, "message": "database is locked", "details": []}),
        "answered 500: database is locked",
        LOG,
    ),
    "500 of main": (
        API,
        answer(
            500, {"detail": "listing", "errors": [{"message": "database is locked"}]}
        ),
        "answered 500: listing: database is locked",
        LOG,
    ),
    "500 with odd errors": (
        API,
        answer(500, {"detail": "x", "errors": 5}),
        "500: x",
        LOG,
    ),
    "500 of a list": (API, answer(500, [1]), "500: (no message)", LOG),
    "500 empty": (API, answer(500, b"", None), "500: (no message)", LOG),
    "500 of 100 kB": (API, answer(500, {"message": "x" * 100_000}), "xx […]", LOG),
    "500 that repeats the key": (API, echo, "no such token: Bearer (secret)", LOG),
    "500 in an odd alphabet": (
        API,
        answer(500, b"\xff\xfeabc", "text/plain; charset=zlib"),
        "answered 500:",
        LOG,
    ),
    "503": (API, answer(503, "", "text/plain"), "answered 503", BUSY),
    "504": (API, answer(504, HTML, "text/html"), "answered 504: a web page", BUSY),
    # answers that are no answers
    "half of the JSON": (API, half_json, "something that is not JSON", OURS),
    "empty": (API, answer(200, b"", None), "something that is not JSON", OURS),
    "204": (API, answer(204, b"", None), "something that is not JSON", OURS),
    "not UTF-8": (API, answer(200, b'{"nodes":"\xff"}'), "not JSON", OURS),
    "a list": (API, answer(200, []), "answer", SHAPE),
    "null": (API, answer(200, "null"), "answer", SHAPE),
    "a text": (API, answer(200, '"x"'), "answer", SHAPE),
    "100,000 brackets": (API, answer(200, "[" * 100_000), "not JSON", OURS),
    "10,000 digits": (API, answer(200, "9" * 10_000), "not JSON", OURS),
    "wrongly packed": (
        API,
        answer(200, b"not gzip", "application/json", Content_Encoding="gzip"),
        "cannot be decompressed",
        OURS,
    ),
    "half of a character": (
        STORED,
        answer(200, '{"policy": "\\ud800", "updatedAt": "2030-01-01T00:00:00Z"}'),
        "something that is not JSON",
        OURS,
    ),
    "policy of a number": (STORED, answer(200, {"policy": 5}), "no policy text", SHAPE),
    "policy left out": (STORED, answer(200, {}), "no policy text", SHAPE),
    "policy at an odd time": (
        STORED,
        answer(200, {"policy": "{}", "updatedAt": "yesterday"}),
        "sent 'yesterday' for a time",
        SHAPE,
    ),
    # versions
    "too old": (
        "/version",
        answer(200, {"version": "v0.22.3"}),
        "v0.22.3 is older",
        "0.26",
    ),
    "version fails": ("/version", answer(500, "oops", "text/plain"), "500: oops", LOG),
}


@pytest.mark.parametrize("command_name", READING)
@pytest.mark.parametrize("row", EVERYWHERE)
def test_every_command_says_what_is_wrong(
    bad, command, tmp_path, monkeypatch, row, command_name
):
    monkeypatch.setenv("COLUMNS", "300")
    pattern, act, message, help = EVERYWHERE[row]
    bad.fault(pattern, act)
    code, out, err = command(*READING[command_name])
    text = clean(out + err).replace("\n      = help", "\n  = help")
    assert code == 1, text
    assert message in text
    assert help in text
    assert help == "" or "= help: " in text
    assert len(text) < 6000
    assert bad.writes == []
    assert not (tmp_path / "new").exists()


ODD = "a node in the server's list has"
# name: (requests, the answer, the message); the help is the same for all
LISTS = {
    "no list": (NODES, answer(200, {}), "holds no list named nodes"),
    "null": (NODES, answer(200, {"nodes": None}), "holds no list named nodes"),
    "a list of numbers": (NODES, answer(200, {"nodes": [1]}), "no list named nodes"),
    "an object": (USERS, answer(200, {"users": {}}), "holds no list named users"),
    "id of a number": (NODES, first("nodes", id=5), f"{ODD} 5 for its id"),
    "the same id twice": (NODES, first("nodes", id="2"), "two with the same id"),
    "no id": (NODES, without("nodes", "id"), f"{ODD} no id"),
    "no name": (NODES, without("nodes", "givenName"), f"{ODD} no givenName"),
    "no tags": (NODES, without("nodes", "tags"), f"{ODD} no tags"),
    "name null": (NODES, first("nodes", givenName=None), "None for its givenName"),
    "name of a number": (NODES, first("nodes", givenName=7), "7 for its givenName"),
    "host name of a list": (NODES, first("nodes", name=["x"]), "['x'] for its name"),
    "a name of 20 kB": (
        NODES,
        first("nodes", givenName="x" * 20_000),
        "xxx… for its givenName",
    ),
    "a tag of 20 kB": (NODES, first("nodes", tags=["x" * 20_000]), "xx… for its tags"),
    "an e-mail of 20 kB": (USERS, first("users", email="x" * 20_000), "x… for its em"),
    "tags of a text": (NODES, first("nodes", tags="tag:x"), "'tag:x' for its tags"),
    "tags of numbers": (NODES, first("nodes", tags=[1]), "[1] for its tags"),
    "tags of lists": (NODES, first("nodes", tags=[["x"]]), "[['x']] for its tags"),
    "routes of a text": (
        NODES,
        first("nodes", approvedRoutes="10.0.0.0/8"),
        "for its approvedRoutes",
    ),
    "a route without length": (
        NODES,
        first("nodes", approvedRoutes=["10.0.0.0"]),
        "['10.0.0.0'] for its approvedRoutes",
    ),
    "a route that is none": (
        NODES,
        first("nodes", availableRoutes=["999.0.0.0/8"]),
        "['999.0.0.0/8'] for its availableRoutes",
    ),
    "owner of a text": (NODES, first("nodes", user="alice"), "'alice' for its user"),
    "key of a list": (NODES, first("nodes", preAuthKey=[1]), "[1] for its preAuthKey"),
    "addresses of a number": (NODES, first("nodes", ipAddresses=5), "5 for its ip"),
    "machine key of a number": (NODES, first("nodes", machineKey=5), "5 for its mach"),
    "expiry of a number": (NODES, first("nodes", expiry=5), "sent 5 for a time"),
    "expiry in words": (NODES, first("nodes", expiry="soon"), "sent 'soon' for a time"),
    "expiry in year 99999": (
        NODES,
        first("nodes", expiry="99999-01-01T00:00:00Z"),
        "sent '99999-01-01T00:00:00Z' for a time",
    ),
    "user without name": (USERS, without("users", "name"), "has no name"),
    "user name null": (USERS, first("users", name=None), "has None for its name"),
    "user id of a number": (USERS, first("users", id=1), "has 1 for its id"),
    "e-mail of a number": (USERS, first("users", email=5), "has 5 for its email"),
    "provider of a list": (USERS, first("users", provider=[1]), "[1] for its provider"),
}


@pytest.mark.parametrize("row", LISTS)
def test_a_list_of_another_shape_is_named_and_nothing_written(bad, command, row):
    pattern, act, message = LISTS[row]
    bad.fault(pattern, act)
    for name in ("plan", "apply", "import", "drift"):
        code, out, err = command(*READING[name])
        assert (code, out) == (1, ""), name
        assert message in clean(err)
        assert SHAPE in err
    assert bad.writes == []


def test_an_import_tells_two_nodes_of_one_name(bad, command, tmp_path):
    bad.fault(
        NODES,
        edited(lambda body: [n.update(givenName="x") for n in body["nodes"]] and None),
    )
    code, out, err = command("import", "-o", "new")
    assert (code, out) == (1, "")
    assert "error: two nodes on the server are called x: #1 and #2" in err
    assert "mistake in reconcile" not in err
    assert command("import", "-o", "new", "--kind", "user", "--kind", "policy")[0] == 0


# -- no end ----------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LATE = "no complete answer in time", "--timeout SECONDS waits longer"
LARGE = "answered more than 1 MB", "--max-answer MB takes more"
PACKED = "cannot be decompressed", OURS


def packed(times):
    body = b" " * 3_000_000
    for _ in range(times):
        body = gzip.compress(body)
    encodings = ", ".join(["gzip"] * times)
    return answer(200, body, "application/json", Content_Encoding=encodings)


ENDLESS = {
    "body": (endless(CHUNKED, b"%x\r\n%b\r\n" % (60_000, b" " * 60_000)), LARGE),
    "body without a length": (endless(OK + b"\r\n", b" " * 60_000), LARGE),
    "slow body": (endless(CHUNKED, b"1\r\n \r\n", 0.1), LATE),
    "slow headers": (endless(OK, b"X", 0.1), LATE),
    "slow status": (endless(b"", b"H", 0.1), LATE),
    "continue": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), LATE),
    "processing": (endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.05), LATE),
    "bomb": (packed(1), LARGE),
    "bomb in a bomb": (packed(2), PACKED),
    "unknown packing": (answer(200, b"x", None, Content_Encoding="zstd"), PACKED),
}


@pytest.mark.parametrize("row", ENDLESS)
def test_no_answer_is_without_end(bad, command, row):
    act, (message, help) = ENDLESS[row]
    bad.fault("GET /api/v1/node$", act)
    code, out, err = command("plan", "--timeout", "0.7", "--max-answer", "1")
    assert (code, out) == (1, "")
    assert message in clean(err)
    assert help in err
    assert bad.requests.count("GET /api/v1/node") == 1


def test_a_server_gets_no_cookie_back(bad, command):
    got = []

    def act(handler, good):
        got.append(handler.headers["Cookie"])
        found = good()
        handler.reply(found.status, found.body, {"Set-Cookie": "a=b; Path=/"})

    bad.fault("", act)
    assert command("plan")[0] == 0
    assert len(got) > 3
    assert set(got) == {None}


FAR = ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59"]
NONSENSE = ["-5", "soon", "Fri, 99999999999999999999 Dec 2030 00:00:00 GMT", "\xb2"]


@pytest.mark.parametrize("text", FAR)
def test_a_pause_that_nobody_waits_for_ends_the_run(bad, command, no_waiting, text):
    bad.fault(NODES, answer(429, "slow", "text/plain", Retry_After=text))
    code, _, err = command("plan")
    assert code == 1
    assert "answered 429: slow" in clean(err)
    assert (no_waiting, bad.requests.count("GET /api/v1/node")) == ([], 1)


@pytest.mark.parametrize("text", NONSENSE)
def test_a_pause_that_makes_no_sense_is_none(bad, command, no_waiting, text):
    bad.fault(NODES, answer(503, "slow", "text/plain", Retry_After=text), times=1)
    code, _, err = command("plan")
    assert (code, err) == (0, "")
    assert sum(no_waiting) < 1


# -- odd, and fine ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "act"),
    [
        (NODES, first("nodes", expiry="2031-01-01T00:00:00.123456789+02:00")),
        (NODES, first("nodes", expiry="0001-01-01T00:00:00Z")),
        (NODES, first("nodes", expiry="0001-01-01T00:00:00+05:00")),
        (NODES, first("nodes", user=None, approvedRoutes=None, preAuthKey=None)),
        (NODES, edited(lambda body: body["nodes"][0].update(nosuch={"new": [1]}))),
        ("/version", answer(200, {"version": "v0.29.2+dirty"})),
        ("/version", answer(200, {"version": "dev"})),
        ("/version", answer(200, {"version": "v1.2.3"})),
        ("/version", answer(200, {"version": 5})),
        ("/version", answer(200, [])),
        ("/version", answer(200, {"version": "v0." + "9" * 5000 + ".1"})),
        ("/version", answer(404, b"", None)),
        ("", None),
    ],
)
def test_what_is_odd_but_clear_does_no_harm(bad, command, pattern, act):
    if act:
        bad.fault(pattern, act)
    code, out, err = command("plan")
    assert (code, err) == (0, "")
    assert "Plan: 1 to add, 3 to change." in clean(out)


HOSTILE = "</details>\x1b[31m\u202e../@everyone\n- forged: {}\x9b2J"


@pytest.mark.parametrize(
    "act",
    [
        first("nodes", givenName=HOSTILE, name=HOSTILE, machineKey=HOSTILE),
        first("nodes", tags=[f"tag:{HOSTILE}"], user={"name": HOSTILE}),
        first("nodes", lastSeen=HOSTILE, createdAt=HOSTILE, ipAddresses=[HOSTILE]),
    ],
    ids=["names", "tags and owner", "times and addresses"],
)
def test_hostile_nodes_steer_no_terminal(bad, command, tmp_path, act):
    bad.fault(NODES, act)
    outputs = [
        command("plan"),
        command("plan", "--format", "json"),
        command("drift"),
        command("snapshot"),
        command("import", "-o", "new"),
    ]
    assert [code for code, _, _ in outputs] == [0, 0, 2, 0, 0]
    for _, out, err in outputs:
        clean(out + err)
        assert not any(line.startswith("- forged") for line in out.splitlines())
    json.loads(outputs[1][1])
    clean((tmp_path / "new" / "tailnet.yaml").read_text())


def test_hostile_users_and_versions_steer_no_terminal(bad, command):
    bad.fault(USERS, first("users", name=HOSTILE, email=HOSTILE, displayName=HOSTILE))
    bad.fault("/version", answer(200, {"version": f"0.29.2{HOSTILE}"}))
    for line in ("plan", "drift", "doctor"):
        _, out, err = command(line)
        clean(out + err)
        assert not any(row.startswith("- forged") for row in out.splitlines())


def test_a_hostile_message_cannot_forge_lines(bad, command):
    bad.fault(API, answer(500, {"message": HOSTILE}))
    _, out, err = command("plan")
    assert out == ""
    clean(err)


def test_keys_of_nodes_never_leave_026(tmp_path, monkeypatch, command):
    """0.26 shows the whole pre-auth key with each node, for ever."""
    world = {
        **WORLD,
        "emulate": "0.26",
        "keys": [{"id": 1, "user": 1, "secret": "SECRETjoin", "reusable": True}],
        "nodes": [{"id": 1, "name": "nas", "user": 1, "key": 1}],
    }
    with running(world) as server:
        prepare(tmp_path, monkeypatch, server.url)
        seen = []
        server.fault(NODES, edited(lambda body: seen.append(json.dumps(body))))
        for line in ("plan", "drift", "snapshot", "doctor"):
            _, out, err = command(line)
            clean(out + err)
        command("plan", "--out", "saved.json")
        clean(Path("saved.json").read_text())
    assert "SECRETjoin" in seen[0]


# -- no server at all ------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path, monkeypatch, no_waiting):
    """Files and a credential for a server at an address that a test gives."""

    def at(url):
        prepare(tmp_path, monkeypatch, url)

    return at


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("name", READING)
def test_connection_refused(nowhere, command, name):
    nowhere(f"http://127.0.0.1:{free_port()}")
    code, out, err = command(*READING[name])
    text = clean(out + err)
    assert code == 1
    assert "nothing listens there (connection refused)" in text
    assert "check host and port, and that the server runs" in text


@pytest.mark.parametrize("name", READING)
def test_a_name_that_cannot_be_resolved(nowhere, command, monkeypatch, name):
    def fail(*_args, **_more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    nowhere("https://hs.example.com")
    code, out, err = command(*READING[name])
    text = clean(out + err)
    assert code == 1
    assert "https://hs.example.com: its name cannot be resolved" in text
    assert "the spelling of the host" in text


@pytest.mark.parametrize("name", READING)
def test_no_answer_in_time(bad, command, name):
    bad.fault(API, silent)
    code, out, err = command(*READING[name], "--timeout", "0.1")
    text = clean(out + err)
    assert code == 1
    assert "no complete answer in time" in text
    assert "--timeout SECONDS waits longer" in text
    assert bad.writes == []


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate, as a TLS context of a server and its file."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("openssl cannot make a certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, folder / "cert.pem"


@pytest.mark.parametrize("name", READING)
def test_a_certificate_that_nobody_knows(nowhere, command, certificate, name):
    with running(context=certificate[0]) as server:
        nowhere(server.url)
        code, out, err = command(*READING[name])
    text = clean(out + err)
    assert code == 1
    assert "its TLS certificate is not trusted by this machine" in text
    assert "SSL_CERT_FILE" in text
    assert server.requests == []


def test_ssl_cert_file_makes_it_known(nowhere, command, certificate, monkeypatch):
    """The remedy that the message names works."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    with running(context=certificate[0]) as server:
        nowhere(server.url)
        code, out, _ = command("plan")
    assert code == 0
    assert "Plan: 1 to add, 3 to change." in out


def test_a_certificate_file_that_is_not_there(nowhere, command, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nosuch.pem"))
    nowhere("https://127.0.0.1:9")
    code, _, err = command("plan")
    assert code == 1
    assert "certificates of this machine cannot be read" in clean(err)
    assert "SSL_CERT_FILE must name a file" in err


@pytest.mark.parametrize("name", READING)
def test_plain_http_to_a_tls_port(nowhere, command, certificate, name):
    with running(context=certificate[0]) as server:
        nowhere(server.url.replace("https", "http"))
        code, out, err = command(*READING[name])
    text = clean(out + err)
    assert code == 1
    assert "http:// against https://" in text or "broke off" in text


@pytest.mark.parametrize("name", READING)
def test_tls_to_a_plain_port(bad, nowhere, command, name):
    nowhere(bad.url.replace("http", "https"))
    code, out, err = command(*READING[name])
    text = clean(out + err)
    assert code == 1
    assert "it does not speak TLS there" in text
    assert "check http:// against https://" in text


@pytest.mark.parametrize(
    "url",
    [
        "hs.example.com",
        "ftp://hs.example.com",
        "http://",
        "http://[::1",
        "http://host:port",
        "http://host:99999",
        "http://a b",
        "http://host\n.example.com",
        "https://SECRET:SECRET@hs.example.com",
        "ftp://SECRET:SECRET@hs.example.com",
    ],
)
@pytest.mark.parametrize("name", READING)
def test_a_url_that_is_none_is_a_usage_error(nowhere, command, url, name):
    nowhere(url)
    code, out, err = command(*READING[name])
    text = clean(out + err)
    assert (code, "https://headscale.example.com" in text or "password" in text) == (
        64 if name != "doctor" else code,
        True,
    )
    assert code in (1, 64)


def test_without_a_key_nothing_is_sent(bad, command, monkeypatch):
    monkeypatch.delenv("HEADSCALE_API_KEY")
    code, _, err = command("plan")
    assert code == 1
    assert "no API key: the variable HEADSCALE_API_KEY is not set" in err
    assert KEYS in err
    assert bad.requests == []


def test_a_read_that_fails_once_is_tried_again(bad, command):
    for act in (reset_before, answer(503, "", "text/plain")):
        bad.faults.clear()
        bad.fault(USERS, act, times=1)
        code, out, _ = command("plan")
        assert code == 0
        assert "Plan: 1 to add" in out

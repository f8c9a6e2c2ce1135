"""Secrets of the run leave in no output, in whatever form a server repeats them."""

import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from reconcile.errors import ReconcileError
from reconcile.source.disk import create, output
from reconcile.source.mask import MASK, masked, remember
from tests.bad_server import KEY, answer, edited, running
from tests.unit.test_bad_server import prepare

SECRET = 'p"ass/w+rd~\\ü?'


def percent(text):
    return "".join(f"%{byte:02x}" for byte in text.encode())


FORMS = {
    "plain": lambda key: key,
    "percent": percent,
    "percent in capitals": lambda key: percent(key).upper(),
    "half percent": lambda key: percent(key[:9]) + key[9:],
    "quoted": lambda key: quote(key, safe=""),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda key: json.dumps(key, ensure_ascii=False),
    "base64": lambda key: b64encode(key.encode()).decode(),
    "base64 of a header": lambda key: b64encode(f"Bearer {key}x".encode()).decode(),
    "base64 of a login": lambda key: b64encode(f"ab:{key}".encode()).decode(),
    "base64 for URLs": lambda key: urlsafe_b64encode(f"a{key}ab".encode()).decode(),
}


@pytest.mark.parametrize("secret", [KEY, SECRET])
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_masked_in_every_form(form, secret):
    text = FORMS[form](secret)
    assert masked(f"<{text}>") == f"<{text}>"
    remember(secret)
    shown = masked(f"<{text}>")
    assert MASK in shown
    assert len(shown) <= len(MASK) + (16 if "base64" in form else 4)


def test_short_words_are_no_secrets():
    remember("alice")
    remember("")
    assert masked("alice") == "alice"


@pytest.fixture
def bad(tmp_path, monkeypatch, no_waiting):
    with running() as server:
        prepare(tmp_path, monkeypatch, server.url)
        yield server


def pieces(key):
    """Return the parts of a key that would give it away."""
    return {key[start : start + 12] for start in range(10, len(key) - 12)}


REFLECTIONS = {
    "a redirect": lambda text: answer(302, b"", None, Location=f"https://x/?k={text}"),
    "a message": lambda text: answer(500, {"message": f"no such key: {text}"}),
    "a long message": lambda text: answer(500, "x" * 270 + text, "text/plain"),
    "a long detail": lambda text: answer(500, {"detail": "x" * 3960 + text}),
    "a wrong id": lambda text: edited(
        lambda body: body["nodes"][0].update(id={"x": text})
    ),
    "a wrong time": lambda text: edited(
        lambda body: body["nodes"][0].update(expiry=f"xxxxxxxxxxxxxx{text}")
    ),
    "a name": lambda text: edited(
        lambda body: body["nodes"][0].update(givenName=f"a{text}", name=text)
    ),
    "a tag": lambda text: edited(
        lambda body: body["nodes"][0].update(tags=[f"tag:{text}"])
    ),
}


@pytest.mark.parametrize("columns", ["40", "300"])
@pytest.mark.parametrize("form", ["plain", "percent", "base64 of a header"])
@pytest.mark.parametrize("row", REFLECTIONS)
def test_a_server_that_repeats_the_key_does_not_print_it(
    bad, command, monkeypatch, row, form, columns
):
    monkeypatch.setenv("COLUMNS", columns)
    bad.fault("GET /api/v1/node$", REFLECTIONS[row](FORMS[form](KEY)))
    leaks = pieces(KEY) | pieces(FORMS[form](KEY))
    for line in ("plan", "plan --format json", "drift", "--log-format json plan"):
        code, out, err = command(*line.split())
        assert code in (0, 1, 2)
        assert not {leak for leak in leaks if leak in out + err}, out + err
        assert MASK in "".join((out + err).split())


def test_files_with_a_secret_are_not_written(bad, command, tmp_path):
    bad.fault("GET /api/v1/node$", REFLECTIONS["a tag"](KEY))
    assert command("plan", "--out", "plan.json")[0] == 0
    saved = (tmp_path / "plan.json").read_text()
    assert f"tag:{MASK}" in saved
    assert KEY not in saved
    bad.faults.clear()
    bad.fault("GET /api/v1/node$", REFLECTIONS["a name"](KEY))
    for line in ("snapshot -o new", "import -o new"):
        code, _, err = command(*line.split())
        assert (line, code) == (line, 1)
        assert "would hold the API key" in err
        assert not (tmp_path / "new").is_file()
        assert not list(tmp_path.glob("new/*"))


def test_files_keep_secrets_out(tmp_path):
    remember(SECRET)
    for write in (create, output):
        with pytest.raises(ReconcileError, match="would hold the API key"):
            write(tmp_path / "x", b64encode(SECRET.encode()))
    assert list(tmp_path.iterdir()) == []


def test_what_nothing_caught_shows_no_secret():
    code = """
from reconcile.source import mask
from reconcile.cli import door
import sys
sys.excepthook = door.tell_unexpected
mask.remember("SECRET-SECRET")
raise KeyError("SECRET-SECRET", "x")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "KeyError: ('(secret)', 'x')" in done.stderr
    assert "SECRET-SECRET')" not in done.stderr


def test_the_password_of_a_proxy_is_never_shown(bad, command, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:PROXY-pass@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.setenv("http_proxy", "http://user:PROXY-pass@127.0.0.1:9")
    code, out, err = command("plan")
    assert code == 1
    assert "PROXY-pass" not in out + err
    assert masked("user:PROXY-pass") == MASK

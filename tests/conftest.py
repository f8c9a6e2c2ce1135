"""What every test may use."""

import os
import time

import pytest
from hypothesis import settings

from reconcile import desired as desired_state
from reconcile.source import mask
from tests.support import NOW, call_git, dedent

# A busy machine makes an example slow now and then; tests/bench measures speed.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """Keep the tests apart from the settings of whoever runs them."""
    mine = "FORCE_COLOR", "NO_COLOR", "COLUMNS", "RECONCILE_ALLOW_COMMANDS"
    for name in (*mine, *(n for n in os.environ if n.startswith("HEADSCALE_"))):
        if name != "HEADSCALE_BINARIES":
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_own_node(monkeypatch):
    """Let no plan depend on whether the machine of the tests is in a tailnet."""
    monkeypatch.setattr("reconcile.live.own_node.local_address", lambda address: "")


@pytest.fixture(autouse=True)
def _no_other_writer(monkeypatch):
    """Let no apply wait for others: tests/races has the tests with two of them."""
    monkeypatch.setattr("reconcile.apply.run.sleep", lambda seconds: None)


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    """Write tailnet.yaml (and other files) and read the desired state from them."""
    monkeypatch.chdir(tmp_path)

    def read(yaml, environ=None, **files):
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        (tmp_path / "tailnet.yaml").write_text(f"version: 1\n{dedent(yaml)}")
        (state,) = desired_state.read(["tailnet.yaml"], environ=environ or {}, now=NOW)
        return state

    return read


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a function that commits files in an empty repository, and chdir there."""
    monkeypatch.chdir(tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "t")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "t@example.com")
    call_git("init", "-q")

    def commit(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        call_git("add", "-A")
        call_git("commit", "-qm", "change", "--allow-empty")
        return call_git("rev-parse", "HEAD")

    return commit


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command line in an empty folder; return (exit code, stdout, stderr)."""
    from reconcile.cli import run

    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        code = run(arguments)
        printed = capsys.readouterr()
        return int(code), printed.out, printed.err

    return call


@pytest.fixture(autouse=True)
def no_secrets():
    """Let no test mask what was a secret of another one."""
    mask.forget()


@pytest.fixture
def no_waiting(monkeypatch):
    """Let the pauses between tries take no time; return how long they would be."""
    from types import SimpleNamespace

    from reconcile.live import exchange

    pauses = []
    still = SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)
    monkeypatch.setattr(exchange, "time", still)
    return pauses

"""What every test may use."""

import pytest

from reconcile import desired as desired_state
from tests.support import NOW, dedent


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """Keep the tests apart from the settings of whoever runs them."""
    for name in ("HEADSCALE_URL", "HEADSCALE_API_KEY", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_own_node(monkeypatch):
    """Let no plan depend on whether the machine of the tests is in a tailnet."""
    monkeypatch.setattr("reconcile.runner.local_address", lambda address: "")


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


@pytest.fixture
def no_waiting(monkeypatch):
    """Let the pauses between tries take no time; return how long they would be."""
    from types import SimpleNamespace

    from httpx_retries import retry

    pauses = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=pauses.append))
    return pauses

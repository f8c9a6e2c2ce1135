"""What every test may use; `tests/` itself is importable because this file is here."""

import pytest
from tests_support import NOW, dedent

from reconcile import desired as desired_state


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

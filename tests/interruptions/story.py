"""What is applied: every kind of change, and a policy that is written twice."""

from pathlib import Path
from typing import Any

from tests.support import dedent

POLICY = """{
  "tagOwners": { "tag:db": [], "tag:gate": ["carol@"] },
  "acls": [
    { "action": "accept", "src": ["alice@"], "dst": ["tag:db:5432"] },
    { "action": "accept", "src": ["tag:gate"], "dst": ["tag:db:22"] },
  ],
}
"""
FILES = """
    version: 1
    users: { alice: {}, bob: {}, carol: {} }
    nodes:
      router:
        match: { id: "2" }
        tags: [tag:gate]
        routes: { approve: [10.1.0.0/16] }
      router-b: { match: { id: "7" }, routes: { approve: [10.1.0.0/16] } }
    policy: { file: policy.hujson }
"""
CHANGED_POLICY = """{
  "tagOwners": { "tag:db": [], "tag:router": ["dora@"] },
  "acls": [
    { "action": "accept", "src": ["alice@", "erin@"], "dst": ["tag:db:5432,5433"] },
    { "action": "accept", "src": ["tag:router"], "dst": ["tag:db:22"] },
  ],
}
"""
CHANGED_FILES = """
    version: 1
    users:
      alice: {}
      bob: {}
      dora: { was: carol }
      erin: { email: erin@example.com, display_name: Erin }
    nodes:
      router:
        match: { id: "2" }
        tags: [tag:router]
        routes: { approve: [10.2.0.0/16] }
      exit: { match: { id: "3" }, exit_node: true }
      lab-2:
        match: { id: "8" }
        routes: { approve: ["fd00:1::/64"], mode: at-least }
      router-b: { match: { id: "7" }, routes: { approve: [] }, exit_node: false }
      phone: { match: { id: "5" }EXPIRY }
    removed: [node:laptop]
    policy: { file: policy.hujson }
"""


def write_first(folder: Path) -> None:
    """Write the files that are applied before anything goes wrong."""
    (folder / "tailnet.yaml").write_text(dedent(FILES))
    (folder / "policy.hujson").write_text(POLICY)


def write_second(folder: Path, release: str) -> None:
    """Write the files whose apply is cut off; 0.26 sets no date of expiry."""
    expiry = "" if release == "0.26" else ', expiry: "2036-01-01T00:00:00Z"'
    text = dedent(CHANGED_FILES).replace("EXPIRY", expiry)
    (folder / "tailnet.yaml").write_text(text)
    (folder / "policy.hujson").write_text(CHANGED_POLICY)


def environment(url: str, key: str) -> dict[str, Any]:
    """Return the variables of a run."""
    return {"HEADSCALE_URL": url, "HEADSCALE_API_KEY": key, "COLUMNS": "120"}

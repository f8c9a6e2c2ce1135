"""One door for each package: where it is imported is where its job is done."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "reconcile"
DOORS = {
    "click": {"cli"},
    "yaml": {"source"},
    "jsonschema": {"desired"},
    "deepdiff": {"policy"},
    "httpx": {"live", "simulator", "jobs"},  # jobs: only for its type
    "httpcore": {"live"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", DOORS)
def test_a_package_is_imported_behind_its_door_only(package):
    users = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.rglob("*.py")
        if package in imports(path)
    }
    assert users == DOORS[package]


def test_no_file_is_longer_than_five_hundred_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in ROOT.rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > 500} == {}

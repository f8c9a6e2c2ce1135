"""Finds what a file says that can do nothing, so that nobody waits for it."""

from collections.abc import Iterator
from typing import Any

from reconcile.desired.findings import Findings, dotted
from reconcile.desired.layers import Tree
from reconcile.remedies import Drop
from reconcile.source.yaml import Path

# What speaks of a section that has to be there: the path, and why it does nothing.
_NEEDS: tuple[tuple[Path, str, str], ...] = (
    (("manage", "users"), "users", "users are not managed without a `users` section"),
    (("manage", "nodes"), "nodes", "nodes are not managed without a `nodes` section"),
    (("manage", "policy"), "policy", "there is no `policy` section"),
    (
        ("defaults", "nodes"),
        "nodes",
        "defaults fill in what entries under `nodes` leave out",
    ),
)


def check_idle(tree: Tree, findings: Findings) -> None:
    """Warn about settings of one server's files that nothing follows from."""
    if findings.failed:  # what is wrong was taken out, and would be missed here
        return
    for path, section, why in _NEEDS:
        if section not in tree.value and _said(tree.value, path):
            _warn(path, why, tree, findings)


def check_idle_servers(tree: Tree, findings: Findings) -> None:
    """Warn about what the files say of their servers and nothing follows from."""
    if findings.failed:
        return
    for path, why in (*_names(tree.value), *_overlays(tree.value)):
        _warn(path, why, tree, findings)


def _said(value: dict[str, Any], path: Path) -> bool:
    first, second = path
    return bool(value.get(str(first), {}).get(second))


def _names(value: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for server, said in value.get("servers", {}).items():
        if said.get("name", server) != server:
            path = ("servers", server, "name")
            yield path, f"the server is called {server}, as its key says"


def _overlays(value: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for server, overlay in value.get("overlays", {}).items():
        for section, said in overlay.items():
            if said == {} and value.get(section):
                path = ("overlays", server, section)
                yield path, f"an overlay is laid over `{section}`; it empties nothing"


def _warn(path: Path, why: str, tree: Tree, findings: Findings) -> None:
    findings.warn(
        "RC0118",
        f"{dotted(path)} does nothing",
        tree.locate(path, key=True),
        why=why,
        help="remove it, or write what it is for",
        ways=((Drop(path),),),
    )

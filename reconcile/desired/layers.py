"""Lays files and overlays over each other, and remembers where each part is from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reconcile.desired.files import File
from reconcile.desired.findings import Findings, dotted
from reconcile.errors import Position, Related
from reconcile.source import Path, Source

_ENTRIES = ("users", "nodes", "servers", "overlays")
_LISTS = ("node_rules", "removed", "assert")
_NOT_MERGED = ("version", "include")


@dataclass(slots=True)
class Tree:
    """Sections from several files as one value; `locate` leads back to the files.

    `origins` maps the path of each part that was taken over to its file and its
    path there.
    """

    value: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, tuple[Source, Path]] = field(default_factory=dict)

    def locate(self, path: Path, key: bool = False) -> Position:
        """Return the position of the value at a path, or of the key before it."""
        source, inside = self.origin(path)
        return source.locate(inside, key)

    def origin(self, path: Path) -> tuple[Source, Path]:
        """Return the file that says what stands at a path, and the path in it."""
        for length in range(len(path), -1, -1):
            found = self.origins.get(path[:length])
            if found:
                return found[0], (*found[1], *path[length:])
        raise KeyError(path)


def merge(files: Iterable[File], findings: Findings) -> Tree:
    """Put the sections of all files together; the same thing twice is an error."""
    tree = Tree()
    for file in files:
        tree.origins.setdefault((), (file.source, ()))
        for section, value in file.value.items():
            if section in _NOT_MERGED:
                continue
            if section in _ENTRIES:
                tree.value.setdefault(section, {})
                tree.origins.setdefault((section,), (file.source, (section,)))
                for name, entry in value.items():
                    _take(tree, (section, name), entry, file.source, findings)
            elif section in _LISTS:
                _append(tree, section, value, file.source)
            else:
                _take(tree, (section,), value, file.source, findings)
    return tree


def _append(tree: Tree, section: str, items: list[Any], source: Source) -> None:
    known = tree.value.setdefault(section, [])
    tree.origins.setdefault((section,), (source, (section,)))
    for index, item in enumerate(items):
        tree.origins[section, len(known)] = source, (section, index)
        known.append(item)


def _take(
    tree: Tree, path: Path, value: object, source: Source, findings: Findings
) -> None:
    parent: dict[str | int, Any] = tree.value  # type: ignore[assignment]
    for step in path[:-1]:
        parent = parent[step]
    name = path[-1]
    if name not in parent:
        parent[name] = value
        tree.origins[path] = source, path
        return
    findings.error(
        "RC0023",
        f"{dotted(path)} is said in two files",
        source.locate(path, key=True),
        why="only one of them could count",
        help="merge the two, or remove one",
        related=(Related(tree.locate(path, key=True), "first here"),),
    )


def overlaid(tree: Tree, server: str) -> Tree:
    """Return the tree for one server: its overlay merged over the sections.

    Maps are merged, everything else is replaced; a policy in a file and one in the
    YAML replace each other, since half of each would be neither.
    """
    top = tree.value.get("overlays", {}).get(server)
    if not top:
        return tree
    result = Tree({}, dict(tree.origins))
    result.value = _over(tree.value, top, (), ("overlays", server), tree, result)
    return result


def _over(
    base: dict[str, Any],
    top: dict[str, Any],
    path: Path,
    top_path: Path,
    tree: Tree,
    result: Tree,
) -> dict[str, Any]:
    merged = dict(base)
    for name, value in top.items():
        here, there = (*path, name), (*top_path, name)
        below = base.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            if here != ("policy",) or not {"file"} & {*below, *value}:
                merged[name] = _over(below, value, here, there, tree, result)
                continue
        elif isinstance(below, list):
            for index in range(len(below)):
                result.origins.pop((*here, index), None)
        merged[name] = value
        result.origins[here] = tree.origin(there)
    return merged

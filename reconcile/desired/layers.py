"""Lays files and overlays over each other, and remembers where each part is from."""

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from reconcile.desired.files import File
from reconcile.desired.findings import Findings, dotted
from reconcile.errors import Position, Related
from reconcile.source.yaml import Path

_NOT_MERGED = ("version", "include")
_IN_FILES = {"file", "files"}


class Origin(Protocol):
    """A file that was parsed, and knows where each part of it stands."""

    def locate(self, path: Path, key: bool = False) -> Position:
        """Return the position of the value at a path, or of the key before it."""


@dataclass(slots=True)
class Tree:
    """What several files say as one value; `locate` leads back to the files.

    `origins` maps the path of each part that was taken over to its file and its
    path there.
    """

    value: dict[str, Any] = field(default_factory=dict)
    origins: MutableMapping[Path, tuple[Origin, Path]] = field(default_factory=dict)

    def locate(self, path: Path, key: bool = False) -> Position:
        """Return the position of the value at a path, or of the key before it."""
        source, inside = self.origin(path)
        return source.locate(inside, key)

    def origin(self, path: Path) -> tuple[Origin, Path]:
        """Return the file that says what stands at a path, and the path in it."""
        for length in range(len(path), -1, -1):
            found = self.origins.get(path[:length])
            if found:
                return found[0], (*found[1], *path[length:])
        raise KeyError(path)


def _as_written(_: Path, name: str) -> str:
    return name


@dataclass(frozen=True, slots=True)
class Form:
    """How files grow together: maps are united, lists appended in the order of files.

    Everything that stands at no path of the two is said by one file only. `spelled`
    gives the one spelling of a name that stands in the map at a path.
    """

    maps: frozenset[Path]
    lists: frozenset[Path]
    spelled: Callable[[Path, str], str] = _as_written


_SECTIONS = Form(
    maps=frozenset({(), ("users",), ("nodes",), ("servers",), ("overlays",)}),
    lists=frozenset(
        {("node_rules",), ("removed",), ("assert",), ("accept",), ("variables",)}
    ),
)


def merge(files: Iterable[File], findings: Findings) -> Tree:
    """Put the sections of all files together; the same thing twice is an error."""
    tree = Tree()
    for file in files:
        said = {k: v for k, v in file.value.items() if k not in _NOT_MERGED}
        add(tree, said, file.source, _SECTIONS, findings)
    return tree


def add(
    tree: Tree, value: Mapping[str, Any], source: Origin, form: Form, findings: Findings
) -> None:
    """Add what one more file says; what another has said already is an error."""
    _Addition(tree, source, form, findings).lay(tree.value, (), value, ())


@dataclass(frozen=True, slots=True)
class _Addition:
    tree: Tree
    source: Origin
    form: Form
    findings: Findings

    def lay(self, known: Any, path: Path, value: Any, inside: Path) -> None:
        """Lay what the file says at a path into the list or map that is there."""
        self.tree.origins.setdefault(path, (self.source, inside))
        if isinstance(known, list):
            for index, item in enumerate(value):
                self.tree.origins[*path, len(known)] = self.source, (*inside, index)
                known.append(item)
            return
        for written, name in self._names(path, value):
            self._member(known, path, name, value[written], (*inside, written))

    def _names(self, path: Path, value: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return each name as written and as it counts.

        Two spellings of one name in the same file stay two: whoever reads the whole
        tells what is wrong with them.
        """
        names = [(written, self.form.spelled(path, written)) for written in value]
        times = Counter(name for _, name in names)
        return [(old, new if times[new] == 1 else old) for old, new in names]

    def _member(
        self, parent: dict[str, Any], above: Path, name: str, value: Any, inside: Path
    ) -> None:
        path = (*above, name)
        new: Any = self._begun(path, value)
        if new is not None and type(parent.setdefault(name, new)) is type(new):
            self.lay(parent[name], path, value, inside)
        elif name not in parent:
            parent[name] = value
            self.tree.origins[path] = self.source, inside
        else:
            self._twice(path, inside)

    def _begun(self, path: Path, value: Any) -> dict[str, Any] | list[Any] | None:
        """Return the empty value that several files may add to, None for no such."""
        if path in self.form.maps and isinstance(value, dict):
            return {}
        return [] if path in self.form.lists and isinstance(value, list) else None

    def _twice(self, path: Path, inside: Path) -> None:
        self.findings.error(
            "RC0023",
            f"{dotted(path)} is said in two files",
            self.source.locate(inside, key=True),
            why="only one of them could count",
            help="merge the two, or remove one",
            related=(Related(self.tree.locate(path, key=True), "first here"),),
        )


def overlaid(tree: Tree, server: str) -> Tree:
    """Return the tree for one server: its overlay merged over the sections.

    Maps are merged, everything else is replaced.
    """
    top = tree.value.get("overlays", {}).get(server)
    if not top:
        return tree
    result = Tree({}, ChainMap({}, tree.origins))
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
            if not _replaces(value, below, here):
                merged[name] = _over(below, value, here, there, tree, result)
                continue
        elif isinstance(below, list):
            for index in range(len(below)):
                result.origins[*here, index] = tree.origin((*there, index))
        merged[name] = value
        result.origins[here] = tree.origin(there)
    return merged


def _replaces(top: dict[str, Any], base: dict[str, Any], path: Path) -> bool:
    """Tell whether one map takes the place of another, instead of being merged.

    A policy in files and one in the YAML do, since half of each would be neither; and
    so do two ways to deliver one.
    """
    if path == ("policy",) and top.keys() != {"deliver"}:
        return bool(_IN_FILES & {*base, *top})
    return path == ("policy", "deliver")

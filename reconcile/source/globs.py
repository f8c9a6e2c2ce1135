"""Globs that are sure to end, on the disk or in a commit.

`*`, `?` and `[...]` match within a name, `**` any folders; a name that begins with a
dot is matched only by a pattern that does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path

from reconcile.source.text import Storage

LIMIT = 100_000  # names that are looked at


class Endless(ValueError):
    """A pattern that looks at too many files."""


def matching(
    storage: Storage, folder: str, pattern: str, may_list: Callable[[str], bool]
) -> list[str]:
    """Return the paths that a pattern finds from a folder, in order.

    A folder for which `may_list` says no is not looked into. Raises Endless when more
    than LIMIT names were looked at.
    """
    parts = Path(pattern).parts
    walk = _Walk(storage, may_list)
    found = set(walk.below(folder, parts))
    if parts[-1] == "**":
        found = {path for path in found if not storage.is_folder(path)}
    return sorted(found)


class _Walk:
    def __init__(self, storage: Storage, may_list: Callable[[str], bool]) -> None:
        self._storage = storage
        self._may_list = may_list
        self._looked = 0
        self._names: dict[str, list[str]] = {}
        self._begun: set[tuple[str, int]] = set()

    def below(self, path: str, parts: Sequence[str]) -> Iterator[str]:
        """Yield what the parts of a pattern find from a path; the same way only once.

        Two `**` would otherwise find each file in very many ways.
        """
        if not parts:
            yield path
            return
        if (path, len(parts)) in self._begun:
            return
        self._begun.add((path, len(parts)))
        head, rest = parts[0], parts[1:]
        if head == "**":
            yield from self._any_folder(path, parts)
        elif has_magic(head):
            for name in self._listed(path):
                if fnmatchcase(name, head) and _shows(name, head):
                    yield from self.below(_join(path, name), rest)
        elif rest or head in self._listed(path):
            yield from self.below(_join(path, head), rest)

    def _any_folder(self, path: str, parts: Sequence[str]) -> Iterator[str]:
        rest = parts[1:]
        if rest:
            yield from self.below(path, rest)
        for name in self._listed(path):
            below = _join(path, name)
            if not _shows(name, "**"):
                continue
            if not rest:
                yield below
            # A link to a folder may lead back to where it is.
            if not Path(below).is_symlink() and self._storage.is_folder(below):
                yield from self.below(below, parts)

    def _listed(self, path: str) -> list[str]:
        known = self._names.get(path)
        if known is None:
            known = []
            if self._storage.is_folder(path) and self._may_list(path):
                with suppress(OSError):  # a folder that nobody may read holds nothing
                    known = self._storage.names(path)
            self._names[path] = known
            self._looked += len(known) + 1
            if self._looked > LIMIT:
                raise Endless(f"it looks at more than {LIMIT:,} files")
        return known


def _shows(name: str, pattern: str) -> bool:
    return not name.startswith(".") or pattern.startswith(".")


def _join(folder: str, name: str) -> str:
    return str(Path(folder) / name)

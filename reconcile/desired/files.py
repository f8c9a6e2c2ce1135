"""Finds and reads the files of a desired state: folders, globs, includes, `-`."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from glob import has_magic
from hashlib import sha256
from pathlib import Path
from typing import Any

from reconcile.desired.findings import Findings
from reconcile.desired.form import check
from reconcile.errors import Diagnostic, InputError, Position, Related
from reconcile.source import globs, text
from reconcile.source.border import NO_FILE, Border, around, of_the_shell
from reconcile.source.border import identity as real_name
from reconcile.source.git import written
from reconcile.source.variables import quoted
from reconcile.source.yaml import Source, parse

_KEY = re.compile(r"\b(?:hskey|tskey)-[A-Za-z0-9_-]{8,}")
_NOT_INCLUDED = ("server", "servers", "variables", "include")


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read: its source, what of it is valid, and all its sections."""

    source: Source
    value: dict[str, Any]
    sections: frozenset[str]


@dataclass(slots=True)
class Files:
    """Everything that was read, in order, with the digests of the raw bytes."""

    environ: Mapping[str, str]
    findings: Findings
    storage: text.Storage = text.DISK
    read: list[File] = field(default_factory=list)
    digests: list[tuple[str, str]] = field(default_factory=list)
    _seen: dict[str, Position | None] = field(default_factory=dict)
    _by_identity: dict[str, File] = field(default_factory=dict)
    _borders: dict[str, Border] = field(default_factory=dict)

    def add(self, paths: Iterable[str]) -> None:
        """Read files, folders of them, and standard input for `-`."""
        for path in paths:
            if path != text.STDIN and self.storage.is_folder(path):
                for name in self._folder(path):
                    self._add(name, None, None, ())
            else:
                self._add(path, None, None, ())

    def _folder(self, path: str) -> list[str]:
        entries = sorted(Path(path) / name for name in self.storage.names(path))
        names = [str(e) for e in entries if e.suffix in (".yaml", ".yml")]
        if not names:
            self.findings.error(
                "RC0001",
                f"the folder {path} holds no .yaml file",
                Position(path, 1, 1),
                help="name a file, or a folder with files that end in .yaml or .yml",
            )
        return names

    def border(self, place: Position) -> Border:
        """Return how far what is named at a place may reach."""
        return self._borders[place.file]

    def bytes(self, path: str, cause: Position | None = None) -> bytes:
        """Return the bytes of a file, and note their digest.

        `cause` is the place that names it, None for the command line. Raises
        InputError for one that cannot be read, or that is not to be.
        """
        self._require_inside(path, cause)
        data = text.read(path, cause, self.storage)
        self.digests.append((path, sha256(data).hexdigest()))
        return data

    def _require_inside(self, path: str, cause: Position | None) -> None:
        place = cause or Position(text.shown(path), 1, 1)
        if cause is None:
            self._borders[place.file] = around(path)
            if path == text.STDIN or of_the_shell(path):
                return
        self._borders.setdefault(text.shown(path), self.border(place))
        self._refuse_outside(path, place, named=cause is None)

    def _refuse_outside(
        self, path: str, place: Position, *, named: bool = False
    ) -> None:
        """Raise InputError for a path that leads outside; `named` on the command line.

        A link is a stranger's all the same.
        """
        border = self.border(place)
        why = border.outside(path)
        if not why:
            return
        real = real_name(path)
        leads = f", and leads to {real}" * (real != str(written(path)))
        remedy = f"name it: -f {shlex.quote(real)}" if named else "move it there"
        if why == NO_FILE:
            as_input = f"read it as standard input: -f - < {shlex.quote(path)}"
            remedy = as_input if named else "put a file there"
        finding = Diagnostic(
            "RC0703",
            f"{path} is not read: {why}",
            place,
            why=f"files are read below {border.root} only{leads}",
            help=remedy,
        )
        raise InputError([finding])

    def _add(
        self,
        path: str,
        cause: Position | None,
        owns: list[str] | None,
        above: tuple[str, ...],
    ) -> None:
        """Read one file and what it includes; `above` are the files that led here."""
        identity = path if path == text.STDIN else real_name(path)
        if identity in above:
            self._cycle(path, cause, self._seen[identity])
            return
        if identity in self._seen:
            known = self._by_identity.get(identity)
            if known and cause and self._seen[identity] is None:
                self._limit(known.source, known.value, owns, cause)
            return
        self._seen[identity] = cause
        try:
            source = self._parse(path, cause)
        except InputError as error:
            self.findings.extend(error.diagnostics)
            return
        said = frozenset(source.value if isinstance(source.value, dict) else ())
        value = check(source, self.findings)
        if cause:
            self._limit(source, value, owns, cause)
        file = File(source, value, said)
        self.read.append(file)
        self._by_identity[identity] = file
        for index, item in enumerate(value.get("include", ())):
            self._include(file, index, item, (*above, identity))

    def _parse(self, path: str, cause: Position | None) -> Source:
        shown = text.shown(path)
        content = text.decode(self.bytes(path, cause), shown)
        if _KEY.search(content):
            self._secrets(content, shown)
            content = _KEY.sub(lambda found: "*" * len(found.group()), content)
        return parse(content, shown, self.environ)

    def _secrets(self, content: str, file: str) -> None:
        lines = text.Lines(content, file)
        for found in _KEY.finditer(content):
            place = lines.position(*found.span()).unseen()
            self.findings.error(
                "RC0026",
                f"{file} holds a key of the control server",
                place,
                why="the file lives in git, and its history never forgets",
                help="revoke the key, and name the variable that holds the new one",
            )

    def _include(
        self, file: File, index: int, item: str | dict[str, Any], above: tuple[str, ...]
    ) -> None:
        place = file.source.locate(("include", index))
        pattern, owns = item, None
        if isinstance(item, dict):
            place = file.source.locate(("include", index, "path"))
            pattern, owns = item["path"], item.get("owns")
        found = self.matching(str(pattern), place)
        for path in found:
            self._add(path, place, owns, above)

    def matching(self, pattern: str, place: Position) -> list[str]:
        """Return the files that a path or a glob names, from the folder of its file."""
        folder = folder_of(place)
        if not has_magic(pattern):
            return [beside(place, pattern)]
        try:
            found = self._found(folder, pattern, place)
        except InputError as error:
            self.findings.extend(error.diagnostics)
            return []
        if not found:
            self.findings.error(
                "RC0024",
                f"{quoted(pattern)} matches no file",
                place,
                label="nothing there",
                help="remove the line, or add the files that it should find",
            )
        return [path for path in found if self._nameable(path, place)]

    def _found(self, folder: Path, pattern: str, place: Position) -> list[str]:
        """Return what a glob finds. Raises InputError for one that leads outside."""

        def may_list(path: str) -> bool:
            self._refuse_outside(path, place)
            return True

        try:
            return globs.matching(self.storage, str(folder), pattern, may_list)
        except globs.Endless as error:
            message = f"{quoted(pattern)} is too wide: {error}"
            more = "name the folder that is meant"
            raise InputError(
                [Diagnostic("RC0703", message, place, help=more)]
            ) from None

    def _nameable(self, path: str, place: Position) -> bool:
        """Tell whether plans and reports, which are UTF-8, can name a file."""
        shown = path.encode(errors="backslashreplace").decode()
        if shown == path:
            return True
        self.findings.error(
            "RC0001",
            f"cannot read {shown}: its name is not UTF-8",
            place,
            help="rename the file",
        )
        return False

    def _cycle(self, path: str, cause: Position | None, first: Position | None) -> None:
        related = (Related(first, "included here first"),) if first else ()
        self.findings.error(
            "RC0024",
            f"{path} includes itself",
            cause,
            help="remove one of the includes",
            related=related,
        )

    def _limit(
        self,
        source: Source,
        value: dict[str, Any],
        owns: list[str] | None,
        cause: Position,
    ) -> None:
        """Take away the sections that an included file may not hold."""
        for section in [*value]:
            if section == "version" or (
                section not in _NOT_INCLUDED and (owns is None or section in owns)
            ):
                continue
            del value[section]
            why = "an included file describes no servers, variables or further includes"
            if section not in _NOT_INCLUDED:
                why = f"it may hold only: {', '.join(owns or ())}"
            self.findings.error(
                "RC0025",
                f"{source.file} may not hold the section {section}",
                source.locate((section,), key=True),
                why=why,
                related=(Related(cause, "included here"),),
            )


def beside(place: Position, name: str) -> str:
    """Return the path of a file that is named at a place; `-` is a file there too."""
    path = str(folder_of(place) / name)
    return f"./{path}" if path == text.STDIN else path


def folder_of(place: Position) -> Path:
    """Return the folder that relative paths at a place start from."""
    return Path() if place.file == text.shown(text.STDIN) else Path(place.file).parent

"""Text files: reading them strictly, and turning offsets into positions."""

import json
import os
import re
import shlex
import stat
import sys
from bisect import bisect_right
from pathlib import Path
from typing import Any, Protocol

from reconcile.errors import Diagnostic, InputError, Position
from reconcile.remedies import Help, Instead

STDIN = "-"
LIMIT = 256 * 2**20
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
BOM = "\ufeff"


class Lines:
    """The line index of a text: turns offsets into positions."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def position(self, start: int, end: int) -> Position:
        """Return the position of text[start:end], marked on its first line only."""
        line = bisect_right(self._starts, start)
        length = max(1, min(end, self._end(line)) - start)
        return Position(
            self.file, line, start - self._starts[line - 1] + 1, length, self
        )

    def line(self, number: int) -> str:
        """Return a line, counted from 1, without its end."""
        return self.text[self._starts[number - 1] : self._end(number)]

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and column, both counted from 1."""
        known = min(max(line, 1), len(self._starts))
        return self._starts[known - 1] + max(column, 1) - 1

    def _end(self, line: int) -> int:
        """Return the offset at which the break that ends a line begins."""
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return end - 1 if self.text.endswith("\r", self._starts[line - 1], end) else end


def shown(path: str) -> str:
    """Return the name under which messages show a file."""
    return "<stdin>" if path == STDIN else path


class Storage(Protocol):
    """Where the files are: on the disk, or in a commit of git.

    What is not there, or is of the other sort, raises the OSError that the disk would.
    """

    def read(self, path: str) -> bytes:
        """Return the bytes of a file."""

    def is_folder(self, path: str) -> bool:
        """Tell whether a path is a folder."""

    def names(self, path: str) -> list[str]:
        """Return the names of what is in a folder, in no order."""


class _Disk:
    def read(self, path: str) -> bytes:
        with Path(path).open("rb") as handle:
            mode = os.fstat(handle.fileno()).st_mode
            # A pipe (`<(command)`) is fine; a device may never end.
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                raise ValueError("it is a device, not a file")
            return handle.read(LIMIT + 1)

    def is_folder(self, path: str) -> bool:
        return Path(path).is_dir()

    def names(self, path: str) -> list[str]:
        return [entry.name for entry in Path(path).iterdir()]


DISK: Storage = _Disk()


def read(path: str, cause: Position | None = None, storage: Storage = DISK) -> bytes:
    """Return the bytes of a file, or of standard input for `-`.

    Raises InputError (RC0001), at `cause` (the place that names the file) if given.
    """
    place = cause or Position(shown(path), 1, 1)
    try:
        data = _read_stdin() if path == STDIN else storage.read(path)
    except (OSError, ValueError) as error:
        raise InputError([_unreadable(path, error, place, storage)]) from None
    if len(data) > LIMIT:
        message = f"{shown(path)} is larger than {LIMIT // 2**20} MB"
        raise InputError([Diagnostic("RC0001", message, place)])
    return data


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read(LIMIT + 1)


def _unreadable(
    path: str, error: Exception, place: Position, storage: Storage
) -> Diagnostic:
    more: Help = {}
    match error:
        case FileNotFoundError() | NotADirectoryError():
            why, more = "there is no such file", _similar_file(path, place, storage)
        case IsADirectoryError():
            why, more = "it is a folder", {"help": "name a file in it"}
        case PermissionError():
            why = "permission denied"
            more = {"help": f"make it readable: chmod u+r {shlex.quote(path)}"}
        case OSError():
            why = error.strerror or type(error).__name__
        case _:
            why = str(error)
    return Diagnostic("RC0001", f"cannot read {shown(path)}: {why}", place, **more)


def _similar_file(path: str, place: Position, storage: Storage) -> Help:
    """Propose a file of the same folder and sort with nearly the same name."""
    from difflib import get_close_matches

    folder, sort = Path(path).parent, _sort(path)
    try:
        found = storage.names(str(folder))
        stems = {
            Path(name).stem: name
            for name in sorted(found)
            if sort == _sort(name) and not storage.is_folder(str(folder / name))
        }
    except (OSError, ValueError):
        return {}
    near = get_close_matches(Path(path).stem, stems, n=1)
    if not near:
        return {}
    file = str(folder / stems[near[0]])
    if place.file == shown(path):  # named on the command line
        return {"help": f"did you mean {file}?"}
    # A file that another one names is looked for beside that one.
    meant = Instead(os.path.relpath(file, Path(place.file).parent))
    return {"help": f"did you mean {meant}?", "ways": ((meant,),)}


def _sort(name: str) -> str:
    """Return what sort of file a name is for; a saved state is no policy."""
    suffix = Path(name).suffix.lower()
    return {".yml": ".yaml"}.get(suffix, suffix)


def decode(data: bytes, file: str, *, controls: bool = False) -> str:
    """Decode UTF-8 strictly; control characters are refused unless `controls`.

    Raises InputError (RC0002) that tells the byte and the line. A byte order mark
    stays in the text: whether it is allowed depends on the kind of file.
    """
    if data.startswith(_WIDE_MARKS) or _looks_wide(data):
        raise InputError([_wide(data, file)])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError([_not_utf8(data, error.start, file)]) from None
    found = None if controls else _FORBIDDEN.search(text)
    if found:
        raise InputError([_control(text, found.start(), file)])
    return text


def from_json(content: str) -> Any:
    """Return the value of a JSON text. Raises ValueError, in words, for anything else.

    Half of a surrogate pair is no text, and could be printed nowhere.
    """
    try:
        value = json.loads(content)
        if _ESCAPED_SURROGATE.search(content):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character") from None
    return value


def _looks_wide(data: bytes) -> bool:
    """Tell UTF-16 without a mark: every second byte of the beginning is zero."""
    head = data[:64]
    halves = head[::2], head[1::2]
    return len(head) >= 4 and any(half.count(0) == len(half) for half in halves)


def _wide(data: bytes, file: str) -> Diagnostic:
    name = "UTF-32" if data.startswith(b"\x00\x00\xfe\xff") else "UTF-16"
    return Diagnostic(
        "RC0002",
        f"{file} is {name}, not UTF-8",
        Position(file, 1, 1),
        help="save it again as UTF-8 (without a byte order mark)",
    )


def _not_utf8(data: bytes, offset: int, file: str) -> Diagnostic:
    start = len(data[:offset].decode("utf-8"))  # so far it is UTF-8
    lines = Lines(data.decode("utf-8", "replace"), file)
    return Diagnostic(
        "RC0002",
        f"{file} is not UTF-8: byte 0x{data[offset]:02x} at offset {offset}",
        lines.position(start, start + 1),
        label="not UTF-8",
        help="save the file again as UTF-8",
    )


def _control(text: str, offset: int, file: str) -> Diagnostic:
    code = ord(text[offset])
    name = "a NUL byte" if code == 0 else f"the control character U+{code:04X}"
    return Diagnostic(
        "RC0002",
        f"{file} holds {name}",
        Lines(text, file).position(offset, offset + 1),
        label="not allowed in text",
        help='remove it; inside double quotes YAML can write it as an escape: "\\x07"',
    )

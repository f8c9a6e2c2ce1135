"""Reading, sharing and writing a world file."""

import contextlib
import dataclasses
import fcntl
import json
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reconcile import files
from reconcile.errors import Diagnostic, InputError, Position
from reconcile.simulator.world import World


def parse(text: str, file: str = "world") -> World:
    """Return the world that a file's text describes; InputError when it is none."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as problem:
        lines = text.splitlines() or [""]
        shown = lines[min(problem.lineno, len(lines)) - 1]
        position = Position(file, problem.lineno, problem.colno, 1, shown)
        raise _broken(f"not JSON: {problem.msg}", position) from None
    try:
        world: World = _value(World, document, "the world")
    except ValueError as problem:
        raise _broken(str(problem), Position(file, 1, 1)) from None
    return world


def _broken(message: str, position: Position) -> InputError:
    return InputError(
        [
            Diagnostic(
                "RC0901",
                f"this world file is broken: {message}",
                position,
                help="mend that place, or move the file away to start with a new world",
            )
        ]
    )


def _value(hint: Any, value: Any, place: str) -> Any:
    """Return a JSON value as the type that a field wants; ValueError if it is not."""
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, place)
    if isinstance(hint, types.UnionType):
        inner = typing.get_args(hint)[0]
        return None if value is None else _value(inner, value, place)
    wanted = typing.get_origin(hint) or hint
    if wanted is not Any and type(value) is not wanted:
        raise ValueError(f"{place} must be {_WORDS[wanted]}")
    if wanted is list:
        (inner,) = typing.get_args(hint)
        return [_value(inner, item, f"{place}[{i}]") for i, item in enumerate(value)]
    return value


_WORDS = {
    bool: "true or false",
    dict: "an object",
    int: "a whole number",
    list: "a list",
    str: "a text",
}


def _record(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{place} must be an object")
    hints = typing.get_type_hints(kind)
    for name in value:
        if name not in hints:
            raise ValueError(f"{place} has no field {name!r}")
    for spec in dataclasses.fields(kind):
        needed = spec.default is spec.default_factory is dataclasses.MISSING
        if needed and spec.name not in value:
            raise ValueError(f"{place} needs {spec.name!r}")
    place = "" if kind is World else f"{place}."
    return kind(**{n: _value(hints[n], v, f"{place}{n}") for n, v in value.items()})


class WorldFile:
    """A world file shared by threads and processes.

    `changing` holds a lock for one read-modify-write, so that two processes never
    overwrite each other, and reads the file again only when it has changed.
    """

    def __init__(self, path: Path, create: Callable[[], World] = World) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = ""
        with self._locked():
            if not path.exists():
                self._write(create().as_json())
            self.world = self._read()

    @contextlib.contextmanager
    def changing(self) -> Iterator[World]:
        """Yield the newest world, and write it back if it was changed."""
        with self._locked():
            self.world = self._read()
            yield self.world
            text = self.world.as_json()
            if text != self._text:
                self._write(text)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(self.path.name + ".lock")
        with lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _read(self) -> World:
        stamp = self._stamp()
        if stamp == self._seen:
            return self.world
        text = self.path.read_text(encoding="utf-8")
        world = parse(text, str(self.path))
        self._seen, self._text = stamp, world.as_json()
        return world

    def _write(self, text: str) -> None:
        """Replace the file in one step: a reader sees the old world or the new one."""
        files.write(self.path, text.encode())
        self._seen, self._text = self._stamp(), text

    def _stamp(self) -> tuple[int, int, int]:
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

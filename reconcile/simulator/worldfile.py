"""Reading, sharing and writing a world file."""

import contextlib
import dataclasses
import fcntl
import json
import os
import shlex
import types
import typing
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from reconcile.errors import Diagnostic, InputError, Position, ReconcileError
from reconcile.simulator.world import World
from reconcile.source import disk, hujson
from reconcile.source.text import Lines, from_json
from reconcile.source.variables import quoted


def parse(text: str, file: str = "world") -> World:
    """Return the world that a file's text describes; InputError when it is none."""
    try:
        document = from_json(text)
    except json.JSONDecodeError as problem:
        position = Lines(text, file).position(problem.pos, problem.pos + 1)
        raise _broken(f"not JSON: {problem.msg}", position) from None
    except ValueError as problem:
        raise _broken(str(problem), Position(file, 1, 1)) from None
    try:
        world: World = _value(World, document, ())
    except _Misfit as problem:
        position = hujson.parse(text, file).locate(problem.path)
        raise _broken(str(problem), position) from None
    except ValueError as problem:
        raise _broken(str(problem), Position(file, 1, 1)) from None
    return world


def _missing(path: Path) -> ReconcileError:
    """Return the error for a world that is not there; a typo gets its remedy."""
    names = [each.name for each in path.parent.glob("*") if each.is_file()]
    near = get_close_matches(path.name, sorted(names), n=1)
    new = f"reconcile simulate new --demo --world {shlex.quote(str(path))}"
    hint = f"did you mean simulator:{path.parent / near[0]}?" if near else ""
    return ReconcileError(f"there is no world {path}", hint or f"make one with: {new}")


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


class _Misfit(Exception):
    """A value that does not fit its field; `path` leads to it."""

    def __init__(self, path: hujson.Path, message: str) -> None:
        super().__init__(f"{_spelled(path)} {message}")
        self.path = path


def _spelled(path: hujson.Path) -> str:
    """Return a path as people write it: nodes[0].id."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).lstrip(".") or "the world"


def _value(hint: Any, value: Any, path: hujson.Path) -> Any:
    """Return a JSON value as the type that a field wants."""
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, path)
    if isinstance(hint, types.UnionType):
        inner = typing.get_args(hint)[0]
        return None if value is None else _value(inner, value, path)
    wanted = typing.get_origin(hint) or hint
    if wanted is not Any and type(value) is not wanted:
        raise _Misfit(path, f"must be {_WORDS[wanted]}")
    if wanted is list:
        (inner,) = typing.get_args(hint)
        return [_value(inner, item, (*path, i)) for i, item in enumerate(value)]
    if wanted is dict:
        _, inner = typing.get_args(hint)
        return {
            name: _value(inner, item, (*path, name)) for name, item in value.items()
        }
    return value


_WORDS = {
    bool: "true or false",
    dict: "an object",
    int: "a whole number",
    list: "a list",
    str: "a text",
}


def _record(kind: Any, value: Any, path: hujson.Path) -> Any:
    if not isinstance(value, dict):
        raise _Misfit(path, "must be an object")
    hints = typing.get_type_hints(kind)
    for name in value:
        if name not in hints:
            raise _Misfit(path, f"has no field {quoted(name)}")
    for spec in dataclasses.fields(kind):
        needed = spec.default is spec.default_factory is dataclasses.MISSING
        if needed and spec.name not in value:
            raise _Misfit(path, f"needs {quoted(spec.name)}")
    return kind(**{n: _value(hints[n], v, (*path, n)) for n, v in value.items()})


def _opened(lock: Path) -> typing.IO[str]:
    """Open a lock, but not where a link leads: a stranger may have put it there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    return os.fdopen(os.open(lock, flags, 0o666), "a")


class WorldFile:
    """A world file shared by threads and processes.

    `changing` holds a lock for one read-modify-write, so that two processes never
    overwrite each other, and reads the file again only when it has changed.

    `create` makes the world of a file that is missing; without it that is an error,
    a ReconcileError. With `only_read` nothing is written, not even a lock.
    """

    def __init__(
        self,
        path: Path,
        create: Callable[[], World] | None = World,
        *,
        only_read: bool = False,
    ) -> None:
        if create is None and not path.exists():
            raise _missing(path)
        self.path = path
        self._only_read = only_read
        self._seen: tuple[int, int, int] | None = None
        self._text = ""
        if path.exists():
            self.world = self._read()
            return
        create = create or World
        with self._locked():
            if not path.exists():
                self.world = create()
                self._write(self.world.as_json())
            self.world = self._read()

    @contextlib.contextmanager
    def reading(self) -> Iterator[World]:
        """Yield the newest world, which is not to be changed.

        It needs no lock: the file is replaced in one step.
        """
        self.world = self._read()
        yield self.world

    @contextlib.contextmanager
    def changing(self) -> Iterator[World]:
        """Yield the newest world, and write it back if it was changed."""
        if self._only_read:
            with self.reading() as world:
                yield world
            return
        with self._locked():
            self.world = self._read()
            try:
                yield self.world
            except BaseException:
                self._seen = None  # half a change is none: read what is kept again
                raise
            text = self.world.as_json()
            if text != self._text:
                self._write(text)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            held = _opened(lock)
        except OSError as problem:
            raise self._unusable(problem) from None
        with held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _unusable(self, problem: OSError | UnicodeDecodeError) -> ReconcileError:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
        return ReconcileError(
            f"cannot use the world {self.path}: {reason}",
            "name a file in a folder that exists and may be written to",
        )

    def _read(self) -> World:
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return self.world
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise self._unusable(problem) from None
        world = parse(text, str(self.path))
        self._seen, self._text = stamp, world.as_json()
        return world

    def _write(self, text: str) -> None:
        """Replace the file in one step: a reader sees the old world or the new one."""
        disk.overwrite(self.path, text.encode(), private=True)
        self._seen, self._text = self._stamp(), text

    def _stamp(self) -> tuple[int, int, int]:
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

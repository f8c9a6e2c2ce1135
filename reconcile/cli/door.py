"""The door through which everything that is printed leaves: secrets stay inside."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from reconcile.source.mask import masked


class _Door:
    """A text stream that writes to another one, without secrets."""

    buffer = None  # bytes would pass beside it

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(masked(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def behind_door() -> Iterator[None]:
    """Let standard output and standard error pass the door while the block runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Door(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def tell_unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what nothing caught, as Python does, without secrets."""
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(masked("".join(lines)))

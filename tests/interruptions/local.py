"""What can happen at a local write: a file, a ref of git, a program that is run.

Python tells an audit hook before each of them, so that no write can be forgotten. The
state before one write is the state after the one before it.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITES = ("os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate", "os.symlink")
_READING_GIT = ("cat-file", "rev-parse", "for-each-ref", "--get-all")


def _signalled(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


LOCAL: dict[str, Callable[[], None]] = {
    **{
        name: _signalled(signal.Signals[name])
        for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
    },
    "full disk": _full,
}


@dataclass
class AtWrite:
    """Do something of `LOCAL` at one local write below a folder.

    `reached` is a file that tells, once it is there, that the write came.
    """

    number: int
    kind: str
    folder: str
    reached: str
    seen: int = 0

    def listen(self) -> None:
        """Watch this process from now on; there is no way back."""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_write(event, arguments):
            return
        self.seen += 1
        if self.seen - 1 == self.number:
            Path(self.reached).touch()
            LOCAL[self.kind]()

    def _is_write(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "subprocess.Popen":
            words = list(map(str, arguments[1]))
            return not any(word in words for word in _READING_GIT)
        if event == "open":
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            return bool(writes) and self._is_ours(path)
        return event in _WRITES and self._is_ours(arguments[0])

    def _is_ours(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        return os.path.abspath(path).startswith(self.folder)

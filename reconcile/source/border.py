"""How far files reach: a stranger's file reads nothing outside of its repository."""

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from reconcile.source.git import top_of, written

NO_FILE = "it is a device or a pipe, not a file"
OUTSIDE = "it is outside"
# What a shell makes of `<(command)`, and standard input: not in any repository.
_OF_THE_SHELL = ("/dev/", "/proc/self/fd/")


@dataclass(frozen=True, slots=True)
class Border:
    """The folder that a file and all that it names must be in; git's own is not.

    `repository` tells whether it is one, and not just a folder.
    """

    root: Path
    repository: bool = True

    def outside(self, path: str) -> str:
        """Return why a file is not to be read, "" for one that is inside.

        What a path leads to counts, over all links.
        """
        try:
            real = Path(path).resolve()
            inside = real.relative_to(self.root).parts
        except ValueError:  # which also a NUL in the name is
            return OUTSIDE
        except (OSError, RuntimeError):  # a loop of links
            return "its links lead nowhere"
        if any(part.lower() == ".git" for part in inside):
            return "it is git's own"
        return _no_file(real)


def around(path: str) -> Border:
    """Return the border of a file that is named on the command line.

    It is the repository that the file is in, or its folder where there is none.
    """
    file = written(path)
    top = top_of(file)
    return Border((top or file.parent).resolve(), top is not None)


def identity(path: str) -> str:
    """Return one name for a file, whatever links lead to it."""
    try:
        return os.path.realpath(path)
    except ValueError:  # a NUL in the name: no file has it
        return path


def of_the_shell(path: str) -> bool:
    """Tell a path that only a command line can mean, such as `<(command)` makes."""
    return path.startswith(_OF_THE_SHELL)


def _no_file(path: Path) -> str:
    """Return what is wrong with a thing that is no file: reading may never end."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""  # whoever reads it says why it cannot be read
    if S_ISREG(mode) or S_ISDIR(mode):
        return ""
    return NO_FILE

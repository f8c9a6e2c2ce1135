"""Writing files whole or not at all, and results to wherever a person wants them."""

import os
import re
import shlex
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE, S_ISREG

from reconcile.errors import ReconcileError, Refused
from reconcile.source import border
from reconcile.source.mask import masked

STDOUT = "-"
_NAMED = {STDOUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
# What is being written, by the process of this number, until it takes its place.
_UNFINISHED = re.compile(r"\.reconcile-(\d+)-[0-9a-f]+")


def output(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a result where a person asked for it; `-` is standard output.

    Otherwise like `overwrite`. Raises ReconcileError when it cannot be written, and
    Refused where a link leads out of its repository.
    """
    require_no_secret(path, data)
    number = _descriptor(str(path))
    if number is None:
        require_here(path)
        overwrite(path, data, private=private)
        return
    try:
        sys.stdout.flush()
        with os.fdopen(os.dup(number), "wb") as stream:
            stream.write(data)
    except OSError as error:
        name = "standard output" if number == 1 else str(path)
        raise _unwritten(name, error) from None


def require_here(path: Path) -> None:
    """Raise Refused for a path that a link in a repository leads out of it.

    The link may be a stranger's, and so would be what the result replaces.
    """
    around = border.around(str(path))
    if not around.repository or around.outside(str(path)) != border.OUTSIDE:
        return
    real = border.identity(str(path))
    raise Refused(
        f"{path} is a link that leads out of the repository, to {real}; it is not "
        "written",
        f"where that is meant, name it: {shlex.quote(real)}",
    )


def is_stdout(path: Path | None) -> bool:
    """Tell whether a result goes to standard output, where nothing else should then."""
    return path is not None and _descriptor(str(path)) == 1


def _descriptor(path: str) -> int | None:
    """Return the open file that a path stands for.

    Opening `/dev/stdout` anew would write over what stands in its file already.
    """
    found = _DESCRIPTOR.fullmatch(path)
    return int(found[1]) if found else _NAMED.get(path)


def overwrite(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace a file in one step: a reader sees the old content or the new one.

    Owner and permissions stay, symbolic links are followed, and what is no regular
    file (a device, a pipe) is written through. A new file may be read by whom the
    umask lets, and a `private` one by nobody else. Raises ReconcileError when it
    cannot be written; then nothing has changed.
    """
    try:
        real = path.resolve()
        now = real.stat() if real.exists() else None
        if now and not S_ISREG(now.st_mode):
            with real.open("wb") as file:
                file.write(data)
        else:
            _replace(real, data, now, 0o600 if private else 0o666)
    except OSError as error:
        raise _unwritten(path, error) from None
    except (RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
        raise ReconcileError(f"cannot write {path}: {error}") from None


def _replace(path: Path, data: bytes, now: os.stat_result | None, mode: int) -> None:
    """Write a file beside another and put it in its place; `mode` is for a new one."""
    _sweep(path.parent)
    temporary = path.with_name(f".reconcile-{os.getpid()}-{token_hex(4)}")
    try:
        # Until it has its owner, nobody else reads what may have been a secret's place.
        made = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if now else mode
        )
        with os.fdopen(made, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if now:
            os.chown(temporary, now.st_uid, now.st_gid)
            temporary.chmod(S_IMODE(now.st_mode))
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@cache
def _sweep(folder: Path) -> None:
    """Remove what runs left in a folder that were killed while they wrote."""
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208
            found = _UNFINISHED.fullmatch(name)
            if found and not _runs(int(found[1])):
                (folder / name).unlink()


def _runs(process: int) -> bool:
    """Tell whether a process runs; True where that cannot be asked."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def create(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, or leave none.

    Raises ReconcileError when it exists or cannot be written.
    """
    require_no_secret(path, data)
    made = False
    try:
        with path.open("xb") as file:
            made = True
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # some disks are found to be full only here
    except FileExistsError:
        raise ReconcileError(
            f"{path} exists and is not overwritten",
            "move it away, or choose another folder with -o DIR",
        ) from None
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise _unwritten(path, error) from None


def require_no_secret(path: Path | str, data: bytes) -> None:
    """Raise ReconcileError for a secret of this run in what is to be written.

    Half of a policy would be worse than none.
    """
    text = data.decode("utf-8", "replace")
    if masked(text) != text:
        raise ReconcileError(
            f"{path} would hold the API key or another secret of this run",
            "it is in what the server or the files say: take it out there, and make "
            "a new key",
        )


def _unwritten(name: Path | str, error: OSError) -> ReconcileError:
    return ReconcileError(f"cannot write {name}: {error.strerror}")

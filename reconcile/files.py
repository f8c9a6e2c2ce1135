"""Writing files whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

from reconcile.errors import ReconcileError


def write(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
) -> None:
    """Replace a file in one step: a reader sees the old content or the new one.

    `owner` is the user and the group that it shall have, if not ours.
    Raises ReconcileError when it cannot be written; then nothing has changed.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if owner:
            os.chown(temporary, *owner)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise ReconcileError(f"cannot write {path}: {error.strerror}") from None


def overwrite(path: Path, data: bytes) -> None:
    """Like `write`, but owner, permissions and symbolic links stay as they are."""
    real = path.resolve()
    try:
        now = real.stat()
    except OSError:  # there is none yet, or `write` tells what is wrong
        write(real, data)
        return
    write(real, data, mode=S_IMODE(now.st_mode), owner=(now.st_uid, now.st_gid))


def create(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet. Raises ReconcileError when it does."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise ReconcileError(
            f"{path} exists and is not overwritten",
            "move it away, or choose another folder with -o DIR",
        ) from None
    except OSError as error:
        raise ReconcileError(f"cannot write {path}: {error.strerror}") from None

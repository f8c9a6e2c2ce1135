"""Where an API key comes from, and a type that never prints it."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconcile.errors import AuthError
from reconcile.source.mask import remember


class Secret:
    """A string that shows itself only when asked with `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; only the HTTP client has a use for it."""
        return self._value

    def __repr__(self) -> str:
        return "(secret)"


def from_env(name: str, environ: Mapping[str, str]) -> Secret:
    """Return the key in the variable `name`. Raises AuthError when it is not set."""
    value = environ.get(name, "")
    if not value.strip():
        raise AuthError(
            f"no API key: the variable {name} is not set",
            f"make a key on the server with `headscale apikeys create` and "
            f"export {name}=…",
        )
    return _checked(value, f"the variable {name}")


def from_file(path: str) -> Secret:
    """Return the key that stands in a file. Raises AuthError when it cannot."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise AuthError(
            f"cannot read the API key from {path}: {reason}",
            "put the key alone into that file, or name another in `credentials`",
        ) from None
    return _checked(text, path)


def from_command(command: Sequence[str], environ: Mapping[str, str]) -> Secret:
    """Return the key that a program prints, such as `pass show headscale`.

    `environ` are the variables that it gets. Its error output is not repeated, since
    a program of this sort may print secrets. Raises AuthError when the program cannot
    be run, fails, or takes over a minute.
    """
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environ,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise AuthError(
            f"cannot get the API key: {command[0]} did not run ({reason})",
            "run the command of `credentials` by hand to see why",
        ) from None
    if done.returncode != 0:
        raise AuthError(
            f"cannot get the API key: {command[0]} ended with status {done.returncode}",
            "run the command of `credentials` by hand to see why",
        )
    return _checked(done.stdout, command[0])


def _checked(text: str, origin: str) -> Secret:
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise AuthError(
            f"what {origin} holds is not an API key",
            "a key is one line of letters, digits, dots and dashes, as "
            "`headscale apikeys create` prints it",
        )
    remember(key)
    return Secret(key)

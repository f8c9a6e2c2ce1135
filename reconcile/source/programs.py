"""What a program that is run gets of the environment: what it needs, and no secret."""

import re
from collections.abc import Callable, Collection, Mapping

# Where programs are, who runs them, how they speak, and how they ask for a passphrase.
_NEEDED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TERM|TMPDIR|TEMP|TMP|XDG_\w+"
    r"|SYSTEMROOT|USERPROFILE|APPDATA|PROGRAMDATA"
    r"|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|DBUS_SESSION_BUS_ADDRESS"
    r"|GNUPGHOME|GPG_TTY|PASSWORD_STORE_DIR|SSH_AUTH_SOCK|SSH_AGENT_PID"
)

_LONG = 16  # characters of a key that no other text holds by chance


def environment(
    environ: Mapping[str, str],
    also: Collection[str] = (),
    secret: Callable[[str], bool] = lambda _value: False,
) -> dict[str, str]:
    """Return the part of the environment that a program may have.

    `also` are the names of variables that it gets beside those that every program
    needs. A value that `secret` knows for one is left out, whatever its name is.
    """
    return {
        name: value
        for name, value in environ.items()
        if (_NEEDED.fullmatch(name.upper()) or name in also) and not secret(value)
    }


def holds(text: str, key: str) -> bool:
    """Tell whether a key stands in a text; a short one only if it is the whole text."""
    key = key.strip()
    return bool(key) and (key in text if len(key) >= _LONG else key == text.strip())

"""Variables in texts: filled in from the environment, shown only as written."""

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches

from reconcile.errors import Diagnostic

_VARIABLE = re.compile(
    r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<bad>))"
)


# Variables that are called a secret: no text has a use for their value.
_SECRET = re.compile(
    r"(?:^|_)(?:KEY|PASS|AUTH|CREDENTIAL)S?$|SECRET|TOKEN|PASSW", re.IGNORECASE
)
# Variables that are meant for this program.
_OURS = re.compile(r"(?:HEADSCALE|RECONCILE)_\w+")


class Expanded(str):
    """A text that holds the value of a variable: shown as written, never expanded."""

    __slots__ = ("written",)
    written: str


def quoted(text: str) -> str:
    """Return a text as its file spells it: in backquotes, or as JSON if it is odd."""
    text = as_written(text)
    plain = text.isprintable() and "`" not in text and text.strip() == text != ""
    return f"`{text}`" if plain else json.dumps(text)


def as_written(value: object) -> str:
    """Return a value as its file spells it, so that no variable's value leaks."""
    return value.written if isinstance(value, Expanded) else str(value)


def used(value: object) -> list[str]:
    """Return the names of the variables that a value of a file is made with."""
    found = _VARIABLE.finditer(as_written(value))
    return [each["name"] for each in found if each["name"]]


def is_ours(name: str) -> bool:
    """Tell a variable that is meant for this program, whatever the files say."""
    return bool(_OURS.fullmatch(name))


def fill_in(written: str, environ: Mapping[str, str]) -> tuple[str, Diagnostic | None]:
    """Return a text with its variables filled in, and what is wrong with one of them.

    `${NAME}` is a variable, `${NAME:-default}` one with a default for when it is not
    set or empty, and `$${` stands for `${`.
    """
    problems: list[Diagnostic] = []

    def value(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found.group() == "$${":
            return "${"
        if name is None:
            problems.append(_malformed())
            return found.group()
        if _SECRET.search(name):
            problems.append(_secret(name))
            return found.group()
        known = environ.get(name)
        if default is not None:
            return known or str(default[2:])
        if known is None:
            problems.append(_unset(name, environ))
            return found.group()
        return known

    text = Expanded(_VARIABLE.sub(value, written))
    text.written = written
    return text, problems[0] if problems else None


def _secret(name: str) -> Diagnostic:
    return Diagnostic(
        "RC0704",
        f"the variable {name} is called a secret, and is filled into no text",
        label="would be printed",
        why="plans, findings and policies show what files say",
        help="a server's key is named in `credentials`; call anything else by "
        "another name",
    )


def _unset(name: str, environ: Mapping[str, str]) -> Diagnostic:
    close = get_close_matches(name, sorted(environ), n=1, cutoff=0.8)
    near = f"; did you mean {close[0]}?" if close else ""
    return Diagnostic(
        "RC0009",
        f"the variable {name} is not set",
        label="no value for it",
        help=f"set it, or give a default: ${{{name}:-default}}{near}",
    )


def _malformed() -> Diagnostic:
    return Diagnostic(
        "RC0009",
        "`${` does not begin a variable here",
        help="write ${NAME} or ${NAME:-default}; for the text itself write $${",
    )

"""Where something is wrong, what is wrong, and the errors that say so.

ReconcileError            exit 1   everything that this tool raises on purpose
├── UsageError            exit 64  the command line does not make sense
├── InputError            exit 1   files that cannot be read, or read but are wrong
│                         exit 4   files that want what a file may not do (RC07xx)
├── ServerError           exit 1   the control server said no, or something odd
│   ├── Unreachable                no answer at all: network, TLS, time-out
│   ├── AuthError                  the credential is missing, wrong or expired
│   ├── NotFound                   the object is not there (any more)
│   ├── Rejected                   the server refused the content of a request
│   └── NotAControlServer          something answered, but not Headscale's API
├── StalePlan             exit 3   what was planned no longer matches reality
└── Refused               exit 4   a rule of this tool or of the server forbids it
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal, Protocol

from reconcile.remedies import Way

Severity = Literal["error", "warning"]


class Exit(IntEnum):
    """The exit codes, as the README's table lists them."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    STALE = 3
    REFUSED = 4
    PARTIAL = 5
    NOT_APPLIED = 6
    TESTS_FAILED = 7
    USAGE = 64


class HasLines(Protocol):
    """A text that can be asked for one of its lines, counted from 1."""

    def line(self, number: int) -> str:
        """Return a line without its end."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file: 1-based line and column, and the text that it is in.

    `length` is how many characters the finding is about. The line itself is looked up
    only when an excerpt is drawn: one line may hold thousands of places.
    """

    file: str
    line: int
    column: int
    length: int = 1
    lines: HasLines | None = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The whole source line, "" where the text is not known."""
        return self.lines.line(self.line) if self.lines else ""

    def unseen(self) -> "Position":
        """Return the same place without its line, which may hold a secret."""
        return replace(self, lines=None)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that explains a diagnostic, with a few words on why."""

    position: Position
    label: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong, where, why, and what to do.

    `code` is stable (RC0107); `label` stands under the excerpt; `why` is the cause
    and `help` the remedy, each one sentence or empty. `ways` holds what `help` offers
    as edits and commands; each of them alone is a way out. `address` names the object
    that it is about (`node:nas`), where there is one; `about` holds more names by which
    the files may accept it, the best one first.
    """

    code: str
    message: str
    position: Position | None = None
    severity: Severity = "error"
    label: str = ""
    why: str = ""
    help: str = ""
    related: tuple[Related, ...] = ()
    address: str = ""
    ways: tuple[Way, ...] = ()
    about: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.position}: " if self.position else ""
        return f"{place}{self.severity}[{self.code}]: {self.message}"


_OF_TESTS = frozenset({"RC0610", "RC0611"})
_OF_LEAVE = "RC07"  # what a file may not do


def exit_of(findings: Iterable[Diagnostic]) -> Exit:
    """Return how a command ends because of findings.

    It is 4 when a file wants what it may not do, and 7 when only tests failed.
    """
    errors = {found.code for found in findings if found.severity == "error"}
    if not errors:
        return Exit.OK
    if any(code.startswith(_OF_LEAVE) for code in errors):
        return Exit.REFUSED
    return Exit.TESTS_FAILED if errors <= _OF_TESTS else Exit.ERROR


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of several servers: any error counts more than changes."""
    harmless = (Exit.OK, Exit.CHANGES)
    return max(codes, key=lambda code: (code not in harmless, code), default=Exit.OK)


class ReconcileError(Exception):
    """Base of every error raised on purpose; `hint` is the next thing to do."""

    exit_code = Exit.ERROR

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ReconcileError):
    """The command line does not make sense."""

    exit_code = Exit.USAGE


class InputError(ReconcileError):
    """Files that cannot be read, or that read but are wrong; holds every finding."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        text = "\n".join(str(finding) for finding in self.diagnostics)
        alone = len(self.diagnostics) == 1
        super().__init__(text, self.diagnostics[0].help if alone else "")
        if exit_of(self.diagnostics) == Exit.REFUSED:
            self.exit_code = Exit.REFUSED


MOST_ERRORS = 1000  # of one run; nobody reads more


def too_many(found: Iterable[Diagnostic]) -> InputError:
    """Return the error that ends a run after `MOST_ERRORS` errors, with all of them."""
    last = Diagnostic(
        "RC0031",
        f"more than {MOST_ERRORS:,} errors; what follows them was not looked at",
        help="mend the first ones, one mistake may be behind many",
    )
    return InputError((*found, last))


# What taking a JSON document of the wrong shape apart raises.
WRONG_SHAPE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    RecursionError,
)


def not_ours(
    code: str, what: str, path: str, error: Exception, remedy: str
) -> InputError:
    """Return the error for a file that should be one of ours (`what`) and is not.

    `error` is what taking it apart raised; only a ValueError has words for people.
    """
    reason = str(error) if isinstance(error, ValueError) else "parts are missing"
    return InputError(
        [
            Diagnostic(
                code,
                f"{path} is not a {what} of reconcile",
                Position(path, 1, 1),
                why=reason.split("\n")[0][:120],
                help=remedy,
            )
        ]
    )


class ServerError(ReconcileError):
    """The control server said no, or answered something that cannot be understood.

    `status` is the HTTP status (0 when there was no answer), `request` the method
    and path, never a header or a body.
    """

    def __init__(
        self, message: str, hint: str = "", *, status: int = 0, request: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.request = request


class Unreachable(ServerError):
    """No answer: connection refused, name not found, TLS failure, time-out."""


class AuthError(ServerError):
    """The credential is missing, wrong or expired."""


class NotFound(ServerError):
    """The object is not there, or not any more."""


class Rejected(ServerError):
    """The server refused the content of a request."""


class NotAControlServer(ServerError):
    """Something answered, but it does not speak the control server's API."""


class NotApplied(ReconcileError):
    """A write went well, and the server shows otherwise."""

    exit_code = Exit.NOT_APPLIED


class StalePlan(ReconcileError):
    """What was planned no longer matches the server or the files."""

    exit_code = Exit.STALE


class Refused(ReconcileError):
    """A rule of this tool, or of the server, forbids what was asked."""

    exit_code = Exit.REFUSED

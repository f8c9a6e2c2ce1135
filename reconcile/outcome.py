"""What becomes of an apply: made by `apply`, printed by `report`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reconcile.diff.changes import Change
from reconcile.errors import Exit
from reconcile.order import Step

Status = Literal["done", "converged", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step: its status, why, and how long it took in seconds.

    `converged` is what became as wanted in the meantime without us: nothing was
    written. `lost` is True when no answer came, so that the write may have happened.
    """

    step: Step
    status: Status
    error: str = ""
    hint: str = ""
    seconds: float = 0.0
    lost: bool = False

    @property
    def holds(self) -> bool:
        """Whether the object is as wanted, so that what waits for it can go on."""
        return self.status in ("done", "converged")


Progress = Callable[[Result, int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an apply: every result, and the changes that did not stick.

    `unread` is the reason why the server could not be read back, "" normally.
    """

    results: tuple[Result, ...]
    not_applied: tuple[Change, ...] = ()
    unread: str = ""
    interrupted: bool = False

    def of(self, status: Status) -> tuple[Result, ...]:
        """Return the results with one status."""
        return tuple(result for result in self.results if result.status == status)

    @property
    def exit_code(self) -> Exit:
        """5 when something is left to do, 6 when the read-back differs, else 0."""
        if self.of("failed") or self.of("skipped"):
            return Exit.PARTIAL
        return Exit.NOT_APPLIED if self.not_applied or self.unread else Exit.OK

"""What becomes of an apply: made by `apply`, printed by `report`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reconcile.diff.changes import Change
from reconcile.errors import Exit
from reconcile.order import Step

if TYPE_CHECKING:
    from reconcile.checks import Checks

Status = Literal["done", "converged", "failed", "unseen", "skipped"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step: its status, why, and how long it took in seconds.

    `converged` is what became as wanted in the meantime without us: nothing was
    written. `unseen` is what went well and does not show on the server. `lost` is True
    when no answer came, so that the write may have happened.
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

    `unread` is the reason why the server could not be read back, "" normally. `checks`
    is what became of the assertions in what was read back.
    """

    results: tuple[Result, ...]
    not_applied: tuple[Change, ...] = ()
    unread: str = ""
    interrupted: bool = False
    checks: "Checks | None" = None

    def of(self, status: Status) -> tuple[Result, ...]:
        """Return the results with one status."""
        return tuple(result for result in self.results if result.status == status)

    @property
    def exit_code(self) -> Exit:
        """5: something is left to do, 6: the read-back differs, 7: assertions fail."""
        if self.of("failed") or (self.of("skipped") and not self.of("unseen")):
            return Exit.PARTIAL
        if self.of("unseen") or self.not_applied or self.unread:
            return Exit.NOT_APPLIED
        failed = self.checks is not None and self.checks.failed
        return Exit.TESTS_FAILED if failed else Exit.OK

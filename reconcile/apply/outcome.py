"""What becomes of an apply: made by `apply`, printed by `report`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reconcile.errors import Exit
from reconcile.plan.changes import Change
from reconcile.plan.order import Step

if TYPE_CHECKING:
    from reconcile.plan.plan import Plan
    from reconcile.review.tests import Checks

# How long an apply waits, at most, for others who read before it wrote (seconds).
PATIENCE = 5.0

Status = Literal["done", "converged", "failed", "unseen", "skipped"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step: its status, why, and how long it took in seconds.

    `converged` is what became as wanted in the meantime without us: nothing was
    written. `unseen` is what went well and does not show on the server. `lost` is True
    when no answer came, so that the write may have happened, and `refused` when it did
    not happen, maybe because somebody else made the same. `window` are the seconds from
    reading the object to the end of the write: what somebody else wrote in between is
    not seen.
    """

    step: Step
    status: Status
    error: str = ""
    hint: str = ""
    seconds: float = 0.0
    window: float = 0.0
    lost: bool = False
    refused: bool = False

    @property
    def holds(self) -> bool:
        """Whether the object is as wanted, so that what waits for it can go on."""
        return self.status in ("done", "converged")


@dataclass(frozen=True, slots=True)
class Overwritten:
    """A field that this run wrote and somebody else wrote over before the end.

    It has the value that the plan was made from, the one that was written, and the one
    that is there now. Without a field, the whole object was removed.
    """

    address: str
    field: str = ""
    planned: Any = None
    written: Any = None
    now: Any = None


Progress = Callable[[Result, int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an apply: every result, and the changes that did not stick.

    `overwritten` tells of those that somebody else undid, and `moved` is what somebody
    else changed of what this plan did not touch, so that it is due now.
    `unread` is the reason why the server could not be read back, "" normally;
    `read_back` is the plan of what was read, and `checks` what became of the assertions
    in it.
    """

    results: tuple[Result, ...]
    not_applied: tuple[Change, ...] = ()
    overwritten: tuple[Overwritten, ...] = ()
    moved: tuple[Change, ...] = ()
    unread: str = ""
    interrupted: bool = False
    read_back: "Plan | None" = None
    checks: "Checks | None" = None

    @property
    def late(self) -> tuple[Result, ...]:
        """The writes that nobody who waits for PATIENCE at most sees."""
        return tuple(r for r in self.of("done") if r.window > PATIENCE)

    def of(self, status: Status) -> tuple[Result, ...]:
        """Return the results with one status."""
        return tuple(result for result in self.results if result.status == status)

    @property
    def exit_code(self) -> Exit:
        """5: something is left to do, 6: the read-back differs, 7: assertions fail."""
        if self.of("failed") or (self.of("skipped") and not self.of("unseen")):
            return Exit.PARTIAL
        differs = self.not_applied or self.overwritten or self.moved
        if self.of("unseen") or differs or self.unread:
            return Exit.NOT_APPLIED
        failed = self.checks is not None and self.checks.failed
        return Exit.TESTS_FAILED if failed else Exit.OK

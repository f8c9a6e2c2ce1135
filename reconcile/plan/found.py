"""What the diff of each kind adds to: lists that become a Difference at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconcile.desired.state import WantedNode
from reconcile.errors import Diagnostic, Position, Severity
from reconcile.kinds import BY_NAME
from reconcile.model import Natural, natural
from reconcile.plan.changes import Change, Difference, Pending, Replaced, Unlisted
from reconcile.remedies import Help, Put


@dataclass(slots=True)
class Found:
    """The findings of a diff in the making.

    `if_unsupported` is the severity of a setting that the server cannot make;
    `removed_nodes` holds the server ids of nodes that this diff removes, `unnameable`
    those whose wanted name another node keeps, with that node's id. `formerly` has the
    entries that were applied last, by name.
    """

    if_unsupported: Severity = "error"
    changes: list[Change] = field(default_factory=list)
    stuck: list[Change] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    replaced: list[Replaced] = field(default_factory=list)
    unlisted: list[Unlisted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    removed_nodes: set[str] = field(default_factory=set)
    unnameable: dict[str, str] = field(default_factory=dict)
    formerly: Mapping[str, WantedNode] = field(default_factory=dict)

    def unsupported(
        self,
        code: str,
        message: str,
        position: Position | None,
        *,
        why: str,
        remedy: Help,
        address: str,
    ) -> None:
        """Note why a declared setting cannot be made; the caller adds to `stuck`.

        `remedy` leaves the setting as it is; that it may be a warning is added.
        """
        warn = Put(("if_unsupported",), "warn")
        self.problems.append(
            Diagnostic(
                code,
                message,
                position,
                self.if_unsupported,
                why=why,
                help=f"{remedy['help']}, or set {warn}",
                ways=(*remedy.get("ways", ()), (warn,)),
                address=address,
            )
        )

    def finish(self) -> Difference:
        """Return everything found, in an order that depends on nothing but names."""
        return Difference(
            changes=tuple(sorted(self.changes, key=_by_address)),
            stuck=tuple(sorted(self.stuck, key=_by_address)),
            pending=tuple(sorted(self.pending, key=_by_address)),
            replaced=tuple(sorted(self.replaced, key=_by_address)),
            unlisted=tuple(sorted(self.unlisted, key=_by_section)),
            notes=tuple(self.notes),
            problems=tuple(self.problems),
        )


def _by_address(item: Change | Pending | Replaced) -> Natural:
    return natural(item.address)


def _by_section(unlisted: Unlisted) -> tuple[int, Natural]:
    return list(BY_NAME).index(unlisted.kind), natural(unlisted.address)

"""What a diff finds: changes, pending nodes, objects that the file does not list."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from reconcile.errors import Diagnostic, Position
from reconcile.remedies import Put, Way

State = dict[str, Any]
# Findings that stand for something that is not as desired: errors in a plan, which
# cannot go there, and drift in the eyes of `drift`, which only says so.
DIFFERENCES = frozenset(
    {"RC0206", "RC0212", "RC0302", "RC0303", "RC0304", "RC0305", "RC0306", "RC0309"}
)


class Action(StrEnum):
    """What happens to an object, with the symbol that stands for it in a plan."""

    CREATE = "create"
    UPDATE = "update"
    RENAME = "rename"
    DELETE = "delete"

    @property
    def symbol(self) -> str:
        """The sign in front of a change: + ~ > -."""
        return {"create": "+", "update": "~", "rename": ">", "delete": "-"}[self]


class Origin(StrEnum):
    """Who moved, seen from what was applied last, the weakest first.

    Intent: the files did, or nobody knows. Due: time did. Drift: the server did.
    Conflict: both did, to different ends.
    """

    INTENT = "intent"
    DUE = "due"
    DRIFT = "drift"
    CONFLICT = "conflict"

    @property
    def moved(self) -> bool:
        """Whether the server is not as it was after the last apply."""
        return self in ("drift", "conflict")


def word(value: Any) -> str:
    """Return the value of a field as people write it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "(none)" if value in (None, "") else str(value)


@dataclass(frozen=True, slots=True)
class OneWay:
    """A part of a change that this tool cannot take back.

    `field` is the field whose change causes it ("" for a removal), `label` what moves
    (`owner`), `text` how (`alice -> (tagged)`), `why` the sentence for people.
    """

    field: str
    label: str
    text: str
    why: str

    def __str__(self) -> str:
        return f"{self.label}: {self.text}"


@dataclass(frozen=True, slots=True)
class PolicyItem:
    """One thing that a new policy does: `op` is add, remove, change or move.

    `subject` names it as people do (`acls[3]`), `effect` says whether it allows more
    (widen), less (narrow), the same (none) or cannot be said from the text (change).
    """

    op: str
    subject: str
    effect: str = "change"
    title: str = ""
    changes: tuple[str, ...] = ()
    position: Position | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """The sign in front of the line: + - ~ >."""
        return {"add": "+", "remove": "-", "change": "~", "move": ">"}[self.op]


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What a new policy text means next to the old one.

    `items` lead from the live policy to the wanted one, `drifted` the other way, and
    `moved`, in a conflict, from the one that was applied last to the live one.
    `unchanged` counts the rules that both have; `lines` the lines that differ.
    Without items the two texts differ in layout and comments alone. `warnings` are
    sentences about what the whole policy does ("allows everything"). `delivery` tells
    how it gets to a server that reads it from a file, "" where it goes over the API.
    """

    items: tuple[PolicyItem, ...] = ()
    drifted: tuple[PolicyItem, ...] = ()
    moved: tuple[PolicyItem, ...] = ()
    unchanged: int = 0
    lines: int = 0
    first: bool = False
    warnings: tuple[str, ...] = ()
    delivery: str = ""

    @property
    def formatting_only(self) -> bool:
        """Whether the two texts mean the same, word for word."""
        return not self.items and not self.first


@dataclass(frozen=True, slots=True)
class Change:
    """One object that is not as desired.

    `before` is everything manageable of the live object ({} for a new one) and
    `after` the fields that shall change, both in JSON's types. `notes` maps a field
    to a remark; `caveats` are sentences for people. `blocked` says why the server
    will not take it, "" normally. `policy` tells what a new policy text means;
    `bridge` is the text that is in force while nodes change their tags, "" for none.
    `origins` has the fields ("" for a removal) that are not simply intent; `applied`
    has what was applied last of those in conflict, the policy's text apart.
    """

    address: str
    kind: str
    action: Action
    server_id: str = ""
    position: Position | None = None
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    reason: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    irreversible: tuple[OneWay, ...] = ()
    caveats: tuple[str, ...] = ()
    blocked: str = ""
    policy: PolicyChange | None = None
    bridge: str = ""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    applied: State = field(default_factory=dict)

    def origin_of(self, name: str) -> Origin:
        """Return the origin of one field."""
        return self.origins.get(name, Origin.INTENT)

    @property
    def origin(self) -> Origin:
        """The strongest of the fields' origins."""
        return max(self.origins.values(), key=list(Origin).index, default=Origin.INTENT)

    def part(self, *, moved: bool) -> "Change | None":
        """Return what the server moved of it, or else the rest; None for nothing."""
        if self.action is not Action.UPDATE:
            return self if self.origin.moved == moved else None
        names = [n for n in self.after if self.origin_of(n).moved == moved]
        return self.only(names) if names else None

    @property
    def conflicts(self) -> tuple[str, ...]:
        """The addresses of what is in conflict: fields, or the whole object."""
        names = [n for n, o in self.origins.items() if o is Origin.CONFLICT]
        if self.action is Action.UPDATE and self.kind != "policy":
            return tuple(f"{self.address}.{name}" for name in names)
        return (self.address,) if names else ()

    def only(self, names: Container[str]) -> "Change":
        """Return the change with some of its fields, and what was said of those."""
        return replace(
            self,
            after={n: value for n, value in self.after.items() if n in names},
            notes={n: note for n, note in self.notes.items() if n in names},
            irreversible=tuple(way for way in self.irreversible if way.field in names),
            origins={n: origin for n, origin in self.origins.items() if n in names},
            applied={n: value for n, value in self.applied.items() if n in names},
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """A node of the file that is not on the server (yet), and what waits for it.

    `offers` holds the edits that the hint proposes. Its origin is drift when the files
    that were applied last had it as well.
    """

    address: str
    position: Position | None
    settings: int
    policy: str = ""
    hint: str = ""
    origin: Origin = Origin.INTENT
    offers: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True)
class Replaced:
    """An entry that stands for a device installed anew, since its match finds none.

    `server_id` and `name` are those of the node that it is now, and `alike` the fields
    that told. `match` is what to write into the file, "" when the old match will hold
    again once the changes are made.
    """

    address: str
    position: Position | None
    server_id: str
    name: str
    alike: Mapping[str, str]
    match: str = ""

    @property
    def offers(self) -> tuple[Way, ...]:
        """The match to write, as an edit of the entry."""
        path = ("nodes", self.address.partition(":")[2], "match")
        return ((Put(path, self.match),),) if self.match else ()


@dataclass(frozen=True, slots=True)
class Unlisted:
    """An object on the server that the file does not list.

    `yaml` is the entry to paste that takes it over as it is; it is "" where there can
    be none, and `why_not` says why.
    """

    address: str
    kind: str
    yaml: str
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that tells desired and live apart, and what was noticed on the way.

    `stuck` holds what is not as desired and cannot be made so on this server: no
    write follows from it, but it is drift all the same. `converged` holds (address,
    field) of what the files want since the last apply and the server has already.
    """

    changes: tuple[Change, ...] = ()
    stuck: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    converged: tuple[tuple[str, str], ...] = ()

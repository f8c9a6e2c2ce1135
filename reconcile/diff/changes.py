"""What a diff finds: changes, pending nodes, objects that the file does not list."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconcile.errors import Diagnostic, Position

State = dict[str, Any]
# Names that YAML reads as text without quotes.
_PLAIN = re.compile(
    r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[A-Za-z][\w.@-]*",
    re.ASCII | re.IGNORECASE,
)


# Findings that stand for something that is not as desired: errors in a plan, which
# cannot go there, and drift in the eyes of `drift`, which only says so.
DIFFERENCES = frozenset(
    {"RC0206", "RC0212", "RC0302", "RC0303", "RC0304", "RC0305", "RC0306"}
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

    `items` lead from the live policy to the wanted one, `drifted` the other way.
    `unchanged` counts the rules that both have; `lines` the lines that differ.
    Without items the two texts differ in layout and comments alone. `warnings` are
    sentences about what the whole policy does ("allows everything").
    """

    items: tuple[PolicyItem, ...] = ()
    drifted: tuple[PolicyItem, ...] = ()
    unchanged: int = 0
    lines: int = 0
    first: bool = False
    warnings: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Pending:
    """A node of the file that is not on the server (yet), and what waits for it."""

    address: str
    position: Position | None
    settings: int
    policy: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """An object on the server that the file does not list; `yaml` can be pasted."""

    address: str
    kind: str
    yaml: str

    @classmethod
    def plain(cls, kind: str, name: str) -> "Unlisted":
        """Return the entry that names an object and manages nothing of it."""
        key = name if _PLAIN.fullmatch(name) else json.dumps(name)
        return cls(f"{kind}:{name}", kind, f"{key}: {{}}")


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that tells desired and live apart, and what was noticed on the way.

    `stuck` holds what is not as desired and cannot be made so on this server: no
    write follows from it, but it is drift all the same.
    """

    changes: tuple[Change, ...] = ()
    stuck: tuple[Change, ...] = ()
    pending: tuple[Pending, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Diagnostic, ...] = ()

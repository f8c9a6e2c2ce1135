"""What the engine must know of each kind of object: one row a kind.

Loading, diff, plan, reports and import read from here what a field is called, how
two values are compared, in which phase it is written and what the server must be
able to do. Adding a kind means a row here, its part of the schema, and the lines
of the adapter that list and write it.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum


class Phase(IntEnum):
    """The order of an apply: forward steps first, then what takes away.

    Everything inside a phase may run in parallel; a phase starts when the one before
    has ended. Tags come after the policy because Headscale 0.28 and later refuse a
    tag that the live policy does not own; users go last because a user with nodes
    cannot be removed.
    """

    USERS = 2
    POLICY = 3
    KEYS = 4
    TAGS = 5
    NODES = 6
    SETTINGS = 7
    ROUTES_REMOVED = 8
    KEYS_REMOVED = 9
    POLICY_NARROWED = 10
    NODES_REMOVED = 11
    USERS_REMOVED = 12

    @property
    def label(self) -> str:
        """The words for this phase in the plan's order line."""
        return _PHASE_LABELS[self]


_PHASE_LABELS = {
    Phase.USERS: "users",
    Phase.POLICY: "policy",
    Phase.KEYS: "keys",
    Phase.TAGS: "node tags",
    Phase.NODES: "node names, routes, expiry",
    Phase.SETTINGS: "settings",
    Phase.ROUTES_REMOVED: "routes un-approved",
    Phase.KEYS_REMOVED: "keys expired",
    Phase.POLICY_NARROWED: "policy narrowed",
    Phase.NODES_REMOVED: "nodes removed",
    Phase.USERS_REMOVED: "users removed",
}


class Compare(Enum):
    """How two values of a field are compared, and so how a change is told."""

    TEXT = "text"
    SET = "set"
    FLAG = "flag"
    INSTANT = "instant"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind, under the same name in the file, the model and the plan.

    `phase` is when it is written, `shrinks` when a change that only takes away is
    written instead. `needs` names the capability that a server must have to change
    it on an existing object.
    """

    name: str
    compare: Compare
    phase: Phase
    shrinks: Phase | None = None
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its name in addresses (`user:alice`), its section in the file."""

    name: str
    section: str
    fields: tuple[Field, ...]
    created: Phase
    removed: Phase

    def field(self, name: str) -> Field:
        """Return a field of this kind by name; KeyError when there is none."""
        return next(f for f in self.fields if f.name == name)


USER = Kind(
    name="user",
    section="users",
    created=Phase.USERS,
    removed=Phase.USERS_REMOVED,
    fields=(
        Field("name", Compare.TEXT, Phase.USERS),
        Field("display_name", Compare.TEXT, Phase.USERS, needs="user.profile"),
        Field("email", Compare.TEXT, Phase.USERS, needs="user.profile"),
    ),
)

NODE = Kind(
    name="node",
    section="nodes",
    created=Phase.NODES,
    removed=Phase.NODES_REMOVED,
    fields=(
        Field("name", Compare.TEXT, Phase.NODES),
        Field("tags", Compare.SET, Phase.TAGS),
        Field("routes", Compare.SET, Phase.NODES, shrinks=Phase.ROUTES_REMOVED),
        Field("exit_node", Compare.FLAG, Phase.NODES, shrinks=Phase.ROUTES_REMOVED),
        Field("expiry", Compare.INSTANT, Phase.NODES),
    ),
)

POLICY = Kind(
    name="policy",
    section="policy",
    created=Phase.POLICY,
    removed=Phase.POLICY_NARROWED,
    fields=(Field("text", Compare.DOCUMENT, Phase.POLICY, needs="policy.write"),),
)

KINDS = (USER, POLICY, NODE)
BY_NAME = {kind.name: kind for kind in KINDS}

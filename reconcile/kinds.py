"""What the engine must know of each kind of object: one row a kind.

The order of the writes and the reports read from here what a kind is called in the
file and in which phase each of its fields is written. Adding a kind means a row here,
its part of the schema, and the lines of the adapter that list and write it.
"""

from dataclasses import dataclass
from enum import IntEnum


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


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind, under the same name in the file, the model and the plan.

    `phase` is when it is written (for a user's name: when the user is made as well),
    `shrinks` when a write that only takes away is made instead.
    """

    name: str
    phase: Phase
    shrinks: Phase | None = None

    @property
    def narrowing(self) -> Phase:
        """The phase of a write that only takes away."""
        return self.shrinks or self.phase


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its name in addresses (`user:alice`), its section in the file."""

    name: str
    section: str
    fields: tuple[Field, ...]
    removed: Phase

    def field(self, name: str) -> Field:
        """Return a field of this kind by name; KeyError when there is none."""
        return next(f for f in self.fields if f.name == name)


USER = Kind(
    name="user",
    section="users",
    removed=Phase.USERS_REMOVED,
    fields=(
        Field("name", Phase.USERS),
        Field("display_name", Phase.USERS),
        Field("email", Phase.USERS),
    ),
)

NODE = Kind(
    name="node",
    section="nodes",
    removed=Phase.NODES_REMOVED,
    fields=(
        Field("name", Phase.NODES),
        Field("tags", Phase.TAGS),
        Field("routes", Phase.NODES, shrinks=Phase.ROUTES_REMOVED),
        Field("exit_node", Phase.NODES, shrinks=Phase.ROUTES_REMOVED),
        Field("expiry", Phase.NODES),
    ),
)

POLICY = Kind(
    name="policy",
    section="policy",
    removed=Phase.POLICY_NARROWED,
    fields=(Field("text", Phase.POLICY, shrinks=Phase.POLICY_NARROWED),),
)

KINDS = (USER, POLICY, NODE)
BY_NAME = {kind.name: kind for kind in KINDS}

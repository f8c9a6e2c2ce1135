"""The desired state as data: what the files say, checked, with where it was said.

A section that the files do not mention is None: unmanaged. An empty one is empty:
nothing of that kind is wanted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reconcile.errors import Diagnostic, Position

if TYPE_CHECKING:
    from reconcile.policy.access.claims import Assert

NEVER: Literal["never"] = "never"
API_KEY = "HEADSCALE_API_KEY"
# What a match may say that outlives a new installation of the device.
_LASTING = ("hostname", "user", "preauth_key", "tag")
Expiry = datetime | Literal["never"]


@dataclass(frozen=True, slots=True)
class ServerRef:
    """Which server, and where its credential comes from (never the credential).

    `url` is http(s)://… or simulator:PATH. Exactly one of `env`, `file`, `command`
    says where the API key is read from; the default is the variable HEADSCALE_API_KEY.

    `keys` are the variables that hold the API key of any server of the files. What the
    server's files name is read inside of `root` only; None is for a server that no
    file names.
    """

    name: str
    type: Literal["headscale", "tailscale"]
    url: str
    env: str = API_KEY
    file: str = ""
    command: tuple[str, ...] = ()
    position: Position | None = None
    credential: Position | None = None
    keys: frozenset[str] = frozenset()
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A word of the files, or of an option: then it has no position."""

    word: str
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """A warning that somebody lives with: its code, what it is about, and why."""

    code: str
    about: str
    because: str
    position: Position


@dataclass(frozen=True, slots=True)
class WantedUser:
    """A user that should exist. None means that a field is unmanaged.

    `was` lists former names, for renames; after the day `until` the user is unwanted.
    `number` is the server's id, "" where only the name tells who is meant.
    """

    name: str
    position: Position
    was: tuple[str, ...] = ()
    display_name: str | None = None
    email: str | None = None
    until: date | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """How a node is found: every field given must hold.

    Fields: id, machine_key, node_key, name, hostname, user, preauth_key, tag, ip.
    `hostname` and `name` may hold `*` and `?` in `node_rules`. Its place in the file
    is looked up when it is asked for: of 10,000 matches few ever are.
    """

    fields: Mapping[str, str]
    place: Callable[[], Position] = field(compare=False)

    @property
    def position(self) -> Position:
        """Where the match was written."""
        return self.place()

    @property
    def lasting(self) -> Mapping[str, str]:
        """The fields that still hold when the device is installed anew.

        The others are the device's own identity, or a name that may be taken.
        """
        return {name: self.fields[name] for name in _LASTING if name in self.fields}


@dataclass(frozen=True, slots=True)
class Routes:
    """The subnet routes wanted: `exact` removes others, `at-least` keeps them."""

    approve: frozenset[str]
    mode: Literal["exact", "at-least"] = "exact"

    def hold(self, approved: frozenset[str]) -> bool:
        """Tell whether a node whose subnet routes are `approved` is as wanted."""
        if self.mode == "at-least":
            return self.approve <= approved
        return self.approve == approved


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What may be said of a node, by an entry or by a rule; None means unmanaged.

    `positions` maps a field's name to the place where it was written.
    """

    tags: frozenset[str] | None = None
    routes: Routes | None = None
    exit_node: bool | None = None
    expiry: Expiry | None = None
    positions: Mapping[str, Position] = field(default_factory=dict)

    @property
    def said(self) -> bool:
        """Whether anything is said at all."""
        fields = (self.tags, self.routes, self.exit_node, self.expiry)
        return any(value is not None for value in fields)


@dataclass(frozen=True, slots=True)
class WantedNode:
    """One entry of `nodes`: the wanted name, how to find the node, its settings.

    `pending` is None where the file does not say what a node that is not there
    (yet) means, `replace` where it does not say whether the entry may go over to the
    device when it is installed anew. Its place is looked up when it is asked for.
    """

    name: str
    place: Callable[[], Position] = field(compare=False)
    match: Match
    settings: NodeSettings
    pending: Literal["ok", "warn", "error"] | None = None
    replace: Literal["auto", "report"] | None = None

    @property
    def position(self) -> Position:
        """Where the entry was written."""
        return self.place()


@dataclass(frozen=True, slots=True)
class NodeRule:
    """One entry of `node_rules`: a class of nodes and what is wanted of each."""

    match: Match
    settings: NodeSettings
    position: Position


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of `removed`: the address of an object that must not exist."""

    kind: str
    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a policy gets to a server that reads it from a file.

    Either the text is written to `file`, a path on this machine, and the program
    `then` is run (if there is one), or the program `command` gets it on its standard
    input. `told` says so to people, with variables as they were written.
    """

    told: str
    file: str = ""
    then: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class WantedPolicy:
    """The policy: the exact text to send, its parsed value, and where it comes from.

    `rendered` is True when the text was written from the value, which YAML or several
    files gave; then only the meaning counts. `locate(path, key=False)` gives the
    place in the user's own file. `deliver` is the way to a server that reads its
    policy from a file, None where the files name none. `inline` tells that it stands in
    the YAML itself.
    """

    text: str
    value: Mapping[str, object]
    rendered: bool
    position: Position
    locate: Callable[..., Position]
    deliver: Delivery | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Manage:
    """What happens to objects that the files do not list (spec: `manage`)."""

    users: Literal["report", "prune", "ignore"] = "report"
    nodes: Literal["report", "ignore"] = "report"
    ephemeral: Literal["report", "ignore"] = "ignore"


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state of one server; `release` is what it is said to run.

    `files` holds (path as given, sha256) of everything that was read, so that a
    saved plan can tell whether it is stale. `node_defaults` is what an entry wants
    that neither it nor a rule speaks of, `node_pending` and `node_replace` likewise.
    `warnings` are findings that do not stop a run. `if_unsupported` says what a
    declared setting means that the server cannot make: an error, or a warning.
    `variables` are those of the environment that the files say they use.
    """

    server: ServerRef | None
    release: Said | None = None
    users: Mapping[str, WantedUser] | None = None
    nodes: Mapping[str, WantedNode] | None = None
    node_defaults: NodeSettings = NodeSettings()
    node_pending: Literal["ok", "warn", "error"] | None = None
    node_replace: Literal["auto", "report"] | None = None
    rules: tuple[NodeRule, ...] = ()
    removed: tuple[Removed, ...] = ()
    policy: WantedPolicy | None = None
    asserts: tuple["Assert", ...] = ()
    accepts: tuple[Accept, ...] = ()
    manage: Manage = Manage()
    if_unsupported: Literal["error", "warn"] = "error"
    files: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    variables: tuple[str, ...] = ()

    @property
    def read_as(self) -> str:
        """The release that reads the policy, "" for any of Headscale's."""
        if self.release:
            return self.release.word
        hosted = self.server is not None and self.server.type == "tailscale"
        return "tailscale" if hosted else ""

    def replaces(self, entry: WantedNode) -> bool:
        """Tell whether an entry may go over to its device, installed anew."""
        return (entry.replace or self.node_replace) == "auto"

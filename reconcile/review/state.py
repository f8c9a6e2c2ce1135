"""A policy in a tailnet, read as one server's release reads it, ready to be asked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reconcile.desired.state import WantedPolicy
from reconcile.errors import Diagnostic, InputError, Position, ReconcileError
from reconcile.model import Node, PolicyText, ServerInfo, User
from reconcile.plan.policies import ON_SERVER
from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.fields import Path, get
from reconcile.policy.language.releases import Release, release
from reconcile.policy.language.words import counted
from reconcile.policy.lint.broad import is_open
from reconcile.policy.meaning.refusals import refusals
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import diagnostics, read
from reconcile.source import hujson

if TYPE_CHECKING:
    from reconcile.policy.access.access import Access


@dataclass(frozen=True, slots=True)
class Words:
    """The value of a policy and where its parts stand.

    `stored` is False where there never was a policy.
    """

    value: Any
    locate: Callable[..., Position]
    stored: bool = True


@dataclass(slots=True)
class Scene:
    """A policy without errors, the tailnet that it is applied to, and its places.

    `expired` are the ids of nodes that are logged out. They are counted as if they
    were logged in: they have all their access again when somebody logs in there.
    `computed` is its access when somebody has computed it already.
    """

    policy: Policy
    tailnet: Tailnet
    words: Words
    expired: frozenset[str] = frozenset()
    computed: "Access | None" = None
    _places: dict[Path, Position | None] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def unsure(self) -> dict[str, str]:
        """What could not be known and was taken as large as it could be."""
        names = [
            f"node:{machine.name}"
            for machine in self.tailnet.machines
            if machine.node.id in self.expired
        ]
        if not names:
            return {}
        return {f"expired key of {counted(names)}": "counted as if logged in again"}

    @property
    def access(self) -> "Access":
        """Who reaches what here; computed at most once."""
        if self.computed is None:
            from reconcile.policy.access.access import Access

            self.computed = Access(self.policy, self.tailnet)
        return self.computed

    def place(self, path: Path) -> Position | None:
        """Return where a part of the policy stands, None where nobody can tell."""
        if path not in self._places:  # an answer may name a rule many times
            self._places[path] = place(self.words, path)
        return self._places[path]


def place(words: Words, path: Path, key: bool = False) -> Position | None:
    """Return where a part of a policy stands, None where nobody can tell."""
    try:
        return words.locate(path, key=key)
    except (KeyError, ValueError):
        return None


def wanted(policy: WantedPolicy) -> Words:
    """Return the words of the desired policy."""
    return Words(policy.value, policy.locate)


def stored(policy: PolicyText | None, file: str = ON_SERVER) -> Words:
    """Return the words of a stored policy. Raises InputError when it is not HuJSON.

    An empty text is no policy: every release is open once it starts with it.
    """
    text = policy.text if policy else None
    if text is None or not text.strip():
        return Words({}, _nowhere, stored=False)
    return written(text, file)


def written(text: str, file: str) -> Words:
    """Return the words of a policy text. Raises InputError when it is not HuJSON."""
    document = hujson.parse(text, file)
    return Words(document.value, document.locate)


def _nowhere(path: Path, key: bool = False) -> Position:
    raise KeyError(path, key)


def row_of(server: ServerInfo) -> Release:
    """Return how a server reads policies."""
    return release("tailscale" if server.type == "tailscale" else server.release)


def read_words(words: Words, server: ServerInfo, like: Policy | None = None) -> Policy:
    """Read a policy as a server does. Raises InputError with all that it refuses.

    `like` is one with mostly the same rules, from which this one is read faster.
    """
    row = row_of(server)
    if not words.stored:  # every release is open then
        row = replace(row, empty_is_open=True)
    policy = read(words.value, row, like=like)
    if policy.errors:
        raise InputError(findings(words, policy.errors))
    return policy


def refused(scene: Scene) -> list[Diagnostic]:
    """Return what a server refuses in a policy because of the users that it has."""
    resolver = Resolver(scene.policy, scene.tailnet)
    return findings(scene.words, refusals(scene.policy, resolver))


def findings(words: Words, problems: Iterable[Problem]) -> list[Diagnostic]:
    """Give the problems of a policy their places."""
    return diagnostics(problems, lambda path, key: place(words, path, key), words.value)


def tailnet(
    users: Iterable[User] | None,
    nodes: Iterable[Node] | None,
    server: ServerInfo,
    like: Tailnet | None = None,
) -> Tailnet:
    """Return the tailnet as the rules of a server's release see it.

    `like` is one with mostly the same nodes, from which this one is made faster.

    Raises ReconcileError when an address of a node is none: whose traffic a rule
    means cannot be said then.
    """
    advertised = row_of(server).advertised_routes
    try:
        return Tailnet(
            tuple(users or ()), tuple(nodes or ()), advertised=advertised, like=like
        )
    except ValueError as reason:
        raise ReconcileError(f"an address or route of a node: {reason}") from None


def said(policy: Policy) -> list[str]:
    """Say in words what a policy does that is more, or less, than a list of rules."""
    absent = "the policy has neither acls nor grants: "
    if policy.rules is None:
        return [f"{absent}everything is allowed"]
    if all(get(policy.value, name) is None for name in ("acls", "grants")):
        return [f"{absent}this server then allows nothing"]
    if not policy.rules:
        return ["the policy has no rule at all: nothing is allowed"]
    return [
        f"{rule} lets everybody reach everything on every port"
        for rule in policy.rules
        if is_open(rule)
    ]

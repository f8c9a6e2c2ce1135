"""What happens between the two states of a pair, and how a file asks for it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import yaml

from reconcile.model import EXIT_ROUTES
from tests.contract.tailnets.state import Person, Policy, State


@dataclass(frozen=True)
class Retag:
    """Give a node these tags."""

    device: int
    tags: tuple[str, ...]

    def on(self, state: State) -> State:
        return state.with_device(self.device, tags=self.tags)

    def ask(self, state: State, wanted: "Wanted") -> None:
        wanted.node(state, self.device)["tags"] = list(self.tags)


@dataclass(frozen=True)
class Approve:
    """Approve exactly these routes of a node; the two exit routes go together."""

    device: int
    routes: tuple[str, ...]

    def on(self, state: State) -> State:
        return state.with_device(self.device, approved=self.routes)

    def ask(self, state: State, wanted: "Wanted") -> None:
        entry = wanted.node(state, self.device)
        before = state.device(self.device)
        chosen = set(self.routes)
        entry["routes"] = {"approve": sorted(chosen - EXIT_ROUTES)}
        if EXIT_ROUTES & {*before.routes, *before.approved}:
            entry["exit_node"] = bool(chosen & EXIT_ROUTES)


@dataclass(frozen=True)
class RemoveNode:
    """Take a node away."""

    device: int

    def on(self, state: State) -> State:
        return state.without_device(self.device)

    def ask(self, state: State, wanted: "Wanted") -> None:
        wanted.removed.append(f"node:{state.device(self.device).name}")


@dataclass(frozen=True)
class RenameUser:
    """Give a user another name."""

    person: int
    name: str

    def on(self, state: State) -> State:
        people = tuple(
            replace(p, name=self.name) if p.id == self.person else p
            for p in state.people
        )
        return replace(state, people=people)

    def ask(self, state: State, wanted: "Wanted") -> None:
        person = state.person(self.person)
        assert person
        wanted.users[self.name] = {"was": person.name}


@dataclass(frozen=True)
class CreateUser:
    """Make a user, whose id is the next one."""

    name: str
    email: str = ""

    def on(self, state: State) -> State:
        number = 1 + max((p.id for p in state.people), default=0)
        made = Person(number, self.name, self.email)
        return replace(state, people=(*state.people, made))

    def ask(self, state: State, wanted: "Wanted") -> None:
        wanted.users[self.name] = {"email": self.email} if self.email else {}


@dataclass(frozen=True)
class DeleteUser:
    """Take a user away who owns no node."""

    person: int

    def on(self, state: State) -> State:
        rest = tuple(p for p in state.people if p.id != self.person)
        return replace(state, people=rest)

    def ask(self, state: State, wanted: "Wanted") -> None:
        person = state.person(self.person)
        assert person
        wanted.removed.append(f"user:{person.name}")


Edit = Retag | Approve | RemoveNode | RenameUser | CreateUser | DeleteUser
_KINDS: dict[str, type[Edit]] = {
    kind.__name__: kind
    for kind in (Retag, Approve, RemoveNode, RenameUser, CreateUser, DeleteUser)
}


@dataclass(frozen=True)
class Pair:
    """A state, what is asked of it, and the policy that it is to have then."""

    before: State
    edits: tuple[Edit, ...]
    policy: Policy | None

    @property
    def after(self) -> State:
        """The state that is asked for; routes that a policy approves come on top."""
        state = self.before
        for edit in self.edits:
            state = edit.on(state)
        return replace(state, policy=self.policy)


class Wanted:
    """A tailnet.yaml in the making."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.removed: list[str] = []

    def node(self, state: State, number: int) -> dict[str, Any]:
        """Return the entry of a node, to add to."""
        entry = {"match": {"id": str(number)}}
        known: dict[str, Any] = self.nodes.setdefault(state.device(number).name, entry)
        return known


def files(pair: Pair) -> dict[str, str]:
    """Return the files that ask for a pair's second state: name to text."""
    wanted = Wanted()
    for edit in pair.edits:
        edit.ask(pair.before, wanted)
    document: dict[str, Any] = {"version": 1}
    document |= {k: v for k, v in vars(wanted).items() if v}
    found = {}
    if pair.policy is not None:
        document["policy"] = {"file": "policy.hujson"}
        found["policy.hujson"] = policy_text(pair.policy)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return {"tailnet.yaml": text, **found}


def policy_text(policy: Policy) -> str:
    """Return a policy as people would write it: a rule a line."""
    lines = []
    for name, section in policy.items():
        if isinstance(section, list) and section:
            rules = ",\n".join(f"    {_line(rule)}" for rule in section)
            lines.append(f"  {_line(name)}: [\n{rules}\n  ]")
        else:
            lines.append(f"  {_line(name)}: {_line(section)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def to_json(edits: Iterable[Edit]) -> list[Any]:
    """Return edits as JSON: each is its name with its fields."""
    return [[type(edit).__name__, vars(edit)] for edit in edits]


def from_json(value: Iterable[Any]) -> tuple[Edit, ...]:
    """Return the edits that `to_json` wrote."""
    return tuple(
        _KINDS[name](
            **{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        )
        for name, fields in value
    )

"""Random pairs: what people do to a tailnet, one after another."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.contract.policies.generator import Words
from tests.contract.seeds import EXIT
from tests.contract.tailnets.edits import (
    Approve,
    CreateUser,
    DeleteUser,
    Edit,
    Pair,
    RemoveNode,
    RenameUser,
    Retag,
)
from tests.contract.tailnets.making import Maker, Policies
from tests.contract.tailnets.state import State

_OLD = ("0.26", "0.27")


class Chain:
    """Writes pair after pair for one tailnet, each from where the last one led."""

    def __init__(self, maker: Maker, words: Words, number: int) -> None:
        self._maker = maker
        self._release = maker.release
        self._words = words
        self.policies = Policies(maker.release, f"{maker.seed} {number}", words)

    def first(self, state: State) -> State:
        """Return the state with a policy, and with the tags that it allows."""
        state = replace(state, policy=self.policies.wanted())
        return state.with_allowed_tags(self._release)

    def next(self, state: State) -> Pair:
        """Return a change of a state: of its policy, of the rest, or of both."""
        maker, policy = self._maker, state.policy
        with_policy = maker.chance(0.75)
        if with_policy:
            policy = self.policies.changed(policy or {"acls": []})
        count = maker.dice.choice((0, 0, 1, 1, 2) if with_policy else (1, 1, 2, 3))
        return Pair(state, tuple(self._edits(count, state)), policy)

    def _edits(self, count: int, state: State) -> Iterator[Edit]:
        touched: set[object] = set()
        kinds: list[Callable[[State], Edit | None]] = [
            self._retag,
            self._retag,
            self._approve,
            self._approve,
            self._remove,
            self._rename,
            self._create,
            self._delete,
        ]
        for _ in range(count):
            edit = self._maker.dice.choice(kinds)(state)
            about = set(vars(edit).values()) if edit else touched
            if edit is not None and not about & touched:
                touched |= about  # names too: a file can give each to one user only
                yield edit

    def _retag(self, state: State) -> Edit | None:
        device = self._maker.dice.choice(state.devices)
        least = 0 if self._release in _OLD else 1
        tags = tuple(sorted(self._maker.some(self._words.tags, least, 2)))
        return Retag(device.id, tags) if tags != device.tags else None

    def _approve(self, state: State) -> Edit | None:
        routers = [d for d in state.devices if d.routes]
        if not routers:
            return None
        device = self._maker.dice.choice(routers)
        maker = self._maker
        routes = [r for r in device.routes if r not in EXIT and maker.chance(0.6)]
        if EXIT[0] in device.routes and maker.chance(0.6):
            routes += EXIT
        return Approve(device.id, tuple(routes))

    def _remove(self, state: State) -> Edit | None:
        if len(state.devices) < 3:
            return None
        return RemoveNode(self._maker.dice.choice(state.devices).id)

    def _rename(self, state: State) -> Edit | None:
        local = [p for p in state.people if self._is_single(state, p.name)]
        local = [p for p in local if not p.provider_id]
        if not local:
            return None
        person = self._maker.dice.choice(local)
        fresh = [n for n in ("zoe", "robert", "carol") if not self._known(state, n)]
        return RenameUser(person.id, self._maker.dice.choice(fresh)) if fresh else None

    def _create(self, state: State) -> Edit | None:
        fresh = [n for n in ("nobody", "carol", "zed") if not self._known(state, n)]
        if not fresh:
            return None
        mails = ["", *(p.email for p in state.people)]
        name = self._maker.dice.choice(fresh)
        return CreateUser(name, self._maker.dice.choice(mails))

    def _delete(self, state: State) -> Edit | None:
        owners = {d.user for d in state.devices}
        idle = [p for p in state.people if p.id not in owners]
        idle = [p for p in idle if self._is_single(state, p.name)]
        return DeleteUser(self._maker.dice.choice(idle).id) if idle else None

    def _known(self, state: State, name: str) -> bool:
        return any(p.name == name for p in state.people)

    def _is_single(self, state: State, name: str) -> bool:
        """A name that a file can speak of: one user has it, and it is not empty."""
        return bool(name) and sum(p.name == name for p in state.people) == 1

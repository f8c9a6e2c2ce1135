"""Ask a real server about a tailnet: seed it, change it, read what it compiled."""

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconcile.errors import ReconcileError
from reconcile.live import snapshot
from reconcile.live.credential import Secret
from reconcile.live.headscale.adapter import Headscale
from reconcile.live.server import connect
from reconcile.plan.order import steps
from tests.contract import real
from tests.contract.policies.server import PolicyServer
from tests.contract.tailnets import own, rows, trials
from tests.contract.tailnets.comparison import Difference
from tests.contract.tailnets.edits import Pair, policy_text
from tests.contract.tailnets.plans import make_plan
from tests.contract.tailnets.state import State
from tests.contract.tailnets.trials import Trials
from tests.contract.tailnets.truth import Compiled

_KINDS = frozenset({"user", "node", "policy"})
Answer = dict[str, Any]


class Refused(Exception):
    """The server, or the plan, does not take what is asked; the text says why."""


@dataclass(frozen=True)
class Side(Compiled):
    """A state that is in force; `saved` is the snapshot that plans are made from.

    `trials` are what the server made of tests, and of the policy with fewer rules.
    """

    saved: str
    trials: Trials = field(default_factory=Trials)

    def differences(self, release: str) -> list[Difference]:
        """Return what is wrong of the state itself, whatever a plan prints of it."""
        return []


class TailnetServer:
    """A server of one release that is given tailnet after tailnet."""

    def __init__(self, release: str, folder: Path) -> None:
        self.release = release
        self._server = real.RealServer(release, "empty", folder)
        self._server.prepare()
        database = folder / "db.sqlite"
        self._server.api_key = rows.quick_key(database, self._server.api_key)
        self._stack = contextlib.ExitStack()
        self._inside: object = None  # users and nodes, while they are as seeded
        self._asked: PolicyServer
        self._api: Headscale

    def close(self) -> None:
        """Stop the server."""
        self._stack.close()
        self._server.stop(signal.SIGKILL)

    def begin(self, state: State) -> Side:
        """Start with the users, nodes and policy of a state.

        Raises Refused when the server does not take the policy.
        """
        seeded = (state.people, state.devices)
        if self._inside != seeded or state.policy is None:
            self._seed(state)
        if state.policy is not None:
            refusal = self._asked.put_text(policy_text(state.policy))
            if refusal is not None:
                raise Refused(refusal)
        return self.look(state)

    def _seed(self, state: State) -> None:
        self.close()
        rows.replace_all(self._server.folder / "db.sqlite", state)
        self._start()
        self._inside = (state.people, state.devices)

    def _start(self) -> None:
        self._server.start()
        self._stack = contextlib.ExitStack()
        self._asked = self._stack.enter_context(PolicyServer(self._server))
        key = Secret(self._server.api_key)
        self._api = connect(self._server.url, key, writable=True)
        self._stack.callback(self._api.close)

    def look(self, state: State) -> Side:
        """Return a state that is in force, with the routes that are approved now."""
        live = self._api.read(_KINDS)
        approved = {int(node.id): node.approved for node in live.nodes or ()}
        now = state.with_approved(approved)
        self._inside = self._inside if _as_seeded(now, state) else None
        logins, rules = self._asked.logins(), self._filter(now)
        saved = snapshot.dumps(live)
        return Side(now, rules, logins, saved, self._try(now, saved))

    def _try(self, state: State, saved: str) -> Trials:
        """Try tests and fewer rules; afterwards all is as before."""
        if state.policy is None:
            return Trials()
        fewer: list[trials.Fewer] = []
        tests: list[tuple[Any, bool]] = []
        try:
            removals = trials.removals(saved, state)
        except ReconcileError:  # 0.26 takes some policies that no plan is made of
            return Trials()
        with self._aside(state):
            for removed in removals:
                policy = trials.without(state.policy, removed)
                if self._asked.put_text(policy_text(policy)) is None:
                    rules = self._filter(replace(state, policy=policy))
                    fewer.append(trials.Fewer(removed, rules, self._asked.logins()))
            for test in trials.tests(self.release, state):
                text = policy_text({**state.policy, **test})
                tests.append((test, self._asked.put_text(text) is None))
        return Trials(tuple(fewer), tuple(tests))

    @contextlib.contextmanager
    def _aside(self, state: State) -> Iterator[None]:
        """Let other policies be in force, and then that of the state again."""
        assert state.policy is not None
        approved = self._asked.approved()
        yield  # a tailnet with which anything goes wrong is seeded anew
        self._asked.put_text(policy_text(state.policy))
        for device, (name, routes) in zip(
            state.devices, self._asked.approved().items(), strict=True
        ):
            if routes != approved[name]:
                self._asked.approve(device.id, approved[name])

    def _filter(self, state: State) -> list[dict[str, Any]]:
        """Return the filter that is in force.

        The debug page has the groups that nodes are not given: so it is asked for the
        policy with these groups empty.
        """
        lost = own.dropped(self.release, state)
        if not lost or state.policy is None:
            return self._asked.filter()
        policy = {k: v for k, v in state.policy.items() if k != "autoApprovers"}
        known = state.policy["groups"].items()
        policy["groups"] = {k: [] if k in lost else users for k, users in known}
        policy["tagOwners"] = {  # whose groups count all the same
            tag: [token for name in owners for token in _members(state, name, lost)]
            for tag, owners in state.policy.get("tagOwners", {}).items()
        }
        with self._aside(state):
            if refusal := self._asked.put_text(policy_text(policy)):
                raise Refused(refusal)
            return self._asked.filter()

    def change(self, pair: Pair, before: Side) -> tuple[Answer, Side]:
        """Plan and apply what a pair asks for; return the plan's JSON and the result.

        Raises Refused when the plan has errors or the server refuses a step.
        """
        plan, told = make_plan(before.saved, pair)
        problems = [d for d in plan.errors if d.code not in _ODD]
        if problems or plan.blocked:
            said = [*map(str, problems), *(c.blocked for c in plan.blocked)]
            raise Refused("; ".join(said))
        if pair.edits:
            self._inside = None
        for step in steps(plan.changes):
            try:
                self._api.write(step.operation)
            except ReconcileError as error:
                raise Refused(f"{step.operation.address}: {error}") from error
        if pair.edits:
            self._settle(pair.after)
        return told, self.look(pair.after)

    def _settle(self, state: State) -> None:
        """Have the filter compiled anew where a release goes by old tags and names.

        That is what the plan's caveats speak of. 0.26 looks at nodes when one joins and
        when it starts. 0.27 also does when a user is renamed, and would lose writes in
        a restart: there a user gets the name that it has.
        """
        if self.release == "0.26":
            self.close()
            self._start()
        elif self.release == "0.27":
            names = Counter(person.name for person in state.people)
            local = [p for p in state.people if p.name and not p.provider_id]
            for person in [p for p in local if names[p.name] == 1][:1]:
                self._asked.rename(person.id, person.name)


def _members(state: State, name: str, groups: set[str]) -> list[str]:
    """Return the members of a group that is one of some, else the name itself."""
    policy = state.policy or {}
    return list(policy["groups"][name]) if name in groups else [name]


def _as_seeded(now: State, then: State) -> bool:
    pairs = zip(now.devices, then.devices, strict=True)
    return all(set(one.approved) == set(other.approved) for one, other in pairs)


# What a plan calls an error and a server takes all the same.
_ODD: frozenset[str] = frozenset()


@contextlib.contextmanager
def serving(release: str, folder: Path) -> Iterator[TailnetServer]:
    """Start a server of a release, and stop it in any case."""
    with closing(TailnetServer(release, folder)) as server:
        yield server

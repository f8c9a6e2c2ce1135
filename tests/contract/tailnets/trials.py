"""What a server makes of a policy with tests, or without some of its rules.

Tests are accepted or refused on write, and lint is held to the filter: without the rules
that it calls useless all is open as before, and without one more it is not.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from reconcile.live import snapshot
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import World
from reconcile.policy.language.document import Problem
from reconcile.policy.lint import of_tailnet
from reconcile.policy.reading import read
from reconcile.review import access as effect
from reconcile.review.state import Scene
from tests.contract.policies.comparison import refusals
from tests.contract.tailnets.comparison import Difference
from tests.contract.tailnets.probes import Probes
from tests.contract.tailnets.state import Policy, State
from tests.contract.tailnets.truth import Compiled, Filter, Truth

Rule = tuple[str, int]  # its section, and its place there

_USELESS = ("RC0501", "RC0502", "lets nobody in: port 22 is closed")
_BESIDE, _RULE = (
    re.compile(r"; (.+) adds? nothing to it"),
    re.compile(r"(\w+)\[(\d+)\]"),
)
_HELD = "this release drops such groups"  # rules to autogroup:self must stay then
_DOUBTFUL = (
    _HELD,
    "RC0503",
    "RC0509",
    "RC0510",
)  # what may open nothing else for all that
_SECTIONS = ("acls", "grants", "ssh")
_PORTS = (22, 80, 443, 53, 8080)
_TESTED = ("0.29", "main")  # the releases that have tests
_TESTS = 3  # of each kind, at every state
_LOGINS = ("root", "ubuntu", "admin", "deploy", "nobody")


@dataclass(frozen=True)
class Fewer:
    """A policy without some rules, as a server compiled it."""

    removed: tuple[Rule, ...]
    filter: list[dict[str, Any]]
    ssh: dict[str, Filter]


@dataclass(frozen=True)
class Trials:
    """What was tried in a state: fewer rules, and tests with whether they pass.

    A test is the section of a policy that holds it alone.
    """

    fewer: tuple[Fewer, ...] = ()
    tests: tuple[tuple[Policy, bool], ...] = ()


def scene_of(saved: str) -> Scene:
    """Return the scene of a snapshot."""
    return effect.scene_now(snapshot.loads(saved, "live.json"))


def removals(saved: str, state: State) -> list[tuple[Rule, ...]]:
    """Return the rules to leave out: all that lint calls useless, and one more."""
    policy = state.policy or {}
    scene = scene_of(saved)
    useless, doubtful = _useless(scene), _named(scene, _DOUBTFUL)
    if _named(scene, ["more add nothing to it"]):  # of many, only some are named
        return [useless]
    others = [
        (name, index)
        for name in _SECTIONS
        for index in range(len(policy.get(name) or ()))
        if (name, index) not in (*useless, *doubtful)
    ]
    dice = random.Random(f"fewer {state}")
    more = [(*useless, dice.choice(others))] if others else []
    return [useless, *more]


def _useless(scene: Scene) -> tuple[Rule, ...]:
    """Return the rules that lint calls useless, also beside a rule for all."""
    beside = (_BESIDE.search(problem.why) for problem in _findings(scene))
    named = (_RULE.findall(match[1]) for match in beside if match)
    found = {(name, int(index)) for rules in named for name, index in rules}
    useless = {*_named(scene, _USELESS), *found}
    held = _named(scene, [_HELD])
    if held:
        useless = {rule for rule in useless if rule[0] != "ssh"}
    return tuple(sorted(useless.difference(held)))


def _named(scene: Scene, words: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules of which lint says one of some things."""
    found = {
        p.path[:2]
        for p in _findings(scene)
        if any(each in f"{p.code} {p.message} {p.why} {p.help}" for each in words)
    }
    return tuple(sorted((str(name), int(index)) for name, index in found))


def _findings(scene: Scene) -> Iterator[Problem]:
    return of_tailnet(Matrix([World.of(scene.policy, scene.tailnet)]))


def without(policy: Policy, removed: Iterable[Rule]) -> Policy:
    """Return a policy without some rules, and without approvers."""
    gone = set(removed)
    found = {k: v for k, v in policy.items() if k != "autoApprovers"}
    for name in _SECTIONS:
        if name in policy:
            rules = enumerate(policy[name])
            found[name] = [rule for i, rule in rules if (name, i) not in gone]
    return found


def tests(release: str, state: State) -> Iterator[Policy]:
    """Yield random tests of one answer each: sections of a policy."""
    if release not in _TESTED or state.policy is None:
        return
    dice = random.Random(f"tests {state}")
    policy = state.policy
    people = [*policy.get("groups", ()), *policy.get("tagOwners", ())]
    people += [f"{person.name}@" for person in state.people if person.name]
    names = [*people, *policy["hosts"]]
    targets = [*names, *(d.v4 for d in state.devices if d.v4)]
    for _ in range(_TESTS):
        name = dice.choice(("accept", "accept", "deny"))
        item = f"{dice.choice(targets)}:{dice.choice(_PORTS)}"
        proto = dice.choice(({}, {}, {"proto": "tcp"}, {"proto": "udp"}))
        yield {"tests": [{"src": dice.choice(names), **proto, name: [item]}]}
        # A network as its source hangs the server, which asks for each address.
        source = dice.choice(people)
        login = dice.choice(("accept", "deny", "check")), dice.choice(_LOGINS)
        test = {"src": source, "dst": [dice.choice(names)], login[0]: [login[1]]}
        yield {"sshTests": [test]}


def differences(
    release: str, probes: Probes, compiled: Compiled, saved: str, trials: Trials
) -> Iterator[Difference]:
    """Yield where tests and lint say otherwise than the server."""
    scene = scene_of(saved)
    yield from _wrong_tests(release, compiled.state, scene, trials)
    yield from _wrong_lint(release, probes, compiled, scene, trials)


def _wrong_tests(
    release: str, state: State, scene: Scene, trials: Trials
) -> Iterator[Difference]:
    for test, passed in trials.tests:
        policy = read({**(state.policy or {}), **test}, release)
        failures = refusals(Evaluator(policy, scene.tailnet))
        if bool(failures) is passed:
            name = "test" if "tests" in test else "SSH test"
            kind = f"{name} {'fails' if failures else 'passes'}, wrongly"
            yield Difference(kind, 1, (f"{test}: {failures[:1]}",))


def _wrong_lint(
    release: str, probes: Probes, compiled: Compiled, scene: Scene, trials: Trials
) -> Iterator[Difference]:
    useless = _useless(scene)
    last = Truth(probes, compiled, release)
    logins = compiled.ssh
    for fewer in trials.fewer:
        policy = without(compiled.state.policy or {}, fewer.removed)
        state = replace(compiled.state, policy=policy)
        now = Truth(probes, Compiled(state, fewer.filter, fewer.ssh), release)
        if fewer.removed == useless and now.open != last.open:
            yield Difference("lint: useless, and opens something", 1, (str(useless),))
        # A rule that lets a node reach itself is one for the user's next device.
        same = now.filtered == last.filtered and fewer.ssh == logins
        more = set(fewer.removed) - set(useless)
        if len(more) == 1 and same and set(useless) <= set(fewer.removed):
            yield Difference("lint: silent, and opens nothing", 1, (str(more),))
        last, logins = now, fewer.ssh


def texts(trials: Trials) -> list[dict[str, Any]]:
    """Return the rules of all that was tried, for their addresses and ports."""
    return [rule for fewer in trials.fewer for rule in fewer.filter]


def to_json(trials: Trials) -> dict[str, Any]:
    """Return what was tried as JSON."""
    return {
        "fewer": [vars(fewer) for fewer in trials.fewer],
        "tests": [[test, passed] for test, passed in trials.tests],
    }


def from_json(value: dict[str, Any]) -> Trials:
    """Return what `to_json` wrote."""
    fewer = (
        Fewer(tuple((s, i) for s, i in each["removed"]), each["filter"], each["ssh"])
        for each in value["fewer"]
    )
    return Trials(
        tuple(fewer), tuple((test, passed) for test, passed in value["tests"])
    )

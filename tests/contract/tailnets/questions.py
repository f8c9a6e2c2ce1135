"""The other answers about access, held to the same filter: list, who, why, assertions."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reconcile.errors import ReconcileError
from reconcile.policy.access.access import Access
from reconcile.policy.access.assertions import Assertions
from reconcile.policy.access.claims import SSH, Paths, Port, Routers
from tests.contract.tailnets import ranges, trials
from tests.contract.tailnets.comparison import Difference, lists_differ, probes_of
from tests.contract.tailnets.meaning import ends, literal, served
from tests.contract.tailnets.names import Unreadable
from tests.contract.tailnets.probes import TCP, Probes
from tests.contract.tailnets.server import Side
from tests.contract.tailnets.truth import Truth

_ASKED = 40  # pairs of names, at every state
_LISTS = 6  # of them, how many are asked as `who` and as a list as well
_PORTS = (22, 80, 443, 53, 8080, SSH)
_ASKED_PORTS = f"tcp {','.join(str(port) for port in _PORTS if port != SSH)},8000-8100"
_NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0", "fd00:1::/64")


@dataclass(frozen=True)
class Words:
    """A question as it is asked: two names and a TCP port, or `ssh`."""

    source: str
    target: str
    port: int | str

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}:{self.port}"


@dataclass(frozen=True)
class Question:
    """A question, and what is true of it.

    `opened` of `all` pairs of nodes or addresses have the path over either family.
    `partly` tells that the target is a network of which routes lead to a part only.
    """

    words: Words
    opened: int
    all: int
    partly: bool

    def __str__(self) -> str:
        return f"{self.words} ({self.opened} of {self.all} are open)"


@dataclass(frozen=True)
class Listed:
    """A list of a command, its name, and the question that it answers."""

    what: str
    entries: list[dict[str, Any]]
    words: Words


def differences(release: str, side: Side) -> list[Difference]:
    """Return where `access` and assertions say otherwise than the server's filter."""
    try:
        access = trials.scene_of(side.saved).access
    except ReconcileError:
        if release == "0.26":  # it stores words that it cannot always compile
            return []
        raise
    asked = list(_asked(side))
    whole = [_entry(entry) for entry in access.entries()]
    lists = [each for words in asked[:_LISTS] for each in _lists(access, words)]
    entries = [*whole, *(entry for each in lists for entry in each.entries)]
    probes = probes_of([side], [*entries, *_spoken(side, asked)])
    truth = side.truth(probes, release)
    found = list(lists_differ("list", truth, whole))
    for each in lists:
        found += _list_differs(truth, each)
    found += _wrong(access, list(_questions(truth, asked)))
    found += _wrong_routers(access, side)
    return found + list(
        trials.differences(release, probes, side, side.saved, side.trials)
    )


def _entry(entry: Any) -> dict[str, Any]:
    sides = {name: list(getattr(entry, name)) for name in ("sources", "targets")}
    return {**sides, "services": list(entry.services), "family": entry.family}


def _asked(side: Side) -> Iterator[Words]:
    """Yield random questions."""
    dice = random.Random(str(side.state))
    policy = side.state.policy or {}
    names = [f"node:{d.name}" for d in side.state.devices]
    names += [*policy.get("groups", ()), *policy.get("tagOwners", ())]
    names += policy.get("hosts", ())
    targets = [*names, "8.8.8.8", "9.9.9.9", "10.1.2.3"]
    for _ in range(_ASKED):
        yield Words(dice.choice(names), dice.choice(targets), dice.choice(_PORTS))


def _spoken(side: Side, asked: Iterable[Words]) -> Iterator[dict[str, Any]]:
    """Yield the addresses and ports of questions as lines, so that they are tried."""
    policy = side.state.policy
    yield {"sources": [], "targets": [], "services": [_ASKED_PORTS]}
    for words in asked:
        texts = [literal(policy, name) for name in (words.source, words.target)]
        yield {"sources": texts, "targets": [], "services": []}


# Lists.


def _lists(access: Access, words: Words) -> Iterator[Listed]:
    """Ask for a list in three ways: by its target, its source, and by both."""
    source, target = words.source, words.target
    port = Port(words.port)
    try:
        found = access.asking([source, target])
        sides = found.find(source), found.find(target)
        who = access.who(target, *port)
    except LookupError:
        return
    yield Listed("who", [_entry(e) for e in who], Words("", target, words.port))
    for what, (there, here), chosen in (
        ("list --source", (sides[0], -1), Words(source, "", "")),
        ("list --to", (-1, sides[1]), Words("", target, "")),
        ("list --source --to", sides, Words(source, target, "")),
    ):
        names = [name for name in (chosen.source, chosen.target) if name]
        entries = found.entries(there, here, words=names)
        yield Listed(what, [_entry(e) for e in entries], chosen)


def _list_differs(truth: Truth, listed: Listed) -> Iterator[Difference]:
    """Compare a list with what is open of what it was asked about."""
    words, every = listed.words, (1 << truth.probes.size) - 1
    try:
        there, here = (
            sum(ends(truth, name)) if name else every
            for name in (words.source, words.target)
        )
    except Unreadable:
        return
    services = _services(truth.probes, words.port)
    asked = [
        services * here if there >> place & 1 else 0
        for place in range(truth.probes.size)
    ]
    for found in lists_differ(listed.what, truth, listed.entries, asked):
        examples = tuple(f"{words}: {example}" for example in found.examples)
        yield Difference(found.kind, found.paths, examples)


def _services(probes: Probes, port: int | str) -> int:
    """Return a TCP port, all logins, or without a port every service."""
    if port == "":
        return probes.any_service
    if isinstance(port, int):
        return probes.opening([TCP], [(port, port)])
    return probes.any_login


# Yes, no, in part.


def _questions(truth: Truth, asked: Iterable[Words]) -> Iterator[Question]:
    """Yield the questions that are about anything, each with what is true of it."""
    for words in asked:
        question = _question(truth, words)
        if question and question.all:
            yield question


def _question(truth: Truth, words: Words) -> Question | None:
    """Count what is open from one name to another, node by node."""
    try:
        sources, targets = ends(truth, words.source), ends(truth, words.target)
    except Unreadable:
        return None
    sending = [end for end in sources if end & truth.names.senders]
    sources = sending or sources  # of several, those that never send do not count
    services = _services(truth.probes, words.port)
    pairs = [(s, t) for s in sources for t in targets if _is_way(truth, s, t)]
    opened = sum(_open(truth, s, t * services) for s, t in pairs)
    asked = len(pairs) if services else 0
    return Question(words, opened, asked, not served(truth, words.target))


def _is_way(truth: Truth, source: int, target: int) -> bool:
    """Tell whether two ends need the tailnet: not one node, nor one network."""
    nodes = [truth.probes.of([device.id]) for device in truth.state.devices]
    if (source | target) & truth.names.nodes:
        return not any(source & node and target & node for node in nodes)
    return not any(source & net and target & net for net in truth.names.networks)


def _open(truth: Truth, source: int, paths: int) -> bool:
    return any(
        mask & paths for place, mask in enumerate(truth.open) if source >> place & 1
    )


def _wrong(access: Access, questions: Sequence[Question]) -> list[Difference]:
    """Ask the questions in three ways; return those with a wrong answer, by kind."""
    found: dict[str, list[str]] = {}
    assertions = Assertions(access)
    for asked in questions:
        words, port = asked.words, Port(asked.words.port)
        try:
            why = access.why(words.source, words.target, *port)
        except LookupError as reason:
            found.setdefault("why: no answer", []).append(f"{asked}: {reason}")
            continue
        claims = (Paths(a, words.source, words.target, port) for a in (True, False))
        allow, no = (not assertions.answer(claim).reasons for claim in claims)
        every = asked.opened == asked.all and not asked.partly
        for kind, said, true in (
            ("why: yes", why.allowed, every),
            ("why: in part", bool(why.opened), bool(asked.opened)),
            ("assert allow", allow, every),
            ("assert no", no, not asked.opened),
        ):
            if said != true:
                kind = f"{kind} {'holds' if said else 'does not hold'}, wrongly"
                found.setdefault(kind, []).append(str(asked))
    return [
        Difference(kind, len(texts), tuple(texts[:2])) for kind, texts in found.items()
    ]


# Routers.


def _wrong_routers(access: Access, side: Side) -> Iterator[Difference]:
    """Yield the networks of which `at_least` counts other routers than there are."""
    assertions = Assertions(access)
    for network in _NETWORKS:
        count = sum(_leads(device.usable, network) for device in side.state.devices)
        for wanted in (count, count + 1):
            holds = not assertions.answer(Routers(wanted, network)).reasons
            if holds is not (wanted <= count):
                text = f"{wanted} for {network}, and there are {count}"
                yield Difference("assert at_least", 1, (text,))


def _leads(routes: Iterable[str], network: str) -> bool:
    """Tell whether routes together lead to all of a network."""
    if network in ("0.0.0.0/0", "::/0"):
        return network in routes
    subnets = [span for r in routes if "/0" not in r for span in ranges.spans(r)]
    return ranges.is_covered(ranges.spans(network)[0], subnets)

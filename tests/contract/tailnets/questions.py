"""The other answers about access, held to the same filter: list, why, assertions."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconcile import effect, snapshot
from reconcile.policy.access import Access
from reconcile.policy.assertions import Assertions
from reconcile.policy.claims import Paths, Port
from tests.contract.tailnets import ranges
from tests.contract.tailnets.comparison import Difference, lists_differ, probes_of
from tests.contract.tailnets.names import Names, Unreadable
from tests.contract.tailnets.probes import TCP
from tests.contract.tailnets.server import Side
from tests.contract.tailnets.truth import Truth

_ASKED = 40  # pairs of names, at every state
_PORTS = (22, 80, 443, 53, 8080)


@dataclass(frozen=True)
class Question:
    """From one name to another, at a TCP port, and what is true of it.

    `opened` of `all` pairs of nodes or addresses have the path over either family.
    `partly` tells that the target is a network of which routes lead to a part only.
    """

    source: str
    target: str
    port: int
    opened: int
    all: int
    partly: bool

    def __str__(self) -> str:
        share = f"{self.opened} of {self.all} are open"
        return f"{self.source} -> {self.target}:{self.port} ({share})"


def differences(release: str, side: Side) -> list[Difference]:
    """Return where `access` and assertions say otherwise than the server's filter."""
    scene = effect.scene_now(snapshot.loads(side.saved, "live.json"))
    access = scene.access
    entries = [_entry(entry) for entry in access.entries()]
    truth = Truth(probes_of([side], entries), side, release)
    found = list(lists_differ("list", truth, entries))
    return found + _wrong(access, list(_questions(truth, side)))


def _entry(entry: Any) -> dict[str, Any]:
    sides = {name: list(getattr(entry, name)) for name in ("sources", "targets")}
    return {**sides, "services": list(entry.services), "family": entry.family}


def _questions(truth: Truth, side: Side) -> Iterator[Question]:
    """Yield random questions; those that are open are as frequent as the others."""
    dice = random.Random(str(side.state))
    words = [f"node:{d.name}" for d in side.state.devices]
    policy = side.state.policy or {}
    sources = [*words, *policy.get("groups", ()), *policy.get("tagOwners", ())]
    targets = [*sources, *policy.get("hosts", ()), "8.8.8.8", "9.9.9.9", "10.1.2.3"]
    for _ in range(_ASKED):
        source, target = dice.choice(sources), dice.choice(targets)
        question = _question(truth, source, target, dice.choice(_PORTS))
        if question and question.all:
            yield question


def _question(truth: Truth, source: str, target: str, port: int) -> Question | None:
    """Count what is open from one name to another, node by node."""
    try:
        sources, targets = _ends(truth, source), _ends(truth, target)
    except Unreadable:
        return None
    bits = truth.probes.opening([TCP], [(port, port)])
    pairs = [(s, t) for s in sources for t in targets if not s & t]
    opened = sum(_open(truth, s, t * bits) for s, t in pairs)
    asked = len(pairs) if bits else 0
    return Question(source, target, port, opened, asked, _is_partly(truth, target))


def _is_partly(truth: Truth, word: str) -> bool:
    """Tell whether a name is a network that no route covers."""
    text = _literal(truth, word)
    try:
        spans = ranges.spans(text)
    except ValueError:
        return False
    return any(low < high for low, high in spans) and not any(
        all(a <= low and high <= b for low, high in spans)
        for device in truth.state.devices
        for route in device.subnets
        for a, b in ranges.spans(route)
    )


def _literal(truth: Truth, word: str) -> str:
    """Return what a host stands for; other names stand for themselves."""
    hosts: dict[str, str] = (truth.state.policy or {}).get("hosts") or {}
    return hosts.get(word, word)


def _ends(truth: Truth, word: str) -> list[int]:
    """Return what a name stands for: the points of each node, and each address.

    An address is no other one: of its node it means that address alone, but where a
    release takes it for the node.
    """
    names: Names = truth.names
    found = names.read(_literal(truth, word))
    nodes = [truth.probes.of([d.id]) for d in names.state.devices]
    if _is_widened(truth, word):
        for node in nodes:
            found |= node if node & found else 0
    apart = [
        1 << p.place
        for p in truth.probes.points
        if not p.devices and found >> p.place & 1
    ]
    return [node & found for node in nodes if node & found] + apart


def _is_widened(truth: Truth, word: str) -> bool:
    """Tell whether an address brings in the other family of its nodes.

    Seen in filters: up to 0.28 single addresses and hosts do, on 0.26 networks as well.
    """
    if truth.release in ("0.29", "main"):
        return False
    text = _literal(truth, word)
    try:
        ((low, high),) = ranges.spans(text)
    except ValueError:
        return False
    return truth.release == "0.26" or low == high or text != word


def _open(truth: Truth, source: int, paths: int) -> bool:
    return any(
        mask & paths for place, mask in enumerate(truth.open) if source >> place & 1
    )


def _wrong(access: Access, questions: list[Question]) -> list[Difference]:
    """Ask the questions in three ways; return those with a wrong answer, by kind."""
    found: dict[str, list[str]] = {}
    assertions = Assertions(access)
    for asked in questions:
        port = Port(asked.port)
        try:
            why = access.why(asked.source, asked.target, *port)
        except LookupError as reason:
            found.setdefault("why: no answer", []).append(f"{asked}: {reason}")
            continue
        claims = (Paths(a, asked.source, asked.target, port) for a in (True, False))
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

"""Whether a source can ping a destination: the filter, the way, and the client apart.

A server's filter may leave ICMP out and ping works all the same: a client lets it in
from whoever may reach any of its ports. Seen with clients on 0.28.0, 0.29.2 and main.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reconcile.policy.access import Why
from reconcile.policy.ways import Ways
from reconcile.policy.words import counted
from reconcile.report.access import (
    answer_json,
    entries_table,
    held_back,
    reasons,
    verdict,
)
from reconcile.report.effect import Paint, doubts
from reconcile.report.safe import safe
from reconcile.report.width import filled
from reconcile.scene import Scene


@dataclass(frozen=True, slots=True)
class Ping:
    """The answers that a ping depends on.

    `icmp` is what the filter says of ICMP, `client` what it says of any port, by which
    the client lets ping in; `ways` are None where several sources are asked about.
    """

    question: str
    icmp: Why
    client: Why
    ways: Ways | None
    scene: Scene
    unsure: Mapping[str, str]


def ping_text(ping: Ping, paint: Paint) -> str:
    """Return yes, in part or no, and what each of the three says."""
    head = filled(f"{verdict(ping.client)}: {safe(ping.question)}", 4)
    lines = [f"  {safe(note)}" for note in ping.client.notes] or list(_lines(ping))
    told = [paint(line, "bold") for line in head]
    cut = (filled(line, len(line) - len(line.lstrip()) + 2) for line in lines)
    told += chain.from_iterable(cut)
    told += [] if ping.client.notes else doubts(ping.unsure, paint)
    return "\n".join(told) + "\n"


def _lines(ping: Ping) -> Iterator[str]:
    if ping.client.opened and not ping.client.allowed:
        yield "  Only this of it:"
        yield from entries_table(ping.client.opened, ping.scene, indent=2)
    said = {"yes": "lets icmp in, by", "in part": "lets icmp in, in part, by"}
    no_icmp = "lets no icmp in"
    yield f"  Filter: {said.get(verdict(ping.icmp), no_icmp)}"
    if ping.icmp.opened:
        yield from reasons(ping.icmp, ping.scene)
    yield f"  Way: {_way(ping)}"
    yield from held_back(ping.client, ping.scene.policy.release)
    if ping.client.opened:
        yield "  Client: lets ping in from whoever reaches anything there, by"
    else:
        yield "  Client: lets no ping in, since nothing at all is open there"
    yield from reasons(ping.client, ping.scene)


def _way(ping: Ping) -> str:
    if ping.ways is None:
        return "not told for several sources (reconcile access sees NODE)"
    told = [
        f"{safe(counted(names))} {'is' if len(names) == 1 else 'are'} {word}"
        for names, word in (
            (ping.ways.shown, "shown"),
            (ping.ways.hidden, "not shown"),
        )
        if names
    ]
    return ", ".join(told) or "nothing leads there"


def ping_json(ping: Ping) -> dict[str, Any]:
    """Return the answer as JSON; `way` is null where several sources are meant."""
    ways = ping.ways
    return {
        "question": ping.question,
        **answer_json(ping.client, ping.scene),
        "filter": answer_json(ping.icmp, ping.scene),
        "way": ways and {"shown": list(ways.shown), "not_shown": list(ways.hidden)},
        "unsure": dict(sorted(ping.unsure.items())),
    }

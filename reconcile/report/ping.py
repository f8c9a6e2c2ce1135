"""Whether a source can ping a destination: the filter, the way, and the client apart.

A server's filter may leave ICMP out and ping works all the same: a client lets it in
from whoever may reach any of its ports. Seen with clients (0.28.0 to main).
"""

from collections.abc import Iterator

from reconcile.policy.access.answers import Why
from reconcile.policy.access.ways import Ways
from reconcile.policy.language.words import counted
from reconcile.report.access import Told, framed, held_back, in_part, reasons, verdict
from reconcile.report.effect import Paint
from reconcile.report.safe import safe

_FILTER = {
    "yes": "lets icmp in, by",
    "in part": "lets icmp in, in part, by",
    "no": "lets no icmp in",
}


def ping_text(told: Told, icmp: Why, paint: Paint) -> str:
    """Return yes, in part or no, and what each of the three says.

    `icmp` is what the filter says of ICMP.
    """
    return framed(told, _lines(told, icmp), paint)


def _lines(told: Told, icmp: Why) -> Iterator[str]:
    client = told.answer
    yield from in_part(told)
    yield f"  Filter: {_FILTER[verdict(icmp)]}"
    if icmp.opened:
        yield from reasons(icmp, told.scene)
    yield f"  Way: {_way(told.ways)}"
    yield from held_back(client, told.scene.policy.release)
    if client.opened:
        yield "  Client: lets ping in from whoever reaches anything there, by"
    else:
        yield "  Client: lets no ping in, since nothing at all is open there"
    yield from reasons(client, told.scene)


def _way(ways: Ways | None) -> str:
    if ways is None:
        return "not told for several sources (reconcile access sees NODE)"
    sides = (ways.shown, "shown"), (ways.hidden, "not shown")
    said = [
        f"{safe(counted(names))} {'is' if len(names) == 1 else 'are'} {word}"
        for names, word in sides
        if names
    ]
    return ", ".join(said) or "nothing leads there"

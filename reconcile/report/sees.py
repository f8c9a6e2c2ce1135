"""What a server shows to one node, as text and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconcile.model import EXIT_ROUTES
from reconcile.policy.access.offers import Because, Peer, Withheld
from reconcile.policy.language.words import NODE, counted
from reconcile.policy.meaning.tailnet import Machine
from reconcile.report.access import rule_json, rule_place
from reconcile.report.effect import Paint, doubts
from reconcile.report.safe import safe
from reconcile.report.width import filled, table
from reconcile.review.state import Scene, said

_EVERYBODY = "no rule is in force, and this release shows everybody then"


@dataclass(frozen=True, slots=True)
class View:
    """What a node is shown: its peers, and the routes of others that it is not shown.

    `title` says of which server and state, `scene` knows where rules stand, `unsure`
    is what could not be known, and `remarks` are about all peers.
    """

    title: str
    scene: Scene
    machine: Machine
    peers: Sequence[Peer]
    withheld: Sequence[Withheld]
    unsure: Mapping[str, str]
    remarks: Sequence[str] = ()


def sees_text(view: View, paint: Paint) -> str:
    """Return the peers, routes and exit nodes of a node, each with the rules."""
    head = f"What {NODE}{view.machine.name} is shown by {view.title}"
    lines = [paint(line, "bold") for line in filled(safe(head), 4)]
    for remark in said(view.scene.policy):
        lines += [paint(line, "red") for line in filled(f"  ! {safe(remark)}", 4)]
    lines += [part for each in view.remarks for part in filled(f"  ! {each}", 4)]
    for title, rows, none in _sections(view):
        lines.append(f"  {title} ({len(rows)})" if rows else f"  {title}: none")
        lines += _table(rows)
        lines += filled(f"    {safe(none)}", 4) if none and not rows else []
    lines += _withheld(view.withheld)
    return "\n".join([*lines, *doubts(view.unsure, paint)]) + "\n"


def _sections(view: View) -> Iterator[tuple[str, list[list[str]], str]]:
    """Yield each section: its title, its rows, and what is said where it is empty."""
    here = f"{NODE}{view.machine.name}"
    none = f"no rule leads from {here} to another node, or from one to {here}"
    yield "Peers", [_row(view, p, p.because) for p in view.peers], none
    routes = [
        _row(view, peer, route.because, route.text)
        for peer in view.peers
        for route in peer.routes
    ]
    yield "Routes", routes, "" if view.withheld else "no node has an approved route"
    exits = [
        _row(view, peer, peer.because, ", ".join(peer.exits))
        for peer in view.peers
        if peer.exits
    ]
    hidden = any(EXIT_ROUTES & {*w.routes} for w in view.withheld)
    yield (
        "Exit nodes",
        exits,
        "" if hidden else "no other node is an approved exit node",
    )


def _row(view: View, peer: Peer, because: Sequence[Because], *routes: str) -> list[str]:
    """Return the node, what is routed through it, and why it is shown."""
    cells = [f"{NODE}{peer.machine.name}", *routes, _reasons(view, because)]
    return list(map(safe, cells))


def _reasons(view: View, because: Sequence[Because]) -> str:
    ways = [
        f"{word} it by {counted([rule_place(b.rule, view.scene) for b in found])}"
        for word, back in (("to", False), ("from", True))
        if (found := [b for b in because if b.back is back])
    ]
    return "; ".join(ways) or _EVERYBODY


def _withheld(withheld: Iterable[Withheld]) -> list[str]:
    rows = [
        [
            safe(f"{NODE}{each.machine.name}"),
            safe(", ".join(each.routes)),
            safe(each.reason),
        ]
        for each in withheld
    ]
    return [f"  Not shown ({len(rows)})", *_table(rows)] if rows else []


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    marks = ["    ", *("   " for _ in rows[0][1:])] if rows else []
    return [line for each in table(rows, marks) for line in each]


# -- JSON ------------------------------------------------------------------------------


def sees_json(view: View) -> dict[str, Any]:
    """Return what a node is shown as JSON."""
    return {
        "title": view.title,
        "release": view.scene.policy.release.name,
        "node": f"{NODE}{view.machine.name}",
        "peers": [
            {"node": f"{NODE}{peer.machine.name}", **_because(view, peer.because)}
            for peer in view.peers
        ],
        "routes": [
            {
                "route": route.text,
                "through": f"{NODE}{peer.machine.name}",
                **_because(view, route.because),
            }
            for peer in view.peers
            for route in peer.routes
        ],
        "exit_nodes": [
            {
                "node": f"{NODE}{peer.machine.name}",
                "routes": list(peer.exits),
                **_because(view, peer.because),
            }
            for peer in view.peers
            if peer.exits
        ],
        "not_shown": [
            {
                "node": f"{NODE}{each.machine.name}",
                "routes": list(each.routes),
                "reason": each.reason,
            }
            for each in view.withheld
        ],
        "remarks": [*said(view.scene.policy), *view.remarks],
        "unsure": dict(sorted(view.unsure.items())),
    }


def _because(view: View, because: Sequence[Because]) -> dict[str, Any]:
    """Return the rules that lead to a peer or route, and those that lead from it."""
    return {
        key: [rule_json(b.rule, view.scene) for b in because if b.back is back]
        for key, back in (("to", False), ("from", True))
    }

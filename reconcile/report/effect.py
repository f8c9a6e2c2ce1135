"""Who gains and who loses access, as text and as JSON."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from reconcile.errors import Position
from reconcile.model import natural
from reconcile.policy.language.words import EVERYTHING, Size, counted, plural
from reconcile.report.safe import safe
from reconcile.report.width import filled, table
from reconcile.review.access import Effect, Flow, Runner
from reconcile.review.after import SetOff

if TYPE_CHECKING:
    from reconcile.policy.access.entries import Behind, Entry

Paint = Callable[[str, str], str]
_SHOWN = 20
_SINGLE = re.compile(r"node:.*|autogroup:internet|(.* \()?[0-9a-fA-F.:]+(/\d+)?\)?")
_NONE = "nobody gains and nobody loses any"
_HIDDEN = "no change to be seen; what is unknown (below) may hide one"


def section(
    effect: Effect, paint: Paint, *, full: bool = False, members: bool = False
) -> list[str]:
    """Return the Access section of a plan, without an empty line around it.

    Every gain is there; of the losses the first only, unless `full` is set. With
    `members` each line is followed by the nodes behind its names.
    """
    if effect.failure:
        return [f"Access: not evaluated: {safe(effect.failure)}", *_blind(paint)]
    nodes = plural(effect.nodes, "node")
    paths = f"{plural(effect.before, 'allowed path')} -> {effect.after}"
    lines = [paint(f"Access ({nodes}, {paths})", "bold")]
    if not effect.gained and not effect.lost:
        lines[0] += ": " + (_HIDDEN if effect.unsure else _NONE)
    for remark in effect.remarks:
        lines += [paint(line, "red") for line in filled(f"  ! {safe(remark)}", 4)]
    shown = effect.lost if full else effect.lost[:_SHOWN]
    lines += _flows("+", "gains", effect.gained, paint, members)
    lines += _flows("-", "loses", shown, paint, members)
    if left := len(effect.lost) - len(shown):
        losses = "loss" if left == 1 else "losses"
        lines.append(f"    … and {left} more {losses}, of fewer paths (--full)")
    lines += _flows("?", "opens", effect.later, paint, members)
    lines += _runner(effect.runner, paint) if effect.runner else []
    return lines + doubts(effect.unsure, paint)


def _runner(runner: Runner, paint: Paint) -> list[str]:
    name = safe(runner.node)
    lost = f"this runner's own node, {name}, loses {plural(runner.lost, 'path')}"
    gained = f"This runner's own node, {name}, gains {plural(runner.gained, 'path')}."
    if not runner.gained and not runner.lost:
        return [f"  No path from or to this runner's own node ({name}) changes."]
    lines = [paint(f"  ! {lost}: it may lose its way to the server", "red")]
    return lines * bool(runner.lost) + [f"  {gained}"] * bool(runner.gained)


def _blind(paint: Paint) -> Iterator[str]:
    yield paint("  ! nobody knows what this opens: it may be more than it seems", "red")


def total(effects: Sequence[Effect]) -> str:
    """Return the sentence for the last line of a plan, "" where nothing moves."""
    if not effects:
        return ""
    if any(effect.failure for effect in effects):
        return " Access: not evaluated."
    gained = sum(effect.paths_gained for effect in effects)
    lost = sum(effect.paths_lost for effect in effects)
    wider = sum(effect.paths_wider for effect in effects)
    narrower = sum(effect.paths_narrower for effect in effects)
    parts = [f"{wider} only wider"] if wider else []
    parts += [f"{narrower} only narrower"] if narrower else []
    detail = f" ({', '.join(parts)})" if parts else ""
    unsure = ", some unknown" if any(effect.unsure for effect in effects) else ""
    return f" Access: +{gained} -{lost} paths{detail}{unsure}."


def doubts(unsure: Mapping[str, str], paint: Paint) -> list[str]:
    """Say what could not be known, one line each."""
    return [
        paint(line, "yellow")
        for name, why in sorted(unsure.items(), key=lambda item: natural(item[0]))
        for line in filled(f"  ? {safe(name)}: {safe(why)}", 4)
    ]


def side(names: Sequence[str], size: Size | None) -> str:
    """Return the names of one side, with how many nodes and networks they are."""
    shown = counted(names)
    if not size or EVERYTHING in names or all(map(_SINGLE.fullmatch, names)):
        return shown
    return f"{shown} ({size})"


def _flows(
    sign: str, verb: str, flows: Sequence[Flow], paint: Paint, members: bool
) -> Iterator[str]:
    rows = [
        [
            safe(side(flow.sources, flow.source_size)),
            safe(side(flow.targets, flow.target_size)),
            safe(services_text(flow)),
            safe(_because(flow, "when" if sign == "?" else "because")),
        ]
        for flow in flows
    ]
    colour = {"+": "green", "-": "red", "?": "yellow"}[sign]
    told = table(rows, (f"  {sign} {verb}   ", " -> ", "   ", "   "))
    for flow, lines in zip(flows, told, strict=True):
        yield from (paint(line, colour) for line in lines)
        yield from members_text(flow, 14) if members else ()


def members_text(line: "Flow | Entry", indent: int) -> Iterator[str]:
    """Yield the nodes and networks behind each name of a line that means several."""
    for name, members in (line.behind() if line.behind else {}).items():
        text = f"{' ' * indent}{safe(name)}: {', '.join(map(safe, members))}"
        yield from filled(text, indent + 2)


def services_text(flow: Flow) -> str:
    """Return by which services something is reached, or how many paths a node loses."""
    if not flow.services:
        return f"({plural(flow.paths, 'path')})"
    return only(counted(flow.services), flow.family)


def only(services: str, family: str) -> str:
    """Return services, with the address family where only one of two is open."""
    return f"{services} ({family} only)" if family else services


def _because(flow: Flow, word: str) -> str:
    if not flow.because:
        return ""
    place = f"  {flow.position.file}:{flow.position.line}" if flow.position else ""
    return f"{word} {counted(flow.because)}{place}"


# -- JSON ------------------------------------------------------------------------------


def as_json(effect: Effect | None, members: bool = False) -> dict[str, Any] | None:
    """Return an effect as JSON; numbers are null when nothing was evaluated.

    With `members` each line has the nodes behind its names.
    """
    if effect is None:
        return None
    known = not effect.failure
    return {
        "evaluated": known,
        "reason": effect.failure,
        "nodes": effect.nodes if known else None,
        "before": effect.before if known else None,
        "after": effect.after if known else None,
        "paths_gained": effect.paths_gained if known else None,
        "paths_lost": effect.paths_lost if known else None,
        "paths_wider": effect.paths_wider if known else None,
        "paths_narrower": effect.paths_narrower if known else None,
        "gained": [_flow_json(flow, members) for flow in effect.gained],
        "lost": [_flow_json(flow, members) for flow in effect.lost],
        "hidden": effect.hidden,
        "unsure": dict(sorted(effect.unsure.items())),
        "remarks": list(effect.remarks),
        "runner": _runner_json(effect.runner) if effect.runner else None,
        "later": [_flow_json(flow, members) for flow in effect.later],
        "set_off": [_set_off_json(one) for one in effect.set_off],
    }


def _set_off_json(one: SetOff) -> dict[str, Any]:
    return {
        "address": one.address,
        "server_id": one.server_id,
        "by": "autoApprovers",
        "routes": list(one.routes),
        "source": place_json(one.position),
    }


def _runner_json(runner: Runner) -> dict[str, Any]:
    return {"changed": bool(runner.gained or runner.lost), **asdict(runner)}


_PLAIN = tuple(
    found.name
    for found in fields(Flow)
    if found.name not in ("position", "source_size", "target_size", "behind")
)


def _flow_json(flow: Flow, members: bool) -> dict[str, Any]:
    entry = {name: getattr(flow, name) for name in _PLAIN}
    return {
        "src": side(flow.sources, None),
        "dst": side(flow.targets, None),
        **{key: list(v) if isinstance(v, tuple) else v for key, v in entry.items()},
        **sizes_json(flow),
        **members_json(flow, members),
        "source": place_json(flow.position),
    }


def members_json(line: "Flow | Entry", members: bool) -> dict[str, Any]:
    """Return the nodes behind each name of a line; nothing where nobody asked."""
    if not members or not line.behind:
        return {}
    return {"members": {name: list(each) for name, each in line.behind().items()}}


def sizes_json(entry: "Flow | Entry") -> dict[str, int]:
    """Return how many nodes and networks both sides of a line are."""
    return {
        "source_count": sum(entry.source_size),
        "source_networks": entry.source_size.networks,
        "target_count": sum(entry.target_size),
        "target_networks": entry.target_size.networks,
    }


def place_json(position: Position | None) -> dict[str, Any] | None:
    """Return a place in a file as JSON."""
    if position is None:
        return None
    return {"file": position.file, "line": position.line, "column": position.column}


def place_from_json(entry: dict[str, Any] | None) -> Position | None:
    """Return the place that `place_json` wrote."""
    return Position(entry["file"], entry["line"], entry["column"]) if entry else None


def from_json(entry: dict[str, Any] | None) -> Effect | None:
    """Return the effect that `as_json` wrote."""
    if entry is None:
        return None
    return Effect(
        nodes=entry["nodes"] or 0,
        before=entry["before"] or 0,
        after=entry["after"] or 0,
        gained=tuple(_load_flow(flow) for flow in entry["gained"]),
        lost=tuple(_load_flow(flow) for flow in entry["lost"]),
        paths_gained=entry["paths_gained"] or 0,
        paths_lost=entry["paths_lost"] or 0,
        paths_wider=entry["paths_wider"] or 0,
        paths_narrower=entry["paths_narrower"] or 0,
        hidden=entry["hidden"],
        unsure=entry["unsure"],
        remarks=tuple(entry["remarks"]),
        failure=entry["reason"],
        runner=_load_runner(entry.get("runner")),
        later=tuple(map(_load_flow, entry.get("later", ()))),
        set_off=tuple(map(_load_set_off, entry.get("set_off", ()))),
    )


def _load_set_off(entry: dict[str, Any]) -> SetOff:
    place = place_from_json(entry["source"])
    return SetOff(entry["address"], entry["server_id"], tuple(entry["routes"]), place)


def _load_runner(entry: dict[str, Any] | None) -> Runner | None:
    return Runner(entry["node"], entry["gained"], entry["lost"]) if entry else None


def _load_flow(entry: dict[str, Any]) -> Flow:
    return Flow(
        tuple(entry["sources"]),
        tuple(entry["targets"]),
        _load_size(entry, "source"),
        _load_size(entry, "target"),
        tuple(entry["services"]),
        entry["paths"],
        entry["cause"],
        tuple(entry["because"]),
        tuple(entry["rules"]),
        place_from_json(entry["source"]),
        entry["family"],
        _load_members(entry.get("members")),
    )


def _load_members(entry: dict[str, list[str]] | None) -> "Behind | None":
    if entry is None:
        return None
    found = {name: tuple(members) for name, members in entry.items()}
    return lambda: found


def _load_size(entry: dict[str, Any], side: str) -> Size:
    networks = entry[f"{side}_networks"]
    return Size(entry[f"{side}_count"] - networks, networks)

"""Who gains and who loses access, as text and as JSON."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from reconcile.effect import Effect, Flow, Runner
from reconcile.errors import Position
from reconcile.model import natural
from reconcile.policy.words import BUT, EVERYTHING, NODE, counted, plural
from reconcile.report.safe import safe

Paint = Callable[[str, str], str]
_SHOWN = 20
_SINGLE = re.compile(r"node:.*|the internet|(.* \()?[0-9a-fA-F.:]+(/\d+)?\)?")
_WIDEST = 40
_NONE = "nobody gains and nobody loses any"
_HIDDEN = "no change to be seen; what is unknown (below) may hide one"


def section(effect: Effect, paint: Paint, *, full: bool = False) -> list[str]:
    """Return the Access section of a plan, without an empty line around it.

    Every gain is there; of the losses the first only, unless `full` is set.
    """
    if effect.failure:
        return [f"Access: not evaluated: {safe(effect.failure)}", *_blind(paint)]
    nodes = plural(effect.nodes, "node")
    paths = f"{plural(effect.before, 'allowed path')} -> {effect.after}"
    lines = [paint(f"Access ({nodes}, {paths})", "bold")]
    if not effect.gained and not effect.lost:
        lines[0] += ": " + (_HIDDEN if effect.unsure else _NONE)
    lines += [paint(f"  ! {safe(remark)}", "red") for remark in effect.remarks]
    shown = effect.lost if full else effect.lost[:_SHOWN]
    lines += _flows("+", "gains", effect.gained, paint)
    lines += _flows("-", "loses", shown, paint)
    if left := len(effect.lost) - len(shown):
        losses = "loss" if left == 1 else "losses"
        lines.append(f"    … and {left} more {losses}, of fewer paths (--full)")
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
    unsure = ", some unknown" if any(effect.unsure for effect in effects) else ""
    return f" Access: +{gained} -{lost} paths{unsure}."


def doubts(unsure: Mapping[str, str], paint: Paint) -> list[str]:
    """Say what could not be known, one line each."""
    return [
        paint(f"  ? {safe(name)}: {safe(why)}", "yellow")
        for name, why in sorted(unsure.items(), key=lambda item: natural(item[0]))
    ]


def side(names: Sequence[str], count: int) -> str:
    """Return the names of one side, with how many nodes and networks they are."""
    shown = counted(names)
    if not count or EVERYTHING in names or all(_is_single(name) for name in names):
        return shown
    networks = any(_holds_networks(name) for name in names)
    return f"{shown} ({plural(count, 'place' if networks else 'node')})"


def _is_single(name: str) -> bool:
    return BUT not in name and bool(_SINGLE.fullmatch(name))


def _holds_networks(name: str) -> bool:
    if BUT in name:
        return name.startswith(EVERYTHING)
    return _is_single(name) and not name.startswith(NODE)


def columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Pad all but the last column; what is too long pushes the rest aside."""
    widths = [
        max((len(row[i]) for row in rows if len(row[i]) <= _WIDEST), default=0)
        for i in range(len(rows[0]) - 1 if rows else 0)
    ]
    return [
        [*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), row[-1]]
        for row in rows
    ]


def _flows(sign: str, verb: str, flows: Sequence[Flow], paint: Paint) -> Iterator[str]:
    rows = [
        [
            safe(side(flow.sources, flow.source_count)),
            safe(side(flow.targets, flow.target_count)),
            safe(services_text(flow)),
            safe(_because(flow)),
        ]
        for flow in flows
    ]
    colour = {"+": "green", "-": "red"}[sign]
    for source, target, services, because in columns(rows):
        text = f"  {sign} {verb}   {source} -> {target}   {services}   {because}"
        yield paint(text.rstrip(), colour)


def services_text(flow: Flow) -> str:
    """Return by which services something is reached, or how many paths a node loses."""
    if not flow.services:
        return f"({plural(flow.paths, 'path')})"
    return counted(flow.services)


def _because(flow: Flow) -> str:
    if not flow.because:
        return ""
    place = f"  {flow.position.file}:{flow.position.line}" if flow.position else ""
    return f"because {counted(flow.because)}{place}"


# -- JSON ------------------------------------------------------------------------------


def as_json(effect: Effect | None) -> dict[str, Any] | None:
    """Return an effect as JSON; numbers are null when nothing was evaluated."""
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
        "gained": [_flow_json(flow) for flow in effect.gained],
        "lost": [_flow_json(flow) for flow in effect.lost],
        "hidden": effect.hidden,
        "unsure": dict(sorted(effect.unsure.items())),
        "remarks": list(effect.remarks),
        "runner": _runner_json(effect.runner) if effect.runner else None,
    }


def _runner_json(runner: Runner) -> dict[str, Any]:
    return {"changed": bool(runner.gained or runner.lost), **asdict(runner)}


def _flow_json(flow: Flow) -> dict[str, Any]:
    entry = asdict(flow)
    del entry["position"]
    return {
        "src": side(flow.sources, 0),
        "dst": side(flow.targets, 0),
        **{key: list(v) if isinstance(v, tuple) else v for key, v in entry.items()},
        "source": place_json(flow.position),
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
        hidden=entry["hidden"],
        unsure=entry["unsure"],
        remarks=tuple(entry["remarks"]),
        failure=entry["reason"],
        runner=_load_runner(entry.get("runner")),
    )


def _load_runner(entry: dict[str, Any] | None) -> Runner | None:
    return Runner(entry["node"], entry["gained"], entry["lost"]) if entry else None


def _load_flow(entry: dict[str, Any]) -> Flow:
    return Flow(
        tuple(entry["sources"]),
        tuple(entry["targets"]),
        entry["source_count"],
        entry["target_count"],
        tuple(entry["services"]),
        entry["paths"],
        entry["cause"],
        tuple(entry["because"]),
        tuple(entry["rules"]),
        place_from_json(entry["source"]),
    )

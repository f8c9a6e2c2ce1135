"""Which names lead back to themselves, in a time that grows with their number alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def on_circles(graph: Graph) -> set[str]:
    """Return the names from which a way leads back to them (Kosaraju's algorithm)."""
    back: dict[str, list[str]] = defaultdict(list)
    for name, others in graph.items():
        for other in others:
            back[other].append(name)
    found: set[str] = set()
    seen: set[str] = set()
    for name in reversed(_finished(graph)):
        circle = _reached(back, name, seen)
        if len(circle) > 1 or name in graph.get(name, ()):
            found.update(circle)
    return found


def _finished(graph: Graph) -> list[str]:
    """Return all names, each behind those that it leads to for the first time."""
    order: list[str] = []
    seen: set[str] = set()
    for root in graph:
        waiting = [(root, False)]
        while waiting:
            name, done = waiting.pop()
            if done:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                waiting.append((name, True))
                waiting += ((other, False) for other in graph.get(name, ()))
    return order


def _reached(graph: Graph, start: str, seen: set[str]) -> list[str]:
    """Return what can be reached and was not seen yet, and note it as seen."""
    found: list[str] = []
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            found.append(name)
            waiting += graph.get(name, ())
    return found

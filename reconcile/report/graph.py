"""Access as a picture: Mermaid and DOT.

Names come from devices and are hostile. They are never more than labels: nodes of the
picture have ids of our own, and what could end a label is written as an entity.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconcile.policy.access.entries import Entry
from reconcile.policy.language.words import counted, plural
from reconcile.report.effect import services_text, side
from reconcile.report.safe import safe
from reconcile.review.access import Effect

_PLAIN = frozenset(" .,:-_/@()+=…")


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow: who reaches what by which services; `kind` is "", gains or loses."""

    source: str
    target: str
    label: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A picture, with sentences that belong under it."""

    title: str
    edges: Sequence[Edge]
    notes: Sequence[str] = ()

    @property
    def names(self) -> dict[str, str]:
        """The ids of what the arrows connect, by their names."""
        names = (name for edge in self.edges for name in (edge.source, edge.target))
        return {name: f"n{i}" for i, name in enumerate(dict.fromkeys(names))}


def of_entries(
    entries: Sequence[Entry],
    title: str,
    unsure: Iterable[str],
    most: int | None = None,
    notes: Sequence[str] = (),
) -> Graph:
    """Return the picture of who reaches what; what is beyond `most` is counted."""
    edges = [
        Edge(
            side(entry.sources, entry.source_size),
            side(entry.targets, entry.target_size),
            counted(entry.services),
        )
        for entry in entries[:most]
    ]
    more = _notes(len(entries) - len(edges), unsure)
    return Graph(title, edges, (*notes, *more))


def of_effect(effect: Effect, title: str, most: int | None = None) -> Graph:
    """Return the picture of what is gained and lost, the two told apart in words."""
    if effect.failure:
        return Graph(title, (), (f"not evaluated: {effect.failure}",))
    edges = [
        Edge(
            side(flow.sources, flow.source_size),
            side(flow.targets, flow.target_size),
            f"{kind} {services_text(flow)}",
            kind,
        )
        for kind, flows in (("gains", effect.gained), ("loses", effect.lost))
        for flow in flows[:most]
    ]
    left = len(effect.gained) + len(effect.lost) + effect.hidden - len(edges)
    return Graph(title, edges, (*effect.remarks, *_notes(left, effect.unsure)))


def _notes(left: int, unsure: Iterable[str]) -> list[str]:
    more = [f"{plural(left, 'arrow')} more not shown (see --full)"] if left else []
    return more + [f"not known: {name}" for name in sorted(unsure)]


# -- Mermaid ---------------------------------------------------------------------------


def mermaid(graph: Graph) -> str:
    """Return the picture as a Mermaid flowchart."""
    names = graph.names
    lines = [
        "flowchart LR",
        f"  title0[{_quoted(graph.title, _numbered)}]:::text",
    ]
    lines += [f"  {i}[{_quoted(name, _numbered)}]" for name, i in names.items()]
    for edge in graph.edges:
        arrow = "-.->" if edge.kind == "loses" else "-->"
        label = _quoted(edge.label, _numbered)
        lines.append(f"  {names[edge.source]} {arrow}|{label}| {names[edge.target]}")
    lines += [
        f"  note{i}[{_quoted(note, _numbered)}]:::text"
        for i, note in enumerate(graph.notes)
    ]
    lines.append("  classDef text fill:none,stroke:none")
    colours = {"gains": "#2da44e", "loses": "#cf222e"}
    lines += [
        f"  linkStyle {i} stroke:{colours[edge.kind]}"
        for i, edge in enumerate(graph.edges)
        if edge.kind
    ]
    return "\n".join(lines) + "\n"


# -- DOT -------------------------------------------------------------------------------


def dot(graph: Graph) -> str:
    """Return the picture in DOT, the language of Graphviz."""
    names = graph.names
    label = "\\n".join(_escaped(t, _hashed) for t in (graph.title, *graph.notes))
    lines = [
        "digraph access {",
        f'  graph [rankdir=LR, label="{label}"];',
        "  node [shape=box];",
    ]
    lines += [f"  {i} [label={_quoted(name, _hashed)}];" for name, i in names.items()]
    styles = {"": "", "gains": ", color=green4", "loses": ", color=red3, style=dashed"}
    for edge in graph.edges:
        text = _quoted(edge.label, _hashed)
        ends = f"{names[edge.source]} -> {names[edge.target]}"
        lines.append(f"  {ends} [label={text}{styles[edge.kind]}];")
    return "\n".join([*lines, "}"]) + "\n"


# -- labels ----------------------------------------------------------------------------


def _quoted(text: str, entity: Callable[[str], str]) -> str:
    return f'"{_escaped(text, entity)}"'


def _escaped(text: str, entity: Callable[[str], str]) -> str:
    plain = (c if c.isalnum() or c in _PLAIN else entity(c) for c in safe(text))
    return "".join(plain)


def _numbered(letter: str) -> str:
    return f"#{ord(letter)};"


def _hashed(letter: str) -> str:
    return f"&#{ord(letter)};"


FORMS = {"mermaid": mermaid, "dot": dot}

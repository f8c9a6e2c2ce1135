"""Access as Mermaid and DOT: what hostile names cannot do, and what is left out."""

import re

import pytest

from reconcile.report.graph import FORMS, Edge, Graph, of_effect, of_entries
from reconcile.review.access import Effect, Flow

HOSTILE = [
    '"]-->x',
    "</script><img src=x onerror=alert(1)>",
    'a\nn0 --> n1\nclick n0 "javascript:alert(1)"',
    "\u202egnol\u200b",
    '\\"]; evil [label="',
    "%%{init: {}}%%",
    "#quot;&quot;&#34;`**md**`",
    "end",
    "|a|b|",
    "naïve-Ω",
]
LABEL = r'"(?:[^\W_]|[ .,:_/@()+=…-]|ENTITY)*"'
MERMAID = [
    re.compile(line.replace("LABEL", LABEL.replace("ENTITY", r"#\d+;")))
    for line in (
        r"flowchart LR",
        r"  (title0|note\d+)\[LABEL\]:::text",
        r"  n\d+\[LABEL\]",
        r"  n\d+ (-->|-\.->)\|LABEL\| n\d+",
        r"  classDef text fill:none,stroke:none",
        r"  linkStyle \d+ stroke:#[0-9a-f]{6}",
    )
]
DOT = [
    re.compile(line.replace("LABEL", LABEL.replace("ENTITY", r"&\#\d+;|\\n")))
    for line in (
        r"digraph access \{",
        r"  graph \[rankdir=LR, label=LABEL\];",
        r"  node \[shape=box\];",
        r"  n\d+ \[label=LABEL\];",
        r"  n\d+ -> n\d+ \[label=LABEL(, color=\w+)?(, style=dashed)?\];",
        r"\}",
    )
]


def read(form, text):
    """Return what each line of a picture is, by its place in the grammar."""
    found = []
    for line in text.splitlines():
        kinds = [i for i, rule in enumerate(form) if rule.fullmatch(line)]
        assert kinds, f"not in the grammar: {line}"
        found.append(kinds[0])
    return found


def flow(source, target, paths=1):
    return Flow((source,), (target,), 1, 1, ("tcp 22",), paths, "policy", ("acls[0]",))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(("form", "grammar"), [("mermaid", MERMAID), ("dot", DOT)])
def test_a_hostile_name_is_a_label_and_nothing_else(name, form, grammar):
    graph = Graph(name, [Edge(name, f"{name}2", name, "gains")], [name])
    plain = Graph("t", [Edge("a", "b", "tcp 22", "gains")], ["n"])
    kinds = read(grammar, FORMS[form](graph))
    assert kinds == read(grammar, FORMS[form](plain))


@pytest.mark.parametrize(("form", "grammar"), [("mermaid", MERMAID), ("dot", DOT)])
def test_gained_and_lost_are_told_apart_by_word_and_by_line(form, grammar):
    effect = Effect(gained=(flow("a", "b"),), lost=(flow("b", "c"),), remarks=("open",))
    text = FORMS[form](of_effect(effect, "title"))
    read(grammar, text)
    (gained,) = (line for line in text.splitlines() if "gains tcp 22" in line)
    (lost,) = (line for line in text.splitlines() if "loses tcp 22" in line)
    dashes = {"mermaid": "-.->", "dot": "style=dashed"}[form]
    assert dashes in lost
    assert dashes not in gained
    assert "open" in text


def test_a_name_is_one_node_of_the_picture():
    effect = Effect(gained=(flow("a", "b"), flow("b", "a")))
    assert of_effect(effect, "t").names == {"a": "n0", "b": "n1"}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_left_out_is_counted(form):
    many = tuple(flow(f"s{n}", "t") for n in range(9))
    text = FORMS[form](of_effect(Effect(gained=many, lost=many, hidden=2), "t", 4))
    assert "12 arrows more not shown (see --full)" in text
    assert "s4" not in text
    assert "more not shown" not in FORMS[form](of_effect(Effect(gained=many), "t"))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_known_is_said(form):
    effect = Effect(failure="users were not read")
    assert "not evaluated: users were not read" in FORMS[form](of_effect(effect, "t"))
    effect = Effect(unsure={"posture:new": "not known"})
    assert "not known: posture:new" in FORMS[form](of_effect(effect, "t"))
    assert "not known: x" in FORMS[form](of_entries((), "t", ["x"]))

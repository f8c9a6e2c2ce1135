"""A policy that is cut into fragments means what it meant."""

import re
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.desired import fragments
from reconcile.desired.findings import Findings
from reconcile.desired.state import WantedPolicy
from reconcile.policy.edits.changes import compare
from reconcile.policy.language.render import render
from reconcile.source import hujson
from reconcile.source.yaml import parse

NAMES = st.text("abc:/@.", min_size=1, max_size=4)
MEMBERS = st.lists(NAMES, max_size=3)
LISTS = st.dictionaries(NAMES, MEMBERS, max_size=4)
RULES = st.lists(st.fixed_dictionaries({"src": MEMBERS, "dst": MEMBERS}), max_size=5)
POLICY = st.fixed_dictionaries(
    {},
    optional={
        "groups": LISTS,
        "hosts": st.dictionaries(NAMES, NAMES, max_size=4),
        "tagOwners": LISTS,
        "autoApprovers": st.fixed_dictionaries(
            {}, optional={"routes": LISTS, "exitNode": MEMBERS}
        ),
        "acls": RULES,
        "ssh": RULES,
        "tests": RULES,
        "randomizeClientPort": st.booleans(),
        "somethingNew": LISTS,
    },
)
GROWING = re.compile(
    "groups|hosts|tagOwners|autoApprovers|routes|exitNode|acls|ssh|tests"
)
SPELLINGS: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper, str.title)


@st.composite
def cut(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Draw a policy, and the parts that it is cut into."""
    policy = draw(POLICY)
    parts: list[dict[str, Any]] = [{} for _ in range(draw(st.integers(1, 4)))]
    _cut(draw, policy, parts)
    return policy, parts


def _cut(draw: st.DrawFn, value: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    for name, member in value.items():
        spelled = [draw(st.sampled_from(SPELLINGS))(name) for _ in parts]
        if not GROWING.fullmatch(name):
            word = name if name == "somethingNew" else spelled[0]
            draw(st.sampled_from(parts))[word] = member
        elif isinstance(member, list):
            cuts = sorted(draw(st.integers(0, len(member))) for _ in parts[1:])
            for part, word, start, end in zip(
                parts, spelled, [0, *cuts], [*cuts, len(member)], strict=True
            ):
                part[word] = member[start:end]
        elif name == "autoApprovers":
            below: list[dict[str, Any]] = [{} for _ in parts]
            _cut(draw, member, below)
            for part, word, inner in zip(parts, spelled, below, strict=True):
                part[word] = inner
        else:
            for part, word in zip(parts, spelled, strict=True):
                part[word] = {}
            for key, item in member.items():
                index = draw(st.integers(0, len(parts) - 1))
                parts[index][spelled[index]][key] = item


def merged(parts: list[dict[str, Any]], findings: Findings) -> WantedPolicy:
    documents = [
        hujson.parse(render(part, ["a comment"]), f"part{index}")
        for index, part in enumerate(parts)
    ]
    return fragments.merge(documents, (parse("x: 1", "tailnet.yaml"), ()), findings)


@settings(deadline=None)
@given(cut())
def test_fragments_mean_what_the_whole_means(case: Any) -> None:
    policy, parts = case
    findings = Findings()
    found = merged(parts, findings)
    assert findings.sorted() == ()
    assert not compare(policy, found.value)
    assert hujson.parse(found.text).value == found.value


@settings(deadline=None)
@given(cut())
def test_every_part_is_found_in_the_fragment_that_holds_it(case: Any) -> None:
    _, parts = case
    policy = merged(parts, Findings())
    for path, value in leaves(policy.value):
        place = policy.locate(path)
        assert place.file.startswith("part")
        text = place.text[place.column - 1 : place.column - 1 + place.length]
        assert hujson.parse(text).value == value


def leaves(value: Any, path: Any = ()) -> Any:
    """Yield the path and value of everything that is no list and no map."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


@settings(deadline=None)
@given(cut(), st.data())
def test_a_name_that_two_fragments_give_is_refused(
    case: Any, data: st.DataObject
) -> None:
    _, parts = case
    name = data.draw(NAMES)
    parts = [*parts, {"groups": {name: []}}, {"Groups": {name: []}}]
    findings = Findings()
    merged(parts, findings)
    assert findings.failed
    assert {f.code for f in findings.sorted()} == {"RC0023"}

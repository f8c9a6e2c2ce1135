"""HuJSON against Python's own json, and its positions against its own values."""

import json
import random
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from reconcile.errors import InputError
from reconcile.source.hujson import parse, standardize
from reconcile.source.hujson_form import mistaken
from reconcile.source.hujson_reader import Reader

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALAR = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT
VALUE = st.recursive(
    SCALAR | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=25,
)
NOISE = [" ", "\n", "\t", "\r\n", "// é, ]\n", '/* ", // */', "/**/", "/* * / \n*/"]


def paths(value: object) -> Iterator[tuple[str | int, ...]]:
    yield ()
    children = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        children = list(enumerate(value))
    for step, child in children:
        for rest in paths(child):
            yield (step, *rest)


def dress(value: object, chance: random.Random, ascii_only: bool) -> str:
    """Write a value as HuJSON with comments, gaps and trailing commas at random."""

    def gap() -> str:
        return "".join(chance.choices(NOISE, k=chance.choice([0, 0, 1, 2])))

    def write(item: object) -> str:
        if isinstance(item, dict):
            parts = [
                f"{json.dumps(k, ensure_ascii=ascii_only)}{gap()}:{gap()}{write(v)}"
                for k, v in item.items()
            ]
            return join("{", parts, "}")
        if isinstance(item, list):
            return join("[", [write(child) for child in item], "]")
        return json.dumps(item, ensure_ascii=ascii_only)

    def join(opening: str, parts: list[str], closing: str) -> str:
        body = ",".join(gap() + part + gap() for part in parts)
        comma = chance.choice(["", "," + gap()]) if parts else gap()
        return opening + body + comma + closing

    return gap() + write(value) + gap()


@given(VALUE, st.booleans())
def test_plain_json_means_the_same(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse(text).value == json.loads(text)


@given(VALUE, st.randoms(use_true_random=False), st.booleans())
def test_comments_and_commas_change_nothing(
    value: object, chance: random.Random, ascii_only: bool
) -> None:
    text = dress(value, chance, ascii_only)
    document = parse(text)
    assert document.value == value
    for path in paths(document.value):
        expected = document.value
        for step in path:
            expected = expected[step]
        start, end = document.span(path)
        assert parse(text[start:end]).value == expected
        place = document.locate(path)
        assert document.lines.position(start, end) == place
        lines = text.split("\n")
        assert text[start] == lines[place.line - 1][place.column - 1]
        if path and isinstance(path[-1], str):
            start, end = document.span(path, key=True)
            assert json.loads(text[start:end]) == path[-1]


JUNK = st.text(st.sampled_from("[]{},:\"\\/*#'\n\r\t \ufeff\u00a0au0dD8.-+eE19tn"))


def refusals(text: str) -> list[str]:
    try:
        parse(text, "p")
    except InputError as refusal:
        return [str(finding) for finding in refusal.diagnostics] or ["none given"]
    return []


@given(JUNK | st.text(st.characters()))
@example("- ")
def test_fast_and_slow_reader_agree(text: str) -> None:
    """What is no HuJSON at all has one finding in place of those of the slow reader."""
    slow = [str(found) for found in Reader(text, "p").refusals()]
    whole = mistaken(text, "p", lambda other: not refusals(other)) if slow else None
    assert refusals(text) == ([str(whole)] if whole else slow)
    assert len(standardize(text)) == len(text)

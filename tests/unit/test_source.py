"""YAML to plain values: what is special, where things stand, what variables give."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.errors import MOST_ERRORS, InputError
from reconcile.source.variables import Expanded, as_written, quoted
from reconcile.source.yaml import parse


@pytest.mark.parametrize(
    "surprise",
    ["no", "yes", "on", "off", "True", "NULL", "012", "0x1F", "1:30", "2026-01-01",
     "1_000", ".5", "+1", ".inf", "0o7", "1e", "1.", "--1", "=", "12a"],
)  # fmt: skip
def test_yaml_1_1_surprises_are_text(surprise):
    assert parse(f"a: {surprise}", "f").value == {"a": surprise}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("12", 12),
        ("-0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ('"12"', "12"),
        ("!!str 12", "12"),
        ("{}", {}),
        ("[a, 1]", ["a", 1]),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_json_values(text, value):
    found = parse(f"a: {text}", "f").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_always_text():
    source = parse("{1: a, true: b, null: c, no: d, 012: e}", "f")
    assert source.value == {"1": "a", "true": "b", "null": "c", "no": "d", "012": "e"}
    assert source.nulls == []


@pytest.mark.parametrize("null", ["", "~", "null"])
def test_nulls_are_found_with_their_path(null):
    source = parse(f"a:\n  b: [x, {null or 'null'}]\n  c: {null}\n", "f")
    assert source.nulls == [("a", "b", 1), ("a", "c")]


def test_positions_of_values_and_keys():
    source = parse("a:\n  - b: ünï\n    c: [1, 'x y']\n", "f")
    assert str(source.locate(("a", 0, "c"), key=True)) == "f:3:5"
    place = source.locate(("a", 0, "c", 1))
    assert (str(place), place.length, place.text) == ("f:3:12", 5, "    c: [1, 'x y']")
    assert str(source.locate(("a", 0, "b"))) == "f:2:8"


def test_a_path_to_nothing_gives_the_nearest_place_above():
    source = parse("a: {b: 1}", "f")
    assert str(source.locate(("a", "zz", 3))) == "f:1:4"
    assert str(source.locate(("zz",))) == "f:1:1"


def test_windows_line_ends_and_odd_separators_keep_the_line_numbers():
    source = parse("a: 1\r\nb: 'x\u2028y'\r\nc: 3\r\n", "f")
    place = source.locate(("c",))
    assert (str(place), place.text) == ("f:3:4", "c: 3")


def test_merge_keys_and_their_positions():
    source = parse("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\n", "f")
    assert source.value["a"] == {"x": 1, "y": 3}
    assert str(source.locate(("a", "x"))) == "f:1:14"
    assert str(source.locate(("a", "y"))) == "f:4:6"


def test_aliases_give_values_of_their_own():
    value = parse("a: &x [1]\nb: *x\n", "f").value
    value["a"].append(2)
    assert value["b"] == [1]


def test_variables():
    environ = {"A": "1", "EMPTY": ""}
    text = 'a: "${A}${B:-x}"\nb: $${A} $A ${EMPTY:-y}${EMPTY}\n${A}: c\n'
    source = parse(text, "f", environ)
    assert source.value == {"a": "1x", "b": "${A} $A y", "1": "c"}
    assert isinstance(source.value["a"], Expanded)
    assert as_written(source.value["a"]) == "${A}${B:-x}"
    assert str(source.locate(("1",), key=True)) == "f:3:1"


def test_variables_give_text_even_when_they_look_like_more():
    assert parse("a: ${A}", "f", {"A": "null"}).value == {"a": "null"}
    assert parse("a: ${A}", "f", {"A": "[1]"}).value == {"a": "[1]"}


def test_a_variable_in_an_alias_is_filled_in_once():
    source = parse("a: &x $${A}\nb: *x\n", "f", {"A": "no"})
    assert source.value == {"a": "${A}", "b": "${A}"}


def test_an_unset_variable_has_a_path_and_a_near_miss():
    source = parse("a: [{b: '${HEADSCALE_URI}'}]", "f", {"HEADSCALE_URL": "x"})
    ((path, finding),) = source.unset
    assert path == ("a", 0, "b")
    assert "HEADSCALE_URI is not set" in finding.message
    assert finding.help.endswith("did you mean HEADSCALE_URL?")


def test_a_repeated_key_tells_both_places():
    (finding,) = parse("a: 1\nb: 2\na: 3\n", "f").findings
    assert str(finding.position) == "f:3:1"
    assert str(finding.related[0].position) == "f:1:1"


def test_odd_texts_do_not_garble_a_message():
    assert quoted("nas") == "`nas`"
    assert quoted("a\nb") == '"a\\nb"'
    assert quoted("`") == '"`"'
    assert quoted("") == '""'


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="ab:-#{}[]&*!|>'\"%@`?,<~$ \n\t0x1\\", max_size=40),
)
def test_any_text_reads_or_is_refused_with_a_place(text):
    try:
        source = parse(text, "f", {})
    except InputError as error:
        for finding in error.diagnostics:
            assert finding.position.file == "f"
            assert 1 <= finding.position.line <= text.count("\n") + 1
    else:
        source.locate(())


def test_a_position_holds_no_copy_of_its_line():
    line = f"users: {{ {', '.join(f'u{n}: {{ x: 1 }}' for n in range(5000))} }}\n"
    source = parse(line, "f")
    tracemalloc.start()
    try:
        places = [source.locate(("users", f"u{n}", "x")) for n in range(5000)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 10_000_000 < sum(len(place.text) for place in places)


@pytest.mark.parametrize(
    "text",
    [
        f"a: &a {'x' * 9000}\nb: [{'*a, ' * 200}]",
        f"a: &a {{ {'x' * 1000}: 1 }}\nb: [{'*a, ' * 2000}]",
        f"a: &a {{ {'x' * 1000}: 1 }}\nb: [{'{<<: *a}, ' * 2000}]",
        "b: [" + "'${BIG}', " * 200 + "]",
    ],
)
def test_long_texts_count_in_what_aliases_and_variables_make(text):
    with pytest.raises(InputError, match="far larger than it is"):
        parse(text, "f", {"BIG": "x" * 9000})


@pytest.mark.parametrize("text", ["a: {}", "? {}\n: 1", "- ['{}']", "a: ${{BIG}}"])
def test_a_text_has_ten_thousand_characters_at_most(text):
    for size, codes in ((10_000, []), (10_001, ["RC0033"])):
        found = []
        try:
            parse(text.format("x" * size), "f", {"BIG": "x" * size})
        except InputError as error:
            found = [d.code for d in error.diagnostics]
        assert found == codes


@pytest.mark.parametrize("again", ["a: 1\n", "!t a: !b 1\n", "? [a]\n: 1\n"])
def test_what_is_wrong_a_thousand_times_ends_the_reading(again):
    with pytest.raises(InputError) as caught:
        parse("a: 0\n" + again * 3000, "f")
    assert len(caught.value.diagnostics) == MOST_ERRORS + 2
    assert caught.value.diagnostics[-1].code == "RC0031"

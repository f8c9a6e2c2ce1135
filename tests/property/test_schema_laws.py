"""The quick check of the schema and jsonschema never disagree about a document."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from reconcile.desired import schema
from reconcile.desired.fits import check_of

WHOLE = json.loads(schema.text("desired"))
PARTS = WHOLE["$defs"]
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, 1.5, 10**30, "", "1", "all", "never", "a\n"),
    *("${X}", "tag:A", "tag:a b", "node:", "Yes", [], {}, [[]], [{}], {"a": {}}),
]


def _examples(part: Any) -> list[Any]:
    if isinstance(part, list):
        return [each for item in part for each in _examples(item)]
    if not isinstance(part, dict):
        return []
    shown = part.get("examples", ())
    own = [*shown, *part.get("enum", ())] if isinstance(shown, list) else []
    return own + [each for item in part.values() for each in _examples(item)]


KNOWN = _examples(WHOLE)
ANYTHING = st.sampled_from(ODD) | st.sampled_from(KNOWN)


def _valid(part: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return documents that mostly fit a part of the schema."""
    if "$ref" in part:
        return st.deferred(lambda: _valid(PARTS[part["$ref"].rpartition("/")[2]]))
    if "const" in part or "enum" in part:
        return st.sampled_from(part.get("enum") or [part["const"]])
    forms = [part[word] for word in ("then", "else") if word in part]
    if forms and not any("properties" in form for form in [part]):
        return st.one_of([_valid({**form, "type": _kind(form)}) for form in forms])
    if "properties" in part or isinstance(part.get("additionalProperties"), dict):
        return _map(part)
    if "items" in part:
        return st.lists(_valid(part["items"]), min_size=part.get("minItems", 0))
    return st.sampled_from(part["examples"]) if "examples" in part else ANYTHING


def _kind(form: dict[str, Any]) -> str:
    return form.get("type", "object")


def _map(part: dict[str, Any]) -> st.SearchStrategy[Any]:
    known = {k: _valid(below) for k, below in part.get("properties", {}).items()}
    must = {k: known.pop(k) for k in part.get("required", ()) if k in known}
    fixed = st.fixed_dictionaries(must, optional=known)
    others = part.get("additionalProperties")
    if not isinstance(others, dict):
        return fixed
    names = st.sampled_from(["a", "alice", "all", "tag:x", ""])
    more = st.dictionaries(names, _valid(others), max_size=2)
    return st.tuples(fixed, more).map(lambda both: {**both[1], **both[0]})


@st.composite
def _broken(draw: Any, whole: st.SearchStrategy[Any]) -> Any:
    """Return a document with one place changed, removed or added."""
    document = json.loads(json.dumps(draw(whole)))
    place = document
    while isinstance(place, dict | list) and place:
        keys = [*place] if isinstance(place, dict) else [*range(len(place))]
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    else:
        return document
    match draw(st.sampled_from(["change", "remove", "add"])):
        case "remove":
            del place[key]
        case "add" if isinstance(place, dict):
            place[draw(st.sampled_from(["x", "tag", "then", "file"]))] = draw(ANYTHING)
        case _:
            place[key] = draw(ANYTHING)
    return document


DOCUMENTS = _valid(WHOLE)
JUDGE = Draft202012Validator(WHOLE)
QUICK = check_of(schema._schema())


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS | _broken(DOCUMENTS))
def test_files_are_valid_for_both_or_for_none(document):
    valid = JUDGE.is_valid(document)
    assert QUICK(document) == valid
    assert (schema.violations(document) == []) == valid


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_parts_are_valid_for_both_or_for_none(data):
    """A value is made for one part of the schema, and held against another."""
    one = data.draw(st.sampled_from([*PARTS]))
    other = data.draw(st.sampled_from([*PARTS]) | st.just(one))
    value = data.draw(_valid(PARTS[one]) | _broken(_valid(PARTS[one])) | ANYTHING)
    part = {"$defs": PARTS, "$ref": f"#/$defs/{other}"}
    filled = schema._fill_in(PARTS[other], PARTS, names=False)
    assert check_of(filled)(value) == Draft202012Validator(part).is_valid(value)


def test_both_verdicts_are_met():
    """The documents above are of use: many fit, and many do not."""
    found: list[bool] = []

    @settings(max_examples=60, deadline=None, database=None)
    @given(DOCUMENTS | _broken(DOCUMENTS))
    def note(document):
        found.append(JUDGE.is_valid(document))

    note()
    assert min(found.count(True), found.count(False)) > 5


@pytest.mark.parametrize("word", ["format", "uniqueItems", "contains"])
def test_a_keyword_without_a_row_is_refused(word):
    with pytest.raises(NotImplementedError, match=word):
        check_of({"type": "string", word: True})

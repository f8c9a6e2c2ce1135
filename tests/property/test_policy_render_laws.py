"""A rendered policy reads back as what it was."""

from hypothesis import given
from hypothesis import strategies as st

from reconcile.policy.language.fields import SECTIONS
from reconcile.policy.language.render import render
from reconcile.source.hujson import parse

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
)
POLICY = st.dictionaries(st.sampled_from(SECTIONS) | TEXT, VALUE, max_size=5)


@given(POLICY, st.lists(TEXT, max_size=3))
def test_round_trip(policy: dict[str, object], header: list[str]) -> None:
    text = render(policy, header)
    assert parse(text).value == policy
    assert render(parse(text).value, header) == text
    assert text.endswith("\n")

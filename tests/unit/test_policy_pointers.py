"""A server's refusal of a policy names a place: found in the text that was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.policy.language.pointers import path_of
from reconcile.source.hujson import parse

POLICY = parse(
    """// é
{
  "acls": [
    {"action": "accept", "dst": ["a:1", "b:2"]},
  ],
  "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:a~"], "m~n": []}},
}
"""
)
DECODING = "setting policy: json: cannot unmarshal JSON string into Go T within "


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (f'{DECODING}"/acls/0/dst/1": invalid port', ("acls", 0, "dst", 1)),
        (f'{DECODING}"/acls"', ("acls",)),
        (
            f'{DECODING}"/autoApprovers/routes/10.0.0.0~18/0": Invalid',
            ("autoApprovers", "routes", "10.0.0.0/8", 0),
        ),
        (f'{DECODING}"/autoApprovers/routes/m~0n"', ("autoApprovers", "routes", "m~n")),
        (f'{DECODING}"/acls/7/dst"', ("acls",)),
        (f'{DECODING}"/acls/-1"', ("acls",)),
        (f'{DECODING}"/nowhere/0"', ()),
        (f'{DECODING}"/acls\\x00"', ()),
        ("hujson: line 4, column 42: no", ("acls", 0, "dst", 1)),
        ("line 4, column 7: no", ("acls", 0, "action")),
        ("line 3, column 4", ("acls",)),
        ("line 4, column 3: between", ("acls",)),
        ("line 1, column 1: outside", ()),
        ("line 999999999, column 999999999", ()),
        ("line 0, column 0", ()),
        ('src=tag not found: "tag:x"', None),
        ("line 99999999999999999999, column 1", None),
        ("", None),
    ],
)
def test_the_place(message, path):
    assert path_of(message, POLICY) == path


@given(st.text() | st.builds('within "/{}"'.format, st.text('acls/0"\\u~9')))
def test_any_message_is_taken(message):
    path = path_of(message, POLICY)
    assert path is None or POLICY.locate(path).line >= 1

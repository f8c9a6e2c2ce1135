"""Inline policies become text: always the same, and pleasant to read."""

import pytest

from reconcile.policy.language.render import render
from reconcile.source.hujson import parse

POLICY = {
    "tests": [{"accept": ["tag:db:5432"], "src": "alice@"}],
    "acls": [
        {"dst": ["tag:db:5432"], "src": ["alice@"], "action": "accept"},
        {
            "action": "accept",
            "src": ["group:engineering", "group:operations"],
            "dst": ["tag:production:443", "tag:staging:443", "tag:development:443"],
        },
    ],
    "zzz": 1,
    "groups": {"group:b": ["alice@"], "group:a": ["bob@"]},
}

TEXT = """\
// from tailnet.yaml
//
// 4f2c91a
{
  "groups": {
    "group:b": ["alice@"],
    "group:a": ["bob@"],
  },
  "acls": [
    {"action": "accept", "src": ["alice@"], "dst": ["tag:db:5432"]},
    {
      "action": "accept",
      "src": ["group:engineering", "group:operations"],
      "dst": ["tag:production:443", "tag:staging:443", "tag:development:443"],
    },
  ],
  "tests": [
    {"src": "alice@", "accept": ["tag:db:5432"]},
  ],
  "zzz": 1,
}
"""


def test_text() -> None:
    assert render(POLICY, ["from tailnet.yaml", "", "4f2c91a"]) == TEXT
    assert parse(TEXT).value == POLICY


def test_empty_policy() -> None:
    assert render({}) == "{}\n"
    assert render({"acls": []}) == '{\n  "acls": [],\n}\n'


def test_a_header_cannot_leave_its_comment() -> None:
    text = render({}, ['x\n{"acls": 1}', "a\rb\u2028c"])
    assert parse(text).value == {}


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": {1: 2}}, {"a": object()}])
def test_only_json(value: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        render(value)


def test_lines_stay_short() -> None:
    names = [f"user{number}@" for number in range(40)]
    text = render({"groups": {"group:x": names}})
    assert max(map(len, text.splitlines())) <= 88

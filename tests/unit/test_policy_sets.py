"""Interval sets: prefixes, ranges, ports, and how sets are written."""

import pytest

from reconcile.policy.language.sets import (
    ALL_PORTS,
    EVERYTHING,
    IntervalSet,
    ports,
    prefix,
    texts,
)


def test_prefixes_of_both_families() -> None:
    assert prefix("10.0.0.0/8").size() == 1 << 24
    assert prefix("fd7a::/64").size() == 1 << 64
    assert not prefix("::/0").overlaps(prefix("0.0.0.0/0"))
    assert prefix("10.0.0.7/24") == prefix("10.0.0.0/24")
    assert prefix("*") == EVERYTHING == prefix("0.0.0.0/0") | prefix("::/0")


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/8", "10.0.0.1", "fd7a::1", "2000::/3", "10.0.0.1-10.0.0.3", "::/0", "*"],
)
def test_texts(text: str) -> None:
    assert texts(prefix(text)) == [text]


@pytest.mark.parametrize("text", ["x", "10.0.0.0/33", "1-2-3", ""])
def test_no_prefix(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words
        prefix(text)


def test_ports() -> None:
    assert ports("*") == ALL_PORTS
    assert ports("22,80-90,85-100").intervals == ((22, 22), (80, 100))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ssh", 'port range "ssh": invalid first integer'),
        ("22-x", 'port range "22-x": invalid first integer'),
        ("0", "first port must be >0, or use '*' for wildcard"),
        ("22,90-80", "invalid port range: first port is greater than last port"),
        ("22,65536", 'port range "22,65536": port number out of range'),
        ("-1", 'port range "-1": invalid first integer'),
        ("1-2-3", 'port range "1-2-3": invalid port range format'),
        ("", 'port range "": invalid first integer'),
        ("\u0661", "invalid first integer"),
    ],
)
def test_bad_ports(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        ports(text)
    assert said in str(caught.value)


def test_a_set_has_no_len() -> None:
    with pytest.raises(TypeError):
        len(IntervalSet([(1, 2)]))

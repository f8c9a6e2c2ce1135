"""An apply that is cut off goes on with the next one: some points of each kind.

`python -m tests.interruptions` tries every point, on real servers too.
"""

import pytest

from tests.interruptions.local import LOCAL
from tests.interruptions.points import KINDS
from tests.interruptions.runs import ground, in_file

_EVERY = 11  # requests apart: each kind starts at another one


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    with ground("0.29", tmp_path_factory.mktemp("git"), in_git=True) as made:
        yield made, made.requests()


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_apply_goes_on(repository, kind):
    made, requests = repository
    for number in range([*KINDS].index(kind) % _EVERY, requests, _EVERY):
        assert not made.trouble(number, kind), f"{kind} at request {number}"


def test_it_goes_on_after_every_request(repository):
    made, requests = repository
    for number in range(requests):
        assert not made.trouble(number, "SIGKILL after"), f"after request {number}"


def test_it_goes_on_without_a_repository(tmp_path):
    with ground("0.29", tmp_path, in_git=False) as made:
        for number in range(0, made.requests(), 3):
            assert not made.trouble(number, "SIGKILL after"), f"request {number}"


@pytest.mark.parametrize("kind", LOCAL)
def test_it_goes_on_after_a_write_to_git(repository, kind):
    """The backup, and the ref of what was applied."""
    made, _ = repository
    number = [*LOCAL].index(kind) % 2
    while (trouble := made.trouble_at_write(number, kind)) is not None:
        assert trouble == "", f"{kind} at write {number}"
        number += 2
    assert number > 2


def test_it_goes_on_after_a_write_of_a_file(tmp_path):
    """A world is written to a file beside it, which then takes its place."""
    with in_file("0.29", tmp_path, in_git=True) as made:
        for number, kind in enumerate(LOCAL):
            assert made.trouble_at_write(9 + number, kind) == "", kind

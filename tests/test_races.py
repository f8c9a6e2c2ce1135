"""Two applies at the same time on the simulator: no loss that nobody sees.

`python -m tests.races` runs them against real servers.
"""

from random import Random

import pytest

from tests.races.stories import FIELDS, KINDS, NODE, Wish, policy, story
from tests.races.virtual import meddled, race

_SEEDS = range(15)


@pytest.mark.parametrize("kind", KINDS)
def test_no_loss_is_silent(kind, tmp_path):
    for seed in _SEEDS:
        random = Random(f"{kind} {seed}")
        assert not race(story(kind, random), random, tmp_path), f"seed {seed}"


def test_who_reads_back_at_once_loses_silently_now_and_then(tmp_path):
    """The law above can fail: this is what the wait before the end is for."""
    found = []
    for seed in _SEEDS:
        random = Random(f"same node {seed}")
        found += race(story("same node", random), random, tmp_path, patient=False)
    assert [line for line in found if line.startswith("silent: ")]


# What both write: the apply the first value, somebody else the second one.
BOTH = {
    **{name: (values[1], values[2]) for name, values in FIELDS.items()},
    "text": (policy("a"), policy("b")),
}


NODES = "GET /api/v1/node"


def _wish(field, value):
    if field == "text":
        return Wish(field, value)
    name = value if field == "name" else "router"
    return Wish(field, value, NODE, f"node:{name}")


def _writes(wish):
    method, path, _ = wish.request()
    return f"{method} /api/v1/{path.partition('?')[0]}"


@pytest.mark.parametrize("field", BOTH)
def test_only_right_before_our_write_does_a_write_go_unseen(field, tmp_path):
    """Somebody writes without looking, at each request of an apply in turn.

    What is overwritten and not seen came after the last look: no server lets us close
    that. What undoes our write is seen at any time.
    """
    ours, theirs = (_wish(field, value) for value in BOTH[field])
    requests, _, _ = meddled((ours,), theirs, -1, tmp_path)
    unseen = []
    for at in range(len(requests)):
        lines, told, live = meddled((ours,), theirs, at, tmp_path)
        there = ours.there(live)
        if told.code:
            assert ours.address in told.named
        elif theirs.lost(there) and lines[at] == _writes(ours):
            unseen.append(lines[at])
        elif theirs.lost(there):
            # the plan was made from it
            assert told.saw[ours.address][field] == theirs.value
        else:
            # it came after the last list of its kind
            assert ("GET /api/v1/policy" if field == "text" else NODES) not in lines[
                at:
            ]
    assert unseen == [_writes(ours)]

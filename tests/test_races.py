"""Two applies at the same time on the simulator: no loss that nobody sees.

`python -m tests.races` runs them against real servers.
"""

from random import Random

import pytest

from tests.races.stories import KINDS, story
from tests.races.virtual import race

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

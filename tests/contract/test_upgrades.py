"""What `upgrade` tells is what real upgrades change."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract import real
from tests.contract.tailnets.upgrades import PAIRS, Upgraded, held, recorded, upgraded

COUNT = int(os.environ.get("RECONCILE_UPGRADES", "15"))
RECORDED = [
    pytest.param(found, id=f"{old}-{new}-{number}")
    for old, new in PAIRS
    for number, found in enumerate(recorded(old, new))
]


@pytest.mark.parametrize("found", RECORDED)
def test_what_is_told_is_what_the_releases_compiled(found: Upgraded) -> None:
    again = held(found.old, found.new, found.before, found.after)
    assert [str(difference) for difference in again.differences] == []


def test_a_wrong_recording_is_noticed() -> None:
    """An upgrade that changed nothing is not what was told of most of these."""
    moved = [each.values[0] for each in RECORDED]
    moved = [each for each in moved if each.after and each.told["gained"]]
    assert moved
    for each in moved:
        same = replace(each.after, filter=each.before.filter, ssh=each.before.ssh)
        assert held(each.old, each.new, each.before, same).differences
    for each in moved:
        assert held(each.old, each.new, each.before, None).differences


@pytest.mark.real
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_random_tailnets_are_upgraded(old: str, new: str, tmp_path: Path) -> None:
    for release in (old, new):
        if real.program(release) is None:
            pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    seed = os.environ.get("RECONCILE_SEED", "random")
    for found in upgraded(old, new, COUNT, seed, tmp_path):
        wrong = found.differences if found else ()
        assert [str(difference) for difference in wrong] == []

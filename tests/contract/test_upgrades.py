"""What `upgrade` tells is what real upgrades change."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconcile.live import snapshot
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.reading import read
from reconcile.review import access as effect
from reconcile.review.state import Scene
from tests.contract import real
from tests.contract.policies.comparison import delivered, unequal
from tests.contract.tailnets.state import Device, Person, State
from tests.contract.tailnets.upgrades import (
    PAIRS,
    Upgraded,
    Upgrades,
    held,
    recorded,
    upgraded,
)
from tests.policy_cases import boxes, recorded_boxes

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
    _need(old, new)
    seed = os.environ.get("RECONCILE_SEED", "random")
    for found in upgraded(old, new, COUNT, seed, tmp_path):
        wrong = found.differences if found else ()
        assert [str(difference) for difference in wrong] == []


def _need(*releases: str) -> None:
    for release in releases:
        if real.program(release) is None:
            pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")


# Tags that are stored nowhere: of a pre-auth key, and those that a device asks for.

_OWNED = {f"tag:{name}": ["alice@"] for name in ("want", "key", "set")}
_TAGGED = State(
    (Person(1, "alice"), Person(2, "bob")),
    (
        Device(1, "asked", 1, v4="100.64.0.1", asked=("tag:want",)),
        Device(2, "keyed", 1, v4="100.64.0.2"),
        Device(3, "set", 1, tags=("tag:set",), v4="100.64.0.3"),
        Device(4, "plain", 1, v4="100.64.0.4"),
        Device(5, "refused", 2, v4="100.64.0.5", asked=("tag:want",)),
    ),
    {
        "tagOwners": _OWNED,
        "acls": [
            {"action": "accept", "src": [source], "dst": [f"100.64.0.4:{port}"]}
            for port, source in enumerate((*_OWNED, "alice@", "bob@"), 1)
        ],
    },
)


@pytest.mark.real
@pytest.mark.parametrize("old", ["0.26", "0.27"])
def test_what_028_makes_of_tags(old: str, tmp_path: Path) -> None:
    _need(old, "0.28")
    found = Upgrades(old, "0.28", tmp_path).ask(_TAGGED, {2: "tag:key", 3: "tag:key"})
    assert found
    assert found.after
    assert [each["node"] for each in found.told["retagged"]] == [
        "asked",
        "keyed",
        "set",
    ]
    now = effect.scene_now(snapshot.loads(found.before.saved, ""))
    there = read(now.policy.value, "0.28")
    moved = replace(now, policy=there, tailnet=now.tailnet.seen(True, True))
    for scene, side in ((now, found.before), (moved, found.after)):
        assert list(_unlike(scene, side.filter)) == []
    assert list(_unlike(now, found.after.filter))


def _unlike(scene: Scene, rules: list[Any]) -> Iterator[str]:
    """Yield where the filter of the plain node differs from a server's."""
    evaluator = Evaluator(scene.policy, scene.tailnet)
    plain = evaluator.tailnet.machines[3]
    ours = delivered(plain, map(boxes, evaluator.filter(plain)))
    yield from unequal(ours, delivered(plain, map(recorded_boxes, rules)))

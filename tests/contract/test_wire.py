"""The simulator answers what the real servers answered, and they still do."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconcile.simulator import SimulatorTransport, enrol
from reconcile.simulator.world import World
from reconcile.simulator.worldfile import parse

from . import live, real, runner, seeds
from .scenarios import SCENARIOS, Scenario

_REFUSED = (
    r"(?:parsing policy|compiling (?:filter rules|nodeAttrs)|"
    r'validating policy user references): (?:[^"\\]|\\.)*'
)
RECORDINGS = Path(__file__).parent / "recordings"
CASES = [
    pytest.param(release, scenario, id=f"{release}-{scenario.name}")
    for release in real.PROGRAMS
    for scenario in SCENARIOS
]


def recorded(release: str, scenario: Scenario) -> list[dict[str, Any]]:
    return json.loads((RECORDINGS / release / f"{scenario.name}.json").read_text())


def simulated(release: str, scenario: Scenario) -> list[dict[str, Any]]:
    world: World = parse(json.dumps(seeds.world(release, scenario.seed)))
    transport = SimulatorTransport(world)
    api_key = world.api_keys[0].key
    operations = {
        "RESTART": lambda _step: world.restart(),
        "JOIN": lambda step: enrol.join(
            world, step.body["key"], step.path, routes=step.body["routes"]
        ),
    }
    with httpx.Client(transport=transport, base_url="http://simulated") as client:
        return runner.run(
            scenario.steps,
            lambda step: client.request(**runner.request(step, api_key)),
            operations,
        )


@pytest.mark.parametrize(("release", "scenario"), CASES)
def test_simulator_answers_as_recorded(release: str, scenario: Scenario) -> None:
    expected = recorded(release, scenario)
    assert [step.as_json() for step in scenario.steps] == [
        exchange["request"] for exchange in expected
    ], "the scenario has changed: record it again"
    found = simulated(release, scenario)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert _unworded(one) == _unworded(other), f"exchange {number}"


def _unworded(exchange: dict[str, Any]) -> dict[str, Any]:
    """Return an exchange without the words in which a policy is refused.

    The simulator has those of the reading, which also tell people what is wrong.
    """
    answer = exchange["answer"]
    if answer is None or answer["status"] < 400:
        return exchange
    body = re.sub(_REFUSED, "<refused>", json.dumps(answer["body"]))
    return exchange | {"answer": answer | {"body": json.loads(body)}}


def test_every_recording_belongs_to_a_scenario() -> None:
    names = {scenario.name for scenario in SCENARIOS}
    for release in real.PROGRAMS:
        assert {path.stem for path in (RECORDINGS / release).iterdir()} == names


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, live.Ground]:
    return {
        release: live.Ground(
            release, tmp_path_factory.mktemp(release.replace(".", "-"))
        )
        for release in real.PROGRAMS
    }


@pytest.mark.real
@pytest.mark.parametrize(("release", "scenario"), CASES)
def test_real_server_answers_as_recorded(
    release: str, scenario: Scenario, grounds: dict[str, live.Ground]
) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    found = grounds[release].play(scenario)
    assert _steady(found) == _steady(recorded(release, scenario))


def _steady(value: Any, name: str = "") -> Any:
    """Return answers without the order in which a client advertises its routes.

    That is the client's own, and other versions have another.
    """
    if isinstance(value, dict):
        return {key: _steady(item, key) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    return sorted(value) if name == "availableRoutes" else [*map(_steady, value)]

"""Policies mean offline what real servers compile and real clients receive."""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from reconcile.policy.access import Access
from reconcile.policy.evaluate import Evaluator
from reconcile.policy.reading import read
from tests.contract import real
from tests.contract.policies import clients, tailnet
from tests.contract.policies.cases import cases
from tests.contract.policies.comparison import (
    TOLERATED,
    client_differences,
    differences,
)
from tests.contract.policies.mistakes import policies
from tests.contract.policies.record import answers, recorded
from tests.contract.policies.server import serving
from tests.contract.seeds import addresses

COUNT = int(os.environ.get("RECONCILE_POLICIES", "100"))
Answer = dict[str, Any]


RECORDINGS = [
    pytest.param(release, answer, id=f"{release}-{answer['name']}")
    for release in real.PROGRAMS
    for answer in recorded(release)
]


@pytest.mark.parametrize(("release", "answer"), RECORDINGS)
def test_a_policy_means_what_the_server_said(release: str, answer: Answer) -> None:
    assert differences(release, answer) == []


@pytest.mark.parametrize("release", real.PROGRAMS)
def test_every_recording_is_of_a_case(release: str) -> None:
    found = [(answer["name"], answer["policy"]) for answer in recorded(release)]
    assert found == list(cases(release)), "the cases have changed: record them again"


@pytest.mark.parametrize("release", real.PROGRAMS)
def test_a_wrong_recording_is_noticed(release: str) -> None:
    accepted = [each for each in recorded(release) if each["refusal"] is None]
    refused = [differences(release, each | {"refusal": "no"}) for each in accepted]
    assert sum(map(bool, refused)) >= len(accepted) - len(TOLERATED)
    shorter = [each | {"filter": each["filter"][1:]} for each in accepted]
    assert sum(bool(differences(release, each)) for each in shorter) > 10


# Clients.

GROUND = tailnet.tailnet(clients.RELEASE, clients.NODES)
CLIENTS = [
    pytest.param(answer, id=str(number))
    for number, answer in enumerate(recorded("clients"))
]


def check_clients(answer: Answer) -> None:
    """Compare what clients were told and what they opened with filter and access."""
    assert answer["refusal"] is None
    policy = read(answer["policy"], clients.RELEASE)
    evaluator = Evaluator(policy, GROUND)
    assert client_differences(evaluator, answer["clients"]) == []
    opened = {tuple(probe) for probe in answer["opened"]}
    for probe in clients.probes(evaluator):
        assert (probe in opened) == clients.opens(evaluator, probe), probe
    access = Access(policy, GROUND)
    for source, (number, target), port in itertools.product(
        clients.NODES, enumerate(clients.NODES, 1), clients.PORTS
    ):
        if source is not target:
            reached = any((source.name, a, port) in opened for a in addresses(number))
            why = access.why(source.name, target.name, port)
            if port == clients.PORTS[0]:  # tried over both families
                assert why.allowed == reached, (source.name, target.name, port)
            assert why.allowed or not reached, (source.name, target.name, port)


@pytest.mark.parametrize("answer", CLIENTS)
def test_a_policy_opens_what_clients_could_open(answer: Answer) -> None:
    check_clients(answer)


# Real programs.


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_a_server_answers_as_recorded(release: str, tmp_path: Path) -> None:
    _need(release)
    assert list(answers(release, tmp_path / "server")) == recorded(release)


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_random_policies_on_a_server(release: str, tmp_path: Path) -> None:
    _need(release)
    before = {node.name: sorted(node.approved) for node in tailnet.NODES}
    with serving(release, tmp_path / "server") as server:
        for policy in itertools.islice(policies(release, "test"), COUNT):
            assert differences(release, server.ask(policy, before)) == [], policy


@pytest.mark.real
def test_random_policies_on_clients(tmp_path: Path) -> None:
    reason = clients.missing()
    if reason:
        pytest.skip(reason)
    count = max(3, COUNT // 20)
    for answer in clients.recorded(count, "test", tmp_path):
        check_clients(answer)


def _need(release: str) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")

"""Policies mean offline what real servers compile and real clients receive."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from reconcile.policy.reading import read
from tests.contract import real
from tests.contract.namespace import missing
from tests.contract.policies import clients, tailnet, told
from tests.contract.policies.cases import KEPT, cases
from tests.contract.policies.comparison import TOLERATED, differences
from tests.contract.policies.mistakes import policies
from tests.contract.policies.record import answers, recorded
from tests.contract.policies.server import serving

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

CLIENTS = [
    pytest.param(answer, id=str(number))
    for number, answer in enumerate(recorded("clients"))
]


def test_every_recording_of_clients_is_of_a_case() -> None:
    asked = list(itertools.islice(clients.policies("kept"), max(KEPT) + 1))
    found = [answer["policy"] for answer in recorded("clients")]
    assert found == [asked[number] for number in KEPT], "record them again"


@pytest.mark.parametrize("answer", CLIENTS)
def test_a_policy_opens_what_clients_could_open(answer: Answer) -> None:
    assert clients.differences(answer) == []


def test_a_wrong_recording_of_clients_is_noticed() -> None:
    pair = ["laptop", "100.64.0.2", 22]
    for answer in recorded("clients"):
        opened, told = answer["opened"], answer["clients"]
        others = [each for each in opened if each != pair]
        wrong = others if pair in opened else [*opened, pair]
        assert clients.differences(answer | {"opened": wrong})
        less = {name: each | {"filter": []} for name, each in told.items()}
        found = clients.differences(answer | {"clients": less})
        assert bool(found) == (less != told)


# Real programs.


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_a_server_answers_as_recorded(release: str, tmp_path: Path) -> None:
    _need(release)
    found = list(answers(release, tmp_path / "server"))
    assert list(map(_steady, found)) == list(map(_steady, recorded(release)))


def _steady(answer: Answer) -> Answer:
    """Return an answer without what is left to chance: words, the order of sources."""
    rules = [rule | {"src": sorted(rule["src"])} for rule in answer.get("filter", ())]
    return answer | {"refusal": answer["refusal"] is not None, "filter": rules}


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_random_policies_on_a_server(release: str, tmp_path: Path) -> None:
    _need(release)
    before = {node.name: sorted(node.approved) for node in tailnet.NODES}
    with serving(release, tmp_path / "server") as server:
        for policy in itertools.islice(policies(release, "test"), COUNT):
            assert differences(release, server.ask(policy, before)) == [], policy


@pytest.mark.real
def test_random_policies_on_clients() -> None:
    reason = missing(clients.RELEASE)
    if reason:
        pytest.skip(reason)
    count = max(3, COUNT // 20)
    for answer in clients.recorded(count, "test"):
        assert clients.differences(answer) == [], answer["policy"]


def _need(release: str) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
@pytest.mark.parametrize("text", ["null", "{}", '{"acls": null}'])
def test_a_policy_text_without_rules(release: str, text: str, tmp_path: Path) -> None:
    """0.26 allows nothing then, even though it was never told to deny anything."""
    _need(release)
    with serving(release, tmp_path / "server") as server:
        answer = server.ask(json.loads(text), {})
    assert answer["refusal"] is None
    assert bool(answer["filter"]) is (release != "0.26")
    policy = read(json.loads(text), release)
    assert (policy.rules is None) is bool(answer["filter"])


# Groups with an unknown member beside `autogroup:self`, as clients are told.


def _told() -> list[Any]:
    found = json.loads(told.RECORDED.read_text())
    return [pytest.param(a, id=f"{a['release']}-{a['name']}") for a in found]


@pytest.mark.parametrize("answer", _told())
def test_groups_beside_self_mean_what_clients_were_told(answer: Answer) -> None:
    assert told.differences(answer["release"], answer["name"], answer["told"]) == []


def test_every_release_was_asked_and_027_differs() -> None:
    found = {(a.values[0]["release"], a.values[0]["name"]) for a in _told()}
    assert found == set(itertools.product(told.RELEASES, told.POLICIES))
    of_027 = [a.values[0] for a in _told() if a.values[0]["release"] == "0.27"]
    wrong = [bool(told.differences("0.28", a["name"], a["told"])) for a in of_027]
    assert wrong.count(True) == 4


@pytest.mark.real
@pytest.mark.parametrize("release", told.RELEASES)
def test_clients_are_told_so(release: str) -> None:
    _need(release)
    reason = missing(release)
    if reason:
        pytest.skip(reason)
    for answer in told.answers(release):
        found = told.differences(release, answer["name"], answer["told"])
        assert found == []

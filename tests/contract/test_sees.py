"""`access sees` prints what real clients are shown: peers, routes and exit nodes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconcile.live.snapshot import loads
from tests.contract import real
from tests.contract.namespace import missing
from tests.contract.sees import pings
from tests.contract.sees.cases import RELEASES, policies
from tests.contract.sees.clients import answers
from tests.contract.sees.comparison import expected, printed, without_reason
from tests.contract.sees.record import recorded

COUNT = int(os.environ.get("RECONCILE_SEES", "8"))  # random policies asked
Answer = dict[str, Any]
Run = Callable[..., tuple[int, str, str]]
ASKED = [
    pytest.param(release, asked, id=f"{release}-{asked['name']}")
    for release in RELEASES
    for asked in recorded(release)["asked"]
]


def _answer(command: Run, live: Answer, policy: Answer, name: str) -> Answer:
    """Run `access sees` on a snapshot with a policy."""
    text = {"text": json.dumps(policy), "writable": True}
    Path("now.json").write_text(json.dumps(live | {"policy": text}))
    asked = ("access", "sees", f"node:{name}", "--snapshot", "now.json")
    code, out, err = command(*asked, "--format", "json")
    assert (code, err) == (0, "")
    return dict(json.loads(out))


def _differences(command: Run, live: Answer, asked: Answer) -> list[str]:
    """Return where clients were shown other things than we say.

    The command is run for one node, another one for each policy.
    """
    seen, policy = asked["seen"], asked["policy"]
    ours = expected(loads(json.dumps(live), "now.json"), policy)
    told = [f"{n}: {ours[n]}, client {seen[n]}" for n in seen if ours[n] != seen[n]]
    chosen = sorted(seen)[sum(map(ord, asked["name"])) % len(seen)]
    answer = _answer(command, live, policy, chosen)
    if printed(answer) != seen[chosen]:
        told.append(f"printed for {chosen}: {printed(answer)}, client {seen[chosen]}")
    if policy.get("acls") or live["server"]["release"] != "0.26":
        told += without_reason(answer)
    return told


@pytest.mark.parametrize(("release", "asked"), ASKED)
def test_it_prints_what_clients_were_shown(
    command: Run, release: str, asked: Answer
) -> None:
    assert _differences(command, recorded(release)["live"], asked) == []


@pytest.mark.parametrize("release", RELEASES)
def test_every_recording_is_of_a_case(release: str) -> None:
    """A server refuses some of the random ones, never a named one."""
    wanted = list(policies(release))
    found = [(asked["name"], asked["policy"]) for asked in recorded(release)["asked"]]
    assert all(each in wanted for each in found), "record them again"
    missed = [name for name, policy in wanted if (name, policy) not in found]
    assert all(name.startswith("random") for name in missed)
    assert len(found) - len(missed) > len(wanted) / 2


def test_a_wrong_recording_is_noticed(command: Run) -> None:
    found = recorded("0.29")
    asked = next(a for a in found["asked"] if a["name"] == "a-network-with-two-routers")
    for peer, routes in (("router", []), ("gateway", ["10.1.0.0/16"]), ("desk", [])):
        seen = asked["seen"] | {"laptop": asked["seen"]["laptop"] | {peer: routes}}
        assert _differences(command, found["live"], asked | {"seen": seen})


@pytest.mark.parametrize(("one", "other"), [("0.26", "0.27"), ("0.28", "0.29")])
def test_releases_differ(one: str, other: str) -> None:
    """What is shown depends on the release, so that more than one is recorded."""
    seen = {r: {a["name"]: a["seen"] for a in recorded(r)["asked"]} for r in RELEASES}
    common = seen[one].keys() & seen[other].keys()
    assert any(seen[one][name] != seen[other][name] for name in common)


# Pings.

PINGED = [
    pytest.param(each, name, id=f"{each['release']}-{name}")
    for each in json.loads(pings.RECORDED.read_text())
    for name in pings.POLICIES
]


def _wrong_pings(command: Run, found: Answer, name: str) -> list[str]:
    """Return the pairs for which `why ...:icmp` says otherwise than a ping."""
    told = []
    text = {"text": json.dumps(pings.POLICIES[name]), "writable": True}
    Path("now.json").write_text(json.dumps(found["live"] | {"policy": text}))
    for source, target in pings.PAIRS:
        asked = f"node:{source}", f"node:{target}:icmp", "--snapshot", "now.json"
        _, out, _ = command("access", "why", *asked, "--format", "json")
        answer = json.loads(out)["answer"]
        if (answer == "yes") != ([source, target] in found["pongs"][name]):
            told.append(f"{name}: {source} -> {target}: {answer}")
    return told


@pytest.mark.parametrize(("found", "name"), PINGED)
def test_a_ping_is_answered_as_it_says(command: Run, found: Answer, name: str) -> None:
    assert _wrong_pings(command, found, name) == []


def test_pings_were_answered_without_icmp_in_the_filter(command: Run) -> None:
    recorded_pings = json.loads(pings.RECORDED.read_text())
    assert [each["release"] for each in recorded_pings] == list(pings.RELEASES)
    for each in recorded_pings:
        assert ["laptop", "server"] in each["pongs"]["tcp-alone"]
        none = each | {"pongs": {name: [] for name in pings.POLICIES}}
        assert _wrong_pings(command, none, "tcp-alone")


@pytest.mark.real
@pytest.mark.parametrize("release", pings.RELEASES)
def test_a_real_ping_is_answered_as_it_says(command: Run, release: str) -> None:
    _need(release)
    found = pings.answers(release)
    for name in pings.POLICIES:
        assert _wrong_pings(command, found, name) == []


def _need(release: str) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    reason = missing(release)
    if reason:
        pytest.skip(reason)


@pytest.mark.real
@pytest.mark.parametrize("release", RELEASES)
def test_it_prints_what_clients_are_shown(command: Run, release: str) -> None:
    _need(release)
    found = answers(release, COUNT)
    assert len(found["asked"]) > len(recorded(release)["asked"]) / 2
    for asked in found["asked"]:
        assert _differences(command, found["live"], asked) == [], asked["policy"]

"""`access sees` prints what real clients are shown: peers, routes and exit nodes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconcile.snapshot import loads
from tests.contract import real
from tests.contract.policies.clients import missing
from tests.contract.sees.cases import NODES, RELEASES, policies
from tests.contract.sees.clients import answers
from tests.contract.sees.comparison import expected, printed, without_reason
from tests.contract.sees.record import RECORDED, recorded

COUNT = int(os.environ.get("RECONCILE_SEES", "8"))  # random policies asked
Answer = dict[str, Any]
KEPT = [release for release in RELEASES if (RECORDED / f"{release}.json").exists()]
Run = Callable[..., tuple[int, str, str]]
ASKED = [
    pytest.param(release, asked, id=f"{release}-{asked['name']}")
    for release in KEPT
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
    chosen = NODES[sum(map(ord, asked["name"])) % len(NODES)].name
    answer = _answer(command, live, policy, chosen)
    if printed(answer) != seen[chosen]:
        told.append(f"printed for {chosen}: {printed(answer)}, client {seen[chosen]}")
    if policy.get("acls") != []:
        told += without_reason(answer)
    return told


@pytest.mark.parametrize(("release", "asked"), ASKED)
def test_it_prints_what_clients_were_shown(
    command: Run, release: str, asked: Answer
) -> None:
    assert _differences(command, recorded(release)["live"], asked) == []


@pytest.mark.parametrize("release", KEPT)
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


@pytest.mark.real
@pytest.mark.parametrize("release", RELEASES)
def test_it_prints_what_clients_are_shown(
    command: Run, release: str, tmp_path: Path
) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    reason = missing()
    if reason:
        pytest.skip(reason)
    found = answers(release, COUNT, tmp_path)
    assert len(found["asked"]) > len(recorded(release)["asked"]) / 2
    for asked in found["asked"]:
        assert _differences(command, found["live"], asked) == [], asked["policy"]

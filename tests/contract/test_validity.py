"""`validate` against what real servers answered to the same policies.

`validity/cases.py` is the table; `validity/recorded.json` holds the answers. Set
HEADSCALE_BINARIES and select -m real to ask the servers again.
"""

import json
from typing import Any

import pytest

from reconcile.errors import InputError
from reconcile.policy.reading.reception import receive
from reconcile.source.hujson import parse

from .real import PROGRAMS, program
from .validity.cases import CASES
from .validity.record import recorded, taken

ANSWERS = recorded()
# What we refuse by our own rule though a server takes it, with the releases.
OURS = {
    "empty": [*PROGRAMS],  # RC0014: what it means changes with the next start
    "twice": ["0.26"],  # the last one counts there, whatever its case: nobody means it
    "twice in a rule": ["0.26"],
}


def refusing(name: str) -> list[str]:
    """Return the releases that refuse a policy, or that our own rule speaks for."""
    takes = set(ANSWERS[name]) - set(OURS.get(name, ()))
    return [release for release in PROGRAMS if release not in takes]


@pytest.fixture
def validate(command: Any, tmp_path: Any) -> Any:
    def call(name: str, *arguments: str) -> Any:
        (tmp_path / "tailnet.yaml").write_text(
            "version: 1\npolicy: { file: policy.hujson }\n"
        )
        (tmp_path / "policy.hujson").write_text(CASES[name])
        return command("validate", *arguments)

    return call


def test_our_own_rules_are_needed() -> None:
    """None of them stands for a server that refuses the policy itself."""
    for name, releases in OURS.items():
        assert set(releases) <= set(ANSWERS[name])


def test_every_policy_was_put_to_every_server() -> None:
    assert list(ANSWERS) == list(CASES)
    assert {r for took in ANSWERS.values() for r in took} == {*PROGRAMS}
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_validate_says_what_the_servers_say(validate: Any, name: str) -> None:
    """Valid is what a release from 0.27 on takes, and those that refuse are named."""
    code, out, _ = validate(name, "--format", "json")
    newer = [release for release in PROGRAMS if release != "0.26"]
    takes = [release for release in newer if release not in refusing(name)]
    hopeless = "RC0610" in out  # a test that fails has an exit code of its own
    assert code == (0 if takes else 7 if hopeless else 1)
    for policy in json.loads(out).get("policies", []):
        assert policy["refused_by"] == refusing(name)
        break
    else:  # no text that anybody could read
        assert refusing(name) == [*PROGRAMS]


@pytest.mark.parametrize("name", CASES)
def test_the_last_line_says_it_too(validate: Any, name: str) -> None:
    code, out, err = validate(name)
    assert ("Valid" in out) == (code == 0)
    said = [line for line in (out + err).splitlines() if "The policy is " in line]
    if code == 0 and refusing(name):
        part = said[0].partition("refused by ")[2].partition(";")[0]
        named = part.removeprefix("Headscale ").partition(" (")[0].removesuffix(".")
        assert named.replace(" and ", ", ").split(", ") == refusing(name)


@pytest.mark.parametrize("name", CASES)
def test_one_release_alone(name: str) -> None:
    try:
        value = parse(CASES[name]).value
    except InputError:
        assert refusing(name) == [*PROGRAMS]
        return
    alone = [r for r in PROGRAMS if not receive(value, r).accepted]
    if name.startswith(("a test", "an ssh test")):
        alone = [r for r in PROGRAMS if r in alone or r in refusing(name)]
    assert alone == refusing(name)


@pytest.mark.real
@pytest.mark.parametrize("release", PROGRAMS)
def test_the_servers_still_say_so(release: str, tmp_path: Any) -> None:
    if program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {PROGRAMS[release]}")
    found = taken(release, tmp_path / "server")
    assert found == {name for name in CASES if release in ANSWERS[name]}

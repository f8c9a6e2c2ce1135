"""What a plan prints of access is what real servers compiled before and after."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconcile.live.headscale import releases
from tests.contract import real
from tests.contract.namespace import missing
from tests.contract.tailnets import clients, own, questions, record, trials
from tests.contract.tailnets.cases import again
from tests.contract.tailnets.edits import CreateUser, DeleteUser, Pair, Retag
from tests.contract.tailnets.names import Names, Unreadable
from tests.contract.tailnets.netmaps import ToldSide
from tests.contract.tailnets.probes import CHECK, SSH, Probes
from tests.contract.tailnets.reading import services_of
from tests.contract.tailnets.record import RECORDED, recorded
from tests.contract.tailnets.run import Result, compare, held
from tests.contract.tailnets.server import TailnetServer, serving
from tests.contract.tailnets.shrinking import shrink
from tests.contract.tailnets.state import Device, Person, State

COUNT = int(os.environ.get("RECONCILE_PAIRS", "30"))
RELEASES = sorted(file.stem for file in RECORDED.glob("*.json"))
RECORDINGS = [
    pytest.param(result, id=f"{release}-{number}")
    for release in RELEASES
    for number, result in enumerate(recorded(release))
]
BY_CLIENTS = [
    pytest.param(result, id=f"{release}-{number}")
    for release in clients.RELEASES
    for number, result in enumerate(recorded(release, record.BY_CLIENTS))
]


@pytest.mark.parametrize("result", RECORDINGS)
def test_what_is_printed_is_what_the_server_compiled(result: Result) -> None:
    assert again(result).wrong == ()


@pytest.mark.parametrize("result", RECORDINGS)
def test_a_list_that_is_missing_or_too_much_is_noticed(result: Result) -> None:
    access = again(result).told["access"] or {"gained": [], "lost": []}
    for name, other in (("gained", "lost"), ("lost", "gained")):
        lines = [line for line in access[name] if _opens_ports(line)]
        if lines:
            assert _differs(result, {**access, name: []})
        named = [line for line in lines if line["services"]]
        if named:
            assert _differs(result, {**access, other: [*access[other], *named]})


@pytest.mark.parametrize("result", BY_CLIENTS)
def test_what_is_printed_is_what_clients_were_told(result: Result) -> None:
    """Gains, losses, lists and `access sees`, by the maps of clients."""
    assert isinstance(result.after, ToldSide)
    assert again(result).wrong == ()


@pytest.mark.parametrize("release", clients.RELEASES)
def test_clients_that_are_told_less_are_noticed(release: str) -> None:
    kinds: set[str] = set()
    for result in recorded(release, record.BY_CLIENTS):
        side = result.after
        assert isinstance(side, ToldSide)
        assert side.tried
        nobody = {name: {**told, "peers": {}} for name, told in side.told.items()}
        less = replace(result, after=replace(side, told=nobody))
        kinds |= {found.kind.partition(":")[0] for found in again(less).wrong}
        more = {name: {**told, "filter": []} for name, told in side.told.items()}
        shut = replace(result, after=replace(side, told=more))
        kinds |= {found.kind.partition(":")[0] for found in again(shut).wrong}
    assert kinds >= {"list", "access sees", "connections against the maps"}


ASKED = (
    "list",
    "who",
    "list --source",
    "list --to",
    "why",
    "assert allow",
    "assert no",
)


@pytest.mark.parametrize("release", RELEASES)
def test_answers_of_another_policy_are_noticed(release: str) -> None:
    """Each way to ask is held to the server: all of them are wrong somewhere here."""
    kinds: set[str] = set()
    for result in recorded(release):
        assert result.after
        saved = json.loads(result.after.saved)
        policy = json.loads(saved["policy"]["text"])
        kept = {key: policy.get(key, {}) for key in ("groups", "hosts", "tagOwners")}
        rule = {"action": "accept", "src": ["*"], "dst": ["*:443"]}
        saved["policy"]["text"] = json.dumps({**kept, "acls": [rule]})
        other = replace(result.after, saved=json.dumps(saved))
        kinds |= {found.kind for found in questions.differences(release, other)}
    for name in ASKED:
        assert any(kind.startswith(f"{name}:") or name in kind for kind in kinds), name


@pytest.mark.parametrize("release", ["0.29", "main"])
def test_tests_and_lint_are_held_to_the_server(release: str) -> None:
    """All that is tried here is told of a server that does the contrary."""
    side = next(r.after for r in recorded(release) if r.after and r.after.filter)
    probes, policy = Probes([side.state], [], [443]), side.state.policy or {}
    shut: list[dict[str, Any]] = []
    useless = trials.removals(side.saved, side.state)[0]
    rule = next(
        (name, i)
        for name in ("acls", "grants")
        for i, _ in enumerate(policy.get(name, ()))
        if (name, i) not in useless
    )
    fewer = (
        trials.Fewer(useless, shut, {}),
        trials.Fewer((*useless, rule), shut, {}),
    )
    test = {"tests": [{"src": "100.64.0.250", "deny": ["100.64.0.251:443"]}]}
    tried = trials.Trials(fewer, ((test, False),))
    found = trials.differences(release, probes, side, side.saved, tried)
    assert {each.kind for each in found} >= {
        "test passes, wrongly",
        "lint: useless, and opens something",
    }
    same = trials.Trials((trials.Fewer((*useless, rule), side.filter, {**side.ssh}),))
    state = replace(side.state, policy=trials.without(policy, []))
    found = trials.differences(
        release, probes, replace(side, state=state), side.saved, same
    )
    assert [each.kind for each in found] == ["lint: silent, and opens nothing"]


def _opens_ports(line: dict[str, Any]) -> bool:
    services = line["services"]
    return not services or not all(s.startswith(("ssh", "can use")) for s in services)


def _differs(result: Result, access: dict[str, Any]) -> bool:
    assert result.before
    assert result.after
    told = {"access": access}
    return bool(compare(result.release, result.before, result.after, told))


# The words.

ALICE, BOB = Person(1, "alice", "alice@example.com"), Person(2, "bob")
STATE = State(
    (ALICE, BOB),
    (
        Device(1, "laptop", 1, v4="100.64.0.1", v6="fd7a:115c:a1e0::1"),
        Device(2, "desk", 2, v4="100.64.0.2"),
        Device(3, "nas", 2, tags=("tag:nas",), v4="100.64.0.3"),
        Device(
            4,
            "gw",
            2,
            routes=("10.1.0.0/24", "0.0.0.0/0", "::/0"),
            approved=("10.1.0.0/24", "0.0.0.0/0", "::/0"),
            v4="100.64.0.4",
        ),
    ),
    {"groups": {"group:ops": ["alice@", "nobody@"]}},
)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("alice", {"100.64.0.1", "fd7a:115c:a1e0::1"}),
        ("alice@example.com", {"100.64.0.1", "fd7a:115c:a1e0::1"}),
        ("group:ops", {"100.64.0.1", "fd7a:115c:a1e0::1"}),
        ("alice (IPv4 only)", {"100.64.0.1"}),
        ("tag:nas", {"100.64.0.3"}),
        ("autogroup:tagged", {"100.64.0.3"}),
        ("node:gw", {"100.64.0.4"}),
        ("every node but alice, tag:nas", {"100.64.0.2", "100.64.0.4"}),
        ("lan (10.1.0.0/24)", {"10.1.0.0", "10.1.0.127", "10.1.0.255"}),
        ("8.8.8.8", {"8.8.8.8"}),
        ("10.2.0.0/24", set()),  # no route leads there
    ],
)
def test_a_word_is_read_as_people_read_it(word: str, meant: set[str]) -> None:
    probes = Probes([STATE], ["10.1.0.0/24"], [80])
    found = Names(probes, STATE, "0.29").read(word)
    texts = {point.text for point in probes.points if found >> point.place & 1}
    assert texts == meant


@pytest.mark.parametrize("word", ["carol", "group:none", "node:none", "the moon"])
def test_a_word_for_nothing_is_unreadable(word: str) -> None:
    names = Names(Probes([STATE], [], []), STATE, "0.29")
    with pytest.raises(Unreadable):
        names.read(word)


def test_a_name_of_two_users_is_unreadable() -> None:
    twice = replace(STATE, people=(ALICE, replace(BOB, name="alice")))
    with pytest.raises(Unreadable, match="any of 2 users"):
        Names(Probes([twice], [], []), twice, "0.29").read("alice")


def test_a_member_who_fits_two_users_is_neither_in_a_group() -> None:
    policy = {"groups": {"group:ops": ["alice@", "team@example.com"]}}
    twins = Person(3, "cy", "team@example.com"), Person(4, "di", "team@example.com")
    nodes = (*STATE.devices, Device(5, "pad", 3, v4="100.64.0.5"))
    state = State((ALICE, BOB, *twins), nodes, policy)
    assert Names(Probes([state], [], []), state, "0.29").devices("group:ops") == {1}


@pytest.mark.parametrize(
    ("release", "members", "rule", "lost"),
    [
        ("0.27", ["alice@", "nobody@"], "autogroup:self:22", {"group:ops"}),
        ("0.27", ["alice@"], "autogroup:self:22", set()),
        ("0.27", ["alice@", "nobody@"], "*:22", set()),
        ("0.28", ["alice@", "nobody@"], "autogroup:self:22", set()),
    ],
)
def test_groups_that_a_release_drops(
    release: str, members: list[str], rule: str, lost: set[str]
) -> None:
    rules = [{"action": "accept", "src": ["bob@"], "dst": [rule]}]
    policy = {"groups": {"group:ops": members}, "acls": rules}
    assert own.dropped(release, replace(STATE, policy=policy)) == lost


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ssh as admin", {(SSH, "admin")}),
        ("tcp 80", {(6, 80)}),
        ("tcp/udp 79-80", {(6, 79), (6, 80), (17, 79), (17, 80)}),
        ("icmp/ipv6-icmp", {(1, 0), (58, 0)}),
        ("ssh as root", {(SSH, "root")}),
        (
            "ssh as autogroup:nonroot (check)",
            {(CHECK, "admin"), (CHECK, "somebody")},
        ),
        ("can use example.com/cap", set()),
    ],
)
def test_services_are_read(word: str, meant: set[Any]) -> None:
    assert _services(word, "0.29") == meant


def test_a_word_for_logins_is_a_login_where_the_release_has_no_such_word() -> None:
    assert _services("ssh as autogroup:nonroot", "0.26") == set()


def _services(word: str, release: str) -> set[Any]:
    probes = Probes([STATE], [], [80], ["admin"])
    names = Names(probes, STATE, release)
    mask = services_of(probes, [word], names.logins)
    return {s for i, s in enumerate(probes.services) if mask >> i * probes.size & 1}


# Shrinking.


def test_a_pair_is_made_small() -> None:
    policy = {
        "groups": {"group:ops": ["alice@"]},
        "acls": [
            {"action": "accept", "src": ["alice@", "bob@"], "dst": ["*:22", "*:80"]},
            {"action": "accept", "src": ["bob@"], "dst": ["*:1"]},
        ],
    }
    pair = Pair(STATE, (Retag(3, ("tag:web",)), CreateUser("zed")), policy)

    def fails(smaller: Pair) -> bool:
        return "bob@" in str(smaller.policy) and bool(smaller.edits)

    small = shrink(pair, fails)
    assert len(small.edits) == 1
    assert len(small.before.devices) == 1
    assert str(small.policy).count("bob@") == 1
    assert "group:ops" not in str(small.policy)


# Real servers.


@pytest.mark.real
@pytest.mark.parametrize("release", real.PROGRAMS)
def test_random_pairs_on_a_server(release: str, tmp_path: Path) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    seed = os.environ.get("RECONCILE_SEED", "random")
    results = held(release, COUNT, seed, tmp_path)
    wrong = [str(found) for result in results for found in result.wrong]
    assert wrong == []


@pytest.mark.real
@pytest.mark.parametrize("release", clients.RELEASES)
def test_random_pairs_with_clients(release: str) -> None:
    if reason := missing(release):
        pytest.skip(reason)
    seed = os.environ.get("RECONCILE_SEED", "random")
    results = clients.held(release, max(3, COUNT // 10), seed)
    wrong = [str(found) for result in results for found in result.wrong]
    assert wrong == []


TWINS = tuple(Person(n, name, "team@example.com") for n, name in ((1, "al"), (2, "cy")))
RULE = {"action": "accept", "src": ["tag:web", "team@example.com"], "dst": ["*:22"]}
POLICY = {"tagOwners": {"tag:web": [], "tag:nas": []}, "acls": [RULE]}
LATE = [
    *((release, "node.tags", Retag(3, ("tag:web",))) for release in real.PROGRAMS),
    # From 0.29 on, a policy with a token that fits two users is refused.
    *((r, "user.remove", DeleteUser(2)) for r in ("0.26", "0.27", "0.28")),
]


@pytest.mark.real
@pytest.mark.parametrize(("release", "change", "edit"), LATE)
def test_a_caveat_tells_which_release_goes_by_what_was(
    release: str,
    change: str,
    edit: Retag | DeleteUser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if real.program(release) is None:
        pytest.skip(f"HEADSCALE_BINARIES has no {real.PROGRAMS[release]}")
    monkeypatch.setattr(TailnetServer, "_settle", lambda *_: None)
    people = TWINS if change == "user.remove" else STATE.people
    devices = tuple(replace(d, user=1) for d in STATE.devices)
    state = State(people, devices, POLICY)
    with serving(release, tmp_path) as server:
        before = server.begin(state)
        _, after = server.change(Pair(state, (edit,), POLICY), before)
    late = after.filter == before.filter
    told = releases.RELEASES[release].caveats.get(change, "")
    assert late is ("goes by" in told or "still heeds" in told)

#!/usr/bin/env python3
"""Compare the offline evaluator with recorded answers of a control server.

usage: tests/policy_cases.py DIR...

Every case file below the folders is evaluated; per kind one line is printed,
`kind: N passed, N failed`, with the names that failed and why. Exit code 1 if any did.
Of rejected cases the verdict decides; whether our message has the server's words is
counted on a line of its own.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reconcile.errors import InputError
from reconcile.model import Node, User
from reconcile.policy import auto_approved
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.language.sets import EMPTY, IntervalSet, prefix, texts
from reconcile.policy.meaning.filters import PortRule
from reconcile.policy.meaning.tailnet import Machine, Tailnet
from reconcile.policy.meaning.verdicts import FAILED
from reconcile.policy.reading import read
from reconcile.source.hujson import parse
from tests.support import tailnet

# What the recorded tailnets are, beyond what their topology holds.
ROLES = {"owner": ["odin"], "admin": ["odin", "thor", "freya"]}
DOMAINS = ["example.com"]

DEFAULT_PROTOCOLS = (6, 17, 1, 58)

# Attributes that the server gives to every node, whatever the policy says.
SERVER_ATTRIBUTES = {
    "default-auto-update",
    "probe-udp-lifetime",
    "ssh-behavior-v1",
    "ssh-env-vars",
    "store-appc-routes",
    "tailnet-display-name",
    *(
        f"https://tailscale.com/cap/{name}"
        for name in ("file-sharing", "is-admin", "is-owner", "ssh", "tailnet-lock")
    ),
}

# Cases that cannot be answered from what they hold: name to reason.
EXCUSED: dict[str, str] = {}


@dataclass
class Outcome:
    """What differed in one case, by what was compared.

    `messages` are our reasons for a rejection; `worded` tells whether one of them has
    the server's words, None where there is nothing to compare.
    """

    differences: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    worded: bool | None = None

    def check(self, what: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            self.differences.append(f"{what}: ours {ours}, recorded {theirs}")


def main(folders: list[str]) -> int:
    """Run all cases and print the totals; 64 without a folder."""
    if not folders:
        print(__doc__)
        return 64
    files = sorted(f for folder in folders for f in Path(folder).rglob("*.json"))
    passed: Counter[str] = Counter()
    failed: dict[str, list[str]] = defaultdict(list)
    excused, worded, others = [], 0, []
    for file in files:
        case = json.loads(file.read_text())
        outcome = compare(case)
        name, kind = case["name"], case["kind"]
        if outcome.differences and name in EXCUSED:
            excused.append(f"excused {name}: {EXCUSED[name]}")
        elif outcome.differences:
            reasons = outcome.differences[:8]
            failed[kind].append("\n    ".join([f"  {name}", *reasons]))
        else:
            passed[kind] += 1
        worded += outcome.worded is True
        if outcome.worded is False:
            said = case["expect"]["error"]
            others.append(f"  {name}: ours {outcome.messages}, recorded {said!r}")
    for kind in sorted({*passed, *failed}):
        print(f"{kind}: {passed[kind]} passed, {len(failed[kind])} failed")
        print("".join(f"{line}\n" for line in failed[kind]), end="")
    print("".join(f"{line}\n" for line in excused), end="")
    print(f"messages: {worded} with the server's words, {len(others)} without")
    print("".join(f"{line}\n" for line in others), end="")
    total = sum(map(len, failed.values()))
    print(f"total: {passed.total()} passed, {total} failed, {len(excused)} excused")
    return 1 if total or not passed else 0


def compare(case: dict[str, Any]) -> Outcome:
    """Evaluate one case; note every difference from its recorded answers."""
    outcome = Outcome()
    try:
        _compare(case, outcome)
    except Exception as error:  # the other cases count all the same
        outcome.differences.append(f"{type(error).__name__}: {error}")
    return outcome


def _compare(case: dict[str, Any], outcome: Outcome) -> None:
    expect = case["expect"]
    try:
        value = parse(case["policy"]).value
    except InputError as error:
        outcome.messages = [str(error)]
        outcome.check("accepted", False, expect["accepted"])
        return
    policy = read(value, "tailscale", DOMAINS)
    outcome.messages = [problem.message for problem in policy.errors]
    evaluator = Evaluator(policy, load(case["topology"]))
    if not policy.errors and not all(v.passed for v in evaluator.tests()):
        outcome.messages = [FAILED]
    outcome.check("accepted", not outcome.messages, expect["accepted"])
    if outcome.messages:
        _compare_words(case, outcome)
        return
    for what in (filters, ssh, routes, peers, capabilities, attributes, approvals):
        what(case, evaluator, outcome)


def _compare_words(case: dict[str, Any], outcome: Outcome) -> None:
    """Look for the server's words, where they were captured as they are."""
    said = case["expect"].get("error", "")
    noted = " ".join(case.get("notes") or ())
    if said and case["expect"]["http_status"] != 500 and "anonymisation" not in noted:
        outcome.worded = any(said in message for message in outcome.messages)


def load(topology: dict[str, Any]) -> Tailnet:
    users = [
        User(str(u["id"]), u["name"], email=u.get("email") or "")
        for u in topology["users"]
    ]
    nodes = [
        Node(
            str(n["id"]),
            n["name"],
            user_id=n.get("user"),
            tags=frozenset(n.get("tags") or ()),
            approved=frozenset(n.get("approved_routes") or ()),
            available=frozenset(n.get("advertised_routes") or ()),
            addresses=tuple(n["ips"]),
            created=n.get("created") or "",
        )
        for n in topology["nodes"]
    ]
    ids = {user.name: user.id for user in users}
    roles = {
        role: [ids[name] for name in names if name in ids]
        for role, names in ROLES.items()
    }
    return tailnet(users, nodes, roles=roles, domains=DOMAINS)


def machines(
    evaluator: Evaluator, recorded: dict[str, Any]
) -> Iterator[tuple[Machine, Any]]:
    """Yield the nodes that were captured, each with what was recorded for it."""
    for machine in evaluator.tailnet.machines:
        if machine.name in recorded:
            yield machine, recorded[machine.name]


# Packet filters, as sets of (source, destination, protocol, port).

Box = tuple[IntervalSet, IntervalSet, frozenset[int], IntervalSet]


def filters(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    for machine, recorded in machines(evaluator, case["expect"].get("filters", {})):
        ours = [box for rule in evaluator.filter(machine) for box in boxes(rule)]
        theirs = [box for rule in recorded for box in recorded_boxes(rule)]
        for line in different(ours, theirs):
            outcome.differences.append(f"filter of {machine.name}: {line}")
        outcome.check(
            f"capability rules of {machine.name}",
            ours_granted(evaluator, machine),
            recorded_granted(recorded),
        )


def boxes(rule: PortRule) -> Iterator[Box]:
    for opening in rule.openings:
        for service in opening.services:
            yield rule.sources, opening.addresses, service.protocols, service.ports


def recorded_boxes(rule: dict[str, Any]) -> Iterator[Box]:
    sources = IntervalSet.union(prefix(text) for text in rule["src"])
    # A client leaves out the numbers that no protocol can have.
    protocols = frozenset(rule.get("proto") or DEFAULT_PROTOCOLS) & {*range(256)}
    for target in rule.get("dst", ()):
        ports = IntervalSet([tuple(target["ports"])])
        yield sources, prefix(target["ip"]), protocols, ports


def different(ours: list[Box], theirs: list[Box]) -> Iterator[str]:
    """Cut both sides into the same cells and compare the sources of each cell."""
    both = [*ours, *theirs]
    protocols = {number for box in both for number in box[2]}
    targets = cells(box[1] for box in both)
    ports = cells(box[3] for box in both)
    for protocol in sorted(protocols):
        for target in targets:
            for port in ports:
                one, other = (
                    IntervalSet.union(
                        box[0]
                        for box in side
                        if protocol in box[2] and target in box[1] and port in box[3]
                    )
                    for side in (ours, theirs)
                )
                if one != other:
                    where = texts(IntervalSet([(target, target)]))[0]
                    extra, missing = texts(one - other), texts(other - one)
                    yield f"{where} {protocol}/{port}: +{extra} -{missing}"


def cells(sets: Iterator[IntervalSet]) -> list[int]:
    """Return one number of every cell between the borders of all the sets."""
    intervals = [interval for each in sets for interval in each]
    return sorted({low for low, _ in intervals} | {high + 1 for _, high in intervals})


Granted = set[tuple[str, str, str, str]]


def ours_granted(evaluator: Evaluator, machine: Machine) -> list[Any]:
    return granted(
        (rule.sources, target, rule.capabilities)
        for rule in evaluator.capabilities(machine)
        for target in rule.targets
    )


def recorded_granted(rules: list[dict[str, Any]]) -> list[Any]:
    return granted(
        (IntervalSet.union(map(prefix, rule["src"])), prefix(target), grant["caps"])
        for rule in rules
        for grant in rule.get("cap_grants", ())
        for target in grant["dst"]
    )


def granted(triples: Iterator[tuple[IntervalSet, IntervalSet, Any]]) -> list[Any]:
    """Return, for each destination, capability and value, who has it."""
    found: dict[tuple[str, str, str], IntervalSet] = defaultdict(lambda: EMPTY)
    for sources, target, capabilities in triples:
        for name, values in capabilities.items():
            for value in values if values else [values]:
                for where in texts(target):
                    key = (where, name, json.dumps(value, sort_keys=True))
                    found[key] |= sources
    return sorted((*key, *texts(sources)) for key, sources in found.items())


def ssh(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    recorded = case["expect"].get("ssh")
    if recorded is None:
        return
    for machine in evaluator.tailnet.machines:
        if machine.name not in case["expect"].get("filters", {machine.name: 0}):
            continue
        ours = [
            (
                sorted(rule.principals),
                dict(rule.users),
                rule.action,
                list(rule.accept_env),
            )
            for rule in evaluator.ssh(machine)
        ]
        theirs = [
            (
                sorted(rule["principals"]),
                rule["users"],
                rule["action"],
                rule.get("accept_env") or [],
            )
            for rule in recorded.get(machine.name, [])
        ]
        outcome.check(f"ssh of {machine.name}", ours, theirs)


def peers(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    for machine, recorded in machines(evaluator, case["expect"].get("peers", {})):
        ours = sorted(peer.name for peer in evaluator.peers(machine))
        outcome.check(f"peers of {machine.name}", ours, sorted(recorded))


def routes(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    expect = case["expect"]
    if "peer_routes" not in expect:
        return
    for machine in evaluator.tailnet.machines:
        if machine.name not in expect.get("peers", {}):
            continue
        ours = {
            peer.name: sorted(shown)
            for peer in evaluator.peers(machine)
            if (shown := evaluator.routes(machine, peer))
        }
        theirs = expect["peer_routes"].get(machine.name, {})
        theirs = {name: sorted(shown) for name, shown in theirs.items() if shown}
        outcome.check(f"routes seen by {machine.name}", ours, theirs)


def capabilities(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    for machine, recorded in machines(evaluator, case["expect"].get("peer_caps", {})):
        ours: dict[str, dict[str, Any]] = defaultdict(dict)
        for rule in evaluator.capabilities(machine):
            if not any(t.overlaps(machine.addresses) for t in rule.targets):
                continue
            for peer in evaluator.tailnet.machines:
                if peer is machine or not peer.addresses.overlaps(rule.sources):
                    continue
                for name, values in rule.capabilities.items():
                    before = ours[peer.name].get(name) or []
                    ours[peer.name][name] = [*before, *(values or ())] or None
        outcome.check(f"capabilities on {machine.name}", plain(ours), plain(recorded))


def plain(views: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return views with the values of each capability in one order, each once."""
    return {
        peer: {
            name: sorted({json.dumps(value, sort_keys=True) for value in values or ()})
            for name, values in sorted(caps.items())
        }
        for peer, caps in sorted(views.items())
        if caps
    }


def attributes(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    expect = case["expect"]
    for machine, recorded in machines(evaluator, expect.get("node_caps", {})):
        theirs = sorted(set(recorded) - SERVER_ATTRIBUTES)
        ours = sorted(evaluator.attributes(machine) - SERVER_ATTRIBUTES)
        outcome.check(f"attributes of {machine.name}", ours, theirs)
    for machine, recorded in machines(evaluator, expect.get("addresses", {})):
        theirs = IntervalSet.union(map(prefix, recorded))
        ours = evaluator.addresses(machine)
        outcome.check(f"addresses of {machine.name}", texts(ours), texts(theirs))
    if "peer_node_caps" not in expect:
        return
    for viewer, _ in machines(evaluator, expect.get("node_caps", {})):
        recorded = expect["peer_node_caps"].get(viewer.name, {})
        for peer in evaluator.peers(viewer):
            theirs = sorted(recorded.get(peer.name) or ())
            ours = sorted(evaluator.peer_attributes(peer))
            outcome.check(f"attributes {viewer.name} sees of {peer.name}", ours, theirs)


def approvals(case: dict[str, Any], evaluator: Evaluator, outcome: Outcome) -> None:
    """Auto-approval: only the routes cases have it as an answer."""
    if case["kind"] not in ("routes", "routes-internet"):
        return
    for machine in evaluator.tailnet.machines:
        node = machine.node
        ours = auto_approved(evaluator.policy.value, node, evaluator.tailnet.users)
        recorded = sorted(node.approved & node.available)
        outcome.check(f"approved on {node.name}", sorted(ours), recorded)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

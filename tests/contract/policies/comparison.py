"""Where the evaluator's reading of a policy and a server's answer differ."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconcile.policy import auto_approved
from reconcile.policy.access.evaluate import Evaluator
from reconcile.policy.language.document import Policy
from reconcile.policy.language.sets import EMPTY, IntervalSet, prefix, texts
from reconcile.policy.meaning.filters import Filters, Opening, PortRule
from reconcile.policy.meaning.resolve import INTERNET
from reconcile.policy.meaning.tailnet import Machine
from reconcile.policy.reading import read
from tests import policy_cases
from tests.contract.policies import tailnet
from tests.policy_cases import Box, boxes, different, recorded_boxes

Answer = Mapping[str, Any]


# What we refuse though 0.26 takes it, by our words, each with the reason.
TOLERATED = {
    "proto=": "0.26 looks only while the rule's sources have nodes: with the"
    " first of them it refuses its own stored policy",
    "duplicate object member name": "the last one counts, whatever its case: nobody"
    " means that, and every later release refuses it",
    'port range "": invalid': "a destination without ports opens nothing there, and"
    " every later release refuses it",
    "are the same field": "the same, at the top of the policy",
}


def tolerated(refusal: str) -> bool:
    return any(words in refusal for words in TOLERATED)


def refusals(evaluator: Evaluator) -> list[str]:
    """Return why a server with these users and nodes refuses the policy."""
    found = [problem.message for problem in evaluator.policy.errors]
    found = found or [problem.message for problem in evaluator.refusals]
    return found or [
        failure.reason for verdict in evaluator.tests() for failure in verdict.failures
    ]


def differences(release: str, answer: Answer) -> list[str]:
    """Evaluate a policy and return every difference from what a server answered."""
    policy = read(answer["policy"], release)
    evaluator = Evaluator(policy, tailnet.tailnet(release))
    refused = refusals(evaluator)
    if bool(refused) != (answer["refusal"] is not None):
        if refused and release == "0.26" and all(map(tolerated, refused)):
            return []
        return [f"ours {refused or 'accepts'}, server {answer['refusal']!r}"]
    if refused:
        return []
    found = []
    approved = answer.get("approved")
    if approved is not None:
        found += _approvals(evaluator, approved)
        changed = tailnet.tailnet(release, approved=approved)
        evaluator = Evaluator(policy, changed)
    found += _ssh(evaluator, answer["ssh"])
    everywhere = Evaluator(_alike(policy), evaluator.tailnet)
    found += _filter(everywhere, answer["filter"])
    found += _capabilities(everywhere, answer["filter"])
    return found


def in_the_same_words(release: str, answer: Answer) -> bool:
    """Tell whether a server's refusal holds one of our messages, places left out."""
    policy = read(answer["policy"], release)
    said = refusals(Evaluator(policy, tailnet.tailnet(release)))
    bare = [_PLACE.sub("", message) for message in said]
    bare += [_FIELD.sub("", message) for message in bare]
    return any(message in answer["refusal"] for message in bare)


_PLACE = re.compile(r"^(\w+\[\d+\]|autoApprovers): ")
_FIELD = re.compile(r'^((ip|via|dst|proto)="[^"]*": )+|^src=')


def _alike(policy: Policy) -> Policy:
    """Return a policy without what only single nodes have: `autogroup:self`, `via`."""
    if policy.rules is None:
        return policy
    rules = [
        replace(
            rule,
            targets=tuple(t for t in rule.targets if t.selector.autogroup != "self"),
        )
        for rule in policy.rules
        if not rule.via
    ]
    return replace(policy, rules=tuple(rules))


def _approvals(evaluator: Evaluator, approved: Mapping[str, Any]) -> Iterator[str]:
    for machine in evaluator.tailnet.machines:
        node = machine.node
        added = auto_approved(evaluator.policy.value, node, evaluator.tailnet.users)
        ours, theirs = (
            sorted(node.approved | added),
            sorted(approved.get(node.name, ())),
        )
        if ours != theirs:
            yield f"approved on {node.name}: ours {ours}, server {theirs}"


def _everywhere(evaluator: Evaluator) -> Iterator[PortRule]:
    """Yield the rules that are in force on every node, as the debug page shows them.

    `autogroup:self` and `via` rules are not among them.
    """
    filters = Filters(evaluator.policy, evaluator.tailnet)
    if evaluator.policy.rules is None:
        yield filters.open()
    for rule in evaluator.policy.rules or ():
        openings = tuple(
            Opening(addresses, target.services)
            for target in (() if rule.via else rule.targets)
            if target.selector.autogroup != "self"
            for addresses in filters.resolver.targets(target.selector)
        )
        sources = filters.resolver.all_sources(rule.sources)
        if openings and sources:
            yield PortRule(sources, openings, rule)


def _filter(evaluator: Evaluator, rules: Iterable[Any]) -> Iterator[str]:
    ours = [box for rule in _everywhere(evaluator) for box in boxes(rule)]
    theirs = [box for rule in rules for box in recorded_boxes(rule)]
    for line in unequal(ours, theirs):
        yield f"filter: {line}"


def unequal(ours: list[Box], theirs: list[Box]) -> Iterator[str]:
    """Yield where two filters differ; most are equal at first sight."""
    if _grouped(ours) != _grouped(theirs):
        yield from different(ours, theirs)


def _grouped(rules: Iterable[Box]) -> dict[Any, IntervalSet]:
    found: dict[Any, list[IntervalSet]] = defaultdict(list)
    for sources, targets, protocols, ports in rules:
        for protocol in protocols:
            for interval in ports:
                found[sources, protocol, interval].append(targets)
    return {key: IntervalSet.union(sets) for key, sets in found.items()}


Held = dict[tuple[str, str, str], IntervalSet]


def _capabilities(evaluator: Evaluator, rules: Iterable[Any]) -> Iterator[str]:
    """Compare who has which capability on each node's own addresses."""
    ours: Held = defaultdict(lambda: EMPTY)
    theirs: Held = defaultdict(lambda: EMPTY)
    granted = [
        (IntervalSet.union(map(prefix, rule["src"])), prefix(target), grant["caps"])
        for rule in rules
        for grant in rule.get("cap_grants", ())
        for target in grant["dst"]
    ]
    for machine in evaluator.tailnet.machines:
        for rule in evaluator.capabilities(machine):
            for target in rule.targets:
                _hold(ours, target & machine.addresses, rule.capabilities, rule.sources)
        for sources, target, capabilities in granted:
            _hold(theirs, target & machine.addresses, capabilities, sources)
    for key in sorted({*ours, *theirs}):
        if ours[key] != theirs[key]:
            yield f"capability {key}: ours {texts(ours[key])}, server {texts(theirs[key])}"


def _hold(
    held: Held, target: IntervalSet, capabilities: Mapping[str, Any], by: IntervalSet
) -> None:
    for name, values in capabilities.items():
        for value in values or [None]:
            for where in texts(target):
                held[where, name, str(value)] |= by


def _ssh(evaluator: Evaluator, recorded: Mapping[str, Any]) -> Iterator[str]:
    for machine in evaluator.tailnet.machines:
        ours = logins(evaluator, machine)
        theirs = recorded.get(machine.name, [])
        if ours != theirs:
            yield f"ssh of {machine.name}: ours {ours}, server {theirs}"


def client_differences(evaluator: Evaluator, clients: Mapping[str, Any]) -> list[str]:
    """Return where what clients were told differs from the evaluator.

    A policy without SSH rules is sent without a word on SSH, and a connected client
    keeps the rules that it had: then there is nothing to compare. Peers are not
    compared where a grant has `via`: Headscale decides it by the rules of each viewer,
    and so one of two nodes may see the other alone. Nor are routes where a rule has the
    destination `*` besides, which to Headscale is the tailnet alone then.
    """
    found = []
    with_ssh = bool(evaluator.policy.ssh)
    rules = evaluator.policy.rules or ()
    with_peers = not any(rule.via for rule in rules)
    wide = any(t.selector.kind == "any" for rule in rules for t in rule.targets)
    with_routes = with_peers or not wide
    for machine in evaluator.tailnet.machines:
        told = clients[machine.name]
        ours = delivered(machine, map(boxes, evaluator.filter(machine)))
        theirs = delivered(machine, map(recorded_boxes, told["filter"]))
        found += [f"filter of {machine.name}: {x}" for x in unequal(ours, theirs)]
        granted = policy_cases.ours_granted(evaluator, machine)
        peers = sorted(peer.name for peer in evaluator.peers(machine))
        for what, one, other in (
            ("capabilities", granted, policy_cases.recorded_granted(told["filter"])),
            ("ssh", logins(evaluator, machine), told["ssh"] if with_ssh else []),
            ("peers", peers, sorted(told["peers"]) if with_peers else peers),
            (
                "routes",
                *_networks(evaluator, machine, told["peers"] if with_routes else {}),
            ),
            ("attributes", sorted(evaluator.attributes(machine)), told["attributes"]),
        ):
            if one != other:
                found.append(f"{what} of {machine.name}: ours {one}, client {other}")
    return found


def _networks(
    evaluator: Evaluator, machine: Machine, told: Mapping[str, list[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the routes that peers show, by our reading and by the server's.

    Only of peers that both know.
    """
    peers = [peer for peer in evaluator.peers(machine) if peer.name in told]
    return (
        {p.name: sorted(evaluator.routes(machine, p)) for p in peers},
        {p.name: sorted(told[p.name]) for p in peers},
    )


def delivered(machine: Machine, rules: Iterable[Iterable[Box]]) -> list[Box]:
    """Return the part of a filter that a node can deliver, to itself or a network.

    Servers write neighbouring addresses as one prefix, so that a node may be told of
    its neighbour's address as well, where nothing ever arrives.
    """
    reach = machine.addresses | IntervalSet.union(route for _, route in machine.subnets)
    if machine.exits:
        reach |= INTERNET
    return [
        (sources, targets & reach, protocols, ports)
        for rule in rules
        for sources, targets, protocols, ports in rule
        if targets.overlaps(reach)
    ]


def logins(evaluator: Evaluator, machine: Any) -> list[dict[str, Any]]:
    """Return our SSH rules of a node in the form of the recorded ones."""
    return [
        {
            "principals": sorted(rule.principals),
            "users": dict(rule.users),
            "action": rule.action,
            "accept_env": list(rule.accept_env),
        }
        for rule in evaluator.ssh(machine)
        if rule.principals
    ]

"""Make a failing pair small enough to be read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from tests.contract.seeds import EXIT
from tests.contract.tailnets.edits import Pair
from tests.contract.tailnets.state import Device, Policy

_LISTS = ("acls", "grants", "ssh")
Fails = Callable[[Pair], bool]


def shrink(pair: Pair, fails: Fails, most: int = 300) -> Pair:
    """Return a pair that still fails and of which nothing can be left out.

    `most` limits how many are tried.
    """
    for tried, smaller in enumerate(islice(candidates(pair), most), 1):
        if fails(smaller):
            return shrink(smaller, fails, most - tried)
    return pair


def candidates(pair: Pair) -> Iterator[Pair]:
    """Yield pairs that are a little smaller, the boldest first."""
    yield from _without_edits(pair)
    yield from _without_sections(pair)
    yield from _without_rules(pair)
    yield from _without_devices(pair)
    yield from _without_people(pair)
    yield from _plainer_devices(pair)
    yield from _shorter_rules(pair)
    yield from _without_entries(pair)


def _without_edits(pair: Pair) -> Iterator[Pair]:
    if pair.edits and pair.policy != pair.before.policy:
        yield replace(pair, policy=pair.before.policy)
        yield replace(pair, edits=())
    for index in range(len(pair.edits)):
        yield replace(pair, edits=pair.edits[:index] + pair.edits[index + 1 :])


def _policies(pair: Pair) -> tuple[Policy, Policy]:
    return pair.before.policy or {}, pair.policy or {}


def _with(pair: Pair, before: Policy, after: Policy) -> Pair:
    return replace(pair, before=replace(pair.before, policy=before), policy=after)


def _without_sections(pair: Pair) -> Iterator[Pair]:
    before, after = _policies(pair)
    for name in dict.fromkeys((*before, *after)):
        old, new = dict(before), dict(after)
        if name in ("acls", "grants"):
            if not old.get(name) and not new.get(name):
                continue
            old[name] = new[name] = []
        else:
            old.pop(name, None)
            new.pop(name, None)
        yield _with(pair, old, new)


def _without_rules(pair: Pair) -> Iterator[Pair]:
    before, after = _policies(pair)
    for name in _LISTS:
        for gone in _parts(_distinct(before.get(name, ()), after.get(name, ()))):
            yield _with(pair, *(_less_rules(p, name, gone) for p in (before, after)))


def _less_rules(policy: Policy, name: str, gone: Sequence[Any]) -> Policy:
    if not policy.get(name):
        return policy
    return {**policy, name: [rule for rule in policy[name] if rule not in gone]}


def _distinct(*lists: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in chain.from_iterable(lists):
        if item not in found:
            found.append(item)
    return found


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield what to leave out: either half, then each item."""
    if len(items) > 2:
        middle = len(items) // 2
        yield items[:middle]
        yield items[middle:]
    yield from ([item] for item in items)


def _rest(items: Sequence[Any], gone: Any) -> list[Any]:
    return [item for item in items if item != gone]


def _shorter_rules(pair: Pair) -> Iterator[Pair]:
    """Leave one item out of a list of a rule, on both sides where it is on both."""
    before, after = _policies(pair)
    for name in _LISTS:
        for rule in _distinct(before.get(name, ()), after.get(name, ())):
            for shorter in _shorter(rule):
                sides = (_swapped(p, name, rule, shorter) for p in (before, after))
                yield _with(pair, *sides)


def _shorter(rule: Policy) -> Iterator[Policy]:
    for field in ("src", "dst", "ip", "users"):
        items = rule.get(field, ())
        for item in items if len(items) > 1 else ():
            yield {**rule, field: _rest(items, item)}
    for field in ("proto", "via"):
        if field in rule:
            yield {k: v for k, v in rule.items() if k != field}


def _swapped(policy: Policy, name: str, old: Policy, new: Policy) -> Policy:
    if not policy.get(name):
        return policy
    return {**policy, name: [new if rule == old else rule for rule in policy[name]]}


def _without_entries(pair: Pair) -> Iterator[Pair]:
    """Leave out groups, hosts, owners and approvers, and members of groups."""
    before, after = _policies(pair)
    for name in ("groups", "hosts", "tagOwners"):
        for gone in _parts(_distinct(before.get(name, ()), after.get(name, ()))):
            sides = (
                {**p, name: {k: v for k, v in p.get(name, {}).items() if k not in gone}}
                for p in (before, after)
            )
            yield _with(pair, *sides)
    for name in ("groups", "tagOwners"):
        for key in before.get(name, {}):
            members = [*before[name][key], *after.get(name, {}).get(key, ())]
            for member in dict.fromkeys(members):
                sides = (_less(p, name, key, member) for p in (before, after))
                yield _with(pair, *sides)


def _less(policy: Policy, name: str, key: str, member: str) -> Policy:
    section = policy.get(name, {})
    if key not in section:
        return policy
    return {**policy, name: {**section, key: _rest(section[key], member)}}


def _without_devices(pair: Pair) -> Iterator[Pair]:
    named = {vars(edit).get("device") for edit in pair.edits}
    idle = [d.id for d in pair.before.devices if d.id not in named]
    for gone in _parts(idle):
        rest = tuple(d for d in pair.before.devices if d.id not in gone)
        if rest:
            yield replace(pair, before=replace(pair.before, devices=rest))


def _without_people(pair: Pair) -> Iterator[Pair]:
    named = {vars(edit).get("person") for edit in pair.edits}
    owners = {device.user for device in pair.before.devices}
    for person in pair.before.people:
        if person.id not in named | owners:
            rest = tuple(p for p in pair.before.people if p is not person)
            yield replace(pair, before=replace(pair.before, people=rest))


def _plainer_devices(pair: Pair) -> Iterator[Pair]:
    for device in pair.before.devices:
        for fields in _plainer(device):
            before = pair.before.with_device(device.id, **fields)
            yield replace(pair, before=before)


def _plainer(device: Device) -> Iterator[dict[str, Any]]:
    if device.tags:
        yield {"tags": ()}
        for tag in device.tags if len(device.tags) > 1 else ():
            yield {"tags": tuple(_rest(device.tags, tag))}
    if device.routes or device.approved:
        yield {"routes": (), "approved": ()}
    for route in _distinct(device.routes, device.approved):
        gone = EXIT if route in EXIT else (route,)  # servers know exit routes as a pair
        routes, approved = (
            tuple(r for r in known if r not in gone)
            for known in (device.routes, device.approved)
        )
        yield {"routes": routes, "approved": approved}
    if set(device.approved) != set(device.routes):
        yield {"approved": device.routes}

"""The policy that allows what either of two policies allows, for the way between.

Rules only ever add, so putting both lists together loses nothing. Between the two
writes nodes can change their tags without losing access on the way.
"""

from collections.abc import Mapping
from typing import Any

from reconcile.policy.language.fields import find, section_name

Object = Mapping[str, Any]

_LISTS_BY_NAME = ("groups", "tagOwners")
_RULES = ("acls", "grants", "ssh", "nodeAttrs")
# They speak of one of the two policies, and would refuse the union.
_LEFT_OUT = ("tests", "sshTests")


def union(before: Object, after: Object) -> dict[str, Any] | None:
    """Return a policy that allows what `before` or `after` allows.

    None when there is none: a host alias that stands for two addresses, or a policy
    without `acls` and `grants`, which allows everything and would have to go on doing
    so.
    """
    if any(_opens(policy) for policy in (before, after)) or _clash(before, after):
        return None
    merged: dict[str, Any] = {}
    before = _with_members(before, _redefined(before, after))
    names = dict.fromkeys(section_name(key) for key in (*after, *before))
    for name in names:
        if name not in _LEFT_OUT:
            merged[name] = _merge(name, _get(before, name), _get(after, name))
    return {name: value for name, value in merged.items() if value is not None}


def _get(policy: Object, name: str) -> Any:
    found = find(policy, name)
    return None if found is None else found[1]


def _opens(policy: Object) -> bool:
    return _get(policy, "acls") is None and _get(policy, "grants") is None


def _clash(before: Object, after: Object) -> bool:
    old, new = _get(before, "hosts") or {}, _get(after, "hosts") or {}
    return any(old[name] != new[name] for name in old.keys() & new.keys())


def _redefined(before: Object, after: Object) -> dict[str, list[str]]:
    """Return the groups that get other members, each with its old ones."""
    old, new = _get(before, "groups") or {}, _get(after, "groups") or {}
    return {g: old[g] for g in old.keys() & new.keys() if old[g] != new[g]}


def _with_members(policy: Object, groups: Mapping[str, list[str]]) -> Object:
    """Return a policy that names the members of some groups in their place.

    A group has one meaning in the union: that of the new policy. With it the old rules
    would let in members who come, and leave out members who go.
    """
    if not groups:
        return policy
    kept = {k: v for k, v in policy.items() if section_name(k) != "groups"}
    others = {
        k: v for k, v in (_get(policy, "groups") or {}).items() if k not in groups
    }
    return {**{k: _spread(v, groups) for k, v in kept.items()}, "groups": others}


def _spread(value: Any, groups: Mapping[str, list[str]]) -> Any:
    """Replace groups by their members in all lists of a value, ports kept."""
    if isinstance(value, dict):
        return {key: _spread(item, groups) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    found: list[Any] = []
    for item in value:
        name = _group_of(item, groups)
        if name is None:
            found.append(_spread(item, groups))
        else:
            found += [member + item[len(name) :] for member in groups[name]]
    return found


def _group_of(item: Any, groups: Mapping[str, list[str]]) -> str | None:
    """Return the group that an item of a list names, alone or before its ports."""
    if not isinstance(item, str):
        return None
    return next((g for g in groups if item == g or item.startswith(f"{g}:")), None)


def _merge(name: str, old: Any, new: Any) -> Any:
    # What the union approves stays approved, also where the new policy would not.
    if name == "autoApprovers":
        return new
    if old is None or new is None:
        return old if new is None else new
    if name in _RULES:
        return [*new, *(rule for rule in old if rule not in new)]
    if name in _LISTS_BY_NAME:
        return _lists(old, new)
    if name == "hosts":
        return {**old, **new}
    return new


def _lists(old: Object, new: Object) -> dict[str, Any]:
    return {key: _both(old.get(key), new.get(key)) for key in {**new, **old}}


def _both(old: Any, new: Any) -> list[Any]:
    first = list(new or ())
    return first + [item for item in old or () if item not in first]

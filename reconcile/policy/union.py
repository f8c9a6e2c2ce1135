"""The policy that allows what either of two policies allows, for the way between.

Rules only ever add, so putting both lists together loses nothing. Between the two
writes nodes can change their tags without losing access on the way.
"""

from collections.abc import Mapping
from typing import Any

from reconcile.policy.fields import find, section_name

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
    names = dict.fromkeys(section_name(key) for key in (*after, *before))
    for name in names:
        if name not in _LEFT_OUT:
            merged[name] = _merge(name, _get(before, name), _get(after, name))
    return merged


def _get(policy: Object, name: str) -> Any:
    found = find(policy, name)
    return None if found is None else found[1]


def _opens(policy: Object) -> bool:
    return _get(policy, "acls") is None and _get(policy, "grants") is None


def _clash(before: Object, after: Object) -> bool:
    old, new = _get(before, "hosts") or {}, _get(after, "hosts") or {}
    return any(old[name] != new[name] for name in old.keys() & new.keys())


def _merge(name: str, old: Any, new: Any) -> Any:
    if old is None or new is None:
        return old if new is None else new
    if name in _RULES:
        return [*new, *(rule for rule in old if rule not in new)]
    if name in _LISTS_BY_NAME:
        return _lists(old, new)
    if name == "hosts":
        return {**old, **new}
    if name == "autoApprovers":
        return _approvers(old, new)
    return new


def _lists(old: Object, new: Object) -> dict[str, Any]:
    return {key: _both(old.get(key), new.get(key)) for key in {**new, **old}}


def _both(old: Any, new: Any) -> list[Any]:
    first = list(new or ())
    return first + [item for item in old or () if item not in first]


def _approvers(old: Object, new: Object) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key in {**new, **old}:
        mine, theirs = old.get(key), new.get(key)
        if isinstance(mine, dict) or isinstance(theirs, dict):
            merged[key] = _lists(mine or {}, theirs or {})
        else:
            merged[key] = _both(mine, theirs)
    return merged

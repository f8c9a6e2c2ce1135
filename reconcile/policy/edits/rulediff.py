"""How two versions of one rule differ, field by field, and how rules are titled."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from reconcile.policy.language.fields import RULES
from reconcile.policy.language.pairing import canonical, split_ports
from reconcile.policy.language.sets import ports

Rule = Mapping[str, Any]
PartEffect = Literal["widened", "narrowed", "changed", "reordered"]
Effect = Literal["widen", "narrow", "change", "none"]

# Sections and fields whose lists allow more with every entry. Elsewhere (tests, node
# attributes, posture conditions, `via`) an entry more is just something else.
_WIDENING = {
    "acls": {"src", "dst", "ports"},
    "grants": {"src", "dst", "ip", "app"},
    "ssh": {"src", "dst", "users"},
}
_WIDENING_LISTS = ("groups", "tagOwners", "autoApprovers")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a rule that differs: what was added to it, what was taken away.

    `effect` says widened or narrowed where only entries were added or only removed.
    """

    name: str
    effect: PartEffect
    before: Any
    after: Any
    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        """The difference in words: `src + bob@ - carol@`, `ports 22 -> 22,80`."""
        if self.effect == "reordered":
            said = "in other words" if self.name == "ports" else "order only"
            return f"{self.name} {said}"
        if self.name == "ports" or not (self.added or self.removed):
            return f"{self.name} {word(self.before)} -> {word(self.after)}"
        signs = [f"+ {word(entry)}" for entry in self.added]
        signs += [f"- {word(entry)}" for entry in self.removed]
        return f"{self.name} {' '.join(signs)}"

    def as_json(self) -> dict[str, Any]:
        """Return the part for the JSON plan."""
        entry = {"effect": self.effect, "before": self.before, "after": self.after}
        if self.added:
            entry["added"] = list(self.added)
        if self.removed:
            entry["removed"] = list(self.removed)
        return entry


def word(value: object) -> str:
    """Return a value as one word for people; `(absent)` for None."""
    if value is None:
        return "(absent)"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def title(section: str, rule: Rule, *, with_ports: bool = True) -> str:
    """Return what a rule is about: `group:ci -> tag:build:22`."""
    if "" in rule:  # not an object at all
        return word(rule[""])
    if section == "nodeAttrs":
        return f"{_few(rule.get('target'))}: {_few(rule.get('attr'))}"
    if section in ("tests", "sshTests"):
        names = ("dst", "accept", "check", "deny")
        said = [f"{name} {_few(rule[name])}" for name in names if rule.get(name)]
        return " ".join([_few(rule.get("src")), *said])
    target = rule.get("dst")
    if section == "acls" and not with_ports and isinstance(target, list):
        target = list(dict.fromkeys(split_ports(word(item))[0] for item in target))
    return f"{_few(rule.get('src'))} -> {_few(target)}{_suffix(section, rule)}"


def _suffix(section: str, rule: Rule) -> str:
    if section == "acls" and rule.get("proto"):
        return f" {word(rule['proto'])}"
    if section == "ssh":
        users = f" as {_few(rule.get('users'))}"
        return users + (" check" if rule.get("action") == "check" else "")
    if section != "grants":
        return ""
    via = f" via {_few(rule['via'])}" if rule.get("via") else ""
    app = rule.get("app")
    names = f" {_few(list(app))}" if isinstance(app, dict) and app else ""
    return (f" {_few(rule['ip'])}" if rule.get("ip") else "") + names + via


def _few(value: object) -> str:
    if not isinstance(value, list):
        return "(nothing)" if value is None else word(value)
    if not value:
        return "(nothing)"
    more = len(value) - _SHOWN
    shown = ", ".join(word(item) for item in value[:_SHOWN])
    return f"{shown}, +{more}" if more > 0 else shown


def parts(section: str, before: Rule, after: Rule) -> list[Part]:
    """Return the fields in which two versions of a rule differ, in writing order."""
    order = [*RULES[section], *sorted({*before, *after} - set(RULES[section]))]
    found: list[Part] = []
    for name in order:
        old, new = before.get(name), after.get(name)
        if name == "dst" and section == "acls" and _lists(old, new):
            found += _destinations(old or [], new or [])
        elif _lists(old, new):
            part = list_part(name, old or [], new or [])
            found += [part] if part else []
        elif name == "app" and isinstance(old, dict) and isinstance(new, dict):
            found += _capabilities(old, new)
        elif canonical(old) != canonical(new):
            found.append(Part(name, "changed", old, new))
    return found


def list_part(name: str, before: Sequence[Any], after: Sequence[Any]) -> Part | None:
    """Compare two lists whose order does not count; None when they are equal."""
    if [canonical(item) for item in before] == [canonical(item) for item in after]:
        return None
    added, removed = _minus(after, before), _minus(before, after)
    effect: PartEffect = "changed"
    if not added and not removed:
        effect = "reordered"
    elif not removed:
        effect = "widened"
    elif not added:
        effect = "narrowed"
    return Part(name, effect, list(before), list(after), added, removed)


def effect(section: str, found: Sequence[Part]) -> Effect:
    """Say whether a rule allows more or less, as far as its lists alone tell."""
    effects = {part.effect for part in found}
    if effects <= {"reordered"}:
        return "none"
    fields = {part.name for part in found if part.effect != "reordered"}
    if section not in _WIDENING_LISTS and not fields <= _WIDENING.get(section, set()):
        return "change"
    effects.discard("reordered")
    if effects == {"widened"}:
        return "widen"
    return "narrow" if effects == {"narrowed"} else "change"


def _lists(*values: object) -> bool:
    return all(value is None or isinstance(value, list) for value in values) and any(
        value is not None for value in values
    )


def _minus(one: Sequence[Any], other: Sequence[Any]) -> tuple[Any, ...]:
    """Return the entries of one list that the other does not have, each once."""
    there = {canonical(item) for item in other}
    here = {canonical(item): item for item in reversed(one)}
    return tuple(here[text] for text in reversed(here) if text not in there)


def _destinations(before: Sequence[Any], after: Sequence[Any]) -> list[Part]:
    """Compare ACL destinations: the ports apart when only they changed."""
    old = [split_ports(word(item)) for item in before]
    new = [split_ports(word(item)) for item in after]
    same_hosts = {host for host, _ in old} == {host for host, _ in new}
    one_host = len({host for host, _ in old}) == 1 or (
        len({ports for _, ports in old}) == 1 and len({ports for _, ports in new}) == 1
    )
    if not same_hosts or not one_host or sorted(old) == sorted(new):
        part = list_part("dst", before, after)
        if part and same_hosts:
            part = replace(part, effect=_each_port_effect(old, new) or part.effect)
        return [part] if part else []
    old_ports, new_ports = _ports(old), _ports(new)
    part = list_part("ports", old_ports, new_ports)
    shown = ",".join(old_ports), ",".join(new_ports)
    if part is None:
        return [Part("dst", "reordered", before, after)]
    kind = _port_effect(*shown) or part.effect
    return [Part("ports", kind, *shown, part.added, part.removed)]


def _each_port_effect(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]
) -> PartEffect | None:
    """Compare the ports of each destination; None when they do not go one way."""
    old, new = dict(before), dict(after)
    if len(old) < len(before) or len(new) < len(after):
        return None  # one destination in two entries
    effects = {_port_effect(old[host], new[host]) for host in old} - {"reordered"}
    return effects.pop() if len(effects) == 1 else None


def _port_effect(before: str, after: str) -> PartEffect | None:
    """Compare two port lists as numbers; None when one of them is not understood."""
    try:
        old, new = ports(before), ports(after)
    except ValueError:
        return None
    if old == new:
        return "reordered"
    if old <= new:
        return "widened"
    return "narrowed" if new <= old else "changed"


def _ports(destinations: Sequence[tuple[str, str]]) -> list[str]:
    found = [port for _, ports in destinations for port in ports.split(",")]
    return ["*"] if "*" in found else list(dict.fromkeys(found))


def _capabilities(before: Rule, after: Rule) -> list[Part]:
    changed = [
        name
        for name in before
        if name in after and canonical(before[name]) != canonical(after[name])
    ]
    if changed:
        return [Part("app", "changed", before, after, (), ())]
    part = list_part("app", sorted(before), sorted(after))
    return [part] if part else []

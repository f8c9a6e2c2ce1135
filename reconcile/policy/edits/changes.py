"""What changed between two policies, by meaning and not by text."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reconcile.policy.edits import rulediff
from reconcile.policy.language import pairing
from reconcile.policy.language.fields import (
    RULES,
    SECTIONS,
    Path,
    field_name,
    find,
    section_name,
)

Op = Literal["add", "remove", "change", "move"]
Effect = Literal["widen", "narrow", "change", "none"]
Paths = tuple[Path, Path]  # in the old policy, in the new one
Object = dict[str, Any]

SYMBOLS = {"add": "+", "remove": "-", "change": "~", "move": ">"}
_LISTS_BY_NAME = ("groups", "tagOwners", "ipsets", "postures")
_ORDER_COUNTS = ("ssh",)
_OPENS = {"acls": "grants", "grants": "acls"}  # each with the other one
_NOT_EMPTY = "absent is not the same as empty"
_TESTS = ("tests", "sshTests")


@dataclass(frozen=True, slots=True)
class Item:
    """One change: what happened to which part of the policy.

    `subject` names the part as people do (`acls[3]`, `groups."group:admins"`),
    `path` leads to it in the new policy and `before_path` in the old one (None where
    it does not exist). `title` says what the part is and `changes` what became of it.
    `effect` tells whether it allows more (widen), less (narrow), both or something
    that cannot be said from the lists alone (change), or the same (none).
    """

    op: Op
    section: str
    subject: str
    path: Path | None
    before_path: Path | None
    effect: Effect = "change"
    title: str = ""
    changes: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The change in one line: `alice@ -> tag:db   ports 5432 -> 5432,5433`."""
        return "   ".join(part for part in (self.title, *self.changes) if part)

    @property
    def symbol(self) -> str:
        """The mark that plans put before the line."""
        return SYMBOLS[self.op]

    def as_json(self) -> dict[str, Any]:
        """Return the change for the JSON plan; the caller adds the line."""
        said = self.effect if self.op == "change" else self.op
        key = "rule" if self.section in RULES else "subject"
        return {
            "op": said,
            key: self.subject,
            "summary": self.summary,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """All changes between two policies, in the order of the sections.

    `same_text` is whether the two texts were equal; `unchanged` counts the rules that
    both have.
    """

    items: tuple[Item, ...]
    same_text: bool = True
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def formatting_only(self) -> bool:
        """Whether the texts differ, but only in what has no meaning at all."""
        return not self.items and not self.same_text

    @property
    def order_only(self) -> bool:
        """Whether nothing but the order changed, where order has no meaning."""
        return bool(self.items) and all(item.effect == "none" for item in self.items)

    def count(self, op: Op, *, rules: bool = False) -> int:
        """Count the changes of one kind, only those of rules if asked."""
        return sum(
            item.op == op and (not rules or item.section in RULES)
            for item in self.items
        )


def compare(before: object, after: object, *, same_text: bool = True) -> PolicyDiff:
    """Compare two policy values (None for "no policy") and say what changed.

    Pass `same_text=False` when the two texts differ, so that a change of nothing but
    comments and layout can be told. Values of any shape are taken, also ones that no
    server would accept: what is not understood is compared as plain data.
    """
    before = {} if before is None else before
    after = {} if after is None else after
    if not isinstance(before, dict) or not isinstance(after, dict):
        items = list(_data("", "policy", (), before, after))
        return PolicyDiff(tuple(items), same_text)
    found: list[Item] = []
    unchanged = 0
    for name in _sections(before, after):
        found += _presence(name, before, after)
        items, same = _section(name, find(before, name), find(after, name))
        found += items
        unchanged += 0 if name in _TESTS else same
    return PolicyDiff(tuple(found), same_text, unchanged)


def _sections(*policies: dict[str, Any]) -> list[str]:
    names = {section_name(str(key)) for policy in policies for key in policy}
    known = [name for name in SECTIONS if name in names]
    return known + sorted(names.difference(SECTIONS))


Found = tuple[str, Any] | None


def _section(name: str, before: Found, after: Found) -> tuple[list[Item], int]:
    items: list[Item] = []
    same = 0
    old, new = before[1] if before else None, after[1] if after else None
    paths = (before[0],) if before else (), (after[0],) if after else ()
    if name in RULES and _is(list, old, new):
        changes, same = _rules(name, paths, old or [], new or [])
        items += changes
    elif name in _LISTS_BY_NAME and _is(dict, old, new):
        items += _named_lists(name, paths, old or {}, new or {})
    elif name == "hosts" and _is(dict, old, new):
        items += _values(name, paths, old or {}, new or {})
    elif name == "autoApprovers" and _is(dict, old, new):
        items += _approvers(paths, old or {}, new or {})
    elif before is None or after is None:
        items += _values("", ((), ()), _pairs(before), _pairs(after))
    else:
        items += _data(name, name, paths[1], old, new, paths[0])
    absent = (before is None) != (after is None)
    if absent and not items and name not in _OPENS:
        op: Op = "add" if before is None else "remove"
        items = [_item(op, name, name, paths, "none", changes=("an empty section",))]
    return items, same


def _pairs(found: Found) -> dict[str, Any]:
    return {} if found is None else {found[0]: found[1]}


def _is(kind: type, *values: object) -> bool:
    return all(value is None or isinstance(value, kind) for value in values)


def _item(
    op: Op,
    section: str,
    subject: str,
    paths: Paths,
    effect: Effect = "change",
    **more: Any,
) -> Item:
    old, new = paths
    return Item(
        op,
        section,
        subject,
        None if op == "remove" else new,
        None if op == "add" else old,
        effect,
        **more,
    )


def _presence(name: str, before: Object, after: Object) -> Iterator[Item]:
    """A list of rules that comes or goes as a whole: absent is not empty.

    It is, as long as the other list is there.
    """
    old, new = find(before, name), find(after, name)
    if name not in _OPENS or (old is None) == (new is None):
        return
    other = _OPENS[name]
    if old:
        alone = f"only `{other}` counts now" if find(after, other) else _NOT_EMPTY
        text = f"there is no `{name}` any more; {alone}"
        yield _item("remove", name, name, ((old[0],), ()), changes=(text,))
    elif new:
        alone = f"only `{other}` counted" if find(before, other) else _NOT_EMPTY
        text = f"there was no `{name}`; {alone}"
        yield _item("add", name, name, ((), (new[0],)), changes=(text,))


def _rules(
    section: str, paths: Paths, before: list[Any], after: list[Any]
) -> tuple[list[Item], int]:
    old = [pairing.folded(section, rule) for rule in before]
    new = [pairing.folded(section, rule) for rule in after]
    pairs = pairing.pair(old, new)
    items = []

    def at(i: int | None, j: int | None) -> Paths:
        return (*paths[0], i or 0), (*paths[1], j or 0)

    for i, j in pairs.changed:
        parts = rulediff.parts(section, old[i], new[j])
        title = rulediff.title(section, new[j], with_ports="ports" not in _names(parts))
        effect = rulediff.effect(section, parts)
        items.append(
            _item(
                "change",
                section,
                f"{section}[{j}]",
                at(i, j),
                effect,
                title=title,
                changes=tuple(part.text for part in parts),
                detail={part.name: part.as_json() for part in parts},
            )
        )
    for j in pairs.added:
        items.append(_whole("add", section, new[j], j, at(None, j)))
    for i in pairs.removed:
        items.append(_whole("remove", section, old[i], i, at(i, None)))
    items.sort(key=lambda item: (item.path or item.before_path or ())[-1])
    items += _order(section, paths, pairs.same)
    return items, len(pairs.same)


def _names(parts: Sequence[rulediff.Part]) -> set[str]:
    return {part.name for part in parts}


def _whole(
    op: Op,
    section: str,
    rule: rulediff.Rule,
    index: int,
    paths: Paths,
) -> Item:
    effect: Effect = "change"
    if section in ("acls", "grants", "ssh"):
        effect = "widen" if op == "add" else "narrow"
    return _item(
        op,
        section,
        f"{section}[{index}]",
        paths,
        effect,
        title=rulediff.title(section, rule),
        detail={"rule": dict(rule)},
    )


def _order(
    section: str, paths: Paths, same: Sequence[tuple[int, int]]
) -> Iterator[Item]:
    out_of_order = pairing.moved(same)
    if not out_of_order:
        return
    detail = {"moved": [{"before": i, "after": j} for i, j in out_of_order]}
    if section not in _ORDER_COUNTS:
        text = f"order only: {_rule_count(len(out_of_order))} moved, without effect"
        yield _item(
            "move", section, section, paths, "none", changes=(text,), detail=detail
        )
        return
    for i, j in out_of_order:
        yield _item(
            "move",
            section,
            f"{section}[{j}]",
            ((*paths[0], i), (*paths[1], j)),
            changes=(f"was {section}[{i}]; the first rule that matches counts",),
            detail={"before": i, "after": j},
        )


def _rule_count(number: int) -> str:
    return "1 rule" if number == 1 else f"{number} rules"


def _named_lists(
    section: str,
    paths: Paths,
    before: dict[str, Any],
    after: dict[str, Any],
) -> Iterator[Item]:
    """Groups and tag owners: a name, and a list where each entry adds something."""
    for name in [*after, *(name for name in before if name not in after)]:
        here = (*paths[0], name), (*paths[1], name)
        subject = f"{section}.{json.dumps(name, ensure_ascii=False)}"
        old, new = before.get(name), after.get(name)
        if name not in before:
            yield _entry("add", section, subject, here, new)
        elif name not in after:
            yield _entry("remove", section, subject, here, old)
        elif isinstance(old, list) and isinstance(new, list):
            yield from _members(section, subject, here, old, new)
        else:
            yield from _data(section, subject, here[1], old, new, here[0])


def _entry(op: Op, section: str, subject: str, paths: Paths, value: object) -> Item:
    if isinstance(value, list):
        sign = "+" if op == "add" else "-"
        changes = tuple(f"{sign} {rulediff.word(member)}" for member in value)
        detail: dict[str, Any] = {"added" if op == "add" else "removed": value}
    else:
        changes, detail = (rulediff.word(value),), {"value": value}
    effect: Effect = "change"
    if section in ("groups", "tagOwners", "autoApprovers"):
        effect = "widen" if op == "add" else "narrow"
    return _item(op, section, subject, paths, effect, changes=changes, detail=detail)


def _members(
    section: str, subject: str, paths: Paths, old: list[Any], new: list[Any]
) -> Iterator[Item]:
    part = rulediff.list_part(subject, old, new)
    if part is None:
        return
    if part.effect == "reordered":
        yield _item("move", section, subject, paths, "none", changes=("order only",))
        return
    changes = [f"+ {rulediff.word(member)}" for member in part.added]
    changes += [f"- {rulediff.word(member)}" for member in part.removed]
    yield _item(
        "change",
        section,
        subject,
        paths,
        rulediff.effect(section, [part]),
        changes=tuple(changes),
        detail={"added": list(part.added), "removed": list(part.removed)},
    )


def _values(
    section: str,
    paths: Paths,
    before: dict[str, Any],
    after: dict[str, Any],
) -> Iterator[Item]:
    """Hosts, and settings that come or go: a name and one value."""
    for name in [*after, *(name for name in before if name not in after)]:
        here = (*paths[0], name), (*paths[1], name)
        quoted = json.dumps(name, ensure_ascii=False)
        subject = f"{section}.{quoted}" if section else name
        if name not in before:
            yield _entry("add", section or name, subject, here, after[name])
        elif name not in after:
            yield _entry("remove", section or name, subject, here, before[name])
        else:
            yield from _data(
                section, subject, here[1], before[name], after[name], here[0]
            )


def _approvers(paths: Paths, before: Object, after: Object) -> Iterator[Item]:
    old = {field_name("autoApprovers", str(key)): key for key in before}
    new = {field_name("autoApprovers", str(key)): key for key in after}
    for name in [*new, *(name for name in old if name not in new)]:
        keys = old.get(name, name), new.get(name, name)
        one, two = before.get(keys[0]), after.get(keys[1])
        here = (*paths[0], keys[0]), (*paths[1], keys[1])
        subject = f"autoApprovers.{name}"
        items = list(_approver(name, subject, here, one, two))
        if (name in old) != (name in new) and (name == "exitNode" or not items):
            op: Op = "add" if name in new else "remove"
            items = [_entry(op, "autoApprovers", subject, here, two or one or [])]
        yield from items


def _approver(
    name: str, subject: str, paths: Paths, before: object, after: object
) -> Iterator[Item]:
    section = "autoApprovers"
    if name == "exitNode" and _is(list, before, after):
        old, new = (
            value if isinstance(value, list) else [] for value in (before, after)
        )
        yield from _members(section, subject, paths, old, new)
    elif _is(dict, before, after):
        old_map, new_map = (
            value if isinstance(value, dict) else {} for value in (before, after)
        )
        for item in _named_lists(section, paths, old_map, new_map):
            name = item.subject.removeprefix(section)
            yield replace(item, subject=subject + name)
    else:
        yield from _data(section, subject, paths[1], before, after, paths[0])


def _data(
    section: str,
    subject: str,
    path: Path,
    before: object,
    after: object,
    before_path: Path | None = None,
) -> Iterator[Item]:
    """Plain data of unknown meaning, by DeepDiff: one item for each place."""
    old_path = path if before_path is None else before_path
    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):
        return
    nodes = _deep(before, after)
    for kind, node in nodes:
        yield _node(section, subject, (old_path, path), kind, node)
    if nodes:
        return
    change = f"{rulediff.word(before)} -> {rulediff.word(after)}"
    if pairing.canonical(before) == pairing.canonical(after):
        change = "order only"  # which may mean something here: it is not known
    detail = {"before": before, "after": after}
    where = (old_path, path)
    yield _item("change", section, subject, where, changes=(change,), detail=detail)


def _deep(before: object, after: object) -> list[tuple[str, Any]]:
    """Return DeepDiff's findings; none where it cannot say more than "different"."""
    if not isinstance(before, dict | list) or type(before) is not type(after):
        return []
    # Slow to load, and only policies with settings of unknown shape need it.
    from deepdiff import DeepDiff

    try:
        tree = DeepDiff(before, after, ignore_order=True, view="tree")
    except RecursionError:  # it needs some ten frames for each level
        return []
    return [(kind, node) for kind in sorted(tree) for node in tree[kind]]


def _node(
    section: str,
    subject: str,
    paths: Paths,
    kind: str,
    node: Any,
) -> Item:
    op: Op = "add" if kind.endswith("_added") else "change"
    op = "remove" if kind.endswith("_removed") else op
    steps = tuple(node.path(output_format="list"))
    value = node.t1 if op == "remove" else node.t2
    text = rulediff.word(value)
    if op == "change":
        text = f"{rulediff.word(node.t1)} -> {text}"
    where = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps
    )
    detail = {
        **({"before": node.t1} if op != "add" else {}),
        **({"after": node.t2} if op != "remove" else {}),
    }
    here = (*paths[0], *steps), (*paths[1], *steps)
    return _item(op, section, subject + where, here, changes=(text,), detail=detail)

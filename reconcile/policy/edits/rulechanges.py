"""Which rules, groups and hosts two policies do not have in common, by their names."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any

from reconcile.policy.language.document import Origin, Policy, Rule, SshRule
from reconcile.policy.language.fields import Path, find, get
from reconcile.policy.language.pairing import canonical, folded, pair
from reconcile.policy.language.selectors import Selector

_SECTIONS = "acls", "grants", "ssh"
Named = tuple[str, Path | None]  # what people call it, and its place in the new policy


class RuleChanges:
    """Compares two policies; `side` is 0 for the old one and 1 for the new one."""

    def __init__(self, before: Policy, after: Policy) -> None:
        self._sides = before, after
        self._texts: dict[tuple[int, str], dict[str, int]] = {}
        self._became: dict[str, dict[int, int]] = {}
        self._twins: dict[tuple[int, int], Rule | SshRule | None] = {}

    def twin(self, origin: Origin, side: int) -> Origin:
        """Return the same rule of the other side, None where it has none."""
        if origin is None:
            return None
        key = side, id(origin)
        if key not in self._twins:
            self._twins[key] = self._same(origin, side)
        return self._twins[key]

    def is_kept(self, origin: Origin, side: int) -> bool:
        """Tell whether the other side has the same rule, or is open as well."""
        if origin is None:
            return self._sides[1 - side].rules is None
        return self.twin(origin, side) is not None

    def name(self, origin: Origin, side: int) -> Named:
        """Return what a changed rule is called, as the new policy numbers it."""
        if origin is None:
            return f"there {'are' if side else 'were'} neither acls nor grants", None
        if side:
            return str(origin), origin.path
        section = _section(origin)
        index = self._successors(section).get(origin.index)
        if index is None:
            return f"{origin} is removed", None
        named = find(self._sides[1].value, section)
        return f"{section}[{index}]", (named[0], index) if named else None

    def redefined(self, selectors: Sequence[Selector]) -> list[Selector]:
        """Return the groups and hosts among selectors that the sides define apart."""
        return [selector for selector in selectors if selector.text in self._redefined]

    def defined(self, selector: Selector) -> Named:
        """Return what the definition of a group or host is called."""
        return self._redefined[selector.text]

    def _same(self, rule: Rule | SshRule, side: int) -> Rule | SshRule | None:
        section = _section(rule)
        mine, others = self._written[side][section], self._written[1 - side][section]
        here = rule.index < len(others) and mine[rule.index] == others[rule.index]
        index = rule.index if here else self._elsewhere(section, rule, side)
        return None if index is None else self._rules[1 - side].get((section, index))

    def _elsewhere(self, section: str, rule: Rule | SshRule, side: int) -> int | None:
        """Return the index of an equal rule that stands in another place."""
        mine, others = self._written[side][section], self._written[1 - side][section]
        key = 1 - side, section
        if key not in self._texts:
            # Only what has not its like in the same place can have it in another.
            pairs = enumerate(zip_longest(others, mine[: len(others)]))
            self._texts[key] = {
                canonical(other): index for index, (other, one) in pairs if other != one
            }
        return self._texts[key].get(canonical(mine[rule.index]))

    @cached_property
    def _rules(self) -> list[dict[tuple[str, int], Rule | SshRule]]:
        return [
            {(_section(rule), rule.index): rule for rule in _rules_of(policy)}
            for policy in self._sides
        ]

    @cached_property
    def _written(self) -> list[dict[str, Sequence[object]]]:
        """The rules of each side as they stand in the policy, by section."""
        return [
            {name: get(side.value, name) or () for name in _SECTIONS}
            for side in self._sides
        ]

    def _successors(self, section: str) -> Mapping[int, int]:
        """Return which rule of the new policy each rule of the old one became."""
        if section not in self._became:
            old, new = (side[section] for side in self._written)
            pairs = pair(_unlike(section, old, new), _unlike(section, new, old))
            self._became[section] = dict((*pairs.same, *pairs.changed))
        return self._became[section]

    @cached_property
    def _redefined(self) -> dict[str, Named]:
        """The groups and hosts that both sides define, but differently.

        One that only one side defines comes and goes with the rules that name it.
        """
        before, after = self._sides
        return {
            **self._changed("groups", before.groups, after.groups),
            **self._changed("hosts", before.hosts, after.hosts),
        }

    def _changed(
        self, section: str, before: Mapping[str, object], after: Mapping[str, object]
    ) -> dict[str, Named]:
        written = find(self._sides[1].value, section)
        return {
            name: (
                f'{section}."{name}"',
                (written[0], name) if written else None,
            )
            for name in before.keys() & after.keys()
            if before[name] != after[name]
        }


def _unlike(
    section: str, rules: Sequence[object], others: Sequence[object]
) -> list[Any]:
    """Return rules in canonical spelling, but for those that need none to be paired."""
    return [
        rule if place < len(others) and rule == others[place] else folded(section, rule)
        for place, rule in enumerate(rules)
    ]


def _rules_of(policy: Policy) -> list[Rule | SshRule]:
    return [*(policy.rules or ()), *policy.ssh]


def _section(rule: Rule | SshRule) -> str:
    return "ssh" if isinstance(rule, SshRule) else rule.section

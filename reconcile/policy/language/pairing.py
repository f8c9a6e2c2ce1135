"""Which rule of the old policy is which rule of the new one.

Rules have no names, so they are paired by what they say: equal ones first, then the
most similar of what is left over. The cost stays bounded: a left-over rule is only
compared with rules that share something uncommon with it, or stand in the same gap.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconcile.policy.language.fields import field_name

COMMON = 40  # a word in more left-over rules than this does not tell them apart
SIMILAR = 0.3  # share of words that two versions of one rule have in common at least

Rule = Mapping[str, object]
Words = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Indexes of rules: the same, changed (old, new), only old, only new."""

    same: tuple[tuple[int, int], ...]
    changed: tuple[tuple[int, int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]


def folded(section: str, rule: object) -> Rule:
    """Return a rule with its fields in canonical spelling; {} for what is no rule."""
    if not isinstance(rule, dict):
        return {"": rule}
    return {field_name(section, str(key)): value for key, value in rule.items()}


def canonical(value: object) -> str:
    """Return one text for all values that mean the same in any order."""
    return json.dumps(_ordered(value), sort_keys=True, ensure_ascii=False)


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _ordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(
            (_ordered(item) for item in value),
            key=lambda item: json.dumps(item, sort_keys=True, ensure_ascii=False),
        )
    return value


def split_ports(destination: str) -> tuple[str, str]:
    """Split an ACL destination at its last colon: selector, ports ("" if none)."""
    selector, colon, ports = destination.rpartition(":")
    return (selector, ports) if colon else (destination, "")


def pair(before: Sequence[Rule], after: Sequence[Rule]) -> Pairing:
    """Pair the rules of two versions of a section; the indexes come out sorted."""
    same = _equal(before, after)
    old = sorted(set(range(len(before))) - {i for i, _ in same})
    new = sorted(set(range(len(after))) - {j for _, j in same})
    changed = _similar(before, after, old, new, dict(same))
    taken = {i for i, _ in changed}, {j for _, j in changed}
    return Pairing(
        tuple(sorted(same)),
        tuple(sorted(changed)),
        tuple(i for i in old if i not in taken[0]),
        tuple(j for j in new if j not in taken[1]),
    )


def moved(same: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the fewest pairs that, taken out, leave the rest in one order."""
    tails: list[int] = []  # longest increasing run: for each length, its last pair
    previous: list[int] = []
    for position, (_, new) in enumerate(same):
        low, high = 0, len(tails)
        while low < high:
            middle = (low + high) // 2
            if same[tails[middle]][1] < new:
                low = middle + 1
            else:
                high = middle
        previous.append(tails[low - 1] if low else -1)
        tails[low : low + 1] = [position]
    kept: set[int] = set()
    position = tails[-1] if tails else -1
    while position >= 0:
        kept.add(position)
        position = previous[position]
    return [pair for index, pair in enumerate(same) if index not in kept]


def _equal(before: Sequence[Rule], after: Sequence[Rule]) -> list[tuple[int, int]]:
    """Pair equal rules: those in the same place, then those with the same meaning."""
    pairs = enumerate(zip(before, after, strict=False))
    found = [(index, index) for index, (one, other) in pairs if one == other]
    stay = {index for index, _ in found}
    waiting: dict[str, list[int]] = defaultdict(list)
    for index in reversed(range(len(after))):
        if index not in stay:
            waiting[canonical(after[index])].append(index)
    for index, rule in enumerate(before):
        candidates = index not in stay and waiting.get(canonical(rule))
        if candidates:
            found.append((index, candidates.pop()))
    return found


def _similar(
    before: Sequence[Rule],
    after: Sequence[Rule],
    old: Sequence[int],
    new: Sequence[int],
    same: Mapping[int, int],
) -> list[tuple[int, int]]:
    old_words = {index: _words(before[index]) for index in old}
    new_words = {index: _words(after[index]) for index in new}
    scored = []
    for i, j in _candidates(old_words, new_words, same):
        one, other = old_words[i], new_words[j]
        score = len(one & other) / (len(one | other) or 1)
        if score >= SIMILAR:
            scored.append((-score, abs(i - j), i, j))
    return _greedy(scored)


def _greedy(scored: list[tuple[float, int, int, int]]) -> list[tuple[int, int]]:
    old: set[int] = set()
    new: set[int] = set()
    pairs = []
    for _, _, i, j in sorted(scored):
        if i not in old and j not in new:
            old.add(i)
            new.add(j)
            pairs.append((i, j))
    return pairs


def _candidates(
    old: Mapping[int, Words], new: Mapping[int, Words], same: Mapping[int, int]
) -> set[tuple[int, int]]:
    frequency = Counter(word for words in new.values() for word in words)
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, words in new.items():
        for word in words:
            if frequency[word] <= COMMON:
                holders[word].append(index)
    found = {(i, j) for i, words in old.items() for w in words for j in holders[w]}
    return found | _neighbours(old, new, same)


def _neighbours(
    old: Mapping[int, Words], new: Mapping[int, Words], same: Mapping[int, int]
) -> set[tuple[int, int]]:
    """Pairs that follow the same unchanged rule at the same distance."""
    found = set()
    anchor_old, anchor_new = -1, -1
    for index in range(max(old, default=-1) + 1):
        if index in same:
            anchor_old, anchor_new = index, same[index]
        elif index in old and anchor_new + index - anchor_old in new:
            found.add((index, anchor_new + index - anchor_old))
    return found


def _words(rule: Rule) -> Words:
    found: set[tuple[str, str]] = set()
    for field, value in rule.items():
        for item in value if isinstance(value, list) else [value]:
            text = item if isinstance(item, str) else canonical(item)
            if field == "dst" and "action" in rule:  # only then are there ports
                selector, ports = split_ports(text)
                found.add((field, selector))
                found.update(("ports", port) for port in ports.split(","))
            elif text != "accept":
                found.add((field, text))
    return frozenset(found)

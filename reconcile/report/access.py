"""Answers about access, as text and as JSON: who reaches what, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconcile.policy.access import Access, Match, Why
from reconcile.policy.entries import Entry, Origin
from reconcile.policy.words import counted
from reconcile.report.effect import (
    Paint,
    columns,
    doubts,
    place_json,
    plural,
    side,
)
from reconcile.report.safe import safe
from reconcile.scene import Scene, said

_NO_RULE = "(no policy at all)"
_MISSING = {
    "source": "the source is not one of its sources",
    "target": "the destination is not one of its destinations",
    "port": "the port is not one of its ports",
}


def entries_text(
    entries: Sequence[Entry], access: Access, scene: Scene, title: str, paint: Paint
) -> str:
    """Return who reaches what, a line an entry, with the rules that allow it."""
    nodes = plural(len(scene.tailnet.machines), "node")
    lines = [paint(safe(f"Access on {title} ({nodes})"), "bold")]
    lines += [paint(f"  ! {safe(remark)}", "red") for remark in said(scene.policy)]
    rows = [_row(entry, scene) for entry in entries]
    for source, target, services, rules in columns(rows):
        lines.append(f"  {source} -> {target}   {services}   {rules}".rstrip())
    if not rows:
        lines.append("  nobody")
    return "\n".join([*lines, *doubts(access.unsure, paint)]) + "\n"


def _row(entry: Entry, scene: Scene) -> list[str]:
    rules = [_place(rule, scene) for rule in entry.rules]
    return [
        safe(side(entry.sources, entry.source_count)),
        safe(side(entry.targets, entry.target_count)),
        safe(counted(entry.services)),
        safe(counted(rules)),
    ]


def _place(rule: Origin, scene: Scene) -> str:
    """Return a rule with its file and line: `acls[3] policy.hujson:48`."""
    if rule is None:
        return _NO_RULE
    position = scene.place(rule.path)
    return f"{rule} {position.file}:{position.line}" if position else str(rule)


def entries_json(
    entries: Sequence[Entry], access: Access, scene: Scene, title: str
) -> dict[str, Any]:
    """Return who reaches what as JSON."""
    return {
        "title": title,
        "release": scene.policy.release.name,
        "nodes": len(scene.tailnet.machines),
        "paths": access.paths,
        "remarks": said(scene.policy),
        "entries": [_entry_json(entry, scene) for entry in entries],
        "unsure": dict(sorted(access.unsure.items())),
    }


def _entry_json(entry: Entry, scene: Scene) -> dict[str, Any]:
    return {
        "src": list(entry.sources),
        "dst": list(entry.targets),
        "source_count": entry.source_count,
        "target_count": entry.target_count,
        "services": list(entry.services),
        "paths": entry.paths,
        "rules": [_rule_json(rule, scene) for rule in entry.rules],
    }


def _rule_json(rule: Origin, scene: Scene) -> dict[str, Any]:
    if rule is None:
        return {"rule": None, "source": None}
    return {"rule": str(rule), "source": place_json(scene.place(rule.path))}


# -- why -------------------------------------------------------------------------------


def why_text(
    question: str, answer: Why, scene: Scene, unsure: Mapping[str, str], paint: Paint
) -> str:
    """Return yes, in part or no, with the rules that make it so or come nearest."""
    lines = [paint(f"{verdict(answer)}: {safe(question)}", "bold")]
    for match in answer.rules:
        lines += _matched(match, scene)
    if answer.nearest:
        lines.append("  The nearest rules, each short of one thing:")
        for match in answer.nearest:
            lines += _matched(match, scene)
    elif not answer.rules:
        lines.append("  No rule comes near: none has even two of the three parts.")
    return "\n".join([*lines, *doubts(unsure, paint)]) + "\n"


def verdict(answer: Why) -> str:
    """Return `yes`, `in part` (some sources, destinations or ways of it), or `no`."""
    if answer.allowed:
        return "yes"
    return "in part" if answer.rules else "no"


def _matched(match: Match, scene: Scene) -> Iterator[str]:
    yield f"  {safe(_place(match.rule, scene))}"
    for label, names in (("source", match.sources), ("target", match.targets)):
        if names:
            yield f"      {label} matched by {safe(', '.join(names))}"
    for name in match.missing:
        yield f"      but {_MISSING[name]}"


def why_json(
    question: str, answer: Why, scene: Scene, unsure: Mapping[str, str]
) -> dict[str, Any]:
    """Return the answer to "why" as JSON."""
    return {
        "question": question,
        "answer": verdict(answer),
        "allowed": answer.allowed,
        "rules": [_match_json(match, scene) for match in answer.rules],
        "nearest": [_match_json(match, scene) for match in answer.nearest],
        "unsure": dict(sorted(unsure.items())),
    }


def _match_json(match: Match, scene: Scene) -> dict[str, Any]:
    return {
        **_rule_json(match.rule, scene),
        "sources": list(match.sources),
        "targets": list(match.targets),
        "missing": list(match.missing),
    }

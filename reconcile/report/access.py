"""Answers about access, as text and as JSON: who reaches what, and why."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reconcile.policy.access.access import Access
from reconcile.policy.access.answers import Match, Why
from reconcile.policy.access.entries import Entry
from reconcile.policy.access.ways import Ways
from reconcile.policy.language.document import Origin, Rule, targets_of
from reconcile.policy.language.releases import Release
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.words import USE, counted, plural
from reconcile.report.effect import (
    Paint,
    doubts,
    members_json,
    members_text,
    only,
    place_json,
    side,
    sizes_json,
)
from reconcile.report.safe import safe
from reconcile.report.width import filled, table
from reconcile.review.state import Scene, said

_NO_RULE = "(no policy at all)"
_NEAREST = 10


def entries_text(
    entries: Sequence[Entry],
    access: Access,
    scene: Scene,
    title: str,
    notes: Sequence[str],
    paint: Paint,
    most: int | None = None,
    members: bool = False,
) -> str:
    """Return who reaches what, a line an entry, with the rules that allow it.

    Of more than `most` entries the rest is only counted. `notes` say why there is
    nothing to be found. With `members` each line is followed by the nodes behind its
    names.
    """
    nodes = plural(len(scene.tailnet.machines), "node")
    lines = [paint(safe(f"Access on {title} ({nodes})"), "bold")]
    for remark in said(scene.policy):
        lines += [paint(line, "red") for line in filled(f"  ! {safe(remark)}", 4)]
    lines += [*entries_table(entries[:most], scene, members=members)] or ["  nobody"]
    lines += [line for note in notes for line in filled(f"    {safe(note)}", 4)]
    if most is not None and len(entries) > most:
        lines.append(f"  … and {len(entries) - most} more (--full shows them)")
    unsure = {**access.unsure, **scene.unsure}
    return "\n".join([*lines, *doubts(unsure, paint)]) + "\n"


def entries_table(
    entries: Sequence[Entry], scene: Scene, indent: int = 0, members: bool = False
) -> Iterator[str]:
    """Yield who reaches what, a line an entry or more."""
    rows = [_row(entry, scene) for entry in entries]
    told = table(rows, (" " * (indent + 2), " -> ", "   ", "   "))
    for entry, lines in zip(entries, told, strict=True):
        yield from lines
        yield from members_text(entry, indent + 6) if members else ()


def _row(entry: Entry, scene: Scene) -> list[str]:
    rules = [rule_place(rule, scene) for rule in entry.rules]
    return [
        safe(side(entry.sources, entry.source_size)),
        safe(side(entry.targets, entry.target_size)),
        safe(only(counted(entry.services), entry.family)),
        safe(counted(rules)),
    ]


def rule_place(rule: Origin, scene: Scene) -> str:
    """Return a rule with its file and line: `acls[3] policy.hujson:48`."""
    if rule is None:
        return _NO_RULE
    position = scene.place(rule.path)
    text = f"{rule} {position.file}:{position.line}" if position else str(rule)
    return f"{text} via {', '.join(_via(rule))}" if _via(rule) else text


def _via(rule: Origin) -> tuple[str, ...]:
    """Return the tags of the routers through which alone a rule opens anything."""
    return rule.via if isinstance(rule, Rule) else ()


def entries_json(
    entries: Sequence[Entry],
    access: Access,
    scene: Scene,
    title: str,
    notes: Sequence[str],
    members: bool = False,
) -> dict[str, Any]:
    """Return who reaches what as JSON; see `entries_text` for `members`."""
    return {
        "title": title,
        "release": scene.policy.release.name,
        "nodes": len(scene.tailnet.machines),
        "paths": access.paths,
        "remarks": said(scene.policy),
        "entries": [
            {**_entry_json(entry, scene), **members_json(entry, members)}
            for entry in entries
        ],
        "notes": list(notes),
        "unsure": dict(sorted({**access.unsure, **scene.unsure}.items())),
    }


def _entry_json(entry: Entry, scene: Scene) -> dict[str, Any]:
    return {
        "src": list(entry.sources),
        "dst": list(entry.targets),
        **sizes_json(entry),
        "family": entry.family,
        "services": list(entry.services),
        "paths": entry.paths,
        "rules": [rule_json(rule, scene) for rule in entry.rules],
    }


def rule_json(rule: Origin, scene: Scene) -> dict[str, Any]:
    """Return a rule with its place as JSON; null for "no policy at all"."""
    if rule is None:
        return {"rule": None, "source": None, "via": []}
    place = place_json(scene.place(rule.path))
    return {"rule": str(rule), "source": place, "via": list(_via(rule))}


# -- why -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A question of "why" with all that its answer is made of.

    `ways` are None where several sources are asked about. For logging in `port` is the
    answer for port 22, which a login needs besides; for ping `icmp` is what the filter
    says of ICMP, and `answer` what it says of anything, by which clients let ping in.
    """

    question: str
    answer: Why
    ways: Ways | None
    scene: Scene
    unsure: Mapping[str, str]
    port: Why | None = None
    icmp: Why | None = None


def why_text(told: Told, paint: Paint) -> str:
    """Return yes, in part or no, with the rules that make it so or come nearest."""
    return framed(told, _why(told), paint)


def framed(told: Told, said: Iterable[str], paint: Paint) -> str:
    """Return an answer as text: the word, what is said of it, and what is not known."""
    answer = told.answer
    head = filled(f"{verdict(answer)}: {safe(told.question)}", 4)
    lines = [f"  {safe(note)}" for note in answer.notes] or list(said)
    found = [paint(line, "bold") for line in head]
    found += chain.from_iterable(filled(line, _lead(line) + 2) for line in lines)
    found += [] if answer.notes else doubts(told.unsure, paint)
    return "\n".join(found) + "\n"


def _lead(line: str) -> int:
    return len(line) - len(line.lstrip())


def _why(told: Told) -> Iterator[str]:
    answer, scene, port = told.answer, told.scene, told.port
    yield from in_part(told)
    if answer.unserved:
        yield safe(f"  Nothing leads to {counted(answer.unserved)}")
    yield from held_back(answer, scene.policy.release)
    yield from _not_shown(answer)
    if port is not None:
        yield f"  Logging in: {_login(answer)}"
    yield from reasons(answer, scene)
    if port is not None:
        yield f"  Port 22: {_open(port)}"
        yield from reasons(port, scene)
    if answer.through:
        yield safe(f"  Through {counted(answer.through)}")
    if not answer.opened:
        yield from _instead(answer)


def in_part(told: Told) -> Iterator[str]:
    """Yield what is open, where it is not all that was asked about."""
    if told.answer.opened and not told.answer.allowed:
        yield "  Only this of it:"
        yield from entries_table(told.answer.opened, told.scene, indent=2)


def _not_shown(answer: Why) -> Iterator[str]:
    """Say that a filter allows it, but that the server does not show the way there."""
    if answer.apart:
        yield f"  But nothing makes {safe(counted(answer.apart))} a peer of it, through"
        yield "  which the source would send: a rule between the two does."
    if answer.not_shown:
        names = safe(counted(answer.not_shown))
        yield f"  {names} would let it through, but this client is not sent there"
        yield "  (why not: reconcile access sees NODE)"


def held_back(answer: Why, release: Release) -> Iterator[str]:
    """Say that a filter allows it, but that the client may not choose the exit node."""
    if not answer.held_back:
        return
    names = safe(counted(answer.held_back))
    if answer.offering:
        offering = safe(counted(answer.offering))
        yield f"  {names} would let it through, but a client that offers to be an exit"
        yield f"  node uses no other: {offering}"
        return
    yield f"  {names} would let it through, but no exit node is offered to this client"
    alone = "" if release.literal_exits else " in a rule of its own"
    offering = f"autogroup:internet{alone}, or to the exit node itself"
    yield f"  A rule to {offering}, offers it."


def reasons(answer: Why, scene: Scene) -> Iterator[str]:
    """Yield the rules that allow it, or those that come nearest."""
    for match in answer.rules:
        yield from _matched(match, scene)
    if answer.nearest:
        yield "  The nearest rules, each short of one thing:"
        for match in answer.nearest[:_NEAREST]:
            yield from _matched(match, scene)
        if len(answer.nearest) > _NEAREST:
            yield f"  … and {len(answer.nearest) - _NEAREST} more (see --format json)"
    elif not answer.rules:
        yield "  No rule comes near: none has even two of the three parts."


def _login(answer: Why) -> str:
    if not answer.rules:
        return "no SSH rule allows it"
    found = dict.fromkeys(s for entry in answer.opened for s in entry.services)
    return ", ".join([*found, "allowed by"])


def _open(port: Why) -> str:
    if port.allowed:
        return "open by"
    return "open in part by" if port.opened else "closed, and a login needs it"


def _instead(answer: Why) -> Iterator[str]:
    """Say what the source reaches there instead, and who reaches that port."""
    found = dict.fromkeys(s for entry in answer.instead for s in entry.services)
    services = counted([*found]) or "nothing"
    yield safe(f"  What the source reaches there: {services}")
    names = dict.fromkeys(name for entry in answer.others for name in entry.sources)
    yield safe(f"  Who reaches this there: {counted([*names]) or 'nobody'}")


def verdict(answer: Why) -> str:
    """Return `yes`, `in part` (some sources, destinations or ways of it), or `no`."""
    if answer.allowed:
        return "yes"
    return "in part" if answer.opened else "no"


def _matched(match: Match, scene: Scene) -> Iterator[str]:
    yield f"  {safe(rule_place(match.rule, scene))}"
    for label, names in (("source", match.sources), ("target", match.targets)):
        if names:
            yield from filled(f"      {label} matched by {safe(', '.join(names))}", 8)
    for name in match.missing:
        yield from filled(safe(f"      but {_instead_of(name, match)}"), 8)


def _instead_of(missing: str, match: Match) -> str:
    """Return what a rule has in place of what a path needs."""
    if missing == "port" or match.rule is None:
        return _opens(match.opens)
    if missing == "source":
        return f"only from {_texts(match.rule.sources)}"
    return f"only to {_texts(targets_of(match.rule))}"


def _texts(selectors: Sequence[Selector]) -> str:
    return counted([selector.text for selector in selectors]) or "nothing"


def _opens(services: Sequence[str]) -> str:
    """Say what a rule opens: ports, and capabilities that a source "can use"."""
    ports = [each for each in services if not each.startswith(USE)]
    uses = [each.removeprefix(USE) for each in services if each not in ports]
    found = [f"only opens {counted(ports)}"] if ports else []
    found += [f"only gives {counted(uses)}"] if uses else []
    return " and ".join(found) or "opens nothing"


def why_json(told: Told) -> dict[str, Any]:
    """Return the answer to "why" as JSON.

    `port_22` is null but for logging in, `filter` but for ping, and `way` where
    several sources are asked about.
    """
    ways, scene = told.ways, told.scene
    return {
        "question": told.question,
        **answer_json(told.answer, scene),
        "port_22": answer_json(told.port, scene) if told.port else None,
        "filter": answer_json(told.icmp, scene) if told.icmp else None,
        "way": ways and {"shown": [*ways.shown], "not_shown": [*ways.hidden]},
        "unsure": dict(sorted(told.unsure.items())),
    }


def answer_json(answer: Why, scene: Scene) -> dict[str, Any]:
    """Return one answer to "why" as JSON, the question left out."""
    entries = {
        "opened": answer.opened,
        "instead": answer.instead,
        "others": answer.others,
    }
    return {
        "answer": verdict(answer),
        "allowed": answer.allowed,
        "notes": list(answer.notes),
        "through": list(answer.through),
        "held_back": list(answer.held_back),
        "not_shown": list(answer.not_shown),
        "apart": list(answer.apart),
        "offering": list(answer.offering),
        "unserved": list(answer.unserved),
        "rules": [_match_json(match, scene) for match in answer.rules],
        "nearest": [_match_json(match, scene) for match in answer.nearest],
        **{k: [_entry_json(e, scene) for e in found] for k, found in entries.items()},
    }


def _match_json(match: Match, scene: Scene) -> dict[str, Any]:
    return {
        **rule_json(match.rule, scene),
        "sources": list(match.sources),
        "targets": list(match.targets),
        "missing": list(match.missing),
        "opens": list(match.opens),
    }

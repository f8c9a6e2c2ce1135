"""The answer to "why": the rules that allow a path, and those that nearly do."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconcile.policy.access.entries import Entry
from reconcile.policy.language.document import Origin


@dataclass(frozen=True, slots=True)
class Match:
    """A rule held against a question: what fits on each side, and what is missing.

    `missing` names which of source, target and port do not fit; empty for a rule that
    allows the path. `rule` is None for "no policy at all", `opens` the services.
    """

    rule: Origin
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    missing: tuple[str, ...]
    opens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to "why": `allowed` is for every source and every target asked for.

    `opened` is what of it is allowed, `rules` the rules that allow it. For a clear no,
    `nearest` are the rules that lack only one of source, target and port, `instead` is
    what the source reaches of the target, and `others` who reaches the port of it.
    `notes` say why no rule was asked. `through` are the subnet routers and exit nodes
    that lead to what the rules open. `held_back` are the exit nodes whose filter allows
    it, but that the source may not choose: it is itself one of `offering`, the nodes
    that offer to be exit nodes, or the server does not offer it any. `not_shown` are
    those to which a grant with `via` steers, but which the server does not show.
    `apart` are routers of a source network that are no peers of the destination.
    `unserved` are the parts of the destination to which nothing leads.
    """

    allowed: bool
    opened: tuple[Entry, ...] = ()
    rules: tuple[Match, ...] = ()
    nearest: tuple[Match, ...] = ()
    instead: tuple[Entry, ...] = ()
    others: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    not_shown: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    offering: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()


def nearness(match: Match) -> int:
    """Return a key: what has both ends of a path comes first, then what leads there."""
    return ("port", "source", "target").index(match.missing[0])


def once(matches: Iterable[Match]) -> tuple[Match, ...]:
    """Return the best match of each rule: the compiler makes several of most."""
    found: dict[str, Match] = {}
    for match in matches:
        known = found.setdefault(str(match.rule), match)
        if match.missing != ("port",) or match is known:
            continue
        if known.missing == match.missing:
            opens = tuple(dict.fromkeys((*known.opens, *match.opens)))
            match = replace(match, opens=opens)
        found[str(match.rule)] = match
    return tuple(found.values())

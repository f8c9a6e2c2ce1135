"""Random tailnets, a few pairs each, on one server."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.contract.tailnets import questions
from tests.contract.tailnets.comparison import Comparison, Difference
from tests.contract.tailnets.edits import Pair
from tests.contract.tailnets.making import Maker
from tests.contract.tailnets.pairs import Chain
from tests.contract.tailnets.plans import Unplanned
from tests.contract.tailnets.server import Refused, Side, TailnetServer, serving

_LONGEST = 6  # pairs on one tailnet


@dataclass(frozen=True)
class Result:
    """A pair, what the server made of both its sides, and how the plan tells it.

    `answers` are the wrong ones of `access` and of assertions in the second state.
    """

    release: str
    pair: Pair
    before: Side | None = None
    after: Side | None = None
    told: dict[str, Any] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    answers: tuple[Difference, ...] = ()
    refusal: str = ""

    @property
    def verdict(self) -> str:
        if self.refusal:
            return "refused"
        return "different" if self.differences else "right"

    @property
    def wrong(self) -> tuple[Difference, ...]:
        return (*self.differences, *self.answers)

    @property
    def kinds(self) -> set[str]:
        return {found.kind for found in self.wrong}


def held(release: str, count: int, seed: str, folder: Path) -> Iterator[Result]:
    """Yield so many pairs, held to a server."""
    with serving(release, folder / "server") as server:
        yield from pairs(server, Maker(release, seed), count)


def pairs(server: TailnetServer, maker: Maker, count: int) -> Iterator[Result]:
    """Yield so many pairs of the tailnets of a maker; those refused come on top."""
    number = done = 0
    while done < count:
        number += 1
        for result in _on_a_tailnet(server, maker, number):
            done += not result.refusal
            yield result
            if done >= count:
                break


def _on_a_tailnet(server: TailnetServer, maker: Maker, number: int) -> Iterator[Result]:
    """Yield the pairs of one tailnet, until the server refuses one."""
    ground = maker.ground()
    chain = Chain(maker, ground.words, number)
    first = chain.first(ground.state)
    try:
        side = server.begin(first)
    except Refused as reason:
        yield Result(server.release, Pair(first, (), first.policy), refusal=str(reason))
        return
    for _ in range(_LONGEST):
        pair = chain.next(side.state)
        if pair.after.untold_tags(server.release):
            return  # up to 0.27 these may count
        result = attempt(server, pair, side)
        yield result
        if result.after is None:
            return
        side = result.after


def retried(server: TailnetServer, pair: Pair) -> Result:
    """Seed a pair's first state anew and hold the pair to the server."""
    try:
        side = server.begin(pair.before)
    except Refused as reason:
        return Result(server.release, pair, refusal=str(reason))
    return attempt(server, pair, side)


def attempt(server: TailnetServer, pair: Pair, side: Side) -> Result:
    """Plan and apply a pair on a server that is in its first state, and compare."""
    release = server.release
    try:
        told, after = server.change(pair, side)
    except (Refused, Unplanned) as reason:
        return Result(release, pair, side, refusal=str(reason))
    return judged(Result(release, pair, side, after, told))


def judged(result: Result) -> Result:
    """Return a pair with all that is told wrongly of it."""
    assert result.before
    assert result.after
    found = compare(result.release, result.before, result.after, result.told)
    answers = questions.differences(result.release, result.after)
    answers += result.after.differences(result.release)
    return replace(result, differences=tuple(found), answers=tuple(answers))


def compare(
    release: str, before: Side, after: Side, told: dict[str, Any]
) -> list[Difference]:
    """Return what a plan tells wrongly of two sides.

    0.26 stores policies that it cannot always compile: a plan says that they cannot be
    read, and nothing of access.
    """
    access = told["access"]
    if release == "0.26" and access and not access["evaluated"]:
        return []
    return Comparison(release, before, after, access).differences()

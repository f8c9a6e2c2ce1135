"""Why a server refuses a policy text: what the reading of policies finds wrong.

The answer names each finding in the reading's words, and its place as servers name it.
That the reading refuses what servers refuse is held elsewhere, against real ones.
"""

import json
from collections.abc import Iterator
from typing import Any

from reconcile import model
from reconcile.errors import InputError
from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.fields import section_name
from reconcile.policy.language.pointers import pointer
from reconcile.policy.meaning.refusals import refusals
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from reconcile.simulator.release import Release
from reconcile.simulator.world import World
from reconcile.source import hujson


class BadPolicy(Exception):
    """A policy that the server refuses, in the words of its answer."""


def check(text: str, world: World) -> None:
    """Raise BadPolicy where the server refuses a policy."""
    policy = read(_value(text, world.release), world.release.name)
    if policy.errors:
        raise BadPolicy(f"parsing policy: {_listed(policy.errors)}")
    if found := [*_in_tailnet(policy, world)]:
        raise BadPolicy(f"validating policy user references: {_listed(found)}")


def sections(text: str, release: Release) -> dict[str, Any]:
    """Return the sections of a policy that was taken, by their own names."""
    value = _value(text, release) or {}
    return {section_name(name): item for name, item in value.items()}


def _value(text: str, release: Release) -> Any:
    try:
        return hujson.parse(text).value
    except InputError as error:
        first = error.diagnostics[0]
        if release.takes_names_twice and first.code == "RC0011":
            return json.loads(hujson.standardize(text))
        place = first.position
        where = f"line {place.line}, column {place.column}: " if place else ""
        raise BadPolicy(
            f"parsing policy: parsing HuJSON: hujson: {where}{first.message}"
        ) from None


def _in_tailnet(policy: Policy, world: World) -> Iterator[Problem]:
    users = tuple(
        model.User(
            str(user.id), user.name, email=user.email, provider_id=user.provider_id
        )
        for user in world.users
    )
    tailnet = Tailnet(users, ())
    yield from refusals(policy, Resolver(policy, tailnet))


def _listed(problems: list[Problem] | tuple[Problem, ...]) -> str:
    found = [f'{each.message} within "{pointer(each.path)}"' for each in problems]
    return found[0] if len(found) == 1 else "multiple errors:\n\t" + "\n\t".join(found)

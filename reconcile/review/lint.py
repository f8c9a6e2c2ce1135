"""Lint with places: what the policy of the files does that was hardly meant.

Three questions, from what is known least to what is known best: of a policy alone, of
a policy in a tailnet, and of what a change brings.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from reconcile.desired.findings import Findings
from reconcile.desired.state import Desired
from reconcile.errors import Diagnostic
from reconcile.policy.access.claims import Paths
from reconcile.policy.access.matrix import Matrix
from reconcile.policy.access.universe import World
from reconcile.policy.language.document import Origin, Policy, Problem
from reconcile.policy.language.fields import Path
from reconcile.policy.language.pairing import canonical
from reconcile.policy.lint import meanings, of_tailnet, of_text
from reconcile.policy.lint.findings import MEANING, STRANGER, UNUSED
from reconcile.policy.lint.inclusion import every_rule
from reconcile.policy.reading.reception import Reception
from reconcile.review.state import Scene, Words, findings, refused

_UNDECLARED = "RC0101"  # the files do not have a user that the policy names


def worn(desired: Desired) -> frozenset[str]:
    """Return the tags that the files give to nodes."""
    nodes = [node.settings for node in (desired.nodes or {}).values()]
    rules = [rule.settings for rule in desired.rules]
    every = [desired.node_defaults, *nodes, *rules]
    return frozenset(tag for settings in every for tag in settings.tags or ())


def of_words(
    words: Words, reception: Reception, desired: Desired | None = None
) -> list[Diagnostic]:
    """Return what is wrong with a policy when no server is there to ask.

    What no release from 0.27 on takes is an error. What one takes is fine, with a
    warning for what others refuse or ignore, and what lint finds in the words alone.
    `reception` is the policy as the releases read it that the server may be of;
    `desired` is what the files want besides.
    """
    accepted, told = reception.accepted, reception.problems()
    if accepted:
        told += _otherwise(accepted)
        told += of_text(accepted[-1], worn(desired) if desired else ())
    return findings(words, told if desired is None else _unused(told, desired))


def _otherwise(policies: Sequence[Policy]) -> list[Problem]:
    """Return what a release reads otherwise than others do, each once, by the newest.

    Of several only what protects less: nobody knows which of them the server is.
    """
    found = {
        (problem.path, problem.why): problem
        for policy in policies
        for problem in meanings(policy, known=len(policies) == 1)
    }
    return list(found.values())


def of_scene(scene: Scene, desired: Desired) -> list[Diagnostic]:
    """Return what lint finds in a policy and its tailnet, and what is ignored there."""
    access = scene.access
    found = of_tailnet(access.matrix, access.index, worn(desired))
    told = [*scene.policy.problems, *found]
    return [*refused(scene), *_placed(scene, told, desired)]


def brought(before: Scene, after: Scene, desired: Desired) -> list[Diagnostic]:
    """Return what lint finds after a change and not before it.

    Of rules that the change leaves as they are it is not asked whether others hold
    them.
    """
    matrix = _matrix(before, after)
    tags, last = worn(desired), len(matrix.worlds) - 1
    more = Counter[str]()
    if before.policy is not after.policy:
        more = _rules(after) - _rules(before)

    def is_new(rule: Origin) -> bool:
        if not more or rule is None:
            return False
        return more[_text(after, rule.path)] > 0

    new = list(of_tailnet(matrix, last, tags, is_new))
    if not new:
        return []
    old = {_identity(before, p) for p in of_tailnet(matrix, 0, tags, lambda _: False)}
    return _placed(after, [p for p in new if _identity(after, p) not in old], desired)


def _matrix(before: Scene, after: Scene) -> Matrix:
    """Return both sides as the first and the last world of a matrix."""
    if after.computed and len(after.computed.matrix.worlds) > 1:
        return after.computed.matrix  # from the comparison of their access
    sides = (before, after)
    return Matrix([World.of(side.policy, side.tailnet) for side in sides])


def _rules(scene: Scene) -> Counter[str]:
    return Counter(_text(scene, rule.path) for rule in every_rule(scene.policy))


def _text(scene: Scene, path: Path) -> str:
    """Return one text for a part of a policy, however its rules are ordered."""
    value: object = scene.words.value
    for step in path:
        value = value[step]  # type: ignore[index]
    return canonical(value)


def _placed(
    scene: Scene, problems: Iterable[Problem], desired: Desired
) -> list[Diagnostic]:
    """Give problems their places; leave out what the files' own checks say there."""
    told = {d.position for d in desired.warnings if d.code == _UNDECLARED}
    found = Findings()
    found.extend(
        finding
        for finding in findings(scene.words, _unused(problems, desired))
        if finding.code != STRANGER or finding.position not in told
    )
    return list(found.sorted())


def _unused(problems: Iterable[Problem], desired: Desired) -> list[Problem]:
    """Leave out the names that nothing in the policy uses, but an assertion does."""
    claims = [each.claim for each in desired.asserts]
    asserted = {n for c in claims if isinstance(c, Paths) for n in (c.source, c.target)}
    return [p for p in problems if p.code != UNUSED or p.path[-1] not in asserted]


def _identity(scene: Scene, problem: Problem) -> tuple[str, str, str]:
    """Return what stays the same when rules move: the words, and the thing itself."""
    message = re.sub(r"\[\d+\]| \(and in .*\)|\d+ of \d+", "", problem.message)
    if problem.key or problem.code == MEANING:  # the message names the thing
        return problem.code, message, ""
    return problem.code, message, _text(scene, problem.path)

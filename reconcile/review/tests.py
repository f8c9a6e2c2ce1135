"""The policy's own tests and the file's assertions: do they hold, and why not.

The evaluator is loaded when there is something to check, and only then.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconcile.desired.state import Desired
from reconcile.errors import Diagnostic, Position, Related
from reconcile.policy.language.fields import get

if TYPE_CHECKING:
    from reconcile.policy.access.access import Access
    from reconcile.policy.access.assertions import Reason
    from reconcile.policy.access.claims import Assert
    from reconcile.policy.language.document import Origin, Policy
    from reconcile.policy.meaning.verdicts import Verdict
    from reconcile.review.state import Scene

ASSERT = "assert"
_SECTIONS = ("tests", "sshTests")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a check fails, where that is written, and the rules that make it fail.

    `asked` are source and `destination:port` of a test that got another answer; `help`
    says what to write for a word that means nothing.
    """

    reason: str
    position: Position | None
    rules: tuple[Position, ...] = ()
    asked: tuple[str, str] | None = None
    help: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of `tests`, `sshTests` or `assert`, and what became of it.

    `says` is what it is about in a few words; `because` why somebody wants it so.
    """

    section: str
    index: int
    says: str
    position: Position | None
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    because: str = ""

    @property
    def passed(self) -> bool:
        """Whether it holds completely."""
        return not self.failures

    def __str__(self) -> str:
        return f"{self.section}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Checks:
    """All checks of a policy in a tailnet.

    `unsure` maps what could not be known to the reason: a test that passed may rest
    on it. `remarks` are sentences about the whole.
    """

    tests: tuple[Check, ...] = ()
    asserts: tuple[Check, ...] = ()
    unsure: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[Check, ...]:
        """The tests, then the assertions."""
        return (*self.tests, *self.asserts)

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that do not hold."""
        return tuple(check for check in self.all if not check.passed)


def run(scene: "Scene", asserts: Sequence["Assert"], *, tests: bool = True) -> Checks:
    """Run the tests of a scene's policy, and hold the assertions against it."""
    unsure = dict(scene.unsure) if tests or asserts else {}
    remarks: list[str] = []
    found: list[Check] = []
    if tests and any(get(scene.policy.value, name) for name in _SECTIONS):
        found = list(_tests(scene, unsure, remarks))
    answers = list(_asserts(scene, asserts, unsure)) if asserts else []
    return Checks(tuple(found), tuple(answers), unsure, tuple(remarks))


def unchecked(asserts: Iterable["Assert"], reason: str) -> Checks:
    """Return what is to be said of assertions that cannot be checked: none holds."""
    return Checks(
        asserts=tuple(
            _check(each, [Failure(f"it could not be checked: {reason}", each.position)])
            for each in asserts
        )
    )


# -- the policy's own tests ------------------------------------------------------------


def _tests(
    scene: "Scene", unsure: dict[str, str], remarks: list[str]
) -> Iterator[Check]:
    from reconcile.policy.access.evaluate import Evaluator

    policy = scene.policy
    if policy.release.ignores_unknown:
        policy = _with_tests(policy)
        name = policy.release.name
        remarks.append(f"Headscale {name} ignores tests: only reconcile ran them")
    evaluator = Evaluator(policy, scene.tailnet)
    for verdict in evaluator.tests():
        yield _of_verdict(verdict, scene)
    unsure.update(evaluator.unsure)


def _with_tests(policy: "Policy") -> "Policy":
    """Return a policy with the tests that its server does not look at."""
    from reconcile.policy.reading import read

    newer = read(policy.value, "main")
    return replace(policy, tests=newer.tests, ssh_tests=newer.ssh_tests)


def _of_verdict(verdict: "Verdict", scene: "Scene") -> Check:
    test = verdict.assertion
    return Check(
        test.section,
        test.index,
        test.source,
        scene.place(test.path),
        tuple(
            Failure(f.reason, scene.place(f.path), asked=f.asked, help=f.help)
            for f in verdict.failures
        ),
    )


# -- assertions ------------------------------------------------------------------------


def _asserts(
    scene: "Scene", asserts: Sequence["Assert"], unsure: dict[str, str]
) -> Iterator[Check]:
    from reconcile.policy.access.assertions import Assertions

    access: Access = scene.access
    claims = [each.claim for each in asserts]
    assertions = Assertions(access, claims, scene.expired)
    for each in asserts:
        answer = assertions.answer(each.claim)
        failures = [_of_reason(r, each.position, scene) for r in answer.reasons]
        yield replace(_check(each, failures), notes=answer.notes)
    unsure.update(access.unsure)


def _check(each: "Assert", failures: Iterable[Failure]) -> Check:
    return Check(
        ASSERT,
        each.index,
        str(each.claim),
        each.position,
        tuple(failures),
        because=each.because,
    )


def _of_reason(reason: "Reason", position: Position | None, scene: "Scene") -> Failure:
    if not reason.rules:
        return Failure(reason.text, position)
    rules = ", ".join(_rule(rule, scene) for rule in reason.rules)
    places = [scene.place(rule.path) for rule in reason.rules if rule]
    known = tuple(place for place in places if place)
    return Failure(f"{reason.text}, by {rules}", position, known)


def _rule(rule: "Origin", scene: "Scene") -> str:
    if rule is None:
        return "a policy without any rules section"
    place = scene.place(rule.path)
    return f"{rule} {place.file}:{place.line}" if place else str(rule)


# -- findings --------------------------------------------------------------------------


def findings(checks: Checks) -> list[Diagnostic]:
    """Return an error for each check that does not hold."""
    found = [_test_finding(c, f) for c in checks.tests for f in c.failures]
    return [*found, *(_assert_finding(c) for c in checks.asserts if c.failures)]


def _test_finding(check: Check, failure: Failure) -> Diagnostic:
    return Diagnostic(
        "RC0610",
        f"{check} fails: {failure.reason}",
        failure.position,
        help=failure.help or f"correct the policy or the test{_rules_of(failure)}",
        address="policy",
    )


def _rules_of(failure: Failure) -> str:
    if not failure.asked:
        return ""
    return f"; the rules: reconcile access why {shlex.join(failure.asked)}"


def _assert_finding(check: Check) -> Diagnostic:
    rules = dict.fromkeys(place for f in check.failures for place in f.rules)
    # Devices choose their names: each reason stays on its own line.
    reasons = [failure.reason.replace("\n", " ") for failure in check.failures]
    return Diagnostic(
        "RC0611",
        f"{check} does not hold: {check.says}",
        check.position,
        label=check.because,
        why="\n".join(reasons),
        help="correct the policy, the users or the nodes, or the assertion",
        related=tuple(Related(place, "this rule allows it") for place in rules),
    )


# -- without users and nodes -----------------------------------------------------------


def has_tests(desired: Desired) -> bool:
    """Tell whether the policy of the files has tests."""
    value = desired.policy.value if desired.policy else {}
    return any(get(value, name) for name in _SECTIONS)


def hopeless(desired: Desired) -> list[Diagnostic]:
    """Return an error for each test that fails whatever users and nodes there are."""
    wanted = desired.policy
    if wanted is None or not has_tests(desired):
        return []
    from reconcile.policy.access.evaluate import Evaluator
    from reconcile.policy.meaning.tailnet import Tailnet
    from reconcile.policy.reading import read
    from reconcile.review import state as scene

    policy = read(wanted.value, desired.read_as or "main")
    words = scene.wanted(wanted)
    if policy.errors:
        return []  # they are reported themselves
    nobody = scene.Scene(policy, Tailnet((), ()), words)
    verdicts = Evaluator(nobody.policy, nobody.tailnet).hopeless_tests()
    return findings(Checks(tuple(_of_verdict(v, nobody) for v in verdicts)))

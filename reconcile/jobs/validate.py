"""The story of validate: what files show to be wrong, alone or with a saved state."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from reconcile.desired.accepts import OF_FILES, OF_SNAPSHOT, sift, unneeded
from reconcile.desired.findings import Findings
from reconcile.desired.state import Desired, WantedPolicy
from reconcile.errors import Diagnostic, Exit, exit_of
from reconcile.jobs.access import Inquiry, ask
from reconcile.jobs.options import Options
from reconcile.jobs.run import load
from reconcile.plan.plan import other_release
from reconcile.policy.reading.reception import Reception, receive
from reconcile.report.tests import counts
from reconcile.review import lint, tests
from reconcile.review.state import wanted


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """A policy, as the releases read it that its server may be of.

    `hopeless` are its tests that fail whatever users and nodes there are.
    """

    state: Desired
    policy: WantedPolicy
    by: Reception
    hopeless: Sequence[Diagnostic] = ()

    @property
    def server(self) -> str:
        """The name of the server that the policy is for, "" where there is one."""
        return self.state.server.name if self.state.server else ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and how each policy was read."""

    findings: Sequence[Diagnostic]
    code: Exit
    files: Sequence[str] = ()
    read: Sequence[ReadPolicy] = ()
    remark: str = ""
    accepted: int = 0


def validate(chosen: Options) -> Checked:
    """Check the files. Raises InputError with all that makes them unreadable."""
    asked = None
    if chosen.snapshot is None:
        # Without a server to talk to there is none to choose: all are checked.
        chosen = replace(chosen, server=chosen.server or "all")
    else:
        asked = cache(partial(ask, chosen))
    states = load(chosen, offline=True)
    found, read = Findings(), list(_read(states) if asked is None else ())
    found.extend(warning for state in states for warning in state.warnings)
    found.extend(_of_words(read) if asked is None else _of_tailnets(states, asked))
    remark = ""
    if exit_of(found.sorted()) == Exit.OK:
        tested, remark = _tested(states, read, asked)
        found.extend(tested)
    findings, accepted = _sifted(found, states, asked is not None)
    files = [path for path, _ in states[0].files]
    return Checked(findings, exit_of(findings), files, read, remark, accepted)


def _sifted(
    found: Findings, states: Sequence[Desired], in_tailnet: bool
) -> tuple[Sequence[Diagnostic], int]:
    """Return the findings without those that are accepted, and how many these are."""
    entries = dict.fromkeys(entry for state in states for entry in state.accepts)
    sifted = sift(found.sorted(), [*entries])
    rest = Findings()
    rest.extend(sifted.left)
    rest.extend(unneeded(sifted, OF_SNAPSHOT if in_tailnet else OF_FILES))
    return rest.sorted(), sifted.accepted


def _read(states: Iterable[Desired]) -> Iterator[ReadPolicy]:
    for state in states:
        if state.policy is not None:
            by = receive(state.policy.value, state.read_as)
            found = tests.hopeless(state)
            by = replace(by, hopeless=bool(found))
            yield ReadPolicy(state, state.policy, by, found)


def _of_words(read: Iterable[ReadPolicy]) -> Iterator[Diagnostic]:
    """Yield what is to be said of the policies when nobody knows users and nodes."""
    for each in read:
        yield from lint.of_words(wanted(each.policy), each.by, each.state)


def _of_tailnets(
    states: Iterable[Desired], asked: Callable[[], Inquiry]
) -> Iterator[Diagnostic]:
    """Yield what is to be said of the policies in the tailnet of a snapshot."""
    for state in states:
        if state.policy is not None:
            yield from other_release(state, asked().server)
            yield from lint.of_scene(asked().scene, state)


def _tested(
    states: Sequence[Desired],
    read: Iterable[ReadPolicy],
    asked: Callable[[], Inquiry] | None,
) -> tuple[list[Diagnostic], str]:
    """Return the tests and assertions that fail, and what is to be said of them all.

    Without a snapshot these are only the tests that fail whatever nodes there are.
    """
    if not any(state.asserts or tests.has_tests(state) for state in states):
        return [], ""
    if asked is None:
        remark = "Tests and assertions were not run, for want of users and nodes: "
        remark += "reconcile test, or reconcile validate --snapshot FILE"
        return [found for each in read for found in each.hopeless], remark
    known = asked()
    done = tests.run(known.scene, known.asserts)
    return tests.findings(done), f"On {known.title}: {counts(done)}"

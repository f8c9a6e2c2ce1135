"""`validate`: what the files alone, or with a saved state, show to be wrong."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli import options
from reconcile.cli.terminal import note, print_diagnostics
from reconcile.errors import Diagnostic, Exit, InputError, exit_of

if TYPE_CHECKING:
    from reconcile.desired.findings import Findings
    from reconcile.desired.state import Desired, WantedPolicy
    from reconcile.jobs.access import Inquiry
    from reconcile.jobs.options import Options
    from reconcile.policy.reading.reception import Reception


@dataclass(frozen=True, slots=True)
class _Read:
    """A policy, as the releases read it that its server may be of.

    `hopeless` are its tests that fail whatever users and nodes there are.
    """

    state: "Desired"
    policy: "WantedPolicy"
    by: "Reception"
    hopeless: Sequence[Diagnostic] = ()

    @property
    def server(self) -> str:
        return self.state.server.name if self.state.server else ""


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found, and how each policy was read."""

    findings: Sequence[Diagnostic]
    code: Exit
    files: Sequence[str] = ()
    read: Sequence[_Read] = ()
    remark: str = ""
    accepted: int = 0


@click.command()
@options.offline
@options.release
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "gitlab", "sarif"]),
    default="text",
    help="How findings are printed.",
)
def validate(format_: str, **flags: Any) -> int:
    """Check the files: schema, references, policy. No network, no credential.

    The policy is valid when one release of Headscale from 0.27 on takes all of it;
    `release` under `server`, or --release, names the one that counts.
    With --snapshot FILE the policy's tests and the assertions are run too.
    """
    from reconcile.report.diagnostics import render

    try:
        checked = _check(options.collect(**flags))
    except InputError as error:
        checked = _Checked(error.diagnostics, error.exit_code)
    if format_ == "text":
        _print(checked)
    else:
        told = [{"server": each.server, **each.by.as_json()} for each in checked.read]
        click.echo(render(checked.findings, format_, policies=told), nl=False)
    return checked.code


def _check(chosen: "Options") -> _Checked:
    """Check the files. Raises InputError with all that makes them unreadable."""
    from reconcile.desired.findings import Findings
    from reconcile.jobs.access import ask
    from reconcile.jobs.run import load

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
    return _Checked(findings, exit_of(findings), files, read, remark, accepted)


def _sifted(
    found: "Findings", states: Sequence["Desired"], in_tailnet: bool
) -> tuple[Sequence[Diagnostic], int]:
    """Return the findings without those that are accepted, and how many these are."""
    from reconcile.desired.accepts import OF_FILES, OF_SNAPSHOT, sift, unneeded

    entries = dict.fromkeys(entry for state in states for entry in state.accepts)
    sifted = sift(found.sorted(), [*entries])
    rest = type(found)()
    rest.extend(sifted.left)
    rest.extend(unneeded(sifted, OF_SNAPSHOT if in_tailnet else OF_FILES))
    return rest.sorted(), sifted.accepted


def _print(checked: _Checked) -> None:
    if checked.remark:
        note(checked.remark)
    if checked.findings:
        print_diagnostics(checked.findings)
    told = [
        f"{each.server}: {each.by.said}" if len(checked.read) > 1 else each.by.said
        for each in checked.read
        if each.by.said
    ]
    if checked.code == Exit.OK:
        click.echo("\n".join([_verdict(checked), *told]))
    else:
        for line in told:
            note(line)


def _verdict(checked: _Checked) -> str:
    from reconcile.policy.language.words import plural

    number = len(checked.findings)
    warned = f", {plural(number, 'warning')}" if number else ""
    warned += f", {checked.accepted} accepted" if checked.accepted else ""
    valid = all(each.by.valid for each in checked.read)
    return f"{'Valid' if valid else 'Taken'}{warned}: {', '.join(checked.files)}"


def _read(states: Iterable["Desired"]) -> Iterator[_Read]:
    from reconcile.policy.reading.reception import receive
    from reconcile.review.tests import hopeless

    for state in states:
        if state.policy is not None:
            by = receive(state.policy.value, state.read_as)
            found = hopeless(state)
            by = replace(by, hopeless=bool(found))
            yield _Read(state, state.policy, by, found)


def _of_words(read: Iterable[_Read]) -> Iterator[Diagnostic]:
    """Yield what is to be said of the policies when nobody knows users and nodes."""
    from reconcile.review import lint
    from reconcile.review import state as scene

    for each in read:
        yield from lint.of_words(scene.wanted(each.policy), each.by, each.state)


def _of_tailnets(
    states: Iterable["Desired"], asked: Callable[[], "Inquiry"]
) -> Iterator[Diagnostic]:
    """Yield what is to be said of the policies in the tailnet of a snapshot."""
    from reconcile.plan import plan
    from reconcile.review import lint

    for state in states:
        if state.policy is not None:
            yield from plan.other_release(state, asked().server)
            yield from lint.of_scene(asked().scene, state)


def _tested(
    states: Sequence["Desired"],
    read: Iterable[_Read],
    asked: Callable[[], "Inquiry"] | None,
) -> tuple[list[Diagnostic], str]:
    """Return the tests and assertions that fail, and what is to be said of them all.

    Without a snapshot these are only the tests that fail whatever nodes there are.
    """
    from reconcile.review import tests as checks

    if not any(state.asserts or checks.has_tests(state) for state in states):
        return [], ""
    if asked is None:
        remark = "Tests and assertions were not run, for want of users and nodes: "
        remark += "reconcile test, or reconcile validate --snapshot FILE"
        return [found for each in read for found in each.hopeless], remark
    from reconcile.report.tests import counts

    known = asked()
    done = checks.run(known.scene, known.asserts)
    return checks.findings(done), f"On {known.title}: {counts(done)}"

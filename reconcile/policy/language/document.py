"""A policy as the evaluator needs it: typed rules, each with its path in the text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconcile.policy.language.fields import Path
from reconcile.policy.language.releases import Release
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import IntervalSet
from reconcile.remedies import Cut, Reword

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding in a policy value, before it has a line.

    `message` holds the server's own words where it has some for this. `key` tells
    that the finding is about the name at the path and not the value. `related` are
    paths that explain it, each with a few words. `subject` is the word that it is
    about, wherever it stands, "" where it is about something else; `meant` is the path
    of the declared name that is meant instead, () when there is none. `edit` is the one
    sure way out, where there is one.
    """

    code: str
    message: str
    path: Path
    key: bool = False
    severity: Severity = "error"
    why: str = ""
    help: str = ""
    related: tuple[tuple[Path, str], ...] = ()
    subject: str = ""
    meant: Path = ()
    edit: Reword | Cut | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """Protocols and ports; `protocols` holds IANA numbers, never empty."""

    protocols: frozenset[int]
    ports: IntervalSet


@dataclass(frozen=True, slots=True)
class Target:
    """A destination of a rule and the services that it opens there."""

    selector: Selector
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `acls` or `grants`.

    `capabilities` maps a capability to its values. `via` are the tags of routers that
    the traffic must take. `unsure` names conditions that cannot be evaluated here and
    are taken as fulfilled, such as device postures.
    """

    section: str
    index: int
    path: Path
    sources: tuple[Selector, ...]
    targets: tuple[Target, ...]
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    via: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.section}[{self.index}]"


@dataclass(frozen=True, slots=True)
class SshRule:
    """One entry of `ssh`; `action` is `accept` or `check`, users as written."""

    index: int
    path: Path
    action: str
    sources: tuple[Selector, ...]
    targets: tuple[Selector, ...]
    users: tuple[str, ...]
    accept_env: tuple[str, ...] = ()
    check_period: float = 0.0

    def __str__(self) -> str:
        return f"ssh[{self.index}]"


Origin = Rule | SshRule | None  # what allows a path; None for "no policy at all"


def targets_of(rule: Rule | SshRule) -> list[Selector]:
    """Return the selectors of a rule's destinations."""
    if isinstance(rule, SshRule):
        return list(rule.targets)
    return [target.selector for target in rule.targets]


@dataclass(frozen=True, slots=True)
class Attribution:
    """One entry of `nodeAttrs`: attributes for all nodes that a target selects."""

    index: int
    path: Path
    targets: tuple[Selector, ...]
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assertion:
    """One entry of `tests` or `sshTests`, as written; only strings are kept.

    `expected` maps accept, deny and check to what is asserted, each with its path.
    """

    section: str
    index: int
    path: Path
    source: str
    protocol: str
    targets: tuple[str, ...]
    expected: Mapping[str, tuple[tuple[Path, str], ...]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that a release reads: what is in it and what is wrong with it.

    `rules` are the grants, then the ACL entries; None when neither section is there,
    which allows everything. Rules with an error are left out, so evaluate a policy
    only when `errors`, for which the server refuses it, is empty. `autoApprovers` is
    evaluated from `value`.
    """

    value: Any
    release: Release
    groups: Mapping[str, tuple[str, ...]]
    hosts: Mapping[str, IntervalSet]
    tags: frozenset[str]
    rules: tuple[Rule, ...] | None
    ssh: tuple[SshRule, ...]
    attributions: tuple[Attribution, ...]
    tests: tuple[Assertion, ...]
    ssh_tests: tuple[Assertion, ...]
    randomize_client_port: bool
    problems: tuple[Problem, ...]
    errors: tuple[Problem, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Each of a policy's findings asks for them.
        found = tuple(p for p in self.problems if p.severity == "error")
        object.__setattr__(self, "errors", found)

"""What every part of reading a policy shares: findings, names, and plain shapes."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from reconcile.policy.language import selectors
from reconcile.policy.language.document import Problem, Severity
from reconcile.policy.language.fields import Path, find, get, section_name
from reconcile.policy.language.references import references
from reconcile.policy.language.releases import ROLES, Release
from reconcile.policy.language.selectors import UNKNOWN, Selector
from reconcile.policy.reading import words
from reconcile.remedies import Reword
from reconcile.source.near import MOST

# Codes of the policy layer; each has one meaning.
SHAPE = "RC0601"  # a part is of the wrong type, or a field is unknown
NAME = "RC0602"  # a selector means nothing that is declared
PLACE = "RC0603"  # a selector is not valid where it stands
SERVICE = "RC0604"  # ports and protocols
GRANT = "RC0605"  # what only grants have: app, via
SSH = "RC0606"
DECLARATION = "RC0607"  # groups, hosts, tagOwners, autoApprovers, nodeAttrs
UNSUPPORTED = "RC0608"  # this server release does not have it
IGNORED = "RC0609"  # this server release takes it and does nothing with it

_HOSTED_WORDS = {
    "group": "group not found: {}",
    "tag": "tag not found: {}",
    "unknown": "{}: invalid address",
}
_HEADSCALE_WORDS = {
    "group": "group not defined in policy: {}",
    "tag": "tag not found: {}",
    "host": "host not defined in policy: {}",
    "unknown": "invalid alias format: {}",
}


def quoted(text: object) -> str:
    """Return a text as the servers quote it."""
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a policy declares, and so what selectors may name, in rules and in tests.

    `domains` are the mail domains of a hosted tailnet, None when they are not known.
    """

    release: Release
    groups: Container[str]
    tags: Container[str]
    hosts: Container[str]
    domains: Container[str] | None

    def selector(self, text: str) -> Selector:
        """Classify a text as the release does."""
        selector = selectors.parse(text)
        if selector.kind == "domain" and not self.release.hosted:
            return replace(selector, kind="user")  # of whom there is none
        return selector

    def refusal(self, selector: Selector) -> tuple[str, str] | None:
        """Say, with a code, why a selector may stand nowhere; None when it may."""
        kind, text = selector.kind, selector.text
        declared = {"group": self.groups, "tag": self.tags, "host": self.hosts}
        if kind == "unknown" or (kind in declared and text not in declared[kind]):
            return NAME, self._missing(kind, text)
        if kind == "autogroup":
            return self._autogroup_refusal(selector)
        if kind in UNKNOWN and not self.release.hosted:
            return UNSUPPORTED, self._missing(kind, text)
        if kind == "domain":
            return self.domain_refusal(selector.domain)
        return None

    def _missing(self, kind: str, text: str) -> str:
        """Say that a name means nothing, as the server does."""
        words = _HOSTED_WORDS if self.release.hosted else _HEADSCALE_WORDS
        return words[kind if kind in words else "unknown"].format(quoted(text))

    def _autogroup_refusal(self, selector: Selector) -> tuple[str, str] | None:
        if selector.autogroup in self.release.autogroups:
            return None
        known = selector.autogroup in ROLES | {"member", "tagged", "self", "danger-all"}
        code = UNSUPPORTED if known else NAME
        return code, f"invalid autogroup {quoted(selector.text)}"

    def domain_refusal(self, domain: str) -> tuple[str, str] | None:
        """Say why a hosted tailnet may not use a mail domain; None when it may."""
        if self.domains is None or domain in self.domains:
            return None
        return (
            NAME,
            f"{domain} is not associated with this Tailnet and cannot be used in "
            "user:*@<domain> expressions",
        )


class Context:
    """The policy being read, the release that reads it, and the findings so far."""

    def __init__(
        self, value: Mapping[str, Any], release: Release, domains: Iterable[str] | None
    ) -> None:
        self.value = value
        self.release = release
        self.problems: list[Problem] = []
        self._errors = 0
        self.groups = self._declared("groups")
        self.tags = self._declared("tagOwners")
        self.hosts = self._declared("hosts")
        self._accepted: dict[str, Selector] = {}
        known = None if domains is None else frozenset(domains)
        groups = self._meant_names("group:", self.groups)
        tags = self._meant_names("tag:", self.tags)
        self.scope = Scope(release, groups, tags, self.hosts, known)

    def _declared(self, section: str) -> Mapping[str, Any]:
        found = get(self.value, section)
        return found if isinstance(found, dict) else {}

    def _meant_names(self, start: str, names: Mapping[str, Any]) -> Container[str]:
        """Return declared names, and those that lack only their prefix.

        These are refused where they are declared: once is enough.
        """
        if not self.release.declarations_checked:
            return names
        return {*names, *(start + name for name in names if ":" not in name)}

    def problem(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        key: bool = False,
        severity: Severity = "error",
        why: str = "",
        help: str = "",
        subject: str = "",
        meant: str = "",
        edit: Reword | None = None,
    ) -> None:
        """Note a finding; `meant` is a declared name that explains it."""
        found = Problem(
            code,
            message,
            path,
            key,
            severity,
            why,
            help,
            subject=subject,
            meant=self._declaration(meant),
            edit=edit,
        )
        self.problems.append(found)
        self._errors += severity == "error"

    def _declaration(self, name: str) -> Path:
        """Return the path of a declared name, () when nothing declares it."""
        for section in ("tagOwners", "groups", "hosts"):
            found = find(self.value, section)
            if found and isinstance(found[1], dict) and name in found[1]:
                return found[0], name
        return ()

    def count(self) -> int:
        """Return how many errors there are, to tell later whether there are more."""
        return self._errors

    # Shapes.

    def rules(self, section: str) -> Iterator[tuple[int, Path, dict[str, Any]]]:
        """Yield index, path and object of each entry of a list section."""
        found = find(self.value, section)
        if found is None or found[1] is None:
            return
        if not isinstance(found[1], list):
            self.shape((found[0],), "a list of rules", found[1])
            return
        for index, rule in enumerate(found[1]):
            path = (found[0], index)
            if isinstance(rule, dict):
                yield index, path, rule
            else:
                self.shape(path, "an object", rule)

    def known_fields(self, path: Path, rule: Mapping[str, Any], section: str) -> None:
        """Refuse fields that a section does not have, and those that stand there twice.

        `#` begins a comment in ACLs.
        """
        names = words.allowed(section, self.release)
        if rule.keys() <= names:
            return
        known = {name.lower() for name in names}
        seen: dict[str, str] = {}
        for key in rule:
            first = seen.setdefault(key.lower(), key)
            if first != key:
                message = f"duplicate object member name {quoted(key)}"
                why = f"{quoted(first)} is the same field"
                self.problem(SHAPE, message, (*path, key), key=True, why=why)
            if key.lower() in known or (key.startswith("#") and section == "acls"):
                continue
            self.unknown_field((*path, key), section, rule)

    def unknown_field(self, path: Path, section: str, beside: Iterable[str]) -> None:
        """Refuse a field of a section, or say that the release passes over it.

        `beside` are all fields that stand there.
        """
        key, server = str(path[-1]), self.release
        advice = words.of_field(section, key, beside, server)
        message = f"unknown field{':' * server.strict} {quoted(key)}"
        code = UNSUPPORTED if advice.known else SHAPE
        severity: Severity = "error"
        if server.ignores_unknown:
            message = f"{quoted(key)} does nothing on Headscale {server.name}"
            code, severity = IGNORED, "warning"
        self.problem(
            code,
            message,
            path,
            key=True,
            severity=severity,
            why=advice.why,
            help=advice.help,
            edit=advice.edit(key),
            subject=key,
        )

    def shape(self, path: Path, wanted: str, value: object) -> None:
        """Note that a value is not of the type that is needed."""
        kinds = {dict: "an object", list: "a list", str: "a text", bool: "true/false"}
        kind = "nothing" if value is None else kinds.get(type(value), "a number")
        self.problem(
            SHAPE,
            f"{_place(path)} must be {wanted}, not {kind}",
            path,
            help=f"write {wanted} here",
        )

    def texts(
        self, path: Path, rule: Mapping[str, Any], name: str
    ) -> list[tuple[Path, str]]:
        """Return the strings of a list field with their paths; absent is empty.

        A field of a wrong name is looked at too: one run reports all mistakes.
        """
        found = find(rule, name)
        if found is None and path and name in words.RENAMED:
            key = words.misnamed(section_name(str(path[0])), name, rule, self.release)
            found = (key, rule[key]) if key else None
        if found is None or found[1] is None:
            return []
        here = (*path, found[0])
        if not isinstance(found[1], list):
            self.shape(here, "a list", found[1])
            return []
        texts = []
        for index, item in enumerate(found[1]):
            if isinstance(item, str):
                texts.append(((*here, index), item))
            else:
                self.shape((*here, index), "a text", item)
        return texts

    def text(self, path: Path, rule: Mapping[str, Any], name: str) -> str | None:
        """Return a string field, None when it is absent or null."""
        found = find(rule, name)
        if found is None or found[1] is None:
            return None
        if isinstance(found[1], str):
            return found[1]
        self.shape((*path, found[0]), "a text", found[1])
        return None

    # Selectors.

    def selector(
        self, path: Path, text: str, said: Callable[[str], str] = str
    ) -> Selector | None:
        """Classify a selector and check that what it names is declared.

        `said` puts the reason into the words of the place, such as `src=…`. None when
        the selector is refused; the finding is noted.
        """
        if text in self._accepted:
            return self._accepted[text]
        selector = self.scope.selector(text)
        if not self.release.strict and text != selector.text:
            selector = replace(selector, text=text)
        refusal = self.scope.refusal(selector)
        if refusal is None:
            self.foreign(path, text)
            self._accepted[text] = selector
            return selector
        code, reason = refusal
        advice = self.advice(selector)
        self.problem(
            code,
            said(reason),
            path,
            why=advice.why,
            help=advice.help,
            subject=selector.text,
            meant=advice.meant,
            edit=advice.edit(selector.text),
        )
        return None

    def advice(self, selector: Selector) -> words.Advice:
        """Return what to write for a selector that means nothing."""
        return words.of_selector(selector, self.release, self._names)

    def foreign(self, path: Path, text: str) -> None:
        """Point out a mail domain, which Headscale takes for a user nobody can be."""
        selector = selectors.parse(text)
        if selector.kind == "domain" and not self.release.hosted:
            self.problem(
                UNSUPPORTED,
                f"{quoted(selector.text)} is nobody on Headscale",
                path,
                severity="warning",
                why=words.ONLY_TAILSCALE,
                help=words.HOSTED_WORDS["domain"],
                subject=selector.text,
            )

    @cached_property
    def _names(self) -> words.Names:
        """The names that a text may be a misspelling of, by kind; none of thousands."""
        users = references(self.value).users
        found: words.Names = {
            "tag": [name for name in self.tags if name.startswith("tag:")],
            "group": [name for name in self.groups if name.startswith("group:")],
            "host": self.hosts,
            "user": [name for name in users if not name.startswith("user:")],
        }
        few = sum(len(list(names)) for names in found.values()) <= MOST
        return found if few else dict.fromkeys(found, ())


def _place(path: Path) -> str:
    text = str(path[0]) if path else "the policy"
    for step in path[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text

"""Reading a policy's text into typed sections, refusing what a server cannot decode.

Servers decode first and check meaning afterwards (`policyrules`): the first thing
that cannot be decoded is the only one that the answer names.
"""

import json
import re
from typing import Any

from reconcile import hujson
from reconcile.errors import InputError
from reconcile.simulator.policywords import (
    destination_problems,
    grant_port_problem,
    group_problems,
    is_prefix,
    protocol_problem,
)
from reconcile.simulator.release import Release

OLD_SECTIONS = ("groups", "hosts", "tagOwners", "acls", "autoApprovers", "ssh")
NEW_SECTIONS = (
    *OLD_SECTIONS,
    "grants",
    "nodeAttrs",
    "tests",
    "sshTests",
    "randomizeClientPort",
)
OLD_FIELDS = {
    "acls": ("action", "proto", "src", "dst"),
    "ssh": ("action", "src", "dst", "users", "checkPeriod"),
    "autoApprovers": ("routes", "exitNode"),
}
NEW_FIELDS = OLD_FIELDS | {
    "ssh": (*OLD_FIELDS["ssh"], "acceptEnv"),
    "grants": ("src", "dst", "ip", "app", "via", "srcPosture"),
    "nodeAttrs": ("target", "attr", "ipPool"),
}
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|ms|s|m|h|d|w|y))+")


class BadPolicy(Exception):
    """A policy that the server refuses, in the server's words."""


class _Twice(dict[str, Any]):
    """An object of the text, which remembers a name that it holds twice."""

    twice: str | None = None


def _object(pairs: list[tuple[str, Any]]) -> _Twice:
    value = _Twice(pairs)
    names = [name for name, _ in pairs]
    value.twice = next((name for name in names if names.count(name) > 1), None)
    return value


def decode(text: str, release: Release) -> dict[str, Any]:
    """Return a policy's sections by their canonical names; BadPolicy if it is none."""
    try:
        value = json.loads(hujson.standardize(text), object_pairs_hook=_object)
    except ValueError:
        raise BadPolicy(f"parsing policy: parsing HuJSON: {_syntax(text)}") from None
    try:
        return _sections(value, release)
    except _Undecodable as problem:
        raise BadPolicy(
            f"parsing policy: parsing policy from bytes: {problem}"
        ) from None


def _syntax(text: str) -> str:
    try:
        hujson.parse(text)
    except InputError as problem:
        finding = problem.diagnostics[0]
        place = finding.position
        if place:
            return (
                f"hujson: line {place.line}, column {place.column}: {finding.message}"
            )
    return "hujson: line 1, column 1: parsing value: unexpected EOF"


class _Undecodable(Exception):
    pass


class _Decoder:
    """Checks the shape of sections; each check names the place of what is wrong."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.old = not release.new_policy_words

    def refuse(self, value: Any, path: str, reason: str = "") -> _Undecodable:
        """Return the refusal of a value; 0.26 does not say where it stands."""
        kind = _kind(value)
        if not self.release.strict_policy:
            return _Undecodable(
                reason or f"json: cannot unmarshal {kind} into Go value"
            )
        within = f' within "{path}"' if path else ""
        text = f"json: cannot unmarshal JSON {kind} into Go value{within}"
        return _Undecodable(f"{text}: {reason}" if reason else text)

    def expect(self, value: Any, wanted: type, path: str) -> None:
        if value is not None and not isinstance(value, wanted):
            raise self.refuse(value, path)

    def unique(self, value: Any, path: str) -> None:
        """Refuse an object that names a member twice, which 0.26 does not mind."""
        if isinstance(value, _Twice):
            if value.twice is not None and self.release.strict_policy:
                within = f' within "{path}"' if path else ""
                raise _Undecodable(
                    f'jsontext: duplicate object member name "{value.twice}"{within}'
                )
            for name, item in value.items():
                self.unique(item, f"{path}/{_pointer(name)}")
        elif isinstance(value, list):
            for number, item in enumerate(value):
                self.unique(item, f"{path}/{number}")

    def texts(self, value: Any, path: str) -> list[str]:
        self.expect(value, list, path)
        for number, item in enumerate(value or []):
            self.expect(item, str, f"{path}/{number}")
        return value or []

    def rules(self, value: Any, path: str) -> list[dict[str, Any]]:
        self.expect(value, list, path)
        for number, item in enumerate(value or []):
            self.expect(item, dict, f"{path}/{number}")
        return value or []

    def groups(self, value: Any, path: str) -> None:
        self.expect(value, dict, path)
        for name in sorted(value or {}):
            self.texts(value[name], f"{path}/{_pointer(name)}")
        for name, members in (value or {}).items():
            for reason in group_problems(name, members or [], self.old):
                raise self.refuse(value, path, reason)

    def hosts(self, value: Any, path: str) -> None:
        self.expect(value, dict, path)
        for name, address in (value or {}).items():
            self.expect(address, str, f"{path}/{_pointer(name)}")
            if ":" in name or "@" in name:
                old, new = (
                    f'Hostname "{name}" is invalid',
                    f'invalid hostname: "{name}"',
                )
                raise self.refuse(value, path, old if self.old else new)
            if not is_prefix(address):
                old = f'Hostname "{name}" contains an invalid IP address: "{address}"'
                words = "hostname contains invalid IP address"
                new = f'{words}: hostname "{name}" address "{address}"'
                raise self.refuse(value, path, old if self.old else new)

    def tag_owners(self, value: Any, path: str) -> None:
        self.expect(value, dict, path)
        for tag, owners in (value or {}).items():
            if not tag.startswith("tag:") and self.release.strict_policy:
                old, new = "tag has to start with", "tag must start with"
                prefix = f'{old} "tag:"' if self.old else f"{new} 'tag:'"
                raise self.refuse(
                    tag, f"{path}/{_pointer(tag)}", f'{prefix}, got: "{tag}"'
                )
            for number, owner in enumerate(
                self.texts(owners, f"{path}/{_pointer(tag)}")
            ):
                place = f"{path}/{_pointer(tag)}/{number}"
                kinds = (
                    ("group:", "tag:") if self.release.tags_own_tags else ("group:",)
                )
                self.approver(
                    owner, place, kinds, ("Invalid Owner", "invalid owner format")
                )

    def approver(
        self, name: str, path: str, kinds: tuple[str, ...], words: tuple[str, str]
    ) -> None:
        if "@" in name or name.startswith(kinds):
            return
        reason = f'{words[0]} "{name}".' if self.old else f'{words[1]}: "{name}"'
        raise self.refuse(name, path, reason)

    def approvers(self, value: Any, path: str) -> None:
        self.expect(value, dict, path)
        words = ("Invalid AutoApprover", "invalid auto approver format")
        routes = (value or {}).get("routes") or {}
        for prefix, names in routes.items():
            place = f"{path}/routes/{_pointer(prefix)}"
            if "/" not in prefix:
                reason = f"netip.ParsePrefix(\"{prefix}\"): no '/'"
                raise self.refuse(prefix, place, reason)
            for number, name in enumerate(self.texts(names, place)):
                self.approver(name, f"{place}/{number}", ("group:", "tag:"), words)
        place = f"{path}/exitNode"
        for number, name in enumerate(self.texts((value or {}).get("exitNode"), place)):
            self.approver(name, f"{place}/{number}", ("group:", "tag:"), words)

    def acls(self, value: Any, path: str) -> None:
        for number, rule in enumerate(self.rules(value, path)):
            place = f"{path}/{number}"
            if "action" in rule:
                self.action(rule["action"], f"{place}/action")
            if isinstance(rule.get("proto"), str):
                self.protocol(rule["proto"], f"{place}/proto")
            for i, name in enumerate(self.texts(rule.get("src"), f"{place}/src")):
                self.alias(name, f"{place}/src/{i}")
            for i, name in enumerate(self.texts(rule.get("dst"), f"{place}/dst")):
                self.destination(name, f"{place}/dst/{i}")

    def action(self, value: Any, path: str) -> None:
        if not self.release.strict_policy:
            self.expect(value, str, path)
        elif value != "accept":
            old = f'invalid action "{value}", must be "accept"'
            new = f'action="{value}" is not supported: invalid ACL action'
            raise self.refuse(value, path, old if self.old else new)

    def protocol(self, name: str, path: str) -> None:
        if not self.release.strict_policy:
            return
        reason = protocol_problem(name, self.old)
        if reason:
            raise self.refuse(name, path, reason)

    def destination(self, text: str, path: str) -> None:
        for reason in destination_problems(text, self.release):
            raise self.refuse(text, path, reason)

    def alias(self, name: str, path: str) -> None:
        if ":" not in name or name == "*" or "@" in name or is_prefix(name):
            return
        if not name.startswith(("group:", "tag:", "autogroup:")):
            old, new = f'Invalid alias "{name}".', f'invalid alias format: "{name}"'
            raise self.refuse(name, path, old if self.old else new)

    def ssh(self, value: Any, path: str) -> None:
        for number, rule in enumerate(self.rules(value, path)):
            place = f"{path}/{number}"
            if rule.get("action") and self.release.strict_policy:
                self.ssh_action(rule["action"], f"{place}/action")
            if rule.get("action") == "" and self.release.strict_policy and self.old:
                self.ssh_action("", f"{place}/action")
            for side, word in (("src", "source"), ("dst", "destination")):
                names = self.texts(rule.get(side), f"{place}/{side}")
                for name in names:
                    self.ssh_alias(names, name, f"{place}/{side}", word)
            period = rule.get("checkPeriod")
            if (
                isinstance(period, str)
                and not _DURATION.fullmatch(period)
                and period != "always"
            ):
                old = f'not a valid duration string: "{period}"'
                new = f'time: invalid duration "{period}"'
                raise self.refuse(
                    period, f"{place}/checkPeriod", old if self.old else new
                )

    def ssh_action(self, value: str, path: str) -> None:
        if value not in ("accept", "check"):
            old = f'invalid SSH action "{value}", must be one of: accept, check'
            raise self.refuse(
                value, path, old if self.old else f'"{value}" is not a valid action'
            )

    def ssh_alias(self, names: list[str], name: str, path: str, word: str) -> None:
        """Refuse what SSH rules cannot name: addresses, and `*` but for old targets."""
        kind = "v2.Asterix" if name == "*" else "*v2.Prefix" if is_prefix(name) else ""
        if not kind or (kind == "v2.Asterix" and word == "destination"):
            if kind and self.release.strict_ssh:
                raise self.refuse(
                    names, path, "wildcard (*) is not supported as SSH destination"
                )
            return
        if not self.release.strict_policy:
            raise self.refuse(names, path, f"type {kind} not supported")
        old = f"alias {kind} is not supported for SSH {word}"
        new = f"alias not supported for SSH {word}: {kind}"
        raise self.refuse(names, path, old if self.old else new)

    def grants(self, value: Any, path: str) -> None:
        for number, rule in enumerate(self.rules(value, path)):
            for side in ("src", "dst"):
                for i, name in enumerate(
                    self.texts(rule.get(side), f"{path}/{number}/{side}")
                ):
                    self.alias(name, f"{path}/{number}/{side}/{i}")
            for i, item in enumerate(self.texts(rule.get("ip"), f"{path}/{number}/ip")):
                reason = grant_port_problem(item)
                if reason:
                    raise self.refuse(item, f"{path}/{number}/ip/{i}", reason)


_READERS = {
    "groups": _Decoder.groups,
    "hosts": _Decoder.hosts,
    "tagOwners": _Decoder.tag_owners,
    "acls": _Decoder.acls,
    "autoApprovers": _Decoder.approvers,
    "ssh": _Decoder.ssh,
    "grants": _Decoder.grants,
}


def _sections(value: Any, release: Release) -> dict[str, Any]:
    decoder = _Decoder(release)
    if value is not None and not isinstance(value, dict):
        raise decoder.refuse(value, "")
    decoder.unique(value, "")
    known = NEW_SECTIONS if release.new_policy_words else OLD_SECTIONS
    sections: dict[str, Any] = {}
    unknown = []
    for name, item in (value or {}).items():
        # names of sections are read without regard to case
        match = next((k for k in known if k.lower() == name.lower()), None)
        if match is None:
            unknown.append(name)
            continue
        if match in _READERS:
            _READERS[match](decoder, item, f"/{_pointer(name)}")
        sections[match] = item
    unknown += _unknown_fields(sections, release)
    if unknown and release.strict_policy:
        colon = ":" if release.new_policy_words else ""
        raise BadPolicy(f'parsing policy: unknown field{colon} "{unknown[0]}"')
    return sections


def _unknown_fields(sections: dict[str, Any], release: Release) -> list[str]:
    """Return the fields of rules that nobody knows; `#` begins a comment in an ACL."""
    fields = NEW_FIELDS if release.new_policy_words else OLD_FIELDS
    found = []
    for section, known in fields.items():
        value = sections.get(section) or []
        for rule in [value] if isinstance(value, dict) else value:
            found += [
                name
                for name in rule
                if name not in known
                and not (section == "acls" and name.startswith("#"))
            ]
    return found


def _kind(value: Any) -> str:
    kinds = {
        dict: "object",
        _Twice: "object",
        list: "array",
        str: "string",
        bool: "boolean",
    }
    return kinds.get(type(value), "number")


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

"""Reads the `assert` section: what must hold of access, whatever else changes."""

from collections.abc import Collection
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

from reconcile.desired.findings import Findings, proposal
from reconcile.desired.layers import Tree
from reconcile.desired.settings import route_help
from reconcile.desired.state import WantedPolicy
from reconcile.policy.access import claims
from reconcile.policy.access.claims import Assert, Claim, Paths, Port, Routers
from reconcile.policy.language import selectors
from reconcile.policy.language.fields import entries
from reconcile.policy.language.releases import ROLES
from reconcile.policy.language.words import NODE
from reconcile.source.variables import quoted
from reconcile.source.yaml import Path

_SIDES = {"from": ROLES | {"member", "tagged"}}
_SIDES["to"] = _SIDES["from"] | {"internet"}
_KNOWN = ("any", "user", "domain", "group", "tag", "address", "host")
_DECLARED = {"group": "groups", "tag": "tagOwners", "host": "hosts"}
_FORMS = "alice@, group:ops, tag:db, node:nas, 10.0.0.0/8 or *"


def read(
    tree: Tree, policy: WantedPolicy | None, findings: Findings
) -> tuple[Assert, ...]:
    """Return the assertions; what the policy of the files lacks is reported."""
    reader = _Reader(tree, policy, findings)
    found = []
    for index, entry in enumerate(tree.value.get("assert", ())):
        path = ("assert", index)
        claim = reader.claim(entry, path)
        if claim is not None:
            because = str(entry.get("because", ""))
            found.append(Assert(index, claim, because, tree.locate(path)))
    return tuple(found)


class _Reader:
    def __init__(
        self, tree: Tree, policy: WantedPolicy | None, findings: Findings
    ) -> None:
        self._tree, self._findings = tree, findings
        self._policy = policy
        self._declared: dict[str, Collection[str]] = {}

    def claim(self, entry: dict[str, Any], path: Path) -> Claim | None:
        """Return what an entry claims, None when nothing can be made of it."""
        for verb in ("no", "allow"):
            if verb in entry:
                said, here = entry[verb], (*path, verb)
                names = {side: str(said[side]).strip() for side in _SIDES}
                for side, name in names.items():
                    self._check_name(name, side, (*here, side))
                number = self._port(said, (*here, "port"))
                return Paths(verb == "allow", names["from"], names["to"], number)
        said = entry["at_least"]
        network = self._network(str(said["for"]), (*path, "at_least", "for"))
        return Routers(said["routers"], network) if network else None

    def _port(self, said: dict[str, Any], path: Path) -> Port | None:
        if "port" not in said:
            return None
        text = str(said["port"])
        try:
            return claims.port(text)
        except ValueError:
            self._findings.error(
                "RC0604",
                f"{quoted(text)} is not a port",
                self._tree.locate(path),
                help="write one port: 443, 53/udp, or ssh for logging in",
            )
            return None

    def _network(self, text: str, path: Path) -> str:
        """Return the canonical text of a network, or "" when it is none."""
        with suppress(ValueError):  # bits beyond the length of the prefix
            if selectors.is_address(text) and "/" in text:
                return str(ip_network(text))
        self._findings.error(
            "RC0109",
            f"{quoted(text)} is not a network in CIDR notation",
            self._tree.locate(path),
            **route_help(text),
        )
        return ""

    def _check_name(self, name: str, side: str, path: Path) -> None:
        """Report a name that means nothing, whatever users and nodes there are."""
        if name.startswith(NODE) and name != NODE:
            return
        selector = selectors.parse(name)
        if selector.kind in _KNOWN or selector.autogroup in _SIDES[side]:
            self._check_declared(selector, path)
            return
        self._findings.error(
            "RC0603",
            f"{quoted(name)} cannot stand after `{side}`",
            self._tree.locate(path),
            **proposal(
                name, [f"autogroup:{n}" for n in _SIDES[side]], f"write {_FORMS}", 0.85
            ),
        )

    def _check_declared(self, selector: selectors.Selector, path: Path) -> None:
        section = _DECLARED.get(selector.kind)
        if section is None or self._policy is None:
            return
        if section not in self._declared:
            found = entries(self._policy.value, section)
            self._declared[section] = [name for _, name, _ in found]
        names = self._declared[section]
        if selector.text in names:
            return
        otherwise = f"declare it under {section}, or correct the name"
        if selector.kind == "host":
            otherwise = f"for a node write {NODE}{selector}, for a user {selector}@"
        self._findings.error(
            "RC0602",
            f"the policy declares no {selector.kind} {quoted(selector.text)}",
            self._tree.locate(path),
            label=f"not under {section} in {self._policy.position.file}",
            why="an assertion about nothing would always look fine",
            **proposal(selector.text, names, otherwise),
        )

"""Why a name means nothing in a tailnet: nobody declares it, or nothing bears it.

The first is a mistake. The second is an answer: what nothing bears reaches nothing,
and nothing reaches it.
"""

from functools import cached_property

from reconcile.model import EXIT_ROUTES
from reconcile.policy.access.universe import World
from reconcile.policy.language.releases import ROLES
from reconcile.policy.language.selectors import UNKNOWN, Selector
from reconcile.policy.language.sets import IntervalSet, prefix, texts


class Absence:
    """Explains why selectors mean nothing in one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def undeclared(self, selector: Selector) -> str:
        """Say that neither policy nor server knows a name, "" when one of them does."""
        policy = self._world.policy
        declared = {"group": policy.groups, "tag": policy.tags, "host": policy.hosts}
        if selector.kind in declared and selector.text not in declared[selector.kind]:
            what = f"host {selector}" if selector.kind == "host" else selector
            return f"the policy does not declare {what}"
        if selector.kind == "user" and not self._world.resolver.owners(selector):
            return self._no_user(selector.text)
        if selector.kind == "autogroup":
            return self._no_autogroup(selector)
        if selector.kind in UNKNOWN:
            return f"what {selector} holds is not known here"
        return f"'{selector}' is not a name" if selector.kind == "unknown" else ""

    def _no_autogroup(self, selector: Selector) -> str:
        if selector.autogroup == "self":
            return f"{selector} differs from user to user: ask about a node of one"
        if selector.autogroup not in self._world.policy.release.autogroups | ROLES:
            return f"there is no {selector}"
        return ""

    def reason(self, selector: Selector) -> str:
        """Say why a selector that is declared selects nothing."""
        text = selector.text
        if selector.kind in ("address", "host"):
            return self._unserved(selector)
        if selector.autogroup == "internet":
            return self._closed()
        if selector.kind == "tag":
            return f"no node wears {text}"
        if selector.kind == "group" and self._world.policy.groups.get(text):
            return f"nobody in {text} has an untagged node"
        if selector.kind == "group":
            return f"{text} has no members"
        if selector.kind == "user":
            if self._world.resolver.owners(selector):
                return f"{text} has no untagged node"
            return self._no_user(text)
        return f"{text} means no node"

    def _no_user(self, token: str) -> str:
        directory = self._world.resolver.directory
        ways = directory.ways_out(token)
        return directory.no_user(token) + (ways and f": {ways}")

    def _closed(self) -> str:
        for machine in self._world.machines.values():
            if machine.node.available & EXIT_ROUTES:
                name = machine.name
                return f"node:{name} offers to be an exit node, which is not approved"
        return "no exit node is approved"

    def _unserved(self, selector: Selector) -> str:
        addresses = self._world.resolver.sources(selector)
        for name, route, reached in self._unapproved:
            if reached.overlaps(addresses):
                return f"node:{name} advertises {route}, which is not approved"
        text = selector.text
        if selector.kind == "host":
            text = f"{text} ({', '.join(texts(addresses))})"
        return f"no node has {text}, and no approved route leads there"

    @cached_property
    def _unapproved(self) -> list[tuple[str, str, IntervalSet]]:
        return [
            (machine.name, route, prefix(route))
            for machine in self._world.machines.values()
            for route in sorted(machine.node.available - machine.node.approved)
            if route not in EXIT_ROUTES
        ]

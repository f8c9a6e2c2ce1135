"""SSH rules per node: who may log in there, as whom.

A login needs one of these rules and, apart from it, a filter rule for TCP 22; the two
are evaluated independently, by the clients and here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconcile.policy.language.document import Policy, SshRule
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import texts
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.meaning.tailnet import Machine, Tailnet
from reconcile.policy.reading.ssh import localpart_domain, mapped_login

Logins = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LoginRule:
    """What a node is told: these addresses may log in as these users.

    `users` maps a requested login to the local one: `""` is denied, and `"*": "="`
    stands for every login but root. `principals` may hold an address twice.
    """

    principals: tuple[str, ...]
    users: Logins
    action: str
    accept_env: tuple[str, ...]
    origin: SshRule

    def admits(self, address: str, login: str) -> bool:
        """Tell whether an address may log in under a name by this rule."""
        if not login or address not in self.principals:
            return False
        if login in self.users:
            return self.users[login] != ""
        return "*" in self.users and login != "root"


class SshRules:
    """The SSH rules of all nodes under one policy."""

    def __init__(self, policy: Policy, tailnet: Tailnet, resolver: Resolver) -> None:
        self.policy = policy
        self.tailnet = tailnet
        self.resolver = resolver

    def of(self, machine: Machine) -> tuple[LoginRule, ...]:
        """Return the rules of a node in the order in which they are tried.

        All `check` rules come before all `accept` rules, whatever their order in the
        file, and the first that matches wins.
        """
        found = [each for rule in self.policy.ssh for each in self._on(machine, rule)]
        return tuple(sorted(found, key=lambda each: each.action != "check"))

    def _on(self, machine: Machine, rule: SshRule) -> Iterator[LoginRule]:
        own = [t for t in rule.targets if t.autogroup == "self"]
        others = [t for t in rule.targets if t.autogroup != "self"]
        if own and machine.owner is not None:
            mine = [m for m in self._people(rule) if m.owner == machine.owner]
            yield from self._rules(rule, mine, [])
        if any(self._is_target(target, machine) for target in others):
            yield from self._rules(rule, self._people(rule), self._tagged(rule))
        elif others and self._maps_logins(rule):
            yield from self._at_home(machine, rule)

    def _is_target(self, target: Selector, machine: Machine) -> bool:
        if target.kind == "any":
            return True
        if target.kind == "host":
            return self.resolver.covers(target, machine)
        return machine in self.resolver.machines(target)

    def _maps_logins(self, rule: SshRule) -> bool:
        localpart = self.policy.release.localpart
        return localpart and any(localpart_domain(user) for user in rule.users)

    def _at_home(self, machine: Machine, rule: SshRule) -> Iterator[LoginRule]:
        """Rules that map logins also reach the source nodes, each for its own user."""
        mine = [m for m in self._people(rule) if m.owner == machine.owner]
        if machine.owner is not None and machine in mine:
            yield from self._rules(rule, mine, [])
        elif machine in self._tagged(rule):
            yield from self._rules(rule, [], [machine])

    def _people(self, rule: SshRule) -> list[Machine]:
        """Return the untagged source nodes, by the users' order."""
        order = {user.id: index for index, user in enumerate(self.tailnet.users)}
        found = {m.index: m for s in rule.sources for m in self._sources(s)}
        people = [machine for machine in found.values() if machine.owner is not None]
        return sorted(people, key=lambda m: (order.get(m.owner or "", 0), m.index))

    def _tagged(self, rule: SshRule) -> list[Machine]:
        """Return the tagged source nodes, each once for each of its tags."""
        found = {m.index: m for s in rule.sources for m in self._sources(s)}
        tagged = [m for m in found.values() if m.owner is None]
        if not self.policy.release.strict:
            return tagged
        return [machine for machine in tagged for _ in machine.tags]

    def _sources(self, source: Selector) -> Iterable[Machine]:
        if source.kind == "any":
            return self.tailnet.machines
        if source.kind in ("address", "host"):
            return self.tailnet.touched(self.resolver.sources(source))
        return self.resolver.machines(source)

    def _rules(
        self, rule: SshRule, people: list[Machine], tagged: list[Machine]
    ) -> Iterator[LoginRule]:
        common = self._logins(rule)
        if not self._maps_logins(rule):
            if people or tagged:
                yield self._rule(rule, [*people, *tagged], common)
            return
        owners = dict.fromkeys(m.owner for m in people if m.owner is not None)
        for owner in owners:
            nodes = [machine for machine in people if machine.owner == owner]
            yield self._rule(rule, nodes, common)
            local = self._local_names(rule, owner)
            if local:
                yield self._rule(rule, nodes, {name: name for name in local})
        if tagged:
            yield self._rule(rule, tagged, common)

    def _rule(
        self, rule: SshRule, nodes: Iterable[Machine], users: Logins
    ) -> LoginRule:
        addresses = [text for m in nodes for text in texts(m.addresses)]
        action = rule.action if self.policy.release.ssh_checks else "accept"
        return LoginRule(tuple(addresses), users, action, rule.accept_env, rule)

    def _logins(self, rule: SshRule) -> Logins:
        """Return the user map that all sources share."""
        if not self.policy.release.nonroot:
            return dict.fromkeys(rule.users, "=")
        found = {"root": "root" if "root" in rule.users else ""}
        strict = self.policy.release.strict
        if not (strict or found["root"] or "autogroup:nonroot" in rule.users):
            del found["root"]
        for user in rule.users:
            if user == "autogroup:nonroot":
                found["*"] = "="
            elif user != "root" and not self._is_mapped(user):
                found[user] = user
        return found

    def _is_mapped(self, user: str) -> bool:
        return self.policy.release.localpart and bool(localpart_domain(user))

    def _local_names(self, rule: SshRule, owner: str) -> list[str]:
        """Return the logins that `localpart:*@domain` gives to a user."""
        emails = [u.email for u in self.tailnet.users if u.id == owner]
        found = (mapped_login(user, e) for user in rule.users for e in emails)
        return [local for local in found if local]

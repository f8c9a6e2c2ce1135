"""Random tailnets: users, nodes, networks, and the words that policies use of them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.contract.policies.generator import Generator, Words
from tests.contract.seeds import EXIT
from tests.contract.tailnets.state import Device, Person, Policy, State

_PEOPLE = ("alice", "Alice", "al", "alice-2", "bob", "bobby", "carol", "dave", "max")
_DEVICES = ("laptop", "phone", "desk", "nas", "web-1", "web-2", "web-10", "db", "gw")
_DEVICES += ("edge", "printer", "laptop-2", "everything", "internet", "node", "srv")
_TAGS = ("tag:web", "tag:db", "tag:router", "tag:exit", "tag:idle")
_ROUTES = (
    "10.1.0.0/16",
    "10.1.2.0/24",  # inside the first
    "10.0.0.0/8",  # around it
    "10.2.0.0/24",
    "192.168.7.0/24",
    "172.16.0.0/24",
    "203.0.113.0/24",  # in the internet as well
    "8.8.8.0/24",
    "fd00:1::/64",
    "fd00:1:0:0:8000::/65",
    "2001:db8::/32",
    "fd7a:115c:a1e0:b1a:0:7:a01:0/112",  # 4via6: site 7, 10.1.0.0/16
)
_HOSTS = {
    "lan": "10.1.0.0/16",
    "part": "10.1.2.0/28",
    "wide": "10.0.0.0/8",
    "lan6": "fd00:1::/64",
    "printer": "10.1.2.3",
    "dns": "8.8.8.8",
    "dns-net": "8.8.8.0/24",
    "site": "fd7a:115c:a1e0:b1a:0:7:a01:0/112",
    "stray": "100.64.0.77",
    "all4": "0.0.0.0/0",
    "half": "0.0.0.0/1",
    "cgnat": "100.0.0.0/8",
}
_ADDRESSES = (
    "10.1.0.0/16",
    "10.1.2.7",
    "10.0.0.0/7",
    "10.2.0.0/25",
    "192.168.0.0/16",
    "203.0.113.7",
    "8.8.8.8",
    "8.0.0.0/6",
    "1.1.1.1",
    "fd00:1::5",
    "fd00::/16",
    "2001:4860:4860::8888",
    "2000::/3",
    "100.64.0.0/29",
    "fd7a:115c:a1e0::/125",
)


@dataclass(frozen=True)
class Ground:
    """A tailnet without a policy, and the words for it."""

    state: State
    words: Words


class Maker:
    """Makes tailnets for a release; the same seed gives the same ones."""

    def __init__(self, release: str, seed: object) -> None:
        self.release = release
        self.dice = random.Random(f"tailnet {release} {seed}")
        self.seed = seed

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def some(self, items: Sequence[Any], least: int, most: int) -> list[Any]:
        count = min(len(items), self.dice.randint(least, most))
        return self.dice.sample(items, count)

    def ground(self) -> Ground:
        """Return the next tailnet."""
        people = tuple(self._people())
        count = self.dice.randint(4, 9)
        names = self.dice.sample(_DEVICES, count)
        devices = tuple(
            self._device(i, name, people) for i, name in enumerate(names, 1)
        )
        state = State(people, self._high_availability(devices))
        return Ground(state, self._words(state))

    def _people(self) -> Iterator[Person]:
        names = self.dice.sample(_PEOPLE, self.dice.randint(2, 5))
        for number, name in enumerate(names, 1):
            email = f"{name.lower()}@example.com" if self.chance(0.5) else ""
            if self.chance(0.1):
                email = "team@example.com"
            yield Person(number, name, email)
        if self.chance(0.4):
            number = len(names) + 1
            name = self.dice.choice((names[0], "olga", "oscar"))
            if self.release in ("0.26", "0.27") and self.chance(0.5):
                name = ""
            email = f"oidc{number}@example.com"
            yield Person(number, name, email, f"https://id.example.com/{number}")

    def _device(self, number: int, name: str, people: Sequence[Person]) -> Device:
        routes, approved = self._routes()
        tags = tuple(sorted(self.some(_TAGS[:4], 1, 2))) if self.chance(0.4) else ()
        v4, v6 = f"100.64.0.{number}", f"fd7a:115c:a1e0::{number:x}"
        if self.chance(0.12):
            v4, v6 = self.dice.choice(((v4, ""), ("", v6)))
        owner, asked = self.dice.choice(people).id, ()
        if not tags and self.chance(0.5):
            asked = _TAGS  # those that the policy then lets it have
        return Device(number, name, owner, tags, routes, approved, v4, v6, asked)

    def _routes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        routes: tuple[str, ...] = ()
        if self.chance(0.35):
            routes = tuple(self.some(_ROUTES, 1, 3))
        if self.chance(0.15):
            routes = (*routes, *EXIT)
        approved = tuple(r for r in routes if r not in EXIT and self.chance(0.7))
        if EXIT[0] in routes and self.chance(0.7):
            approved = (*approved, *EXIT)
        if self.chance(0.05):
            approved = (*approved, "10.9.0.0/24")  # ahead of its being advertised
        return routes, approved

    def _high_availability(self, devices: tuple[Device, ...]) -> tuple[Device, ...]:
        """Let a second node have the routes of a router, sometimes."""
        routers = [device for device in devices if device.routes]
        if not routers or not self.chance(0.3):
            return devices
        first, second = routers[0], self.dice.choice(devices)
        same = replace(second, routes=first.routes, approved=first.approved)
        return tuple(same if device is second else device for device in devices)

    def _words(self, state: State) -> Words:
        people = [p for p in state.people if p.name]
        users = [f"{p.name}@" for p in people]
        users += [p.email for p in state.people if p.email]
        users += ["nobody@", "ALICE@"]
        usable = [u for u in users if self._fits(u, state) < 2]
        hosts = dict(self.some(list(_HOSTS.items()), 4, 9))
        for device in self.some(state.devices, 1, 2):
            hosts[f"h-{device.id}"] = self.dice.choice(device.addresses)
        addresses = [a for d in state.devices[:2] for a in d.addresses]
        return Words(
            users=usable,
            tags=_TAGS,
            hosts=hosts,
            addresses=(*self.some(_ADDRESSES, 4, 8), *addresses),
            ambiguous=tuple(u for u in users if self._fits(u, state) > 1)[:1],
            routes=("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "fd00::/16"),
            via=("tag:router", "tag:exit", "tag:web"),
        )

    def _fits(self, token: str, state: State) -> int:
        """Count the users whom a token means; servers refuse those of two."""
        mails = [p for p in state.people if p.email == token]
        named = [p for p in state.people if p.name and f"{p.name}@" == token]
        return len(mails or named)


class Policies(Generator):
    """Writes policies for one tailnet, and small changes of a policy."""

    def wanted(self) -> Policy:
        """Return a policy without what is compared elsewhere."""
        value = self.policy()
        for rule in value.get("grants", ()):
            rule.pop("app", None)
            rule.setdefault("ip", ["*"])
        if "acls" not in value and "grants" not in value:
            value["acls"] = []
        return value

    def _newer(self, value: Policy) -> None:
        """Leave out what opens nothing."""

    def changed(self, policy: Policy) -> Policy:
        """Return a policy in which one to three things are otherwise."""
        if self.chance(0.15):
            return self.wanted()
        changed = {k: self._copy(v) for k, v in policy.items()}
        for _ in range(self.random.randint(1, 3)):
            self.one((self._rules, self._rules, self._group, self._host))(changed)
        return changed

    def _copy(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self._copy(v) for k, v in value.items()}
        return [self._copy(v) for v in value] if isinstance(value, list) else value

    def _rules(self, policy: Policy) -> None:
        """Add a rule, take one away, or change one of its parts."""
        named = [name for name in ("acls", "grants", "ssh") if name in policy]
        name = self.one(named)
        rules = policy[name]
        make = {"acls": self.acl, "grants": self._grant, "ssh": self.ssh}[name]
        dice = self.random.random()
        if dice < 0.4 or not rules:
            rules.append(make())
        elif dice < 0.65:
            rules.remove(self.one(rules))
        else:
            self._part(self.one(rules), make())

    def _part(self, rule: Policy, other: Policy) -> None:
        """Take a part of another rule over, where the two go together."""
        own = "autogroup:self" in str(rule) + str(other)
        for part in ["src"] if not own else []:
            rule[part] = other[part]

    def _grant(self) -> Policy:
        rule = self.grant()
        rule.pop("app", None)
        rule.setdefault("ip", ["*"])
        return rule

    def _group(self, policy: Policy) -> None:
        group = self.one(("group:ops", "group:staff", "group:empty"))
        policy["groups"][group] = self.some(self.words.users, 0, 3)

    def _host(self, policy: Policy) -> None:
        name = self.one(list(policy["hosts"]))
        literal = [a for a in self.words.addresses if not a.startswith("0.0.0.0/")]
        policy["hosts"][name] = self.one(literal)

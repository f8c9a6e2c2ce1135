"""Random policies: everything that a release reads."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policy = dict[str, Any]

USERS = (
    "alice@example.com",
    "alice@",
    "bob@example.com",
    "bob@",
    "carol@",
    "Dave@Other.example",
    "dave@other.example",  # in another case: nobody
    "nobody@",
)
AMBIGUOUS = "team@example.com"
TAGS = ("tag:web", "tag:db", "tag:router", "tag:exit", "tag:idle")
GROUPS = ("group:ops", "group:staff", "group:empty", "group:ghosts")
HOSTS = {
    "server4": "100.64.0.9",
    "server6": "fd7a:115c:a1e0::9",
    "lan": "10.1.0.0/16",
    "printer": "10.1.2.3",
    "closet": "192.168.7.0/28",
    "lan6": "fd00:1::/64",
    "pair": "100.64.0.8/30",
    "pair6": "fd7a:115c:a1e0::8/125",
    "dns": "8.8.8.8",
    "stray": "100.64.0.77",
}
ADDRESSES = (
    "100.64.0.1",
    "100.64.0.10/32",
    "fd7a:115c:a1e0::3",
    "fd7a:115c:a1e0::a/128",
    "100.64.0.0/29",
    "fd7a:115c:a1e0::/125",
    "10.0.0.0/8",
    "10.1.5.5/16",
    "10.2.0.7",
    "192.168.7.9",
    "192.168.0.0/16",
    "fd00:1::5",
    "fd00::/16",
    "100.115.92.0/23",
    "1.1.1.1",
    "2001:4860:4860::8888",
)
ROUTES = ("10.0.0.0/8", "10.2.0.0/24", "0.0.0.0/0", "fd00::/16", "fd00:2::/64")
PORTS = ("*", "22", "80", "443", "53", "8000-8100", "22,80,443", "1-1024,8080")
PROTOCOLS = ("tcp", "udp", "TCP", "sctp", "6", "17", "132")
PORTLESS = ("icmp", "ICMP", "igmp", "ip-in-ip", "gre", "esp", "ah", "1", "47", "58")
LOGINS = ("root", "autogroup:nonroot", "admin", "ubuntu", "deploy")
CAPABILITIES = (
    "tailscale.com/cap/drive",
    "tailscale.com/cap/relay",
    "tailscale.com/cap/kubernetes",
    "example.com/cap/admin",
    "example.com/cap/read",
)
NEW = ("0.29", "main")  # the releases with grants, tests and node attributes


@dataclass(frozen=True)
class Words:
    """The names that policies are written with; those of the fixed tailnet at first.

    `ambiguous` are tokens that fit two users, which newer servers refuse; `routes` are
    what `autoApprovers` speak of, and `via` the tags of routers.
    """

    users: Sequence[str] = USERS
    tags: Sequence[str] = TAGS
    groups: Sequence[str] = GROUPS
    hosts: Mapping[str, str] = field(default_factory=lambda: HOSTS)
    addresses: Sequence[str] = ADDRESSES
    ambiguous: Sequence[str] = (AMBIGUOUS,)
    routes: Sequence[str] = ROUTES
    via: Sequence[str] = ("tag:router", "tag:exit", "tag:web")


class Generator:
    """Writes policies for one release; the same seed gives the same policies."""

    def __init__(self, release: str, seed: object, words: Words | None = None) -> None:
        self.random = random.Random(f"{release} {seed}")
        self.release = release
        self.words = words or Words()
        self.new = release in NEW
        self.autogroups = [] if release == "0.26" else ["member", "tagged"]

    # Dice.

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def some(self, items: Sequence[Any], least: int = 1, most: int = 3) -> list[Any]:
        return self.random.sample(
            items, min(len(items), self.random.randint(least, most))
        )

    def one(self, items: Sequence[Any]) -> Any:
        return self.random.choice(items)

    def several(self, make: Callable[[], Any], least: int, most: int) -> list[Any]:
        return [make() for _ in range(self.random.randint(least, most))]

    # Sections.

    def policy(self) -> Policy:
        """Return the next policy; most are valid."""
        value: Policy = {
            "groups": {
                "group:ops": self.some(self.words.users),
                "group:staff": self.some(self.words.users, 1, 4),
                "group:empty": [],
                "group:ghosts": ["nobody@"],
            },
            "hosts": dict(self.words.hosts),
            "tagOwners": {tag: self._owners() for tag in self.words.tags},
        }
        if self.chance(0.9):
            value["acls"] = self.several(self.acl, 0, 4)
        if self.new and self.chance(0.5):
            value["grants"] = self.several(self.grant, 0, 3)
        if self.chance(0.5):
            value["ssh"] = self.several(self.ssh, 0, 3)
        if self.chance(0.2):
            value["autoApprovers"] = self._approvers()
        if self.new:
            self._newer(value)
        return value

    def _newer(self, value: Policy) -> None:
        if self.chance(0.2):
            value["nodeAttrs"] = self.several(self.attribution, 0, 2)
        if self.chance(0.25):
            value["tests"] = self.several(lambda: self.test(value), 0, 2)
        if self.chance(0.25):
            value["sshTests"] = self.several(lambda: self.ssh_test(value), 0, 2)
        if self.chance(0.1):
            value["randomizeClientPort"] = self.chance(0.5)

    def _owners(self) -> list[str]:
        owners = self.some((*self.words.users, *self.words.groups), 0, 2)
        if self.new and self.chance(0.1):
            owners.append(self.one(self.words.tags))
        return owners

    def _approvers(self) -> Policy:
        words = self.words
        names = (*words.users, *words.groups, *words.tags)
        found: Policy = {}
        if self.chance(0.8):
            chosen = self.some(words.routes, 0, 3)
            found["routes"] = {route: self.some(names, 0, 2) for route in chosen}
        if self.chance(0.4):
            found["exitNode"] = self.some(names, 0, 2)
        return found

    # Rules.

    def identity(self) -> str:
        """A selector that means nodes by who they are."""
        words = self.words
        if self.chance(0.01) and words.ambiguous:
            return words.ambiguous[0]
        kinds: list[Sequence[str]] = [words.users, words.groups, words.tags]
        if self.autogroups:
            kinds.append([f"autogroup:{name}" for name in self.autogroups])
        return self.one(self.one(kinds))

    def source(self) -> str:
        dice = self.random.random()
        if dice < 0.12:
            return "*"
        if dice < 0.6:
            return self.identity()
        if self.new and dice < 0.64:
            return "autogroup:danger-all"
        return self.one((*self.words.hosts, *self.words.addresses))

    def target(self) -> str:
        dice = self.random.random()
        if dice < 0.12:
            return "*"
        if dice < 0.2:
            return "autogroup:internet"
        if dice < 0.55:
            return self.identity()
        return self.one((*self.words.hosts, *self.words.addresses))

    def acl(self) -> Policy:
        rule: Policy = {"action": "accept"}
        ports: Sequence[str] = PORTS
        if self.chance(0.35):
            rule["proto"] = self.one(PROTOCOLS)
        elif self.chance(0.15):
            rule["proto"], ports = self.one(PORTLESS), ("*",)
        rule["src"] = self.several(self.source, 1, 3)
        rule["dst"] = [
            f"{t}:{self.one(ports)}" for t in self.several(self.target, 1, 3)
        ]
        if self.autogroups and self.chance(0.15):
            self._to_self(rule, f":{self.one(ports)}", ["*"])
        return rule

    def _to_self(self, rule: Policy, ports: str, more: Sequence[str]) -> None:
        """Make a rule one for the own devices; only people may be its sources."""
        words = self.words
        people = (*words.users, *words.groups, "autogroup:member", *more)
        rule["src"] = self.some(people, 1, 2)
        rule["dst"] = ["autogroup:self" + ports, *self.some(rule["dst"], 0, 1)]
        self.random.shuffle(rule["dst"])

    def grant(self) -> Policy:
        rule: Policy = {
            "src": self.several(self.source, 1, 3),
            "dst": self.several(self.target, 1, 3),
        }
        with_app = self.chance(0.4)
        if with_app:
            rule["app"] = {name: self._values() for name in self.some(CAPABILITIES)}
            rule["dst"] = [t for t in rule["dst"] if t != "autogroup:internet"]
        if not with_app or self.chance(0.4):
            rule["ip"] = self.several(self.service, 1, 3)
        if self.chance(0.2):
            rule["via"] = self.some(self.words.via, 1, 2)
        elif self.chance(0.15) and rule["dst"]:
            self._to_self(rule, "", [])
        return rule

    def _values(self) -> list[Policy]:
        return self.several(lambda: {"level": self.random.randint(1, 3)}, 0, 2)

    def service(self) -> str:
        dice = self.random.random()
        if dice < 0.5:
            return self.one(("*", "22", "80", "443", "8000-8100", "47"))
        if dice < 0.7:
            return f"{self.one(PORTLESS)}:*"
        return f"{self.one(PROTOCOLS)}:{self.one(PORTS)}"

    def ssh(self) -> Policy:
        rule: Policy = {"action": self.one(("accept", "check"))}
        words, named = self.words, bool(self.autogroups)
        people = (*words.users, *words.groups, *["autogroup:member"] * named)
        tagged = (*words.tags, *["autogroup:tagged"] * named)
        kind = self.one(("tagged", "people", "self" if self.autogroups else "people"))
        if kind == "tagged":
            rule["src"] = self.some((*people, *tagged))
            rule["dst"] = self.some(tagged, 1, 2)
        elif kind == "self":
            rule["src"] = self.some(people, 1, 2)
            rule["dst"] = ["autogroup:self", *self.some(tagged, 0, 1)]
        elif self.autogroups and self.chance(0.5):
            rule["src"] = self.some(people, 1, 2)
            rule["dst"] = ["autogroup:member"]
        else:
            rule["src"] = [self.one(words.users)]
            rule["dst"] = list(rule["src"])
        rule["users"] = self.some(LOGINS)
        if self.chance(0.2):
            rule["users"].append(self.one(LOCALPARTS))
        if rule["action"] == "check" and self.chance(0.5):
            rule["checkPeriod"] = self.one(("12h", "30m", "1h", "168h", "1h30m"))
        if self.new and self.chance(0.2):
            rule["acceptEnv"] = self.some(("LANG", "LC_*", "**", "TERM"))
        return rule

    def attribution(self) -> Policy:
        targets = self.several(self.source, 0, 2)
        return {
            "target": [t for t in targets if t not in UNTARGETED],
            "attr": self.some(("nextdns:abc", "mullvad", "magicdns-aaaa"), 0, 2),
        }

    # Tests. Most of them fail by chance; what is expected of a wide rule passes.

    def test(self, value: Policy) -> Policy:
        entry: Policy = {
            "src": self.one((*USERS[:4], *TAGS[:2], "server4", "100.64.0.1"))
        }
        hosts = (
            "server4",
            "printer",
            "100.64.0.3",
            "tag:web",
            "alice@",
            "[fd7a:115c:a1e0::9]",
        )
        items = [f"{self.one(hosts)}:{self.one((22, 80, 443))}"]
        entry[self.one(("accept", "deny", "deny"))] = items
        if self.chance(0.3):
            entry["proto"] = self.one(("tcp", "udp", "6", "sctp"))
        if self.chance(0.5) and value.get("acls"):
            source, target = self.one(("tag:web", "alice@")), self.one(hosts[:4])
            value["acls"].append(
                {"action": "accept", "src": [source, "tag:db"], "dst": [f"{target}:80"]}
            )
            return {"src": source, "accept": [f"{target}:80"]}
        return entry

    def ssh_test(self, value: Policy) -> Policy:
        login = self.one(("root", "admin", "alice", "ubuntu"))
        entry: Policy = {
            "src": self.one(
                (*USERS[:3], *TAGS[:2], "100.64.0.1", "server4", "group:ops")
            ),
            "dst": self.some((*TAGS[:4], "server4", "autogroup:self", "alice@"), 1, 2),
            self.one(("accept", "deny", "deny", "check")): [login],
        }
        if self.chance(0.5) and value.get("ssh"):
            action = self.one(("accept", "check"))
            value["ssh"].append(
                {
                    "action": action,
                    "src": ["alice@"],
                    "dst": ["tag:web"],
                    "users": [login],
                }
            )
            return {"src": "alice@", "dst": ["tag:web"], action: [login]}
        return entry


LOCALPARTS = (
    "localpart:*@example.com",
    "localpart:*@other.example",
    "localpart:alice@example.com",
)
UNTARGETED = (AMBIGUOUS, "nobody@", "dave@other.example", "autogroup:danger-all")

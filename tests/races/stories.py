"""Who wants what, and what must hold when both are done."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from reconcile.model import Live
from reconcile.plan.nodes import state

KINDS = ("same node", "same policy", "disjoint")

# Field: what it is at the start, and what the first and the second writer want.
FIELDS = {
    "tags": (["tag:o"], ["tag:a"], ["tag:b"]),
    "routes": (
        ["10.1.0.0/16"],
        ["10.1.0.0/16", "10.2.0.0/16"],
        ["10.3.0.0/16"],
    ),
    "expiry": tuple(f"203{year}-01-01T00:00:00Z" for year in (5, 6, 7)),
    "name": ("router", "router-one", "router-two"),
}
NODE, OTHER = "2", "8"
NAMES = {NODE: "router", OTHER: "lab"}


def policy(tag: str) -> str:
    """Return a policy that owns every tag and has a rule for one."""
    owners = ", ".join(f'"tag:{name}": []' for name in "oab")
    rule = f'{{"action": "accept", "src": ["alice@"], "dst": ["tag:{tag}:22"]}}'
    return f'{{\n  "tagOwners": {{{owners}}},\n  "acls": [\n    {rule},\n  ],\n}}\n'


@dataclass(frozen=True)
class Wish:
    """A value that a field of a node shall have, or the text of the policy."""

    field: str
    value: Any
    number: str = ""
    address: str = "policy"

    def there(self, live: Live) -> Any:
        """Return the value that is there."""
        if not self.number:
            return live.policy.text
        node = next(node for node in live.nodes if node.id == self.number)
        return state(node, None)[self.field]

    def request(self) -> tuple[str, str, Any]:
        """Return the request that makes it so: method, path, body."""
        node, value = f"node/{self.number}", self.value
        match self.field:
            case "text":
                return "PUT", "policy", {"policy": value}
            case "name":
                return "POST", f"{node}/rename/{value}", {}
            case "routes":
                return "POST", f"{node}/approve_routes", {"routes": value}
            case "expiry":
                return "POST", f"{node}/expire?expiry={value}", {"expiry": value}
        return "POST", f"{node}/tags", {"tags": value}

    def lost(self, there: Any) -> bool:
        """Tell whether a write of it is gone; of routes, what it added or took away."""
        if self.field != "routes":
            return bool(there != self.value)
        old, new, now = (set(v) for v in (FIELDS["routes"][0], self.value, there))
        return bool((new - old) - now or (old - new) & now)


@dataclass(frozen=True)
class Story:
    """What two writers want: of the same objects, or of different ones."""

    kind: str
    wishes: tuple[tuple[Wish, ...], tuple[Wish, ...]]


@dataclass
class Told:
    """What one of them said at its end.

    `saw` are the values that its plan was made from, by address; `named` the addresses
    of which it said that something went otherwise.
    """

    code: int
    saw: dict[str, dict[str, Any]] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    printed: str = ""


def story(kind: str, random: Random, release: str = "") -> Story:
    """Make up a story of one kind; 0.26 sets no date of expiry."""
    fields = [name for name in FIELDS if (name, release) != ("expiry", "0.26")]
    settings = [name for name in fields if name != "name"]
    ours, theirs = _some(settings, random), _some(settings, random)
    if kind == "same node":
        both = _some(fields, random)
        more = {name: random.randrange(3) for name in settings if name not in both}
        ours = [*both, *(name for name, who in more.items() if who == 1)]
        theirs = [*both, *(name for name, who in more.items() if who == 2)]
        return Story(kind, (_node(1, ours), _node(2, theirs)))
    if kind == "same policy":
        # A node that changes its tags as well makes the policy be written twice.
        retagged = _node(1, ["tags"]) if random.random() < 0.5 else ()
        return Story(kind, ((_policy(1), *retagged), (_policy(2),)))
    first, *others = random.sample(settings, len(settings))
    return random.choice(
        [
            Story(kind, (_node(1, ours), _node(2, theirs, OTHER))),
            Story(kind, ((_policy(1),), _node(2, settings[-1:]))),
            Story(kind, (_node(1, [first]), _node(2, others))),
        ]
    )


def _some(names: list[str], random: Random) -> list[str]:
    return random.sample(names, random.randint(1, len(names)))


def _policy(who: int) -> Wish:
    return Wish("text", policy("oab"[who]))


def _node(who: int, names: list[str], number: str = NODE) -> tuple[Wish, ...]:
    called = FIELDS["name"][who] if "name" in names else NAMES[number]
    address = f"node:{called}"
    return tuple(Wish(name, FIELDS[name][who], number, address) for name in names)


def files(wishes: tuple[Wish, ...]) -> dict[str, str]:
    """Return the files that say what one writer wants."""
    document: dict[str, Any] = {"version": 1}
    texts = {}
    for wish in wishes:
        if not wish.number:
            document["policy"] = {"file": "policy.hujson"}
            texts["policy.hujson"] = wish.value
            continue
        name = wish.address.partition(":")[2]
        entry = document.setdefault("nodes", {}).setdefault(
            name, {"match": {"id": wish.number}}
        )
        if wish.field == "routes":
            entry["routes"] = {"approve": wish.value}
        elif wish.field != "name":
            entry[wish.field] = wish.value
    return {"tailnet.yaml": json.dumps(document, indent=1), **texts}


def start() -> Iterator[Wish]:
    """Yield what is there before a race."""
    yield Wish("text", policy("o"))
    for number, name in NAMES.items():
        for field_, (value, _, _) in FIELDS.items():
            value = name if field_ == "name" else value
            yield Wish(field_, value, number, f"node:{name}")


def wrong(race: Story, told: tuple[Told, Told], live: Live) -> Iterator[str]:
    """Yield what is wrong after a race: a loss that nobody saw, above all.

    What a writer wrote may be gone when the other one planned from it: then it was
    overwritten knowingly, later.
    """
    for me, other, wishes in zip(told, reversed(told), race.wishes, strict=True):
        if "Traceback" in me.printed or me.code not in (0, 3, 5, 6):
            yield f"exit code {me.code}: {me.printed[-900:]}"
        if race.kind == "disjoint" and me.code:
            yield f"exit code {me.code} without another writer: {me.printed[-900:]}"
        for wish in wishes:
            there = wish.there(live)
            if not wish.lost(there):
                continue
            if me.code and wish.address not in me.named:
                yield f"{wish} is {there} at the end, not named: {me.printed[-900:]}"
            elif not me.code and _value(other, race, wish) != wish.value:
                yield f"silent: {wish} is {there} at the end"


def _value(other: Told, race: Story, wish: Wish) -> Any:
    """Return what the other one's plan saw of what somebody wishes."""
    addresses = {
        w.address for wishes in race.wishes for w in wishes if w.number == wish.number
    }
    states = (other.saw.get(address, {}) for address in sorted(addresses))
    return next((seen[wish.field] for seen in states if wish.field in seen), None)

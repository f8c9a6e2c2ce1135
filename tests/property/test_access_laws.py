"""The fast access matrix against a slow walk of the rules, written separately.

The walk knows packets only: may this address send to that one, on this protocol and
port? It shares no code with the evaluator but the models.
"""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network, summarize_address_range
from math import isclose
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node, User
from reconcile.policy.access import Access
from reconcile.policy.difference import diff
from reconcile.policy.reading import read
from reconcile.policy.tailnet import Tailnet
from reconcile.policy.universe import merge
from tests.support import owned

USERS = [User("1", "ann", email="ann@example.com"), User("2", "ben"), User("3", "cy")]
EXITS = frozenset({"0.0.0.0/0", "::/0"})
TAGS = ("tag:a", "tag:b", "tag:r", "tag:x")
PRIVATE = [
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
    )
]
PROBES = [(6, 22), (6, 80), (6, 443), (17, 53), (17, 443), (132, 22), (1, 0), (58, 0)]
SUBNET_HOSTS = ["10.1.0.5", "10.1.1.5", "10.2.0.5", "10.3.0.5", "fd00:1::5"]
SUBNET_HOSTS += ["203.0.113.5", "8.8.8.8"]  # in the internet as well


def machine(
    number: int,
    user: str | None,
    tags: list[str],
    routes: list[str],
    approved: int,
    families: tuple[int, ...] = (0, 1),
) -> Node:
    addresses = f"100.64.0.{number}", f"fd7a:115c:a1e0::{number:x}"

    return Node(
        str(number),
        f"n{number}",
        user_id=None if tags else user,
        tags=frozenset(tags),
        available=frozenset(routes),
        approved=frozenset(routes[:approved]),
        addresses=tuple(addresses[family] for family in families),
    )


ROUTES = st.lists(
    st.sampled_from(
        [
            "10.1.0.0/16",
            "10.1.1.0/24",
            "10.2.0.0/16",
            "fd00:1::/64",
            "203.0.113.0/24",
            "8.0.0.0/6",  # of which 10.0.0.0/8 is not in the internet
        ]
    ),
    max_size=2,
    unique=True,
)
EXTRA = ROUTES | st.just(["0.0.0.0/0", "::/0"])
IDENTITY = st.tuples(
    st.sampled_from(["ann", "ben", "cy"]),
    st.lists(st.sampled_from(TAGS), max_size=2, unique=True) | st.just([]),
    EXTRA,
    st.integers(0, 2),
    st.sampled_from([(0, 1), (0, 1), (0,), (1,)]),
)
NODES = st.lists(IDENTITY, min_size=2, max_size=6).map(
    lambda rows: [machine(index + 1, *row) for index, row in enumerate(rows)]
)

NAMES = st.sampled_from(
    [
        "ann@",
        "ann@example.com",
        "ben@",
        "nobody@",
        "group:one",
        "group:two",
        *TAGS,
        "autogroup:member",
        "autogroup:tagged",
        "alias",
        "net",
        "100.64.0.1",
        "100.64.0.0/30",
        "fd7a:115c:a1e0::2",
        "10.1.0.0/16",
        "10.1.1.0/25",
        "10.0.0.0/8",
        "fd00:1::/64",
        "*",
    ]
)
SOURCES = st.lists(NAMES | st.just("autogroup:danger-all"), min_size=1, max_size=3)
TARGETS = st.lists(NAMES | st.just("autogroup:internet"), min_size=1, max_size=3)
PORTS = st.sampled_from(["*", "22", "80,443", "20-100", "53"])
ACL = st.builds(
    lambda src, dst, ports, proto: {
        "action": "accept",
        "src": src,
        "dst": [f"{name}:{ports}" for name in dst],
        **({"proto": proto} if proto else {}),
    },
    SOURCES,
    TARGETS,
    PORTS,
    st.sampled_from(["", "", "tcp", "udp", "6"]),
)
OWN = st.builds(
    lambda src, ports: {
        "action": "accept",
        "src": src,
        "dst": [f"autogroup:self:{ports}"],
    },
    st.lists(
        st.sampled_from(["ann@", "group:one", "autogroup:member", "*"]),
        min_size=1,
        max_size=2,
    ),
    PORTS,
)
GRANT = st.builds(
    lambda src, dst, ip, via: {
        "src": src,
        "dst": dst,
        "ip": ip,
        **({"via": via} if via else {}),
    },
    SOURCES,
    TARGETS,
    st.lists(
        st.sampled_from(["*", "22", "tcp:80-443", "udp:53", "icmp:*"]),
        min_size=1,
        max_size=2,
    ),
    st.sampled_from([[], [], [], ["tag:r"], ["tag:r", "tag:x"]]),
)
POLICY = st.fixed_dictionaries(
    {
        "groups": st.fixed_dictionaries(
            {
                "group:one": st.lists(st.sampled_from(["ann@", "ben@"]), max_size=2),
                "group:two": st.just(["cy@", "nobody@"]),
            }
        ),
        "hosts": st.just({"alias": "100.64.0.2", "net": "10.2.0.0/16"}),
        "tagOwners": st.just({tag: ["ann@"] for tag in TAGS}),
    },
    optional={
        "acls": st.lists(ACL | OWN, max_size=4),
        "grants": st.lists(GRANT, max_size=3),
    },
)


class Walk:
    """The slow answer, for one packet at a time."""

    def __init__(self, policy: dict[str, Any], nodes: list[Node]) -> None:
        self.policy, self.nodes = policy, nodes
        self.rules = [*self.from_grants(), *self.from_acls()]
        self.open = "acls" not in policy and "grants" not in policy

    def from_acls(self) -> list[tuple[Any, ...]]:
        rules = []
        for rule in self.policy.get("acls", []):
            proto = {"tcp": {6}, "udp": {17}, "6": {6}}.get(rule.get("proto", ""))
            for target in rule["dst"]:
                name, _, ports = target.rpartition(":")
                services = [(proto or {6, 17, 1, 58}, ports)]
                rules.append((rule["src"], name, services, []))
        return rules

    def from_grants(self) -> list[tuple[Any, ...]]:
        rules = []
        for rule in self.policy.get("grants", []):
            services = []
            for item in rule["ip"]:
                proto, _, ports = item.rpartition(":")
                numbers = {"tcp": {6}, "udp": {17}, "icmp": {1}}.get(proto)
                services.append((numbers or {6, 17, 1, 58}, ports))
            for name in rule["dst"]:
                rules.append((rule["src"], name, services, rule.get("via", [])))
        return rules

    def users(self, name: str) -> set[str]:
        if name.startswith("group:"):
            return {u for m in self.policy["groups"][name] for u in self.users(m)}
        known = {"ann@": "ann", "ann@example.com": "ann", "ben@": "ben", "cy@": "cy"}
        return {known[name]} if name in known else set()

    def is_node(self, name: str, node: Node) -> bool:
        if name.startswith("tag:"):
            return name in node.tags
        if name == "autogroup:member":
            return not node.tags
        if name == "autogroup:tagged":
            return bool(node.tags)
        return not node.tags and node.user in self.users(name)

    def literal(self, name: str) -> Any:
        text = self.policy["hosts"].get(name, name)
        try:
            return ip_network(text)
        except ValueError:
            return None

    def owner_of(self, address: Any) -> Node | None:
        for node in self.nodes:
            if str(address) in node.addresses:
                return node
        return None

    def routers(self, address: Any, tags: list[str] = []) -> list[Node]:  # noqa: B006
        return [
            node
            for node in self.nodes
            if (not tags or node.tags & set(tags))
            and any(
                address in ip_network(route)
                for route in (node.approved & node.available) - EXITS
            )
        ]

    def source_is(self, name: str, address: Any) -> bool:
        if name == "autogroup:danger-all":
            return True
        node = self.owner_of(address)
        if name == "*":
            return node is not None or bool(self.routers(address))
        literal = self.literal(name)
        if literal is not None:
            return literal.version == address.version and address in literal
        return node is not None and self.is_node(name, node)

    def allows(self, source: str, target: str, probe: tuple[int, int]) -> bool:
        """Tell whether a packet gets through."""
        src, dst = ip_address(source), ip_address(target)
        if src.version != dst.version:
            return False
        node, there = self.owner_of(src), self.owner_of(dst)
        if there is None and not self.routers(dst):
            return False
        if self.open:
            return probe[0] in {6, 17, 1, 58}
        for sources, name, services, via in self.rules:
            if not any(self.opens(*service, probe) for service in services):
                continue
            if not any(self.source_is(each, src) for each in sources):
                continue
            if name == "autogroup:self":
                own = node and there and not node.tags and not there.tags
                if own and node.user == there.user:
                    return True
            elif via:
                literal = self.literal(name)
                if literal is None or there is not None:
                    continue
                inside = literal.version == dst.version and dst in literal
                if inside and self.routers(dst, via):
                    return True
            elif self.target_is(name, dst, there):
                return True
        return False

    def target_is(self, name: str, dst: Any, there: Node | None) -> bool:
        if name == "*":
            return True
        if name == "autogroup:internet":
            return dst.version == 4 and not any(dst in each for each in PRIVATE)
        literal = self.literal(name)
        if literal is not None:
            return literal.version == dst.version and dst in literal
        return there is not None and self.is_node(name, there)

    def internet(self, source: str, probe: tuple[int, int]) -> bool:
        src = ip_address(source)
        exits = [n for n in self.nodes if n.approved & n.available & EXITS]
        if self.open:
            return bool(exits) and probe[0] in {6, 17, 1, 58}
        for sources, name, services, via in self.rules:
            if name not in ("*", "autogroup:internet") or (via and name == "*"):
                continue
            if not [n for n in exits if not via or n.tags & set(via)]:
                continue
            if any(self.opens(*service, probe) for service in services) and any(
                self.source_is(each, src) for each in sources
            ):
                return True
        return False

    def opens(self, numbers: set[int], ports: str, probe: tuple[int, int]) -> bool:
        if probe[0] not in numbers:
            return False
        if probe[0] in (1, 58) or ports == "*":
            return True
        for part in ports.split(","):
            low, _, high = part.partition("-")
            if int(low) <= probe[1] <= int(high or low):
                return True
        return False


def tailnet(nodes: list[Node]) -> Tailnet:
    return Tailnet(USERS, owned(nodes, USERS))


def valid(policy: dict[str, Any]) -> bool:
    return not read(policy, "main").errors


def answers(access: Access, source: int) -> dict[tuple[int, int], int]:
    """Return the destinations of one source place by probe."""
    found = {}
    for probe in PROBES:
        atoms = access.matrix.atoms.at(*probe)
        found[probe] = 0
        for row in access.matrix.rows:
            if row.members >> source & 1:
                for opened, reached in access.matrix.reach(row, 0):
                    if opened & atoms:
                        found[probe] |= reached
    return found


def agrees(
    fast: bool,
    walk: "Walk",
    sources: Iterable[str],
    targets: Iterable[str],
    probe: tuple[int, int],
) -> bool:
    """Tell whether the fast answer is right."""
    pairs = [(a, b) for a in sources for b in targets]
    return fast is any(walk.allows(a, b, probe) for a, b in pairs)


@settings(max_examples=2000, deadline=None)
@given(POLICY, NODES)
def test_fast_and_slow_agree(policy: dict[str, Any], nodes: list[Node]) -> None:
    if not valid(policy):
        return
    access, walk = Access(read(policy, "main"), tailnet(nodes)), Walk(policy, nodes)
    universe = access.matrix.universe
    hosts = [text for text in SUBNET_HOSTS if walk.routers(ip_address(text))]
    for place, node in enumerate(nodes):
        found = answers(access, place)
        for probe in PROBES:
            for other, target in enumerate(nodes):
                fast = bool(found[probe] >> other & 1)
                told = (node.name, target.name, probe)
                assert agrees(fast, walk, node.addresses, target.addresses, probe), told
            for text in hosts:
                fast = bool(found[probe] & access.find(text))
                told = (node.name, text, probe)
                assert agrees(fast, walk, node.addresses, [text], probe), told
            slow = any(walk.internet(a, probe) for a in node.addresses)
            assert bool(found[probe] & universe.internet) == slow, (node.name, probe)
    for text in hosts:
        place = access.find(text).bit_length() - 1
        found = answers(access, place)
        for probe in PROBES:
            for other, target in enumerate(nodes):
                fast = bool(found[probe] >> other & 1)
                told = (text, target.name, probe)
                assert agrees(fast, walk, [text], target.addresses, probe), told


@settings(max_examples=60, deadline=None)
@given(POLICY, NODES)
def test_the_list_of_rules_opens_what_the_matrix_does(
    policy: dict[str, Any], nodes: list[Node]
) -> None:
    if not valid(policy):
        return
    access = Access(read(policy, "main"), tailnet(nodes))
    for place in range(len(nodes)):
        found = answers(access, place)
        for protocol, port in PROBES:
            for other in range(len(nodes)):
                entries = access.entries(1 << place, 1 << other, port, protocol)
                reached = place != other and found[protocol, port] >> other & 1
                assert bool(entries) == bool(reached)


def parts(name: str) -> list[str]:
    """Return the networks of a range; other names as they are."""
    name = name.partition(" (")[2].rstrip(")") or name  # a host's name and address
    low, dash, high = name.partition("-")
    if not dash or not low[:1].isdigit():
        return [name]
    ends = ip_address(low), ip_address(high)
    return [str(network) for network in summarize_address_range(*ends)]


def meant(access: Access, name: str) -> int:
    """Return the set that one name stands for, exceptions taken out."""
    whole, _, exceptions = name.partition(" but ")
    world = access.world
    internet = access.matrix.universe.internet * bool(world.exits)
    found = {
        "everything": world.present | world.routed | internet,
        "every node": world.present,
        "the internet": internet,
    }.get(whole)
    if found is None:
        found = merge(access.find(part) for part in parts(whole))
    for exception in exceptions.split(", ") if exceptions else ():
        found &= ~meant(access, exception)
    return found


@settings(max_examples=300, deadline=None)
@given(POLICY, POLICY, st.data())
def test_a_policy_is_read_the_same_beside_another(
    one: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    """Of the other as it is, and of one with some of its rules."""
    for section in ("acls", "grants"):
        kept = [each for each in one.get(section, ()) if data.draw(st.booleans())]
        mixed = {**other, section: [*kept, *other.get(section, ())]}
        for value in (one, other, mixed):
            for like in (one, other, mixed):
                beside = read(value, "main", like=read(like, "main"))
                assert beside == read(value, "main")


@settings(max_examples=300, deadline=None)
@given(POLICY, NODES, st.integers(min_value=0), st.booleans(), st.booleans())
def test_names_mean_the_set_that_they_name(
    policy: dict[str, Any], nodes: list[Node], chosen: int, routed: bool, internet: bool
) -> None:
    """Neither more nor less; but for a single source, which may be named along."""
    if not valid(policy):
        return
    access = Access(read(policy, "main"), tailnet(nodes))
    universe, world = access.matrix.universe, access.world
    members = chosen & world.present
    members |= world.routed * routed | universe.internet * bool(
        internet and world.exits
    )
    for itself in (0, *(1 << place for place in range(len(nodes)))):
        names = access.naming.names(members & ~itself, (), itself)
        found = 0
        for name in names:
            found |= meant(access, name)
        assert found & ~itself == members & ~itself, names


@settings(max_examples=300, deadline=None)
@given(POLICY, POLICY, NODES, NODES)
def test_diff_is_its_own_inverse(
    one: dict[str, Any], other: dict[str, Any], nodes: list[Node], moved: list[Node]
) -> None:
    if not valid(one) or not valid(other):
        return
    before = read(one, "main"), tailnet(nodes)
    after = read(other, "main"), tailnet(moved)
    assert not diff(before, before)
    there, back = diff(before, after, None), diff(after, before, None)
    assert (there.before, there.after) == (back.after, back.before)
    assert bool(there.gained) == bool(back.lost)
    assert bool(there.lost) == bool(back.gained)
    for found, paths in (
        (there.gained, there.paths_gained),
        (there.lost, there.paths_lost),
    ):
        assert sum(entry.paths for entry in found) == paths
    assert there.before + there.paths_gained - there.paths_lost == there.after
    # What is gained here is lost there, as shares of the side that each starts from.
    if there.share_lost and there.before and there.after:
        ratio = there.share_gained / there.share_lost
        assert isclose(ratio, back.share_lost / back.share_gained)


@settings(max_examples=300, deadline=None)
@given(POLICY, NODES, st.randoms(use_true_random=False))
def test_order_and_groups_do_not_matter(
    policy: dict[str, Any], nodes: list[Node], chance: Any
) -> None:
    if not valid(policy):
        return
    inlined = {**policy}
    for section in ("acls", "grants"):
        if section not in policy:
            continue
        rules = [
            {
                **rule,
                "src": [
                    member
                    for name in rule["src"]
                    for member in policy["groups"].get(name, [name])
                ],
            }
            for rule in policy[section]
        ]
        chance.shuffle(rules)
        inlined[section] = rules
    net = tailnet(nodes)
    assert not diff((read(policy, "main"), net), (read(inlined, "main"), net))

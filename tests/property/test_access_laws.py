"""The fast access matrix against a slow walk of the rules, written separately.

The walk knows packets only: may this address send to that one, on this protocol and
port? It shares no code with the evaluator but the models.
"""

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile.model import Node, User
from reconcile.policy.access.access import Access
from reconcile.policy.access.difference import diff
from reconcile.policy.access.offers import Offers, Peer
from reconcile.policy.access.universe import World, merge
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
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
PORTS_ASKED = (
    7,
    22,
    30,
    53,
    80,
    100,
    443,
)  # one of each piece that the rules below cut
PROBES = [(protocol, port) for protocol in (6, 17) for port in PORTS_ASKED]
PROBES += [(132, 22), (1, 0), (58, 0)]
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
        self.shown = Shown(policy, nodes)

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
        return not node.tags and node.user_id in self.users(name)

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
        there = self.owner_of(dst)
        led_to = there is not None or self.routers(dst)
        if led_to and self.by_rule(src, dst, there, probe):
            return True
        return there is None and public(dst) and self.by_exit(src, dst, probe)

    def by_rule(
        self, src: Any, dst: Any, there: Node | None, probe: tuple[int, int]
    ) -> bool:
        node = self.owner_of(src)
        if self.open:
            return probe[0] in {6, 17, 1, 58}
        for name, via in self.opening(src, probe):
            if name == "autogroup:self":
                own = node and there and not node.tags and not there.tags
                if own and node.user_id == there.user_id:
                    return True
            elif via:
                literal = self.literal(name)
                if literal is None or there is not None:
                    continue
                inside = literal.version == dst.version and dst in literal
                for sender in [node] if node else self.shown.leading(src):
                    router = self.shown.router(sender, dst)
                    if inside and router and router.tags & set(via):
                        return True
            elif self.target_is(name, dst, there):
                return True
        return False

    def opening(self, src: Any, probe: tuple[int, int]) -> Any:
        """Yield destination and via of each rule that opens a service to a source."""
        for sources, name, services, via in self.rules:
            open_ = any(self.opens(*service, probe) for service in services)
            if open_ and any(self.source_is(each, src) for each in sources):
                yield name, via

    # The internet: an exit node lets through what it is given, if it is offered.

    def by_exit(self, src: Any, dst: Any, probe: tuple[int, int]) -> bool:
        for node in self.nodes:
            if not node.approved & node.available & EXITS:
                continue
            user = self.owner_of(src)
            if user is None or user.available & EXITS:  # these choose no exit node
                continue
            if self.open:
                return probe[0] in {6, 17, 1, 58}
            for name, via in self.opening(src, probe):
                other = self.shown.router(user, dst) if via else None
                away = other is not None and other.name != node.name
                if via and (away or not node.tags & set(via)):
                    continue
                if self.lets_through(name, via, dst, node) and self.offered(src, node):
                    return True
        return False

    def lets_through(self, name: str, via: list[str], dst: Any, node: Node) -> bool:
        if name == "autogroup:internet":
            return True
        if name == "*":
            return not via
        literal = self.literal(name)
        if literal is None or literal.version != dst.version or dst not in literal:
            return False
        routed = any(literal.overlaps(r) for r in subnets(node, literal.version))
        if via:
            return routed
        own = any(ip_address(a) in literal for a in node.addresses)
        return routed or own or wholly_public(literal)

    def offered(self, src: Any, exit_node: Node) -> bool:
        viewer = self.owner_of(src)
        if self.shown.steers:
            return self.shown.exit(viewer, exit_node)
        return self.leads(viewer, exit_node) or self.leads(exit_node, viewer)

    def leads(self, one: Node, other: Node) -> bool:
        own = not one.tags and not other.tags and one.user_id == other.user_id
        addresses = [ip_address(a) for a in one.addresses]
        return any(
            self.source_of(rule, addresses, [*subnets(one, 4), *subnets(one, 6)])
            and (self.shows(rule, other) or (rule[1] == "autogroup:self" and own))
            for rule in self.rules
        )

    def source_of(self, rule: Any, addresses: list[Any], networks: list[Any]) -> bool:
        for name in rule[0]:
            if any(self.source_is(name, address) for address in addresses):
                return True
            literal = self.literal(name)
            everywhere = name in ("*", "autogroup:danger-all")
            for net in networks:
                same = literal is not None and literal.version == net.version
                if everywhere or (same and literal.overlaps(net)):
                    return True
        return False

    def shows(self, rule: Any, node: Node) -> bool:
        """Tell whether a rule makes a node the peer of its sources."""
        name = rule[1]
        literal = self.literal(name)
        routed = literal is not None and any(
            literal.overlaps(net) for net in subnets(node, literal.version)
        )
        is_exit = bool(node.approved & node.available & EXITS)
        if name in ("*", "autogroup:internet"):
            return name == "*" or is_exit
        if literal is not None:
            return routed or any(ip_address(a) in literal for a in node.addresses)
        return self.is_node(name, node)

    def target_is(self, name: str, dst: Any, there: Node | None) -> bool:
        if name == "*":
            return True
        if name == "autogroup:internet":
            return public(dst)
        literal = self.literal(name)
        if literal is not None:
            return literal.version == dst.version and dst in literal
        return there is not None and self.is_node(name, there)

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


class Shown:
    """What each node is shown of routers, node by node.

    It is `access sees`, which real clients are held to (tests/contract/sees), and counts
    here where a grant has `via`: what that shows depends on all other rules.
    """

    def __init__(self, policy: dict[str, Any], nodes: list[Node]) -> None:
        self.steers = any(rule.get("via") for rule in policy.get("grants", []))
        self.world = World.of(read(policy, "main"), tailnet(nodes))
        world = self.world
        self.offers = Offers(world.policy, world.tailnet, world.resolver)
        self.peers: dict[str, list[Peer]] = {}

    def of(self, viewer: Node) -> list[Peer]:
        if viewer.name not in self.peers:
            machines = {m.name: m for m in self.world.tailnet.machines}
            self.peers[viewer.name] = self.offers.peers(machines[viewer.name])
        return self.peers[viewer.name]

    def router(self, viewer: Node, dst: Any) -> Node | None:
        """Return the router that a node sends to for a network: by the longest route."""
        routes = [(ip_network(r.text), p) for p in self.of(viewer) for r in p.routes]
        found = [(net.prefixlen, p) for net, p in routes if dst in net]
        longest = max(found, key=lambda each: each[0], default=None)
        return longest[1].machine.node if longest else None

    def exit(self, viewer: Node, node: Node) -> bool:
        return any(p.machine.name == node.name and p.exits for p in self.of(viewer))

    def leading(self, src: Any) -> list[Node]:
        """Return the routers that the server leads to an address through."""
        first = self.offers.first.items()
        return [m.node for text, m in first if src in ip_network(text)]


def public(address: Any) -> bool:
    if address.version == 6:
        return address in ip_network("2000::/3")
    return not any(address in each for each in PRIVATE)


def wholly_public(network: Any) -> bool:
    if network.version == 6:
        return network.subnet_of(ip_network("2000::/3"))
    return not any(network.overlaps(each) for each in PRIVATE)


def subnets(node: Node, version: int) -> list[Any]:
    routes = map(ip_network, (node.approved & node.available) - EXITS)
    return [route for route in routes if route.version == version]


def tailnet(nodes: list[Node]) -> Tailnet:
    return Tailnet(USERS, owned(nodes, USERS))


def valid(policy: dict[str, Any]) -> bool:
    return not read(policy, "main").errors


def answer(access: Access, source: int, probe: tuple[int, int]) -> int:
    """Return the destinations of one source place by one service."""
    atoms = access.matrix.atoms.at(*probe)
    mine = [row for row in access.matrix.rows if row.members & source]
    reached = [access.matrix.reach(row, 0) for row in mine]
    return merge(to for reach in reached for opened, to in reach if opened & atoms)


def ends(access: Access, nodes: list[Node], walk: Walk) -> dict[str, int]:
    """Return addresses, each with its bit: of nodes and of what is behind them."""
    found = {}
    for number, node in enumerate(nodes):
        for address in node.addresses:
            sixth = ip_address(address).version == 6
            found[address] = 1 << number + sixth * len(nodes)
    exits = any(node.approved & node.available & EXITS for node in nodes)
    for text in SUBNET_HOSTS:
        address = ip_address(text)
        if walk.routers(address) or (exits and public(address)):
            found[text] = access.find(text)
    return found


@settings(max_examples=200, deadline=None)
@given(POLICY, NODES)
def test_fast_and_slow_agree(policy: dict[str, Any], nodes: list[Node]) -> None:
    if not valid(policy):
        return
    walk = Walk(policy, nodes)
    access = Access(read(policy, "main"), tailnet(nodes)).asking(SUBNET_HOSTS)
    places = ends(access, nodes, walk)
    assert all(place.bit_count() == 1 for place in places.values())
    for source, bit in places.items():
        if walk.owner_of(ip_address(source)) or walk.routers(ip_address(source)):
            partners = access.matrix.universe.partners(bit)
            for probe in PROBES:
                found = answer(access, bit, probe) & partners
                for target, other in places.items():
                    if is_a_way(source, target, nodes):
                        slow = walk.allows(source, target, probe)
                        assert bool(found & other) == slow, (source, target, probe)


@settings(max_examples=30, deadline=None)
@given(POLICY, NODES)
def test_the_list_of_rules_opens_what_the_matrix_does(
    policy: dict[str, Any], nodes: list[Node]
) -> None:
    if not valid(policy):
        return
    access = Access(read(policy, "main"), tailnet(nodes))
    universe = access.matrix.universe
    for place in range(2 * len(nodes)):
        for protocol, port in PROBES:
            found = answer(access, 1 << place, (protocol, port))
            found &= universe.partners(1 << place)
            for other in range(2 * len(nodes)):
                same = place % len(nodes) == other % len(nodes)
                entries = access.entries(1 << place, 1 << other, port, protocol)
                reached = found >> other & 1
                assert bool(entries) == bool(reached and not same)


def spelt(name: str, policy: dict[str, Any], nodes: list[Node]) -> Any:
    """Return a test of addresses: whether a reader takes one to be meant by a name."""
    walk = Walk(policy, nodes)
    plain = name.partition(" (")[0]
    if name.startswith("node:") and "(" not in name:
        return lambda a: a in next(n for n in nodes if n.name == name[5:]).addresses
    if name in ("everything", "autogroup:danger-all"):
        return lambda a: True
    if name == "autogroup:internet":
        return lambda a: public(ip_address(a))
    address = name.partition(" (")[2].rstrip(")")
    literal = walk.literal(address or plain)
    if literal is not None:
        return lambda a: ip_address(a) in literal
    selector = f"{plain}@" if plain in ("ann", "ben", "cy") else plain

    def is_meant(address: str) -> bool:
        owner = walk.owner_of(ip_address(address))
        return owner is not None and walk.is_node(selector, owner)

    return is_meant


def opened(entries: Any, places: Any, policy: dict[str, Any], nodes: list[Node]) -> Any:
    """Return the pairs of addresses that entries tell of, by the names they print."""
    found = set()
    for entry in entries:
        there = [spelt(name, policy, nodes) for name in entry.sources]
        here = [spelt(name, policy, nodes) for name in entry.targets]
        for source in places:
            if not any(test(source) for test in there):
                continue
            for target in places:
                one, other = ip_address(source), ip_address(target)
                if one.version != other.version:
                    continue
                if entry.family and entry.family != f"IPv{one.version}":
                    continue
                if any(test(target) for test in here):
                    found.add((source, target))
    return found


def is_a_way(source: str, target: str, nodes: list[Node]) -> bool:
    """Tell whether a packet needs the tailnet: not to itself, nor within a network."""
    walk = Walk({}, nodes)
    src, dst = ip_address(source), ip_address(target)
    one, other = walk.owner_of(src), walk.owner_of(dst)
    if source == target or (one is not None and one is other):
        return False
    nets = [net for node in nodes for net in subnets(node, src.version)]
    same = any(src in net and dst in net for net in nets)
    return not (one is None and other is None and same)


@settings(max_examples=100, deadline=None)
@given(POLICY, POLICY, NODES)
def test_what_is_printed_is_what_is_gained_and_lost(
    one: dict[str, Any], other: dict[str, Any], nodes: list[Node]
) -> None:
    """Expanded by the words alone; by any service."""
    if not valid(one) or not valid(other):
        return
    sides = one, other
    walks = [Walk(policy, nodes) for policy in sides]
    found = diff(
        (read(one, "main"), net := tailnet(nodes)), (read(other, "main"), net), None
    )
    places = list(ends(found.access.asking(SUBNET_HOSTS), nodes, walks[0]))
    senders = [
        text
        for text in places
        if walks[0].owner_of(ip_address(text)) or walks[0].routers(ip_address(text))
    ]
    allowed = [
        {
            (source, target, probe)
            for source in senders
            for target in places
            if is_a_way(source, target, nodes)
            for probe in PROBES
            if walk.allows(source, target, probe)
        }
        for walk in walks
    ]
    for entries, there, side in (
        (found.gained, allowed[1] - allowed[0], 1),
        (found.lost, allowed[0] - allowed[1], 0),
    ):
        told = opened(entries, places, sides[side], nodes)
        told = {(a, b) for a, b in told if a in senders and is_a_way(a, b, nodes)}
        missing = {(a, b) for a, b, _ in there} - told
        assert not missing, ("not told", missing)
        more = {
            (a, b)
            for a, b in told
            if not any((a, b, probe) in there for probe in PROBES)
        }
        assert not more, ("told", more)


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=100, deadline=None)
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
    one, other = there.totals, back.totals
    assert (one.before, one.opened, one.wider) == (
        other.after,
        other.closed,
        other.narrower,
    )
    assert bool(there.gained) == bool(back.lost)
    assert bool(there.lost) == bool(back.gained)


@settings(max_examples=100, deadline=None)
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

"""From selectors to nodes and addresses, as a release resolves them in a tailnet."""

from collections.abc import Iterable

from reconcile.policy.language import sets
from reconcile.policy.language.document import Policy, Rule, SshRule, targets_of
from reconcile.policy.language.releases import ROLES, Release
from reconcile.policy.language.selectors import UNKNOWN, Selector
from reconcile.policy.language.sets import EMPTY, EVERYTHING, IntervalSet, prefix
from reconcile.policy.meaning.identity import Directory
from reconcile.policy.meaning.tailnet import Machine, Tailnet, addresses_of
from reconcile.policy.reading.ssh import localpart_domain, mapped_login

_BY_ADDRESS = ("address", "host", "any")
# 100.64.0.0/10 without the range that ChromeOS uses, and the tailnet's IPv6 range.
TAILNET = (prefix("100.64.0.0/10") - prefix("100.115.92.0/23")) | prefix(
    "fd7a:115c:a1e0::/48"
)
INTERNET = (
    prefix("0.0.0.0/0")
    - IntervalSet.union(
        map(
            prefix,
            (
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "169.254.0.0/16",
                "100.64.0.0/10",
            ),
        )
    )
) | prefix("2000::/3")


_WHOLE = prefix("0.0.0.0/0"), prefix("::/0")


def is_internet(addresses: IntervalSet, release: Release) -> bool:
    """Tell whether destinations show exit nodes to the sources of their rule.

    Seen on clients: up to 0.28 they must be the internet exactly, or hold a `/0`.
    """
    if any(whole <= addresses for whole in _WHOLE):
        return True
    return addresses == INTERNET or (release.literal_exits and addresses >= INTERNET)


def _names_self(policy: Policy) -> bool:
    """Tell whether a rule has `autogroup:self` as destination, an SSH rule included."""
    rules: list[Rule | SshRule] = [*(policy.rules or ()), *policy.ssh]
    return any(t.autogroup == "self" for rule in rules for t in targets_of(rule))


class Resolver:
    """Resolves selectors of one policy in one tailnet; answers are remembered.

    What cannot be known offline (roles that nobody told, IP sets, services) is taken
    as large as it could be and noted in `unsure`, selector to reason.
    """

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.policy = policy
        self.tailnet = tailnet
        self.unsure: dict[str, str] = {}
        self.directory = Directory(tailnet.users, policy.groups)
        self.names_self = _names_self(policy)
        self._drops = policy.release.self_drops_groups and self.names_self
        self._owners: dict[Selector, frozenset[str]] = {}
        self._machines: dict[Selector, tuple[Machine, ...]] = {}
        self._widened: dict[IntervalSet, IntervalSet] = {}
        self._sources: dict[Selector, IntervalSet] = {}
        self._targets: dict[Selector, tuple[IntervalSet, ...]] = {}
        self.wildcard = EVERYTHING
        if policy.release.wildcard_is_tailnet:
            self.wildcard = TAILNET | tailnet.subnets

    def machines(self, selector: Selector) -> tuple[Machine, ...]:
        """Return the nodes that a selector means by identity, none for addresses."""
        if selector not in self._machines:
            self._machines[selector] = tuple(self._find(selector))
        return self._machines[selector]

    def sources(self, selector: Selector) -> IntervalSet:
        """Return the addresses that a selector means as a source."""
        if selector not in self._sources:
            self._sources[selector] = self._source(selector)
        return self._sources[selector]

    def all_sources(self, selectors: Iterable[Selector]) -> IntervalSet:
        """Return the union of the sources of selectors."""
        return IntervalSet.union(self.sources(selector) for selector in selectors)

    def targets(self, selector: Selector) -> tuple[IntervalSet, ...]:
        """Return the destinations that a selector means, entry by entry.

        Each entry is kept or dropped as a whole when rules are reduced to a node.
        `autogroup:self` has none: it means something else on each node.
        """
        if selector not in self._targets:
            self._targets[selector] = tuple(self._target(selector))
        return self._targets[selector]

    def granted(self, selector: Selector) -> tuple[IntervalSet, ...]:
        """Return the destinations of a grant's capabilities; `*` is the tailnet."""
        if selector.kind == "any":
            return tuple(TAILNET.parts())
        return self.targets(selector)

    def covers(self, selector: Selector, machine: Machine) -> bool:
        """Tell whether a node owns an address that the selector means as a source."""
        return machine.addresses.overlaps(self.sources(selector))

    def owners(self, selector: Selector) -> frozenset[str]:
        """Return the ids of the users whose untagged nodes a selector means."""
        if selector not in self._owners:
            self._owners[selector] = self._owner(selector)
        return self._owners[selector]

    def logging_in(self, rule: SshRule, login: str) -> tuple[Selector, ...]:
        """Return the sources that an SSH rule lets in by one of its logins.

        `localpart:*@domain` is for the users with an e-mail of the domain.
        """
        is_mapped = self.policy.release.localpart and localpart_domain(login)
        if not is_mapped or any(s.kind in _BY_ADDRESS for s in rule.sources):
            return rule.sources
        people = {owner for source in rule.sources for owner in self.owners(source)}
        mapped = (u.id for u in self.tailnet.users if mapped_login(login, u.email))
        return tuple(Selector("owner", owner) for owner in mapped if owner in people)

    def _owner(self, selector: Selector) -> frozenset[str]:
        if selector.kind == "owner":
            return frozenset({selector.text})
        if selector.kind in ("user", "group"):
            return self.directory.ids(selector.text)
        if selector.kind == "domain":
            domain = "@" + selector.domain.lower()
            users = self.tailnet.users
            return frozenset(u.id for u in users if u.email.lower().endswith(domain))
        if selector.autogroup in self.tailnet.roles:
            return self.tailnet.roles[selector.autogroup]
        if selector.autogroup in ROLES:
            self.unsure[selector.text] = "who has this role is not known here"
        if selector.autogroup in ROLES | {"member"}:
            return frozenset(self.tailnet.by_owner)
        return frozenset()

    def strangers(self, selector: Selector) -> tuple[str, ...]:
        """Return the user tokens in a selector that mean no single user."""
        if selector.kind not in ("user", "group"):
            return ()
        return self.directory.strangers(selector.text)

    def heeded(self, selectors: Iterable[Selector]) -> Iterable[Selector]:
        """Return those of the sources or destinations of a rule that count.

        Headscale 0.27 compiles each node's rules apart when any rule names
        `autogroup:self`, and drops a group of whom it cannot find a member then. Its
        SSH rules take the others of such a group all the same.
        """
        if not self._drops:
            return selectors
        return [s for s in selectors if s.kind != "group" or not self.strangers(s)]

    @property
    def drops(self) -> bool:
        """Whether groups are dropped for the sake of a rule to `autogroup:self`."""
        groups = (Selector("group", name) for name in self.policy.groups)
        return self._drops and any(self.strangers(group) for group in groups)

    def _find(self, selector: Selector) -> Iterable[Machine]:
        if selector.kind == "tag":
            return self.tailnet.by_tag.get(selector.text, ())
        if selector.autogroup == "tagged":
            return [m for m in self.tailnet.machines if m.tags]
        if selector.autogroup == "member":
            return [m for m in self.tailnet.machines if m.owner and not m.tags]
        owned = self.tailnet.by_owner
        return [m for owner in self.owners(selector) for m in owned.get(owner, ())]

    def _source(self, selector: Selector) -> IntervalSet:
        if selector.kind == "any":
            return self.wildcard
        if selector.autogroup == "danger-all":
            return EVERYTHING
        if selector.kind in UNKNOWN:
            return self._unknown(selector, self.wildcard)
        if selector.kind in ("address", "host"):
            return self._literal(selector)
        return addresses_of(self.machines(selector))

    def _target(self, selector: Selector) -> Iterable[IntervalSet]:
        if selector.kind == "any":
            return [EVERYTHING]
        if selector.autogroup == "danger-all":  # the sources of a grant, turned round
            return EVERYTHING.parts()
        if selector.autogroup == "internet":
            return [INTERNET]
        if selector.kind in UNKNOWN:
            return [self._unknown(selector, EVERYTHING)]
        if selector.kind in ("address", "host"):
            return self._literal(selector).parts()
        return [
            part
            for machine in self.machines(selector)
            for part in machine.addresses.parts()
        ]

    def _unknown(self, selector: Selector, whole: IntervalSet) -> IntervalSet:
        self.unsure[selector.text] = "its content is not known here"
        return whole

    def written(self, selector: Selector) -> IntervalSet:
        """Return the addresses of a host or an address as the policy spells them."""
        if selector.kind == "host":
            return self.policy.hosts.get(selector.text, EMPTY)
        return sets.prefix(selector.text)

    def _literal(self, selector: Selector) -> IntervalSet:
        """One family only; before 0.29 the other one of its node comes in."""
        release = self.policy.release
        is_alias, literal = selector.kind == "host", self.written(selector)
        widens = release.networks_widen or (is_alias and release.aliases_widen)
        if literal.size() == 1:
            widens = release.literals_widen
        if not widens:
            return literal
        if literal not in self._widened:  # many texts may be the same network
            nodes = addresses_of(self.tailnet.touched(literal))
            self._widened[literal] = literal | nodes
        return self._widened[literal]

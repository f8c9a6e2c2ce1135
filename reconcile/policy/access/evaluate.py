"""One door to everything that a policy means for a tailnet."""

from functools import cached_property

from reconcile.policy.access.offers import Offers
from reconcile.policy.access.visibility import Visibility
from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import IntervalSet, prefix
from reconcile.policy.meaning.filters import CapabilityRule, Filters, PortRule
from reconcile.policy.meaning.refusals import refusals
from reconcile.policy.meaning.ssh import LoginRule, SshRules
from reconcile.policy.meaning.tailnet import Machine, Tailnet
from reconcile.policy.meaning.verdicts import Verdict, Verdicts

# Attributes that the hosted service adds beside `funnel`.
_FUNNEL = (
    "https://tailscale.com/cap/funnel-ports?ports=443,8443,10000",
    "https://tailscale.com/cap/warn-funnel-no-https",
)
_PEER_ATTRIBUTE = "suggest-exit-node"


class Evaluator:
    """What a policy without errors does in a tailnet.

    Answers are computed when they are asked for, and remembered. `unsure` holds what
    could not be known and was taken as large as it could be.
    """

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.policy = policy
        self.tailnet = tailnet
        self._filters = Filters(policy, tailnet)
        self._ssh = SshRules(policy, tailnet, self._filters.resolver)

    @property
    def unsure(self) -> dict[str, str]:
        """Selectors and conditions that cannot be evaluated, each with the reason."""
        found = dict(self._filters.resolver.unsure)
        for rule in self.policy.rules or ():
            for name in rule.unsure:
                found[name] = "device postures are not known here: taken as fulfilled"
        return found

    @property
    def refusals(self) -> tuple[Problem, ...]:
        """What the server refuses because of its users; failing tests come on top."""
        return tuple(refusals(self.policy, self._filters.resolver))

    def filter(self, machine: Machine) -> tuple[PortRule, ...]:
        """Return the packet filter of a node: who may reach what on or behind it."""
        return self._filters.ports(machine)

    def capabilities(self, machine: Machine) -> tuple[CapabilityRule, ...]:
        """Return the application capabilities that others have on a node."""
        return self._filters.capabilities(machine)

    def ssh(self, machine: Machine) -> tuple[LoginRule, ...]:
        """Return the SSH rules of a node, in the order in which they are tried."""
        return self._ssh.of(machine)

    def tests(self) -> tuple[Verdict, ...]:
        """Run the policy's `tests`, then its `sshTests`."""
        verdicts = self._verdicts
        return (*verdicts.tests(), *verdicts.ssh_tests())

    def hopeless_tests(self) -> tuple[Verdict, ...]:
        """Return the tests that fail whatever users and nodes there are."""
        return self._verdicts.hopeless()

    @cached_property
    def _verdicts(self) -> Verdicts:
        return Verdicts(self._filters, self._ssh)

    @cached_property
    def _visibility(self) -> Visibility:
        return Visibility(self._filters)

    @cached_property
    def _offers(self) -> Offers:
        return Offers(self.policy, self.tailnet, self._filters.resolver)

    def peers(self, machine: Machine) -> list[Machine]:
        """Return the nodes that a node sees; seeing is not access."""
        if self.policy.release.hosted:
            return self._visibility.peers(machine)
        return [peer.machine for peer in self._offers.peers(machine)]

    def routes(self, viewer: Machine, router: Machine) -> list[str]:
        """Return the subnet and exit routes that a router shows to a node."""
        if self.policy.release.hosted:
            return self._visibility.routes(viewer, router)
        for peer in self._offers.peers(viewer):
            if peer.machine is router:
                return [*(route.text for route in peer.routes), *peer.exits]
        return []

    def attributes(self, machine: Machine) -> frozenset[str]:
        """Return the node attributes that the policy gives to a node."""
        found = {
            name
            for entry in self.policy.attributions
            if any(self._is_target(target, machine) for target in entry.targets)
            for name in entry.attributes
        }
        if self.policy.randomize_client_port:
            found.add("randomize-client-port")
        if "funnel" in found:
            found.update(_FUNNEL)
        return frozenset(found)

    def peer_attributes(self, machine: Machine) -> frozenset[str]:
        """Return the attributes of a node that its peers are told."""
        if machine.exits and _PEER_ATTRIBUTE in self.attributes(machine):
            return frozenset({_PEER_ATTRIBUTE})
        return frozenset()

    def addresses(self, machine: Machine) -> IntervalSet:
        """Return the addresses that a node gets; `disable-ipv4` takes some away."""
        if "disable-ipv4" in self.attributes(machine):
            return machine.addresses - prefix("0.0.0.0/0")
        return machine.addresses

    def _is_target(self, target: Selector, machine: Machine) -> bool:
        return self._filters.resolver.covers(target, machine)

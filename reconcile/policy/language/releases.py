"""How the control servers differ in reading one policy: the only place that says so.

Each row was confirmed on running servers of 0.26.1, 0.27.1, 0.28.0, 0.29.2 and main,
or on recorded answers of the hosted service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconcile.policy.language.fields import SECTIONS

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
PINGABLE = frozenset({TCP, UDP, ICMP, ICMPV6})

_OLD_SECTIONS = frozenset(
    {"groups", "hosts", "tagOwners", "acls", "autoApprovers", "ssh"}
)
_NEW_SECTIONS = _OLD_SECTIONS | {
    "grants",
    "nodeAttrs",
    "tests",
    "sshTests",
    "randomizeClientPort",
}
ROLES = frozenset(
    {
        "admin",
        "owner",
        "it-admin",
        "network-admin",
        "billing-admin",
        "auditor",
        "shared",
    }
)
_AUTOGROUPS = frozenset({"internet", "member", "tagged", "self", "nonroot"})


@dataclass(frozen=True, slots=True)
class Release:
    """One server release, by what it makes of a policy.

    Fields that are true for the newest servers are the defaults.
    """

    name: str
    sections: frozenset[str] = _NEW_SECTIONS
    ignores_unknown: bool = False  # unknown top-level fields do nothing at all
    autogroups: frozenset[str] = _AUTOGROUPS | {"danger-all"}
    hosted: bool = False  # roles, domains, postures, ip sets, services, funnel, pools
    wildcard_is_tailnet: bool = True  # else `*` is every address there is
    protocols: frozenset[int] = PINGABLE  # what an absent `proto` means
    icmp: frozenset[int] = frozenset({ICMP})
    proto_checked: bool = True  # names in any case; no port 0, no ports with icmp
    nameless: frozenset[str] = frozenset()  # protocols known by number only
    number_with_ports: bool = True  # `proto: "6"` next to ports
    numbers_named: bool = True  # a number with a name may begin with 0: `06` is tcp
    literal_exits: bool = True  # an address in the internet means exit nodes as well
    exits_shown_by_internet: bool = True  # else any rule shows exit nodes to its source
    routers_stand_for_networks: bool = True  # a router is a peer of who its network is
    brackets: bool = True  # `[fd7a::1]:22`
    literals_widen: bool = False  # an address brings in its node's other family
    networks_widen: bool = False  # so does a prefix that is written out
    aliases_widen: bool = False  # so does a prefix behind a host alias
    advertised_routes: bool = False  # routers match by what they advertise
    self_needs_users: bool = True  # `autogroup:self` refuses tags and hosts as source
    tag_owns_tag: bool = True
    owner_cycles: bool = True
    ssh_to_any: bool = False  # `*` as SSH destination
    ssh_tag_to_member: bool = False  # tags as source of a member destination
    ssh_to_other_user: bool = False  # a user destination that is not the source
    declarations_checked: bool = True  # tags begin with tag:, groups are lists
    action_needed: bool = False  # else an ACL entry without one accepts
    checks_users: bool = True  # a user token that fits two users is refused
    ssh_to_host: bool = False  # any name as SSH destination, declared or not
    strict: bool = True  # in details as the hosted service: blanks, tag names, SSH
    ssh_checks: bool = True  # `check` asks; else it is a plain accept
    localpart: bool = True  # `localpart:*@domain` maps users; else it is a login name
    nonroot: bool = True  # else `autogroup:nonroot` is a login like any other
    empty_is_open: bool = True  # no `acls`, no `grants`: all is allowed, else nothing
    self_drops_groups: bool = False  # see `Resolver.heeded`
    self_shows_late: bool = False  # see `Offers.remarks`
    members_by_at: bool = False  # `group:x@` in a group is a user, not a group
    approves_always: bool = True  # routes at each policy write, also of the same one
    stored_tags: bool = True  # else the pre-auth key's count, and those asked for


_MAIN = Release("main")
_V028 = Release(
    "0.28",
    sections=_OLD_SECTIONS,
    autogroups=_AUTOGROUPS,
    wildcard_is_tailnet=False,
    protocols=frozenset({TCP, UDP}),
    icmp=frozenset({ICMP, ICMPV6}),
    nameless=frozenset({"ipv6-icmp", "fc"}),
    number_with_ports=False,
    numbers_named=False,
    literal_exits=False,
    routers_stand_for_networks=False,
    brackets=False,
    literals_widen=True,
    aliases_widen=True,
    advertised_routes=True,
    self_needs_users=False,
    owner_cycles=False,
    strict=False,
    ssh_checks=False,
    localpart=False,
    checks_users=False,
    action_needed=True,
    ssh_to_host=True,
    members_by_at=True,
)
_V027 = replace(
    _V028,
    name="0.27",
    tag_owns_tag=False,
    ssh_to_any=True,
    ssh_tag_to_member=True,
    ssh_to_other_user=True,
    self_drops_groups=True,
    self_shows_late=True,
    stored_tags=False,
)
_V026 = replace(
    _V027,
    name="0.26",
    ignores_unknown=True,
    autogroups=frozenset({"internet", "nonroot"}),
    protocols=PINGABLE,
    proto_checked=False,
    number_with_ports=True,
    networks_widen=True,
    exits_shown_by_internet=False,
    declarations_checked=False,
    ssh_to_host=False,
    nonroot=False,
    empty_is_open=False,
    self_drops_groups=False,
    self_shows_late=False,
    approves_always=False,
)
_TAILSCALE = Release(
    "tailscale",
    sections=frozenset(SECTIONS),
    hosted=True,
    numbers_named=False,
    literal_exits=False,
    autogroups=_MAIN.autogroups | ROLES,
    checks_users=False,
    action_needed=True,
)

RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (_V026, _V027, _V028, replace(_MAIN, name="0.29"), _MAIN, _TAILSCALE)
}


def release(name: str) -> Release:
    """Return the row of a release name; one that is not known reads like `main`.

    Unknown means newer than this tool, and what is newer grows out of main.
    """
    return RELEASES.get(name, _MAIN)

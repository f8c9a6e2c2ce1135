"""What a release does otherwise than another, in words: a sentence for each field.

`RELEASES` says how servers differ, this says it to people. A sentence is about the
release that is asked for, and holds only beside one whose row has another value.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from reconcile.policy.language.releases import Release

_PROTOCOLS = {6: "TCP", 17: "UDP", 132: "SCTP", 1: "ICMP", 58: "ICMPv6"}
Sentence = Callable[[Any, Any], str]  # from the other release's value and its own


def differing(one: Release, other: Release) -> list[str]:
    """Return the fields in which two rows differ, their names left out."""
    names = (each.name for each in fields(Release) if each.name != "name")
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def swapped(row: Release, name: str, other: Release) -> Release:
    """Return a row with one field of another."""
    return replace(row, **{name: getattr(other, name)})


def sentence(name: str, old: Release, new: Release) -> str:
    """Say what a new release does otherwise than an old one, by one field."""
    said = _WORDS[name](getattr(old, name), getattr(new, name))
    return f"{label(new)} {said}"


def label(row: Release) -> str:
    """Return what people call a release: `0.29`, `main`, `Tailscale`."""
    return "Tailscale" if row.hosted else row.name


def _either(yes: str, no: str) -> Sentence:
    return lambda _old, new: yes if new else no


def _sections(old: frozenset[str], new: frozenset[str]) -> str:
    more, less = sorted(new - old), sorted(old - new)
    said = [f"evaluates {_listed(more)}"] if more else []
    said += [f"does not have {_listed(less)}"] if less else []
    return " and ".join(said)


def _autogroups(old: frozenset[str], new: frozenset[str]) -> str:
    more, less = sorted(new - old), sorted(old - new)
    said = [f"knows {_listed(_full(more))}"] if more else []
    said += [f"does not know {_listed(_full(less))}"] if less else []
    return " and ".join(said)


def _full(names: list[str]) -> list[str]:
    return [f"autogroup:{name}" for name in names]


def _listed(names: list[str]) -> str:
    return _joined([f"`{name}`" for name in names])


def _joined(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _protocols(_: frozenset[int], new: frozenset[int]) -> str:
    # Where both kinds of ping are meant, people say ICMP.
    shown = [name for number, name in _PROTOCOLS.items() if number in new - {58}]
    return f"reads a missing `proto` as {_joined(shown)}"


def _nameless(old: frozenset[str], new: frozenset[str]) -> str:
    more, less = sorted(new - old), sorted(old - new)
    if more:
        return f"knows the protocols {_listed(more)} by number only"
    return f"knows the protocols {_listed(less)} by name"


_WORDS: Mapping[str, Sentence] = {
    "sections": _sections,
    "ignores_unknown": _either(
        "passes over fields that it does not know",
        "refuses fields that it does not know",
    ),
    "autogroups": _autogroups,
    "hosted": _either(
        "has roles, mail domains, postures, IP sets and services",
        "has no roles, mail domains, postures, IP sets and services",
    ),
    "wildcard_is_tailnet": _either(
        "reads the source `*` as the tailnet's addresses and approved routes",
        "reads the source `*` as every address there is",
    ),
    "protocols": _protocols,
    "icmp": lambda _old, new: (
        "reads `proto: icmp` as "
        + ("ICMPv4 and ICMPv6" if len(new) > 1 else "ICMPv4 alone")
    ),
    "proto_checked": _either(
        "refuses port 0 and ports beside ICMP, and takes protocol names in any case",
        "does not check protocols and their ports",
    ),
    "nameless": _nameless,
    "number_with_ports": _either(
        'takes ports beside a protocol\'s number (`proto: "6"`)',
        'refuses ports beside a protocol\'s number (`proto: "6"`)',
    ),
    "numbers_named": _either(
        "takes a protocol's number with zeros before it",
        "refuses a protocol's number with zeros before it",
    ),
    "literal_exits": _either(
        "opens an address of the internet behind exit nodes too",
        "opens the internet behind exit nodes only by `*` and `autogroup:internet`",
    ),
    "exits_shown_by_internet": _either(
        "offers an exit node only to who has a rule to it or to the internet",
        "offers an exit node to whoever has a rule",
    ),
    "routers_stand_for_networks": _either(
        "shows a router what the networks behind it may reach",
        "does not show a router what only the networks behind it may reach",
    ),
    "brackets": _either(
        "takes brackets around an IPv6 destination",
        "refuses brackets around an IPv6 destination",
    ),
    "literals_widen": _either(
        "adds a node's other address where a rule names one of them",
        "takes an address as it is written, without the node's other one",
    ),
    "networks_widen": _either(
        "adds the other addresses of the nodes in a network that a rule names",
        "takes a network as it is written, without its nodes' other addresses",
    ),
    "aliases_widen": _either(
        "adds the other addresses of the nodes in a network that `hosts` names",
        "takes a network of `hosts` as it is written, without its nodes' other "
        "addresses",
    ),
    "advertised_routes": _either(
        "sends rules to routers by the routes that they advertise",
        "sends rules to routers by their approved routes",
    ),
    "self_needs_users": _either(
        "refuses tags and hosts as a source of `autogroup:self`",
        "takes tags and hosts as a source of `autogroup:self`",
    ),
    "tag_owns_tag": _either("lets tags own tags", "refuses tags that own tags"),
    "owner_cycles": _either(
        "takes tags that own each other", "refuses tags that own each other"
    ),
    "ssh_to_any": _either(
        "takes `*` as an SSH destination", "refuses `*` as an SSH destination"
    ),
    "ssh_tag_to_member": _either(
        "lets tags log in to the devices of users",
        "refuses SSH rules from tags to the devices of users",
    ),
    "ssh_to_other_user": _either(
        "takes a user as SSH destination for other sources",
        "refuses a user as SSH destination for anybody else",
    ),
    "declarations_checked": _either(
        "checks the names of tags and the lists of groups",
        "does not check the names of tags and the lists of groups",
    ),
    "action_needed": _either(
        "refuses an ACL entry without `action`",
        "takes an ACL entry without `action` as accept",
    ),
    "checks_users": _either(
        "refuses a user token that fits two users",
        "takes a user token that fits two users, for nobody",
    ),
    "ssh_to_host": _either(
        "takes any name as an SSH destination",
        "refuses host names as SSH destinations",
    ),
    "strict": _either(
        "reads blanks, tag names and SSH rules as Tailscale does",
        "reads blanks, tag names and SSH rules in its own way",
    ),
    "ssh_checks": _either(
        "asks the user where an SSH rule says `check`",
        "lets in without asking where an SSH rule says `check`",
    ),
    "localpart": _either(
        "maps `localpart:*@domain` to the users' own login names",
        "takes `localpart:*@domain` for a login of that name",
    ),
    "nonroot": _either(
        "reads `autogroup:nonroot` as every login but root",
        "takes `autogroup:nonroot` for a login of that name",
    ),
    "empty_is_open": _either(
        "allows everything where a policy has neither `acls` nor `grants`",
        "allows nothing where a policy has neither `acls` nor `grants`",
    ),
    "self_shows_late": _either(
        "shows some peers late where a rule names autogroup:self",
        "shows all peers at once, also beside autogroup:self",
    ),
    "self_drops_groups": _either(
        "drops a group with an unknown member from every rule, beside any "
        "`autogroup:self`",
        "takes the known members of a group, beside `autogroup:self` as elsewhere",
    ),
    "members_by_at": _either(
        "takes `group:name@` for a user in a group",
        "refuses `group:name@` in a group",
    ),
    "stored_tags": _either(
        "counts only stored tags: it stores those that a device asked for, and drops "
        "those of its pre-auth key",
        "counts the tags of the pre-auth key, and those that a device asks for",
    ),
    "approves_always": _either(
        "approves what `autoApprovers` cover whenever a policy is written",
        "approves what `autoApprovers` cover only when a policy that is written "
        "changes rules",
    ),
}

"""Reading `acls` and `grants` into rules, refusing what the server refuses."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from reconcile.policy.language import sets
from reconcile.policy.language.document import Policy, Rule, Service, Target
from reconcile.policy.language.fields import Path, find
from reconcile.policy.language.pairing import split_ports
from reconcile.policy.language.releases import SCTP, TCP, UDP, Release
from reconcile.policy.language.selectors import SELF, Selector
from reconcile.policy.language.sets import ALL_PORTS, EMPTY, IntervalSet
from reconcile.policy.reading.context import (
    GRANT,
    NAME,
    PLACE,
    SERVICE,
    SHAPE,
    Context,
    quoted,
)

PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipv4": 4,
    "ip-in-ip": 4,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "sctp": 132,
    "fc": 133,
}
_WITH_PORTS = frozenset({TCP, UDP, SCTP})
_NUMBERS = frozenset(range(256))
_NEED_USERS = (
    "autogroup:self can only be used with users, groups, or supported autogroups"
)
_OPEN_CAPABILITIES = frozenset(
    f"tailscale.com/cap/{name}"
    for name in ("drive", "relay", "webui", "kubernetes", "tsidp", "secrets")
)
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+", re.IGNORECASE)


def rules(context: Context, like: Policy | None) -> tuple[Rule, ...] | None:
    """Read the rules, grants first; None when neither section is there.

    None allows everything; 0.26 allows nothing then, which is an empty list.
    """
    known = _known(context, like)
    sections = [name for name in ("grants", "acls") if _present(context, name)]
    if not sections:
        return None if context.release.empty_is_open else ()
    found: list[Rule | None] = []
    for section in sections:
        read = _grant if section == "grants" else _acl
        for index, path, rule in context.rules(section):
            written, made = known.get(path, (None, None))
            if written != rule:
                made = read(context, index, path, rule)
            found.append(made)
    return tuple(rule for rule in found if rule is not None)


def _known(context: Context, like: Policy | None) -> Mapping[Path, tuple[object, Rule]]:
    """Return the rules of another policy as written and as read, by their places.

    None where a word may mean something else, or where there was something to say.
    """
    if like is None or like.problems or like.release != context.release:
        return {}
    names = context.groups, context.tags, context.hosts
    theirs = like.groups, like.tags, like.hosts
    if context.release.hosted or [*map(set, names)] != [*map(set, theirs)]:
        return {}
    value = like.value
    return {r.path: (value[r.path[0]][r.path[1]], r) for r in like.rules or ()}


def _present(context: Context, section: str) -> bool:
    """A section that is null counts as absent; one that is ignored never counts."""
    found = find(context.value, section)
    known = section in context.release.sections
    return known and found is not None and found[1] is not None


def protocols(text: str | None, release: Release) -> frozenset[int]:
    """Return the protocol numbers of a `proto` field; absent is the default set.

    It is empty for a number that no protocol can have, which 0.26 takes and clients
    leave out. Raises ValueError with the reason when the text is no protocol.
    """
    name = text or ""
    if release.hosted:
        name = name.strip()
    if release.proto_checked:
        name = name.lower()  # 0.26 looks only while compiling, and at the exact text
    if not name:
        return release.protocols
    if name == "icmp":
        return release.icmp
    if name in PROTOCOLS and name not in release.nameless:
        return frozenset({PROTOCOLS[name]})
    plain = name[0] != "0" or not release.proto_checked
    if release.numbers_named and name.isdigit() and int(name) in PROTOCOLS.values():
        plain = True
    number = _number(name, release) if plain else None
    if number is not None:
        return frozenset({number} & _NUMBERS)
    raise ValueError(f"proto={quoted(text)}: {_no_protocol(text or '')}")


def _number(text: str, release: Release) -> int | None:
    """Return a protocol number as Go reads it (`+6` is 6), None where it is none."""
    form = r"[0-9]{1,18}" if release.hosted else r"[+-]?[0-9]{1,18}"
    if re.fullmatch(form, text) is None:
        return None
    number = int(text)
    return number if number in _NUMBERS or not release.proto_checked else None


def _no_protocol(text: str) -> str:
    """Say in the servers' words why a text is no protocol."""
    if text == "*":
        return (
            'proto name "*" not known; use protocol number 0-255 or protocol name '
            "(icmp, tcp, udp, etc.)"
        )
    if re.fullmatch(r"0[0-9]*", text):
        return f"leading 0 not permitted in protocol number: {quoted(text)}"
    if re.fullmatch(r"-?[0-9]+", text):
        return f"protocol number out of range (0-255): {text}"
    return (
        f"invalid protocol number: {quoted(text)} must be a known protocol name or "
        "valid protocol number 0-255"
    )


def protocol(context: Context, path: Path, rule: dict[str, Any]) -> str | None:
    """Return a `proto` field as text, None when it is absent.

    Headscale from 0.27 on takes a JSON number for a text, and refuses null.
    """
    found = find(rule, "proto")
    if found and context.release.proto_checked and not context.release.hosted:
        key, value = found
        if value is None:
            context.shape((*path, key), "a text or a number", value)
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:g}"
    return context.text(path, rule, "proto")


# ACL entries.


def _acl(context: Context, index: int, path: Path, rule: dict[str, Any]) -> Rule | None:
    before = context.count()
    context.known_fields(path, rule, "acls")
    action = context.text(path, rule, "action")
    if action != "accept" and (
        context.release.action_needed or find(rule, "action") is not None
    ):
        message = f"acls[{index}]: action={quoted(action or '')} is not supported"
        help = 'the only action is "accept": what no rule accepts is denied'
        context.problem(SHAPE, message, _at(path, rule, "action"), help=help)
    where = f"acls[{index}]"
    proto = protocol(context, path, rule)
    numbers = context.release.protocols
    try:
        numbers = protocols(proto, context.release)
    except ValueError as reason:
        context.problem(SERVICE, f"{where}: {reason}", _at(path, rule, "proto"))
    sources = _sources(context, where, path, rule)
    texts = context.texts(path, rule, "dst")
    targets = [_acl_target(context, where, at, text, numbers) for at, text in texts]
    if proto:
        _check_ports(context, where, _at(path, rule, "proto"), proto, targets)
    kinds = [target.selector for target in targets if target]
    _check_self(context, where, path, sources, kinds, wildcard=True)
    if context.count() > before:
        return None
    return Rule(
        "acls",
        index,
        path,
        tuple(sources),
        tuple(target for target in targets if target),
        unsure=_postures(context, rule),
    )


def _acl_target(
    context: Context, where: str, path: Path, text: str, numbers: frozenset[int]
) -> Target | None:
    trimmed = text.strip() if context.release.hosted else text
    name, port_text = split_ports(trimmed)

    def said(reason: object) -> str:
        return f"{where}: dst={quoted(text)}: {reason}"

    name = unbracketed(name, context.release)
    try:
        portless = ":" not in trimmed and not context.release.proto_checked
        opened = EMPTY if portless else _ports(port_text, context.release)
    except ValueError as reason:
        help = "write ports as 443, 80,443, 8000-8100 or *"
        if context.scope.refusal(context.scope.selector(trimmed)) is None:
            help = f"a destination ends in its ports: {quoted(f'{trimmed}:443')}"
        context.problem(SERVICE, said(reason), path, help=help)
        return None
    selector = _destination(
        context, path, name, lambda reason: f"{where}: dst={quoted(name)}: {reason}"
    )
    if selector and selector.kind != "user" and name != name.strip():
        context.problem(NAME, said(f"{quoted(name)}: invalid alias format"), path)
        return None
    if selector and selector.text != name:
        # What stands before the port is not trimmed: `ann@ :22` names nobody.
        selector = replace(selector, text=name)
    # What 0.26 takes without a port, or with a protocol beyond 255, opens nothing.
    services = (Service(numbers, opened),) if numbers and opened else ()
    return Target(selector, services) if selector else None


def _ports(text: str, release: Release) -> IntervalSet:
    if text == "0" and not release.proto_checked:
        return IntervalSet([(0, 0)])
    return sets.ports(text, lenient=not release.hosted)


def unbracketed(name: str, release: Release) -> str:
    """Take the brackets off an IPv6 address; on anything else they stay and fail."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\](/[0-9]+)?", name)
    if match and release.brackets:
        return match.group(1) + (match.group(2) or "")
    return name


def _check_ports(
    context: Context,
    where: str,
    path: Path,
    proto: str,
    targets: Iterable[Target | None],
) -> None:
    """Refuse ports where the protocol has none, as Headscale does."""
    release = context.release
    if not release.proto_checked or release.hosted:
        return
    try:
        numbers = protocols(proto, release)
    except ValueError:
        return
    named = not proto.strip().isdigit() or release.number_with_ports
    if named and numbers <= _WITH_PORTS:
        return
    services = [service for target in targets if target for service in target.services]
    if any(service.ports != ALL_PORTS for service in services):
        said = f'protocol does not support specific ports: {quoted(proto)}, only "*"'
        if not release.strict:
            said = f'protocol {quoted(proto)} does not support specific ports; only "*"'
        context.problem(
            SERVICE,
            f"{where}: {said} is allowed",
            path,
            help="write * for the ports, or tcp, udp or sctp for the protocol",
        )


# Grants.


def _grant(
    context: Context, index: int, path: Path, rule: dict[str, Any]
) -> Rule | None:
    before = context.count()
    where = f"grants[{index}]"
    context.known_fields(path, rule, "grants")
    sources = _sources(context, where, path, rule)
    services = _services(context, where, path, rule)
    capabilities = _capabilities(context, where, path, rule)
    if not services and not capabilities and context.count() == before:
        message = f"{where}: ip and app can not both be empty"
        context.problem(GRANT, message, path, help='write "ip": ["*"] for all ports')
    targets = []
    for at, text in context.texts(path, rule, "dst"):
        selector = _grant_target(context, where, at, text, bool(capabilities))
        targets.append(selector)
    kinds = [selector for selector in targets if selector]
    via = _via(context, where, path, rule)
    _check_self(context, where, path, sources, kinds, wildcard=False)
    if context.count() > before:
        return None
    return Rule(
        "grants",
        index,
        path,
        tuple(sources),
        tuple(Target(selector, services) for selector in kinds),
        capabilities,
        via,
        _postures(context, rule),
    )


def _grant_target(
    context: Context, where: str, path: Path, text: str, has_app: bool
) -> Selector | None:
    def said(reason: object) -> str:
        return f"{where}: dst={quoted(text)}: {reason}"

    if text.strip() in ("0.0.0.0/0", "::/0"):
        context.problem(
            PLACE,
            f"{where}: dst {quoted(text)}: to allow all IP addresses, use "
            '"*" or "autogroup:internet"',
            path,
            help='write "*" or "autogroup:internet"',
        )
        return None
    selector = _destination(context, path, text, said)
    if selector and selector.autogroup == "internet" and has_app:
        message = f"{where}: cannot use app grants with autogroup:internet"
        context.problem(GRANT, message, path, help="grant only ports there")
    return selector


def _services(
    context: Context, where: str, path: Path, rule: dict[str, Any]
) -> tuple[Service, ...]:
    found = []
    for at, text in context.texts(path, rule, "ip"):
        trimmed = text.strip() if context.release.hosted else text
        proto, colon, ports = trimmed.rpartition(":")
        try:
            odd = proto != proto.lower() or proto.startswith("0")
            if colon and odd and not context.release.hosted:
                raise ValueError(_no_protocol(proto))
            numbers = protocols(proto if colon else None, context.release)
            service = Service(numbers, _ports(ports, context.release))
        except ValueError as reason:
            help = "write 443, 80-443, tcp:443, icmp:* or *"
            message = f"{where}: ip={quoted(text)}: {reason}"
            context.problem(SERVICE, message, at, help=help)
            continue
        found.append(service)
    return tuple(found)


def _capabilities(
    context: Context, where: str, path: Path, rule: dict[str, Any]
) -> dict[str, Any]:
    found = find(rule, "app")
    if found is None or found[1] is None:
        return {}
    if not isinstance(found[1], dict):
        context.shape((*path, found[0]), "an object", found[1])
        return {}
    for name, values in found[1].items():
        here = (*path, found[0], name)
        reason = _capability_refusal(name, context.release)
        if reason:
            context.problem(GRANT, f"{where}: {quoted(name)}: {reason}", here, key=True)
        if values is not None and not isinstance(values, list):
            context.shape(here, "a list", values)
    return found[1]


def _capability_refusal(name: str, release: Release) -> str:
    domain, slash, rest = name.partition("/")
    formed = not release.hosted or (slash and rest and _DOMAIN.fullmatch(domain))
    if "://" in name or not formed:
        return "capability name must have the form {domain}/{path}"
    told = name.lower() if release.hosted else name
    if told.startswith("tailscale.com/") and name not in _OPEN_CAPABILITIES:
        return "capability name must not be in the tailscale.com domain"
    return ""


def _via(
    context: Context, where: str, path: Path, rule: dict[str, Any]
) -> tuple[str, ...]:
    found = []
    for at, text in context.texts(path, rule, "via"):
        tag = text.strip()
        if not tag.startswith("tag:"):
            message = f"{where}: via={quoted(text)}: via can only be a tag"
            context.problem(GRANT, message, at, help="name the tag of the routers")
        elif tag not in context.tags:
            message = f"{where}: via={quoted(text)}: tag {quoted(tag)} not found"
            help = f"declare {quoted(tag)} in tagOwners"
            context.problem(GRANT, message, at, help=help)
        found.append(tag)
    return tuple(found)


# What both have.


def _sources(
    context: Context, where: str, path: Path, rule: dict[str, Any]
) -> list[Selector]:
    found = []
    for at, text in context.texts(path, rule, "src"):
        selector = context.selector(at, text, lambda reason: f"{where}: src={reason}")
        if selector is None:
            continue
        if selector.autogroup in ("self", "internet", "nonroot"):
            message = f'{where}: "{selector}" not valid on the src side of a rule'
            help = "name who may connect: users, groups, tags or autogroup:member"
            context.problem(PLACE, message, at, help=help)
            continue
        found.append(selector)
    return found


def _destination(
    context: Context,
    path: Path,
    text: str,
    said: Any,
) -> Selector | None:
    selector = context.selector(path, text, said)
    if selector and selector.autogroup == "danger-all":
        message = said("cannot use autogroup:danger-all as a dst")
        context.problem(PLACE, message, path, help='write "*" for every destination')
        return None
    if selector and selector.autogroup == "nonroot":
        context.problem(PLACE, said("not valid on the dst side of a rule"), path)
        return None
    return selector


def _check_self(
    context: Context,
    where: str,
    path: Path,
    sources: Iterable[Selector],
    targets: Iterable[Selector],
    *,
    wildcard: bool,
) -> None:
    """Refuse `autogroup:self` next to a source that has no owner."""
    if not any(target.text == SELF for target in targets):
        return
    allowed = {"user", "group", "domain", *(["any"] if wildcard else [])}
    for source in sources:
        if source.kind in allowed or source.autogroup == "member":
            continue
        if not context.release.self_needs_users and source.kind != "any":
            continue
        help = "use it with users, groups or autogroup:member as the only sources"
        context.problem(PLACE, f"{where}: {_NEED_USERS}", path, help=help)
        return


def _postures(context: Context, rule: dict[str, Any]) -> tuple[str, ...]:
    if not context.release.hosted:
        return ()
    found = find(rule, "srcPosture") or find(context.value, "defaultSrcPosture")
    if not found or not found[1]:
        return ()
    return tuple(str(item) for item in found[1])


def _at(path: Path, rule: dict[str, Any], name: str) -> Path:
    found = find(rule, name)
    return (*path, found[0]) if found else path

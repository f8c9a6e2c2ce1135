"""The words of a policy: which selectors, ports and protocols can be decoded.

Each check returns the reason that the server gives; `old` asks for the wording up to
0.28.
"""

import ipaddress

from reconcile.simulator.release import Release

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipv4": 4, "ip-in-ip": 4, "tcp": 6, "egp": 8, "igp": 9,
    "udp": 17, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "sctp": 132, "fc": 133,
}  # fmt: skip


def is_prefix(text: str) -> bool:
    """Tell whether a text is an address or a prefix."""
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def group_problems(name: str, members: list[str], old: bool) -> list[str]:
    """Return what is wrong with a group's name and members."""
    if not name.startswith("group:"):
        word = (
            'Group has to start with "group:"'
            if old
            else "group must start with 'group:'"
        )
        return [f'{word}, got: "{name}"']
    found = []
    for member in members:
        if member.startswith("group:") and not (old and "@" in member):
            found.append(
                f'Nested groups are not allowed, found "{member}" inside "{name}"'
                if old
                else f'groups["{name}"]: "{member}": group members cannot be recursive'
            )
        elif "@" not in member:
            word = "Username has to contain @" if old else "username must contain @"
            found.append(f'{word}, got: "{member}"')
    return found


def protocol_problem(name: str, old: bool) -> str:
    """Return why a protocol is refused, or nothing."""
    if name == "*":
        return (
            'proto name "*" not known; use protocol number 0-255 or protocol name '
            "(icmp, tcp, udp, etc.)"
        )
    if name == "" or name.lower() in PROTOCOLS:
        return ""
    if not name.isdecimal():
        must = "must be a known protocol name or valid protocol number 0-255"
        if old:
            return f'invalid protocol "{name}": {must}'
        return f'invalid protocol number: "{name}" {must}'
    if int(name) > 255:
        number = int(name)
        return (
            f"protocol number {number} out of range (0-255)"
            if old
            else f"protocol number out of range (0-255): {number}"
        )
    return (
        f'leading 0 not permitted in protocol number "{name}"'
        if old and name[0] == "0"
        else ""
    )


def destination_problems(text: str, release: Release) -> list[str]:
    """Return why an ACL's `selector:ports` cannot be decoded, if it cannot."""
    old = not release.new_policy_words
    if ":" not in text:
        if not release.strict_policy:
            return []
        return [
            'hostport must contain a colon (":")'
            if old
            else "hostport must contain a colon"
        ]
    selector, ports = text.rsplit(":", 1)
    if not ports:
        return ["input cannot end with a colon character"]
    for part in ports.split(","):
        if reason := _port_problem(part, release):
            return [reason if old else f'dst="{text}": port range "{part}": {reason}']
    if reason := _selector_problem(selector, release):
        return [reason]
    return []


def _port_problem(part: str, release: Release) -> str:
    if part == "*":
        return ""
    numbers = part.split("-")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        return (
            "invalid first integer"
            if release.new_policy_words
            else "invalid port number"
        )
    if any(int(number) > 65535 for number in numbers):
        return "port number out of range"
    if int(numbers[0]) > int(numbers[-1]):
        return "invalid port range: first port is greater than last port"
    if int(numbers[0]) == 0 and release.strict_policy:
        return "first port must be >0, or use '*' for wildcard"
    return ""


def _selector_problem(selector: str, release: Release) -> str:
    bracketed = selector.startswith("[") and "]" in selector
    if bracketed and release.new_policy_words:
        selector = selector.replace("[", "", 1).replace("]", "", 1)
    if (
        selector.startswith("autogroup:")
        and selector not in release.destination_autogroups
    ):
        known = " ".join(release.destination_autogroups)
        words = "AutoGroup is invalid, got:"
        if release.new_policy_words:
            words = "invalid autogroup: got"
        return f'{words} "{selector}", must be one of [{known}]'
    known_kinds = ("group:", "tag:", "autogroup:")
    if ":" in selector and not (
        "@" in selector or selector.startswith(known_kinds) or is_prefix(selector)
    ):
        if release.new_policy_words:
            return f'invalid alias format: "{selector}"'
        return f'Invalid alias "{selector}".'
    return ""


def grant_port_problem(item: str) -> str:
    """Return why an entry of a grant's `ip` list cannot be decoded, or nothing."""
    protocol, colon, ports = item.rpartition(":")
    if colon and (reason := protocol_problem(protocol, old=False)):
        return reason
    for part in ports.split(","):
        numbers = part.split("-")
        if part != "*" and not all(number.isdecimal() for number in numbers):
            return f'port range "{part}": invalid first integer'
    return ""

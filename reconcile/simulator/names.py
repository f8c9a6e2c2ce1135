"""Names of nodes: which ones each version takes, and which ones it makes up."""

import re
import secrets
import string

from reconcile.simulator.release import Release
from reconcile.simulator.wire import UNKNOWN, Refusal
from reconcile.simulator.world import World

_LETTERS = string.ascii_lowercase + string.digits
_ALLOWED = re.compile(r"[a-z0-9.-]*")


def check_name(release: Release, name: str) -> None:
    """Refuse a name that `rename` refuses."""
    problem = _CHECKS[release.node_names](name)
    if problem:
        reason = f"given name is not a valid DNS label: {problem}"
        raise Refusal(
            UNKNOWN, f"renaming node: {problem}", 400, "renaming node", reason
        )


def _domain(name: str) -> str:
    """Check as 0.26 does, which lets a hyphen stand at either end."""
    rule = "doesn't comply with this rule: invalid user name"
    if len(name) < 2:
        return "name must be at least 2 characters long"
    if len(name) > 63:
        return f"DNS segment must not be over 63 chars. {name} {rule}"
    if name.lower() != name:
        return f"DNS segment should be lowercase. {name} {rule}"
    if not _ALLOWED.fullmatch(name):
        return (
            "DNS segment should only be composed of lowercase ASCII letters numbers, "
            f"hyphen and dots. {name} {rule.replace('this rule', 'these rules')}"
        )
    return ""


def _hostname(name: str) -> str:
    """Check as 0.27 and 0.28 do."""
    subject = f'hostname "{name}"'
    if len(name) < 2:
        return f"{subject} is too short, must be at least 2 characters"
    if len(name) > 63:
        return f"{subject} is too long, must not exceed 63 characters"
    if name.lower() != name:
        return f'{subject} must be lowercase (try "{name.lower()}")'
    if name.strip("-") != name:
        return f"{subject} cannot start or end with a hyphen"
    if not _ALLOWED.fullmatch(name):
        return (
            f"{subject} contains invalid characters, only lowercase letters, numbers, "
            "hyphens and dots are allowed"
        )
    return ""


def _label(name: str) -> str:
    """Check as 0.29 and later do: one DNS label, whose case is kept."""
    problem = _label_problem(name.encode())
    if not problem:
        return ""
    quoted = f'"{name}"'
    if not name:
        return f"{quoted} is not a valid DNS label: {problem}"
    inner = (
        problem if problem.startswith("is ") else f"is not a valid DNS label: {problem}"
    )
    return f"{quoted} is not a valid DNS label: {quoted} {inner}"


def _label_problem(name: bytes) -> str:
    if not name:
        return "empty DNS label"
    if len(name) > 63:
        return "is too long, max length is 63 bytes"
    if not name[:1].isalnum() and name[:1].isascii():
        return "must start with a letter or number"
    if not name[-1:].isalnum() and name[-1:].isascii():
        return "must end with a letter or number"
    # the server looks at bytes, so it names half a character for an umlaut
    wrong = [byte for byte in name if not (chr(byte).isascii() and chr(byte).isalnum())]
    wrong = [byte for byte in wrong if byte != ord("-")]
    return f"contains invalid character '{chr(wrong[0])}'" if wrong else ""


_CHECKS = {"domain": _domain, "hostname": _hostname, "label": _label}


def host_name(release: Release, name: str) -> str:
    """Return the host name that is kept; 0.27 and 0.28 replace what they refuse."""
    if release.raw_hostnames:
        return name
    return name.lower() if not _hostname(name.lower()) else f"invalid-{_random()}"


def base_name(release: Release, hostname: str) -> str:
    """Return the name that a host name asks for."""
    filler = release.name_filler
    return re.sub(r"[^a-z0-9.-]+", filler, hostname.lower()).strip("-") or "node"


def given_name(world: World, hostname: str) -> str:
    """Return a free name for a new node, made from its host name."""
    base = base_name(world.release, hostname)
    taken = {node.name for node in world.nodes}
    if base not in taken:
        return base
    if world.release.long_name_suffix:
        return f"{base}-{_random()}"
    number = 1
    while f"{base}-{number}" in taken:
        number += 1
    return f"{base}-{number}"


def _random() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(8))

"""What the file format has room for, but this version does not do.

One table, so that nothing that somebody writes is ever silently ignored.
"""

from reconcile.source import Path

_LATER = {
    "keys": "pre-auth keys",
    "guards": "guards",
    "protect": "protected objects",
    "assert": "assertions",
    "manage.keys": "pre-auth keys",
    "policy.files": "a policy in several files",
    "policy.merge": "a policy in several files",
    "policy.deliver": "the delivery of a policy to a server that reads it from a file",
    "nodes.*.replace": "moving an entry to a node that was installed again",
    "server.credentials.oauth": "OAuth clients",
    "servers.*.credentials.oauth": "OAuth clients",
    "server.tailnet": "Tailscale",
    "servers.*.tailnet": "Tailscale",
}
_LATER_VALUES = {("type", "tailscale"): "Tailscale"}
_SERVER_ONLY = ("dns", "settings", "manage.dns", "manage.settings")


def postponed(path: Path) -> str:
    """Return what an unknown key stands for if a later version knows it, or ""."""
    return _LATER.get(_pattern(path)) or _LATER.get(_pattern(path[-3:]), "")


def postponed_value(key: object, value: object) -> str:
    """Return what a value stands for if a later version knows it, or ""."""
    return _LATER_VALUES.get((str(key), str(value)), "")


def on_the_server_only(path: Path) -> bool:
    """Tell a section that Headscale keeps in its configuration, without an API."""
    return _pattern(path) in _SERVER_ONLY


def _pattern(path: Path) -> str:
    steps = [str(step) for step in path]
    if len(steps) >= 3:
        steps[1] = "*" if steps[0] != "server" else steps[1]
    return ".".join(steps)

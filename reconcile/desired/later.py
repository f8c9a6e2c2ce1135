"""What the file format has room for, but this version does not do.

One table, so that nothing that somebody writes is ever silently ignored.
"""

from reconcile.source.yaml import Path

_LATER = {
    "keys": "pre-auth keys",
    "guards": "guards",
    "protect": "protected objects",
    "manage.keys": "pre-auth keys",
    "server.credentials.oauth": "OAuth clients",
    "servers.*.credentials.oauth": "OAuth clients",
    "server.tailnet": "Tailscale",
    "servers.*.tailnet": "Tailscale",
}
_LATER_VALUES = {("type", "tailscale"): "Tailscale"}
_SERVER_ONLY = ("dns", "settings", "manage.dns", "manage.settings")


def postponed(path: Path) -> str:
    """Return what an unknown key stands for if a later version knows it, or ""."""
    if path[0] == "overlays":
        path = path[2:]
    return _LATER.get(_pattern(path), "")


def postponed_value(key: object, value: object) -> str:
    """Return what a value stands for if a later version knows it, or ""."""
    return _LATER_VALUES.get((str(key), str(value)), "")


def later_keys(path: Path) -> list[str]:
    """Return the keys of later versions that belong directly under a path."""
    if path:
        return []
    return [key for key in (*_LATER, *_SERVER_ONLY) if "." not in key]


def on_the_server_only(path: Path) -> bool:
    """Tell a section that Headscale keeps in its configuration, without an API."""
    return _pattern(path) in _SERVER_ONLY


def _pattern(path: Path) -> str:
    """Return a path with `*` for the names that people choose."""
    steps = [str(step) for step in path]
    if len(steps) > 2 and steps[0] in ("nodes", "users", "servers"):
        steps[1] = "*"
    return ".".join(steps)

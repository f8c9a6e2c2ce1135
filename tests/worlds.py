"""Makes the world of the embedded server from a live state, so that one can apply."""

import json

from reconcile.live.headscale.releases import RELEASES
from reconcile.model import instant


def world_of(live):
    """Return the JSON text of a world in which a server answers a live state."""
    info = live.server
    world = {
        "emulate": info.release if info.release in RELEASES else "0.29",
        "any_key": True,
        "users": [_user(user) for user in live.users or ()],
        "nodes": [_node(node) for node in live.nodes or ()],
        "keys": [{"id": number} for number in sorted(_keys(live))],
        "policy": _policy(live.policy),
    }
    return json.dumps(world)


def _keys(live):
    return {int(node.preauth_key) for node in live.nodes or () if node.preauth_key}


def _user(user):
    names = ("name", "display_name", "email", "provider", "provider_id")
    return {"id": int(user.id), **{name: getattr(user, name) for name in names}}


def _node(node):
    names = ("name", "hostname", "machine_key", "node_key", "ephemeral", "online")
    return {
        "id": int(node.id),
        **{name: getattr(node, name) for name in names},
        "user": int(node.user_id) if node.user_id else None,
        "tags": sorted(node.tags),
        "routes": sorted(node.available),
        "approved": sorted(node.approved),
        "addresses": list(node.addresses),
        "expiry": instant(node.expiry) if node.expiry else None,
        "key": int(node.preauth_key) if node.preauth_key else None,
    }


def _policy(policy):
    if policy is None:
        return {"mode": "database"}
    mode = "database" if policy.writable else "file"
    return {"mode": mode, "text": policy.text}

"""A policy that lets everybody in must be asked for: what to write in place of one.

Headscale from 0.27 on allows everything when a policy has neither `acls` nor `grants`,
so that nobody may get there by saying nothing.
"""

from reconcile.remedies import Drop, Help, Put
from reconcile.source.yaml import Path

WHY = "Headscale from 0.27 on lets every node reach every other one then"


def is_policy(path: Path) -> bool:
    """Tell the path of a policy section, that of an overlay included."""
    return path == ("policy",) or (
        path[:1] == ("overlays",) and path[2:] == ("policy",)
    )


def no_rules(path: Path, value: object = None) -> Help:
    """Return the three meanings of a policy section (at `path`) without a rule.

    `value` is what the section says beside that: a map keeps it.
    """
    closed = Put((*path, "acls"), "[]")
    whole = Put(path, "{ acls: [] }")
    put = closed if isinstance(value, dict) and value else whole
    return {
        "help": "to leave the policy alone remove the section; to allow nothing write "
        f"{put}; to allow everything write a rule that says so",
        "ways": ((put,), (Drop(path),)),
    }

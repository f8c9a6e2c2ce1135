"""What has to change so that the live state is the desired one; pure.

`diff` never talks to a server and never looks at a clock: the instant at which the
live state was read is the only "now", so the same inputs give the same changes.
"""

from dataclasses import replace

from reconcile.desired.state import Desired
from reconcile.model import Live, Node, User
from reconcile.plan.changes import Difference
from reconcile.plan.found import Found
from reconcile.plan.nodes import diff_nodes
from reconcile.plan.origins import with_origins
from reconcile.plan.policies import diff_policy, facts
from reconcile.plan.removals import check_removals
from reconcile.plan.silent import check_former_names, dropped
from reconcile.plan.users import called, diff_users


def diff(
    desired: Desired,
    live: Live,
    *,
    base: Desired | None = None,
    policy_written: bool = True,
) -> Difference:
    """Return every change, pending node, unlisted object and problem.

    With a `base`, the desired state that was applied last, each tells its origin.
    `policy_written` is False when the wanted policy will not get to the server (left
    out by --exclude, or in file mode without `deliver`): then tags need an owner in
    the live one. Nodes come before users, because a user can go only when its nodes go.
    """
    live = _in_order(live)
    found = Found("error" if desired.if_unsupported == "error" else "warning")
    found.formerly = (base.nodes if base else None) or {}
    diff_policy(desired, live, found)
    due = any(change.kind == "policy" for change in found.changes)
    users = called(desired, live)
    known = facts(desired, live, users, written=policy_written, due=due)
    diff_nodes(desired, live, known, found)
    diff_users(desired, live, found)
    check_removals(desired, live, base, found)
    check_former_names(desired, live, found)
    found.notes += dropped(desired, base or desired)
    difference = found.finish()
    if base is None:
        return difference
    # Mostly the files stand as they were applied last; then both diffs are one.
    since = difference if base is desired else diff(base, live)
    return with_origins(difference, since, desired, base, live)


def _in_order(live: Live) -> Live:
    """Return the live state with its lists by id, so that no list's order shows."""
    users, nodes = live.users, live.nodes
    return replace(
        live,
        users=None if users is None else tuple(sorted(users, key=_by_id)),
        nodes=None if nodes is None else tuple(sorted(nodes, key=_by_id)),
    )


def _by_id(item: User | Node) -> tuple[int, str]:
    return len(item.id), item.id


def kinds_needed(desired: Desired) -> frozenset[str]:
    """Return the kinds that must be read: what is managed, and what it refers to.

    Nodes need the policy (which tags it owns, which routes it approves by itself) and
    the users (who its groups are); removing a user needs the nodes, since a user that
    owns some cannot be removed.
    """
    nodes = desired.nodes is not None or bool(desired.rules)
    nodes = nodes or any(line.kind == "node" for line in desired.removed)
    users = desired.users is not None
    removes_users = desired.manage.users == "prune" or any(
        line.kind == "user" for line in desired.removed
    )
    removes_users = removes_users or any(
        user.until is not None for user in (desired.users or {}).values()
    )
    renames = any(user.was for user in (desired.users or {}).values())
    kinds = set()
    if users or removes_users or nodes:
        kinds.add("user")
    if nodes or removes_users or renames:
        kinds.add("node")
    if nodes or desired.policy is not None:
        kinds.add("policy")
    return frozenset(kinds)

"""The policy: one document, compared by bytes or by meaning, told by meaning."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from reconcile.desired.state import Desired, WantedPolicy
from reconcile.errors import Position
from reconcile.model import Live, Node, PolicyText, User
from reconcile.plan.bridge import is_bridge
from reconcile.plan.changes import Action, Change, PolicyChange, PolicyItem
from reconcile.plan.found import Found
from reconcile.policy.edits.changes import Item, compare
from reconcile.policy.language import fields
from reconcile.policy.language.references import references
from reconcile.policy.language.releases import Release, release
from reconcile.policy.meaning.identity import approvals
from reconcile.source.hujson import parse, value_of

_NO_RULES = 'the policy has neither "acls" nor "grants": the server then allows '
_OPEN = f'{_NO_RULES}ALL traffic; write "acls": [] for "allow nothing"'
_CLOSED = f"{_NO_RULES}NOTHING, and from 0.27 on everything"
_NOT_DELIVERED = (
    "policy.deliver is not used: this Headscale keeps its policy in its database "
    "(policy.mode: database), so it is written over the API"
)
_UNFINISHED = (
    "the policy on the server is the one between two writes of an apply that did not "
    "end: this goes on where it stopped"
)

ON_SERVER = "(policy on the server)"


class PolicyFacts:
    """What nodes must know of the policy that will be in force after the plan.

    `users` are those of the server, called as they will be; `locate` gives the place
    of a part of the policy. `written` tells that the plan writes it, and `approving`
    that the server approves routes then.
    """

    def __init__(
        self,
        value: Any,
        users: tuple[User, ...],
        locate: Callable[..., Position],
        *,
        written: bool = False,
        approving: bool = False,
    ) -> None:
        self._value, self._users, self._locate = value, users, locate
        self.owned_tags = frozenset(references(value).tags)
        self._written, self._approving = written, approving

    def set_off(self, node: Node) -> frozenset[str]:
        """Return what the plan's policy write approves of a node, with its tags then.

        The nodes of a plan are written later.
        """
        if not self._approving or not node.available - node.approved:
            return frozenset()
        return frozenset(approvals(self._value, node, self._users)) - node.approved

    def approved_anyway(
        self, node: Node, tags: frozenset[str]
    ) -> Mapping[str, fields.Path]:
        """Return the routes that the server will approve, whatever the files say.

        That is what is approved and will be approved again, and what a policy write of
        the plan approves. `tags` are those that the node will have; each route has the
        path of the item of the policy that does it.
        """
        if not node.available:
            return {}
        again = approvals(self._value, replace(node, tags=tags), self._users)
        new: Mapping[str, fields.Path] = {}
        if self._written:  # which goes before the node gets its tags
            new = {**again, **approvals(self._value, node, self._users)}
        return {
            **{r: path for r, path in new.items() if r not in node.approved},
            **{r: path for r, path in again.items() if r in node.approved},
        }

    def told(self, path: fields.Path) -> str:
        """Say what an item of `autoApprovers` approves a route for, and where it is."""
        value = self._value
        for step in path:
            value = value[step]
        steps = path if isinstance(path[-1], str) else path[:-1]
        within = ".".join(f'"{s}"' if "/" in str(s) else str(s) for s in steps)
        return f"{within} approves it for {value}, {self._locate(path)}"


def facts(
    desired: Desired,
    live: Live,
    users: tuple[User, ...] = (),
    *,
    written: bool = True,
    due: bool = False,
) -> PolicyFacts:
    """Return the facts of the policy that will be in force.

    It is the wanted one, or the live one where that is unmanaged or not `written`.
    `due` tells that the plan has to write it; `users` are called as they will be.
    """
    if desired.policy is not None and written:
        policy = desired.policy
        before = value_of(live.policy.text if live.policy else None, {})
        row = release(live.server.release)
        # Whether a server approves when it reads its file anew was not looked at.
        approving = due and policy.deliver is None
        approving = approving and approves(row, before, policy.value)
        return PolicyFacts(
            policy.value, users, policy.locate, written=due, approving=approving
        )
    text = live.policy.text if live.policy else None
    return PolicyFacts(value_of(text, {}), users, _stored(text or "{}"))


def approves(row: Release, old: object, new: object) -> bool:
    """Tell whether a server approves routes when a policy is written over another."""
    return row.approves_always or _compiled(old) != _compiled(new)


def _compiled(value: object) -> object:
    """Return the parts of a policy whose change 0.26 takes for a change of the policy.

    Seen on 0.26.1: it approves routes when rules, tag owners or approvers of routes
    change, and neither for another `exitNode` nor for a name that nothing uses.
    """
    approvers = fields.get(fields.get(value, "autoApprovers"), "routes")
    parts = [fields.get(value, "acls"), fields.get(value, "tagOwners"), approvers]
    text = json.dumps(parts)
    names = (
        (name, meaning)
        for section in ("groups", "hosts")
        for _, name, meaning in fields.entries(value, section)
    )
    return parts, [pair for pair in names if f'"{pair[0]}' in text]


def _stored(text: str) -> Callable[..., Position]:
    """Return what finds a place in a policy that is only on the server."""

    def locate(path: fields.Path) -> Position:
        return parse(text, ON_SERVER).locate(path)

    return locate


def refusal(desired: Desired, live: Live) -> str:
    """Return why the wanted policy cannot get to the server, "" where it can."""
    delivered = desired.policy is not None and desired.policy.deliver is not None
    return "" if delivered else live.server.lacks("policy.write")


def diff_policy(desired: Desired, live: Live, found: Found) -> None:
    """Add to `found` the write that the policy needs, if it needs one.

    A policy file goes to the server byte for byte, so a comment that differs is a
    change; of a policy that was rendered only the meaning counts.
    """
    wanted, actual = desired.policy, live.policy
    if wanted is None or actual is None:
        return
    if wanted.deliver and actual.writable:
        found.notes.append(_NOT_DELIVERED)
    if wanted.text == actual.text:
        return
    before = value_of(actual.text, {})
    if is_bridge(actual.text):
        found.notes.append(_UNFINISHED)
    if wanted.rendered and actual.text is not None and _same(before, wanted.value):
        return
    found.changes.append(
        Change(
            "policy",
            "policy",
            Action.UPDATE if actual.text is not None else Action.CREATE,
            position=wanted.position,
            before={"text": actual.text} if actual.text is not None else {},
            after={"text": wanted.text},
            policy=_told(wanted, actual, before, live.server.release),
            blocked=refusal(desired, live),
        )
    )


def _same(before: Any, wanted: Any) -> bool:
    """Tell whether two policies mean the same, in whatever order it is said."""
    if before == wanted:
        return True
    found = compare(before, wanted)
    return not found or found.order_only


def _told(
    wanted: WantedPolicy, actual: PolicyText, before: Any, server: str
) -> PolicyChange:
    text, deliver = actual.text, wanted.deliver
    forward = compare(before, wanted.value, same_text=False)
    back = compare(wanted.value, before, same_text=False)
    keys = {str(key).lower() for key in wanted.value}
    open_ = _OPEN if release(server).empty_is_open else _CLOSED
    return PolicyChange(
        items=tuple(_item(i, _position(wanted, i.path)) for i in forward.items),
        drifted=tuple(_item(i, _position(wanted, i.before_path)) for i in back.items),
        unchanged=forward.unchanged,
        lines=_changed_lines(text or "", wanted.text),
        first=text is None,
        warnings=() if keys & {"acls", "grants"} else (open_,),
        delivery=deliver.told if deliver and not actual.writable else "",
    )


def _item(item: Item, position: Position | None) -> PolicyItem:
    return PolicyItem(
        op=item.op,
        subject=item.subject,
        effect=item.effect,
        title=item.title,
        changes=item.changes,
        position=position,
        detail=item.detail,
    )


def _position(wanted: WantedPolicy, path: Any) -> Position | None:
    if path is None:
        return None
    try:
        return wanted.locate(path)
    except KeyError:
        return wanted.position


def _changed_lines(before: str, after: str) -> int:
    """Count the lines that only one of two texts has, the larger side."""
    old, new = Counter(before.splitlines()), Counter(after.splitlines())
    return max((old - new).total(), (new - old).total())

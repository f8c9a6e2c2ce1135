"""Nodes: name, tags, approved routes, exit node, key expiry, removal."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from reconcile.desired import entries
from reconcile.desired.scalars import flow
from reconcile.desired.settings import Places
from reconcile.desired.state import NEVER, Desired, Expiry, NodeSettings, WantedNode
from reconcile.errors import Diagnostic, Position
from reconcile.model import (
    EXIT_ROUTES,
    Live,
    Node,
    instant,
    natural,
    over,
    route_order,
)
from reconcile.plan import replacement
from reconcile.plan.approvals import Unwanted
from reconcile.plan.binding import Bindings, Bound, bind
from reconcile.plan.changes import (
    Action,
    Change,
    OneWay,
    Pending,
    Replaced,
    State,
)
from reconcile.plan.found import Found
from reconcile.plan.matching import Index
from reconcile.plan.policies import PolicyFacts
from reconcile.plan.silent import idle_rules
from reconcile.plan.taken import note_taken
from reconcile.plan.unlisted import unlisted
from reconcile.policy.language.fields import Path
from reconcile.remedies import Drop, Help, Put

_BY_POLICY = "by autoApprovers, with the policy"
_REAUTH = "cannot be undone from here: the device must re-authenticate"
_ENROL = "the device must enrol again"
_LATER = "takes effect when the node advertises it"
_AGAIN = "autoApprovers approve it again"
_LOGIN = "the device is logged out until it logs in again"


def diff_nodes(desired: Desired, live: Live, facts: PolicyFacts, found: Found) -> None:
    """Add to `found` what has to happen to nodes.

    `facts` describes the policy that will be in force: which tags it owns, and which
    routes it approves by itself.
    """
    if live.nodes is None:
        return
    _removals(desired, live, found)
    kept = [node for node in live.nodes if node.id not in found.removed_nodes]
    bindings = bind(desired, live.nodes, live.users or ())
    found.problems.extend(bindings.problems)
    note_taken(desired, bindings, kept, found)
    for bound in bindings.bound:
        owner = bindings.index.owner(bound.node)
        _Comparison(bound, owner, live, facts, found).compare()
        if bound.replaced and bound.entry:
            found.replaced.append(_replaced(bound.entry, bound.node, bindings.index))
    for entry in bindings.pending:
        _pending(entry, desired, bindings, found)
    found.notes += idle_rules(desired, bindings)
    if desired.nodes is not None:
        found.unlisted += unlisted(desired, live.nodes, bindings.unlisted)


def state(node: Node, owner: str | None) -> State:
    """Return what can be managed of a node, in JSON's types.

    `owner` is what its user is called, for people.
    """
    return {
        "name": node.name,
        "user": owner,
        "user_id": node.user_id,
        "tags": sorted(node.tags, key=natural),
        "routes": sorted(node.routes, key=route_order),
        "exit_node": node.exit_node,
        "expiry": instant(node.expiry) if node.expiry else NEVER,
    }


class _Comparison:
    """One bound node, whose user is called `owner`, against its settings."""

    def __init__(
        self,
        bound: Bound,
        owner: str | None,
        live: Live,
        facts: PolicyFacts,
        found: Found,
    ) -> None:
        self.node, self.settings, self.bound = bound.node, bound.settings, bound
        self.owner, self.server, self.now = owner, live.server, live.taken_at
        self.facts, self.found = facts, found
        self.address = f"node:{bound.wanted_name or bound.node.name}"
        self.after: State = {}
        self.stuck: State = {}
        self.reasons: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.irreversible: list[OneWay] = []
        self.caveats: list[str] = []

    def compare(self) -> None:
        """Add to what was found the change that the node needs, if it needs one."""
        self._name()
        self._tags()
        self._routes()
        self._expiry()
        if self.after:
            self.found.changes.append(
                replace(
                    self._change(self.after),
                    notes=self.notes,
                    irreversible=tuple(self.irreversible),
                    caveats=tuple(dict.fromkeys(self.caveats)),
                )
            )
        if self.stuck:
            self.found.stuck.append(
                replace(self._change(self.stuck), notes=self.reasons)
            )

    def _change(self, after: State) -> Change:
        return Change(
            self.address,
            "node",
            Action.UPDATE,
            self.node.id,
            self._position(),
            before=state(self.node, self.owner),
            after=after,
        )

    def _position(self) -> Position | None:
        if self.bound.entry:
            return self.bound.entry.position
        return next(iter(self.settings.positions.values()), None)

    def _name(self) -> None:
        wanted = self.bound.wanted_name
        if wanted is None or wanted == self.node.name:
            return
        if other := self.found.unnameable.get(self.node.id):
            self.stuck["name"] = wanted
            self.reasons["name"] = f"the name is #{other}'s"
        else:
            self.after["name"] = wanted

    def _tags(self) -> None:
        wanted = self.settings.tags
        if wanted is None:
            return
        if self._worn_already(wanted):
            if kept := self._kept(wanted):
                self.found.notes.append(f"{self.address}: {kept}")
            return
        if not wanted and (reason := self.server.lacks("node.untag")):
            self.stuck["tags"] = []
            self._cannot("RC0302", "tags", "its last tag cannot be removed", reason)
            return
        if missing := self._unowned(wanted):
            self.stuck["tags"] = sorted(wanted, key=natural)
            self.reasons["tags"] = f"no owner in the policy: {', '.join(missing)}"
            return
        self.after["tags"] = sorted(wanted, key=natural)
        self._caveat("node.tags")
        if note := self._kept(wanted):
            self.notes["tags"] = note
        if not wanted:
            self._caveat("node.tags.empty")
        if wanted and self.owner and self.server.tagging_drops_user:
            self.irreversible.append(
                OneWay("tags", "owner", f"{self.owner} -> (tagged)", _REAUTH)
            )

    def _worn_already(self, wanted: frozenset[str]) -> bool:
        """Tell whether setting the tags would change none: its key may give them."""
        given = self.node.key_tags
        return wanted == self.node.tags or wanted | given == self.node.tags | given

    def _kept(self, wanted: frozenset[str]) -> str:
        """Say what a node with these tags wears besides, and wore until now."""
        node, then = self.node, replace(self.node, tags=wanted)
        here, there = then.worn - wanted, node.worn - then.worn - node.tags
        source = "its key gave" if then.key_tags else "the device asked for"
        said = []
        if here:
            named = ", ".join(sorted(here, key=natural))
            said.append(
                f"also {named}, which {source}: setting tags does not take it away"
            )
        if there:
            named = ", ".join(sorted(there, key=natural))
            said.append(f"no longer {named}, which the device asked for")
        return "; ".join(said)

    def _unowned(self, wanted: Collection[str]) -> list[str]:
        """Return and note the tags that the server refuses for want of an owner."""
        missing = sorted(set(wanted) - self.facts.owned_tags, key=natural)
        if not missing or not self.server.tags_need_owner:
            return []
        leave = self._leave("tags")
        owners = ", ".join(f'"{tag}": []' for tag in missing)
        self.found.problems.append(
            Diagnostic(
                "RC0303",
                f"{self.address}: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not in the policy's tagOwners",
                self.settings.positions.get("tags") or self._position(),
                why="the server refuses a tag that the policy does not own",
                help=f"add {owners} to tagOwners in the policy that is in force; or "
                f"{leave['help']}",
                ways=leave.get("ways", ()),
                address=self.address,
            )
        )
        return missing

    def _routes(self) -> None:
        """Compare subnet routes and exit node, which are one list on the server."""
        unwanted = Unwanted(self.bound, self._anyway(), self.facts, self.found)
        routes = self.settings.routes
        if routes is not None:
            self._subnets(routes.approve - EXIT_ROUTES, routes.mode, unwanted)
        wanted = self.settings.exit_node
        if wanted is False and unwanted.exit_node(self.address):
            if self.node.exit_node and unwanted.says_no_exit:
                self.stuck["exit_node"] = False
                self.reasons["exit_node"] = _AGAIN
        elif wanted is not None and wanted != self.node.exit_node:
            self.after["exit_node"] = wanted
            if wanted and not self.node.available & EXIT_ROUTES:
                self.notes["exit_node"] = f"not advertised yet: {_LATER}"
        if {"routes", "exit_node"} & self.after.keys():
            self._keep(unwanted.set_off)
        if not self._approved_after():
            self._caveat("node.routes.empty")
        self._ahead()

    def _keep(self, routes: frozenset[str]) -> None:
        """Keep what the plan's own policy write approves before this node's write.

        The server takes the whole list of a node: what is not in it is taken back.
        """
        if subnets := routes - EXIT_ROUTES:
            wanted = subnets.union(self.after.get("routes", self.node.routes))
            self.after["routes"] = self._sorted(wanted)
            others = wanted - self.node.routes - subnets
            listed = f"{', '.join(self._sorted(subnets))} " if others else ""
            self.notes["routes"] = f"{listed}{_BY_POLICY}"
        if routes & EXIT_ROUTES and "exit_node" not in self.after:
            self.after["exit_node"] = True
            self.notes["exit_node"] = _BY_POLICY

    def _ahead(self) -> None:
        """Note what is approved, as wanted, for a node that does not advertise it."""
        wanted = self.settings.routes.approve if self.settings.routes else frozenset()
        ahead = sorted(
            (wanted & self.node.routes) - self.node.available, key=route_order
        )
        if self.settings.exit_node and self.node.exit_node:
            ahead += ["the exit node"] * (not self.node.available & EXIT_ROUTES)
        if ahead:
            listed = ", ".join(ahead)
            verb = "is" if len(ahead) == 1 else "are"
            told = f"{self.address}: {listed} {verb} approved, but not advertised"
            told += f": {_LATER}"
            self.found.notes.append(told)

    def _subnets(self, approve: frozenset[str], mode: str, unwanted: Unwanted) -> None:
        extra = self.node.routes - approve
        kept = extra if mode == "at-least" else unwanted.routes & extra
        if mode == "exact":
            stays = unwanted.subnets(self.address, approve)
            if stuck := kept - stays:
                self.stuck["routes"] = self._sorted(self.node.routes - stuck)
                self.reasons["routes"] = _AGAIN
        wanted = approve | kept
        if wanted == self.node.routes:
            return
        self.after["routes"] = self._sorted(wanted)
        added = wanted - self.node.routes
        if absent := added - self.node.available:
            listed = ", ".join(sorted(absent, key=route_order))
            self.notes["routes"] = f"{listed} not advertised yet: {_LATER}"
        elif added:
            self.notes["routes"] = "advertised, not approved yet"

    @staticmethod
    def _sorted(routes: Collection[str]) -> list[str]:
        return sorted(routes, key=route_order)

    def _anyway(self) -> Mapping[str, Path]:
        """The routes that the policy approves, whatever is wanted of the node."""
        if self.settings.routes is None and self.settings.exit_node is None:
            return {}
        tags = self.after.get("tags", self.node.tags)
        return self.facts.approved_anyway(self.node, frozenset(tags))

    def _approved_after(self) -> bool:
        """Whether anything stays approved; True as well when routes do not change."""
        if not {"routes", "exit_node"} & self.after.keys():
            return True
        return bool(
            self.after.get("routes", self.node.routes)
            or self.after.get("exit_node", self.node.exit_node)
        )

    def _expiry(self) -> None:
        wanted = self.settings.expiry
        if wanted is None or self._expiry_holds(wanted):
            return
        if reason := self._expiry_refused(wanted):
            self.stuck["expiry"] = wanted if wanted == NEVER else instant(wanted)
            self._cannot("RC0306", "expiry", "its key expiry cannot be set", reason)
            return
        if wanted == NEVER:
            self.after["expiry"] = NEVER
        else:
            self.after["expiry"] = instant(wanted)
            if wanted <= self.now:
                self.irreversible.append(
                    OneWay("expiry", "login", "expired now", _LOGIN)
                )
        self._caveat("node.expiry")

    def _expiry_holds(self, wanted: Expiry) -> bool:
        actual = self.node.expiry
        if wanted == NEVER or actual is None:
            return wanted == NEVER and actual is None
        # A time that has passed means "expired", whenever that happened.
        return wanted == actual or over(max(wanted, actual), self.now)

    def _expiry_refused(self, wanted: Expiry) -> str:
        if wanted == NEVER:
            return self.server.lacks("node.expiry.never")
        return self.server.lacks("node.expiry.at") if wanted > self.now else ""

    def _cannot(self, code: str, name: str, what: str, reason: str) -> None:
        self.reasons[name] = reason
        self.found.unsupported(
            code,
            f"{self.address}: {what}",
            self.settings.positions.get(name) or self._position(),
            why=reason,
            remedy=self._leave(name),
            address=self.address,
        )

    def _leave(self, name: str) -> Help:
        """Return the remedy that leaves a field as the node has it."""
        entry, node = self.bound.entry, self.node
        if entry is None:
            new = entries.node(node, self.bound.below)
            put = Put(("nodes", node.name), flow(new))
            return {"help": f"give the node an entry: {put}", "ways": ((put,),)}
        if getattr(self.bound.below, name) is None:
            places = entry.settings.positions
            drop = Drop(("nodes", entry.name, name))
            if isinstance(places, Places):
                drop = Drop(places.inside(name))
            told = f"remove `{name}` from the entry to leave it alone"
            return {"help": told, "ways": ((drop,),)}
        value = entries.tags(node) if name == "tags" else entries.expiry(node)
        put = Put(("nodes", entry.name, name), flow(value))
        return {
            "help": f"write {put} into the entry to leave it alone",
            "ways": ((put,),),
        }

    def _caveat(self, name: str) -> None:
        if text := self.server.caveats.get(name):
            self.caveats.append(text)


def _removals(desired: Desired, live: Live, found: Found) -> None:
    index = Index(live.nodes or (), live.users or ())
    for line in desired.removed:
        if line.kind != "node":
            continue
        for node in live.nodes or ():
            if node.name == line.name:
                found.removed_nodes.add(node.id)
                change = _removal(node, index.owner(node), line.position)
                found.changes.append(change)


def _removal(node: Node, owner: str | None, position: Position) -> Change:
    return Change(
        f"node:{node.name}",
        "node",
        Action.DELETE,
        node.id,
        position,
        before=state(node, owner),
        reason="listed in `removed:`",
        irreversible=(OneWay("", "node", "removed", _ENROL),),
    )


def _pending(
    entry: WantedNode, desired: Desired, bindings: Bindings, found: Found
) -> None:
    hint, offers = replacement.hint(entry, bindings.strangers, bindings.index, desired)
    count = _settings_count(entry.settings)
    found.pending.append(
        Pending(
            f"node:{entry.name}",
            entry.position,
            count,
            policy=entry.pending or desired.node_pending or "",
            hint=hint,
            offers=offers,
        )
    )
    severity = entry.pending or desired.node_pending
    if severity in ("warn", "error"):
        found.problems.append(
            Diagnostic(
                "RC0206",
                f"node:{entry.name} is not on the server",
                entry.position,
                severity="error" if severity == "error" else "warning",
                why=f"the file says `pending: {severity}`",
                help="enrol the device, correct `match`, or remove the entry",
                address=f"node:{entry.name}",
            )
        )


def _replaced(entry: WantedNode, node: Node, index: Index) -> Replaced:
    """Return what is said of an entry that went over to a device installed anew.

    A match by nothing but the name holds again as soon as the name is given.
    """
    outdated = entry.match.fields.keys() - entry.match.lasting.keys() - {"name"}
    return Replaced(
        f"node:{entry.name}",
        entry.position,
        node.id,
        node.name,
        alike=replacement.kept(entry),
        match=replacement.new_match(entry, node, index) if outdated else "",
    )


def _settings_count(settings: NodeSettings) -> int:
    names = ("tags", "routes", "exit_node", "expiry")
    return sum(getattr(settings, name) is not None for name in names)

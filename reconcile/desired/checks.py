"""Checks the sections against each other: tags, policy users, removals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconcile.desired.findings import Findings, did_you_mean
from reconcile.desired.layers import Tree
from reconcile.desired.matches import check_match, check_match_user
from reconcile.desired.settings import Places
from reconcile.desired.state import Desired, NodeSettings, WantedPolicy, WantedUser
from reconcile.desired.users import expired
from reconcile.errors import Related
from reconcile.policy.language.references import References, references
from reconcile.remedies import Drop, Put
from reconcile.source.near import nearest
from reconcile.source.variables import quoted
from reconcile.source.yaml import Path

_NO_OWNER = (
    "Headscale refuses a tag that the live policy does not own "
    '("invalid or not permitted")'
)


def check(desired: Desired, tree: Tree, findings: Findings, now: datetime) -> None:
    """Report every contradiction between the sections of one server."""
    if desired.policy:
        names = references(desired.policy.value)
        _TagCheck(desired.policy, names, findings).check(desired)
        _check_policy_users(desired, desired.policy, names, findings, now)
    _check_removed(desired, tree, findings)
    for node in (desired.nodes or {}).values():
        check_match(
            f"node:{node.name}",
            node.name,
            node.match,
            effective(node.settings, desired.node_defaults),
            findings,
            replaces=desired.replaces(node),
        )
        check_match_user(node.match, desired, findings)
    for index, rule in enumerate(desired.rules):
        check_match(f"node_rules[{index}]", None, rule.match, rule.settings, findings)
        check_match_user(rule.match, desired, findings)


@dataclass(slots=True)
class _TagCheck:
    """Finds tags that the policy does not own; equal sets are looked at once."""

    policy: WantedPolicy
    names: References
    findings: Findings
    _fine: set[frozenset[str]] = field(default_factory=set)

    def check(self, desired: Desired) -> None:
        for settings in _all_settings(desired):
            tags = settings.tags
            if not tags or tags in self._fine:
                continue
            if tags <= self.names.tags.keys():
                self._fine.add(tags)
                continue
            places = settings.positions
            if isinstance(places, Places):
                self._report(places)

    @property
    def _home(self) -> str:
        """The file in which tags have their owners."""
        first = next(iter(self.names.tags.values()), None)
        return (self.policy.locate(first) if first else self.policy.position).file

    def _owner(self, tag: str, home: str) -> Put:
        """Return the edit that lets the policy own a tag, whoever may use it."""
        if home == self.policy.position.file and self.policy.inline:
            return Put(("policy", "tagOwners", tag), "[]")
        return Put(("tagOwners", tag), "[]", file=home)

    def _report(self, places: Places) -> None:
        for index, tag in enumerate(places.value("tags")):
            if tag in self.names.tags:
                continue
            home = self._home
            put = self._owner(tag, home)
            near = nearest(tag, self.names.tags)
            related: tuple[Related, ...] = ()
            if near:
                place = self.policy.locate(self.names.tags[near], key=True)
                related = (Related(place, "did you mean this one?"),)
            self.findings.error(
                "RC0107",
                f"{tag} has no tagOwners entry",
                places.locate("tags", index),
                label=f"not defined in {home}",
                why=_NO_OWNER,
                help=f"add {put} to tagOwners in {home}, or correct the tag",
                ways=((put,),),
                related=related,
            )


def effective(own: NodeSettings, defaults: NodeSettings) -> NodeSettings:
    """Return what an entry wants with the defaults filled in (rules left out)."""
    return NodeSettings(
        defaults.tags if own.tags is None else own.tags,
        defaults.routes if own.routes is None else own.routes,
        defaults.exit_node if own.exit_node is None else own.exit_node,
    )


def _all_settings(desired: Desired) -> Iterator[NodeSettings]:
    yield desired.node_defaults
    for node in (desired.nodes or {}).values():
        yield node.settings
    for rule in desired.rules:
        yield rule.settings


def _check_policy_users(
    desired: Desired,
    policy: WantedPolicy,
    names: References,
    findings: Findings,
    now: datetime,
) -> None:
    """Report `name@` in the policy where no such user is wanted.

    Tokens with a domain are left alone: they are mostly users of an identity
    provider, which no file declares.
    """
    if desired.users is None:
        return
    unwanted = {r.name: r.position for r in desired.removed if r.kind == "user"}
    unwanted |= {u.name: u.position for u in desired.users.values() if expired(u, now)}
    renamed = {old: user for user in desired.users.values() for old in user.was}
    for token, paths in names.users.items():
        name = token.removesuffix("@")
        if name in unwanted:
            related = (Related(unwanted[name], "removed here"),)
            for path in paths:
                findings.error(
                    "RC0102",
                    f"the policy names {quoted(token)}, who is being removed",
                    policy.locate(path),
                    help="remove the name from the policy too",
                    related=related,
                )
        elif token.endswith("@") and name not in desired.users:
            user = renamed.get(name)
            for path in paths if user else paths[:1]:  # a rename must reach them all
                _unknown_user(token, path, desired.users, policy, user, findings)


def _unknown_user(
    token: str,
    path: Path,
    users: Mapping[str, WantedUser],
    policy: WantedPolicy,
    renamed: WantedUser | None,
    findings: Findings,
) -> None:
    help = did_you_mean(token, [f"{name}@" for name in users])
    related: tuple[Related, ...] = ()
    if renamed:
        help = f"write {renamed.name}@"
        related = (Related(renamed.position, "renamed here"),)
    findings.warn(
        "RC0101",
        f"the policy names {quoted(token)}, but `users` does not have that user",
        policy.locate(path),
        why="a rule for a user who does not exist matches nobody, without an error",
        help=help or "add the user, or remove the name from the policy",
        related=related,
        address=f"user:{token.removesuffix('@')}",
    )


def _check_removed(desired: Desired, tree: Tree, findings: Findings) -> None:
    users, nodes = desired.users or {}, desired.nodes or {}
    former = {old: user for user in users.values() for old in user.was}
    for index, removed in enumerate(desired.removed):
        if any(sign in removed.name for sign in "*?["):
            findings.error(
                "RC0105",
                f"{removed.kind}:{removed.name} is a glob, and `removed` takes none",
                removed.position,
                why="a deletion is said out loud: one line for each object",
                help="name every object that is to go",
            )
        wanted = users if removed.kind == "user" else nodes
        if removed.name in wanted:
            place = tree.locate((f"{removed.kind}s", removed.name), key=True)
            findings.error(
                "RC0103",
                f"{removed.kind}:{removed.name} is both wanted and removed",
                removed.position,
                help="remove this line, or the entry",
                ways=(
                    (Drop(("removed", index)),),
                    (Drop((f"{removed.kind}s", removed.name)),),
                ),
                related=(Related(place, "wanted here"),),
            )
        elif removed.kind == "user" and removed.name in former:
            user = former[removed.name]
            findings.error(
                "RC0103",
                f"user:{removed.name} is both renamed and removed",
                removed.position,
                help=f"remove this line: the user lives on as {user.name}",
                ways=((Drop(("removed", index)),),),
                related=(Related(user.position, "renamed here"),),
            )

"""What a decoded policy means, and why a server refuses it all the same.

Every finding of this stage stands in the answer, unlike those of decoding.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from reconcile.simulator.policytext import BadPolicy, decode
from reconcile.simulator.policywords import PROTOCOLS, is_prefix
from reconcile.simulator.release import Release
from reconcile.simulator.world import User, World

PORT_PROTOCOLS = ("", "tcp", "udp", "sctp")
DEFINE = "is not defined in the Policy, please define or remove the reference to it"
SELF_ONLY = (
    "autogroup:self can only be used with users, groups, or supported autogroups"
)
OWN_CAPABILITIES = ("drive", "relay", "webui", "kubernetes", "tsidp", "secrets")


def check(text: str, world: World) -> dict[str, Any]:
    """Return the sections of a policy; BadPolicy where the server refuses it."""
    release = world.release
    sections = decode(text, release)
    found = list(dict.fromkeys(_Checker(sections, release).findings()))
    if len(found) > 1:
        raise BadPolicy("parsing policy: multiple errors:\n\t" + "\n\t".join(found))
    if found:
        raise BadPolicy(f"parsing policy: {found[0]}")
    _compile(sections, world)
    return sections


def _compile(sections: dict[str, Any], world: World) -> None:
    """Refuse what only shows when the rules are compiled for the live users."""
    release = world.release
    if release.new_policy_words:
        _check_users(sections, world)
    for rule in sections.get("acls") or []:
        if not release.new_policy_words and rule.get("action") != "accept":
            raise BadPolicy("compiling filter rules: invalid action")
        protocol = str(rule.get("proto", ""))
        if not (
            protocol == "" or protocol.lower() in PROTOCOLS or protocol.isdecimal()
        ):
            reason = f'strconv.Atoi: parsing "{protocol}": invalid syntax '
            raise BadPolicy(
                "compiling filter rules: parsing policy, protocol err: "
                f"parsing protocol number: {reason}"
            )
    for entry in sections.get("nodeAttrs") or []:
        for target in entry.get("target", []):
            if "@" in target and user_meant(world, target) is None:
                reason = _several(world, target) or f'user not found: token "{target}"'
                raise BadPolicy(
                    f"compiling nodeAttrs: nodeAttrs target [{target}]: {reason}"
                )


def _check_users(sections: dict[str, Any], world: World) -> None:
    """Refuse tokens that fit two users, but for those in grants: nobody looks there."""
    approvers = sections.get("autoApprovers") or {}
    lists = [
        *(sections.get("groups") or {}).values(),
        *(sections.get("tagOwners") or {}).values(),
        *(approvers.get("routes") or {}).values(),
        approvers.get("exitNode"),
    ]
    for rule in sections.get("acls") or []:
        targets = [str(each).rpartition(":")[0] for each in rule.get("dst") or []]
        lists += [rule.get("src"), targets]
    for rule in sections.get("ssh") or []:
        lists += [rule.get("src"), rule.get("dst")]
    tokens = [str(each) for each in chain.from_iterable(each or [] for each in lists)]
    found = [reason for each in tokens if (reason := _several(world, each))]
    if not found:
        return
    listed = found[0]
    if len(found) > 1:
        listed = "multiple errors:\n\t" + "\n\t".join(found)
    raise BadPolicy(f"validating policy user references: {listed}")


def _several(world: World, token: str) -> str:
    """Return the reason why a token that fits several users is refused, or nothing."""
    found = _fitting(world, token) if "@" in token else []
    if len(found) < 2:
        return ""
    users = "".join(f"{user.id}: {user.name}, " for user in found)
    return f'multiple users found: token "{token}" found: [ {users} ]'


def user_meant(world: World, token: str) -> int | None:
    """Return the id of the user that a token such as `alice@` means.

    A token that fits two users means neither.
    """
    found = _fitting(world, token)
    return found[0].id if len(found) == 1 else None


def _fitting(world: World, token: str) -> list[User]:
    """Return the users that a token fits; the identity provider's id comes first."""
    text = token.removesuffix("@")
    named = [each for each in world.users if text and each.provider_id == text]
    return named[:1] or [
        each for each in world.users if text in (each.name, each.email)
    ]


class _Checker:
    def __init__(self, sections: dict[str, Any], release: Release) -> None:
        self.sections, self.release = sections, release
        self.old = not release.new_policy_words

    def section(self, name: str) -> Any:
        return self.sections.get(name) or {}

    def findings(self) -> Iterator[str]:
        for rule in self.section("acls"):
            yield from self.acl(rule)
        for rule in self.section("ssh"):
            yield from self.ssh(rule)
        for tag, owners in self.section("tagOwners").items():
            if not self.old and not tag[4:5].isalpha():
                rule = "tag names must start with a letter, after 'tag:'"
                yield f'tagOwners["{tag}"]: {rule}'
            for owner in owners or []:
                yield from self.defined(owner)
        yield from self.tags_of_tags()
        approvers = self.section("autoApprovers")
        lists = [*(approvers.get("routes") or {}).values(), approvers.get("exitNode")]
        for names in lists:
            for name in names or []:
                yield from self.defined(name)
        for rule in self.section("grants"):
            yield from self.grant(rule)
        for entry in self.section("nodeAttrs"):
            for name in entry.get("target", []):
                yield from self.defined(name)

    def defined(self, name: str, side: str = "") -> Iterator[str]:
        """Yield the finding that a group, tag or host is not defined."""
        for prefix, section, word in (
            ("group:", "groups", "Group"),
            ("tag:", "tagOwners", "Tag"),
        ):
            if name.startswith(prefix):
                if name in self.section(section):
                    return
                if self.old:
                    yield f'{word} "{name}" {DEFINE}'
                elif word == "Group":
                    yield f'group not defined in policy: "{name}"'
                else:
                    yield f'{side}tag not found: "{name}"'
                return
        literal = (
            name == "*"
            or "@" in name
            or name.startswith("autogroup:")
            or is_prefix(name)
        )
        if not literal and name not in self.section("hosts"):
            yield (
                f'Host "{name}" {DEFINE}'
                if self.old
                else f'host not defined in policy: "{name}"'
            )

    def acl(self, rule: dict[str, Any]) -> Iterator[str]:
        sources = rule.get("src") or []
        for name in sources:
            yield from self.source(name)
        targets = [text.rpartition(":") for text in rule.get("dst") or []]
        for selector, colon, ports in targets:
            name = (selector if colon else ports).strip("[]")
            yield from self.target(name, f'dst="{name}": ', sources)
        protocol = str(rule.get("proto", ""))
        if any(ports != "*" for _, colon, ports in targets if colon):
            yield from self.portless(protocol)

    def source(self, name: str) -> Iterator[str]:
        release = self.release
        if not name.startswith("autogroup:"):
            yield from self.defined(name, "src=")
        elif name in release.source_autogroups:
            return
        elif name == "autogroup:internet":
            yield (
                f'"{name}" used in source, it can only be used in ACL destinations'
                if self.old
                else f"{name} can only be used in ACL destinations"
            )
        elif not release.source_autogroups and name in _LATER_AUTOGROUPS:
            yield f'autogroup "{name}" is not supported in headscale'
        elif name == "autogroup:self":
            yield (
                f'"{name}" used in source, it can only be used in ACL destinations'
                if self.old
                else f'"{name}" not valid on the src side of a rule'
            )
        else:
            known = f"can be [{' '.join(release.source_autogroups)}]"
            yield (
                f'autogroup "{name}" is not supported for ACL sources, {known}'
                if self.old
                else f'autogroup not supported for ACL sources: "{name}", {known}'
            )

    def target(self, name: str, side: str, sources: list[str]) -> Iterator[str]:
        if name == "autogroup:danger-all":
            yield "cannot use autogroup:danger-all as a dst"
        elif (
            name == "autogroup:self"
            and not self.old
            and not all(map(_personal, sources))
        ):
            yield SELF_ONLY
        else:
            yield from self.defined(name, side)

    def portless(self, protocol: str) -> Iterator[str]:
        """Yield that a protocol has no ports; 6 is TCP from 0.29 on only."""
        numbers = ("6", "17", "132") if not self.old else ()
        if not self.release.strict_policy or protocol.lower() in (
            *PORT_PROTOCOLS,
            *numbers,
        ):
            return
        words = "does not support specific ports"
        if self.old:
            yield f'protocol "{protocol}" {words}; only "*" is allowed'
        else:
            yield f'protocol {words}: "{protocol}", only "*" is allowed'

    def ssh(self, rule: dict[str, Any]) -> Iterator[str]:
        sources, targets = rule.get("src") or [], rule.get("dst") or []
        if not self.release.strict_policy and rule.get("action") not in (
            "accept",
            "check",
        ):
            action = rule.get("action", "")
            yield f'SSH action "{action}" is not valid, must be accept or check'
        if not self.old:
            yield from self.ssh_words(rule)
        for name in (*sources, *targets):
            if name.startswith("autogroup:") and not self.release.source_autogroups:
                yield f'autogroup "{name}" is not supported in headscale'
            else:
                yield from self.defined(name)
        if self.release.strict_ssh:
            yield from self.ssh_pairs(sources, targets)

    def ssh_words(self, rule: dict[str, Any]) -> Iterator[str]:
        if not rule.get("action"):
            yield "action must be specified"
        if not rule.get("users"):
            yield "users must be specified"
        for login in rule.get("users") or []:
            if login in ("", "*"):
                yield f'user "{login}" is not valid'
        if "checkPeriod" in rule and rule.get("action") == "accept":
            yield 'checkPeriod is only valid with action "check"'

    def ssh_pairs(self, sources: list[str], targets: list[str]) -> Iterator[str]:
        tagged = any(
            name.startswith("tag:") or name == "autogroup:tagged" for name in sources
        )
        for name in targets:
            if tagged and name in ("autogroup:member", "autogroup:self"):
                yield f"tags in SSH source cannot access {name} (user-owned devices)"
            elif tagged and "@" in name:
                yield (
                    f"tags in SSH source cannot access user-owned devices ({name}); "
                    "use autogroup:tagged or specific tags as destinations instead"
                )
            elif "@" in name and sources != [name]:
                yield (
                    "user destination requires source to contain only that same user "
                    f'"{name}"; use autogroup:self instead for same-user SSH access'
                )

    def tags_of_tags(self) -> Iterator[str]:
        """Yield findings on tags that own tags, which 0.28 follows to the end."""
        owners = self.section("tagOwners")
        for tag, names in owners.items():
            for name in names or []:
                if name.startswith("tag:") and name not in owners:
                    yield f'tag "{tag}" references undefined tag "{name}"'
        if self.old and self.release.tags_own_tags:
            loops = {tag for tag in owners if _reaches(tag, tag, owners)}
            if loops:
                yield f"circular reference detected: {' -> '.join(sorted(loops))}"

    def grant(self, rule: dict[str, Any]) -> Iterator[str]:
        sources = rule.get("src") or []
        if not rule.get("ip") and not rule.get("app"):
            yield "ip and app can not both be empty"
        for name in sources:
            yield from self.source(name)
        for name in rule.get("dst") or []:
            if name in ("0.0.0.0/0", "::/0"):
                use = 'use "*" or "autogroup:internet"'
                yield f'dst "{name}": to allow all IP addresses, {use}'
            if name == "autogroup:self" and "*" in sources:
                yield SELF_ONLY
            else:
                yield from self.target(name, f'dst="{name}": ', sources)
        for name in rule.get("via") or []:
            if not name.startswith("tag:"):
                yield "via can only be a tag"
            elif name not in self.section("tagOwners"):
                yield f'tag "{name}" not found'
        for name in rule.get("app") or {}:
            yield from _capability(name)


_LATER_AUTOGROUPS = ("autogroup:member", "autogroup:tagged", "autogroup:self")


def _personal(name: str) -> bool:
    """Tell whether `autogroup:self` makes sense for a source."""
    return name in ("*", "autogroup:member") or "@" in name or name.startswith("group:")


def _reaches(start: str, goal: str, owners: dict[str, Any]) -> bool:
    seen: set[str] = set()
    waiting = [name for name in owners[start] or [] if name in owners]
    while waiting:
        tag = waiting.pop()
        if tag == goal:
            return True
        if tag not in seen:
            seen.add(tag)
            waiting += [name for name in owners[tag] or [] if name in owners]
    return False


def _capability(name: str) -> Iterator[str]:
    domain, _, path = name.partition("/")
    if "://" in name or not path:
        yield "capability name must have the form {domain}/{path}"
    elif (
        domain == "tailscale.com" and path.removeprefix("cap/") not in OWN_CAPABILITIES
    ):
        yield "capability name must not be in the tailscale.com domain"

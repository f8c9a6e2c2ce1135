"""Reading what a policy declares: groups, hosts, tag owners, approvers."""

from collections.abc import Iterator, Mapping
from typing import Any

from reconcile.policy.language import selectors
from reconcile.policy.language.circles import on_circles
from reconcile.policy.language.fields import Path, find
from reconcile.policy.language.releases import ROLES, Release
from reconcile.policy.language.selectors import Selector
from reconcile.policy.language.sets import IntervalSet, prefix
from reconcile.policy.reading.context import (
    DECLARATION,
    NAME,
    UNSUPPORTED,
    Context,
    quoted,
)

_PRINCIPALS = ("user", "group", "domain")


def groups(context: Context) -> dict[str, tuple[str, ...]]:
    """Read the groups; members must be users, groups in groups are refused."""
    found = {}
    for path, name, value in _declarations(context, "groups"):
        strict = context.release.declarations_checked and not context.release.hosted
        if value is None and strict:
            context.shape(path, "a list", value)
        if not name.startswith("group:"):
            message = f"group names must begin with 'group:', got: {quoted(name)}"
            help = f"write {quoted(f'group:{name}')}"
            context.problem(DECLARATION, message, path, key=True, help=help)
        members = context.texts(path[:-1], context.groups, name)
        hosted = context.release.hosted
        found[name] = tuple(text.strip() if hosted else text for _, text in members)
        for where, text in members:
            selector = context.scope.selector(text)
            nested = text.startswith("group:") and not context.release.members_by_at
            context.foreign(where, text)
            if selector.kind != "user" or nested:
                _odd_member(context, name, where, text, selector)
    return found


def _odd_member(
    context: Context, group: str, path: Path, text: str, selector: Selector
) -> None:
    if selector.kind == "domain":
        refusal = context.scope.domain_refusal(selector.domain)
        if refusal:
            context.problem(refusal[0], f"groups[{quoted(group)}]: {refusal[1]}", path)
        return
    reason, why = "not a user", ""
    help = "users contain an @: write alice@ or an e-mail"
    if text.startswith("group:"):
        reason = "group members cannot be recursive"
        help = "list the users of the inner group instead"
    elif selector.kind == "host":
        help = f"write {quoted(selector.text + '@')}, or an e-mail"
    elif selector.kind in ("tag", "autogroup"):
        help = "a group holds users only: name this beside the group in your rules"
        if selector.autogroup in ROLES and not context.release.hosted:
            advice = context.advice(selector)
            why, help = advice.why, advice.help
    context.problem(
        DECLARATION,
        f"groups[{quoted(group)}]: {quoted(text)}: {reason}",
        path,
        why=why,
        help=help,
    )


def hosts(context: Context) -> dict[str, IntervalSet]:
    """Read the host aliases; each is one address or prefix."""
    found = {}
    for path, name, value in _declarations(context, "hosts"):
        if ":" in name or "@" in name:
            message = f"invalid hostname: {quoted(name)}"
            help = "a name has neither : nor @"
            context.problem(DECLARATION, message, path, key=True, help=help)
        text = (
            value.strip()
            if context.release.hosted and isinstance(value, str)
            else value
        )
        if isinstance(text, str) and selectors.is_address(text):
            found[name] = prefix(text)
            continue
        context.problem(
            DECLARATION,
            f"hosts[{quoted(name)}]: {quoted(value)}: invalid address",
            path,
            help="write an address such as 100.64.0.7 or a prefix such as 10.0.0.0/8",
        )
    return found


def tags(context: Context) -> frozenset[str]:
    """Read the tag owners; the tags that they declare are the ones that exist."""
    for path, name, _ in _declarations(context, "tagOwners"):
        reason = _tag_refusal(name, context.release)
        if reason:
            message = f"tagOwners[{quoted(name)}]: {reason}"
            help = "rename the tag"
            if not name.startswith("tag:") and ":" not in name:
                help = f"write {quoted(f'tag:{name}')}"
            context.problem(DECLARATION, message, path, key=True, help=help)
        for where, text in context.texts(path[:-1], context.tags, name):
            _owner(context, name, where, text)
    if not context.release.owner_cycles:
        _cycles(context)
    return frozenset(context.tags)


def _tag_refusal(name: str, release: Release) -> str:
    """Say what is wrong with the name of a tag, "" when nothing is."""
    if not release.declarations_checked:
        return ""
    start = "tag names must start with a letter, after 'tag:'"
    if not name.startswith("tag:"):
        return "tags must start with 'tag:'" if release.hosted else start
    if not release.strict:
        return ""
    bare = name.removeprefix("tag:")
    if release.hosted and not bare:
        return "tag names must not be empty"
    if not (bare[:1].isascii() and bare[:1].isalpha()):
        return start
    plain = bare.isascii() and bare.replace("-", "").isalnum()
    if release.hosted and not plain:
        return "tag names can only contain numbers, letters, or dashes"
    return ""


def _owner(context: Context, tag: str, path: Path, text: str) -> None:
    def said(reason: str) -> str:
        return f"tagOwners[{quoted(tag)}]: {reason}"

    selector = context.selector(path, text, said)
    if selector is None:
        return
    if _is_exact(context, selector, text) and (
        selector.kind in _PRINCIPALS
        or (selector.kind == "tag" and context.release.tag_owns_tag)
    ):
        return
    role = selector.autogroup not in ("", "internet", "self")
    if context.release.hosted and role:
        return
    code = UNSUPPORTED if selector.kind == "tag" else DECLARATION
    context.problem(
        code,
        said(f"{quoted(text)} cannot own a tag"),
        path,
        help="name users or groups",
    )


def _is_exact(context: Context, selector: Selector, text: str) -> bool:
    """Tell whether a selector is written without blanks, where they count."""
    return context.release.hosted or selector.kind == "user" or text == text.strip()


def _cycles(context: Context) -> None:
    owners = {
        tag: [text for text in members or [] if isinstance(text, str)]
        for tag, members in context.tags.items()
        if isinstance(members, list | None)
    }
    circular = on_circles(owners)
    for path, name, _ in _declarations(context, "tagOwners"):
        if name in circular:
            context.problem(
                UNSUPPORTED,
                f"tagOwners[{quoted(name)}]: circular reference detected",
                path,
                key=True,
                help="let no tag own itself, directly or through others",
            )


def approvers(context: Context) -> None:
    """Check the auto-approvers: prefixes, and selectors that exist."""
    found = find(context.value, "autoApprovers")
    if found is None or found[1] is None:
        return
    if not isinstance(found[1], dict):
        context.shape((found[0],), "an object", found[1])
        return
    context.known_fields((found[0],), found[1], "autoApprovers")
    routes = find(found[1], "routes")
    for path, name, _ in _members(context, (found[0],), routes):
        if not selectors.is_address(name) or not (
            "/" in name or context.release.hosted
        ):
            message = f"autoApprovers.routes: {quoted(name)}: invalid prefix"
            context.problem(DECLARATION, message, path, key=True)
        if routes:
            _approver(context, context.texts(path[:-1], routes[1], name))
    _approver(context, context.texts((found[0],), found[1], "exitNode"))


def _approver(context: Context, texts: list[tuple[Path, str]]) -> None:
    for path, text in texts:
        selector = context.selector(
            path, text, lambda reason: f"autoApprovers: {reason}"
        )
        if selector is None or (context.release.hosted and selector.autogroup):
            continue
        approves = selector.kind in (*_PRINCIPALS, "tag")
        if not approves or not _is_exact(context, selector, text):
            message = f"autoApprovers: {quoted(text)} cannot approve routes"
            context.problem(NAME, message, path, help="name users, groups or tags")


Declaration = tuple[Path, str, Any]


def _declarations(context: Context, section: str) -> Iterator[Declaration]:
    yield from _members(context, (), find(context.value, section))


def _members(
    context: Context, path: Path, found: tuple[str, Any] | None
) -> Iterator[Declaration]:
    if found is None or found[1] is None:
        return
    if not isinstance(found[1], Mapping):
        context.shape((*path, found[0]), "an object", found[1])
        return
    for name, value in found[1].items():
        yield (*path, found[0], name), name, value

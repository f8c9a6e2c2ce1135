"""Reading `ssh`: who may log in where, as which user."""

import re
from typing import Any

from reconcile.policy.language.document import SshRule
from reconcile.policy.language.fields import Path, find
from reconcile.policy.language.selectors import Selector, parse
from reconcile.policy.reading.context import PLACE, SSH, UNSUPPORTED, Context, quoted

LONGEST = 168 * 3600.0
DEFAULT = 12 * 3600.0
_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_MOST = 2.0**63 / 1e9  # of the nanoseconds that Go counts
_OLD_PARTS = re.compile(
    # Go reads no number of more than 19 digits, leading zeros apart.
    r"0|(?:0*([0-9]{1,19})y)?(?:0*([0-9]{1,19})w)?(?:0*([0-9]{1,19})d)?"
    r"(?:0*([0-9]{1,19})h)?(?:0*([0-9]{1,19})m)?(?:0*([0-9]{1,19})s)?"
    r"(?:0*([0-9]{1,19})ms)?"
)
_TARGETS = ("user", "tag", "autogroup", "domain")


def ssh(context: Context) -> tuple[SshRule, ...]:
    """Read the SSH rules in file order, which counts."""
    found = []
    for index, path, rule in context.rules("ssh"):
        read = _rule(context, index, path, rule)
        if read:
            found.append(read)
    return tuple(found)


def _rule(
    context: Context, index: int, path: Path, rule: dict[str, Any]
) -> SshRule | None:
    before = context.count()
    where = f"ssh[{index}]"
    context.known_fields(path, rule, "ssh")
    action = _action(context, where, path, rule)
    sources = _sources(context, where, path, rule)
    targets = _targets(context, where, path, rule)
    users = _users(context, where, path, rule)
    environment = []
    for at, text in context.texts(path, rule, "acceptEnv"):
        if context.release.strict:  # older ones refuse the field, or pass it over
            environment.append(text)
        if not text and context.release.strict:
            context.problem(SSH, f"{where}: acceptEnv values cannot be empty", at)
    period = _period(context, where, path, rule, action)
    _check_pairs(context, where, path, sources, targets)
    if context.count() > before:
        return None
    return SshRule(
        index,
        path,
        action,
        tuple(sources),
        tuple(targets),
        tuple(users),
        tuple(environment),
        period,
    )


def _action(context: Context, where: str, path: Path, rule: dict[str, Any]) -> str:
    action = context.text(path, rule, "action") or ""
    action = action.strip() if context.release.strict else action
    if action in ("accept", "check"):
        return action
    message = f"{where}: {quoted(action)} is not a valid action"
    if not action:
        message = f"{where}: action must be specified"
    at = find(rule, "action")
    context.problem(
        SSH, message, (*path, at[0]) if at else path, help='write "accept" or "check"'
    )
    return "accept"


def _sources(
    context: Context, where: str, path: Path, rule: dict[str, Any]
) -> list[Selector]:
    found = []
    for at, text in context.texts(path, rule, "src"):

        def said(reason: str, text: str = text) -> str:
            if parse(text).kind == "domain" and context.release.hosted:
                return f"[ssh] {reason}"
            return f"{where}: src={reason}"

        selector = context.selector(at, text, said)
        if selector is None:
            continue
        bare = selector.kind in ("address", "host", "any")
        if selector.autogroup in ("self", "internet", "danger-all", "nonroot") or (
            bare and not context.release.hosted
        ):
            message = f'{where}: "{selector}" not valid on the src side of a rule'
            help = "name users, groups, tags, autogroup:member or autogroup:tagged"
            context.problem(PLACE, message, at, help=help)
            continue
        found.append(selector)
    return found


def _targets(
    context: Context, where: str, path: Path, rule: dict[str, Any]
) -> list[Selector]:
    found = []
    for at, text in context.texts(path, rule, "dst"):

        def said(reason: str, text: str = text) -> str:
            return f"{where}: dst={quoted(text)}: {reason}"

        if context.release.ssh_to_host and ":" not in text and _is_name(text):
            found.append(Selector("host", text))
            continue
        selector = context.selector(at, text, said)
        if selector is None:
            continue
        if selector.kind == "any" and context.release.ssh_to_any:
            found.append(selector)
        elif selector.kind not in _TARGETS or selector.autogroup in (
            "internet",
            "danger-all",
            "nonroot",
        ):
            message = f"{where}: invalid dst {quoted(text)}"
            help = "name tags, users, autogroup:self, :member or :tagged"
            context.problem(SSH, message, at, help=help)
        else:
            found.append(selector)
    return found


def _is_name(text: str) -> bool:
    """Tell whether a text is what some releases take as a host, declared or not."""
    return parse(text).kind in ("host", "unknown") and text == text.strip()


def _users(context: Context, where: str, path: Path, rule: dict[str, Any]) -> list[str]:
    texts = context.texts(path, rule, "users")
    if context.release.strict:
        texts = [(at, text.strip()) for at, text in texts]
    if not texts and context.release.strict:
        message = f"{where}: users must be specified"
        help = 'write "users": ["autogroup:nonroot"] for every login but root'
        context.problem(SSH, message, path, help=help)
    for at, text in texts:
        if text in ("", "*") and context.release.strict:
            message = f"{where}: user {quoted(text)} is not valid"
            help = "name a login, root, or autogroup:nonroot"
            context.problem(SSH, message, at, help=help)
        domain = localpart_domain(text)
        refusal = (
            domain and context.release.hosted and context.scope.domain_refusal(domain)
        )
        if refusal:
            context.problem(refusal[0], f"{where}: {refusal[1]}", at)
    return [text for _, text in texts]


def localpart_domain(user: str) -> str:
    """Return the domain of `localpart:*@domain`, "" for every other login."""
    domain = user.removeprefix("localpart:*@")
    return "" if domain == user or "@" in domain else domain


def mapped_login(user: str, email: str) -> str:
    """Return the login that `localpart:*@domain` gives to an e-mail, "" for none."""
    domain = localpart_domain(user).lower()
    local, _, of = email.rpartition("@")
    return local if domain and of.lower() == domain else ""


def _period(
    context: Context, where: str, path: Path, rule: dict[str, Any], action: str
) -> float:
    text = context.text(path, rule, "checkPeriod")
    if text is None:
        return DEFAULT
    at = find(rule, "checkPeriod")
    here = (*path, at[0]) if at else path
    release = context.release
    if action != "check" and release.strict and not release.hosted:
        message = f'{where}: checkPeriod is only valid with action "check"'
        context.problem(SSH, message, here, help="remove it, or write check")
    if text == "always" and release.strict:
        return 0.0
    try:
        seconds = duration(text) if release.strict else old_duration(text)
    except ValueError as reason:
        context.problem(SSH, f"{where}: {reason}", here, help="write 12h or 30m")
        return DEFAULT
    shown = f"{where}: checkPeriod {_go(seconds)}"
    if seconds < 0:
        context.problem(SSH, f"{shown} must be a positive duration", here)
    elif seconds > LONGEST and release.strict:
        help = "one week, 168h, is the longest"
        message = f"{shown} is above the max (168h)"
        context.problem(SSH, message, here, help=help)
    return seconds


def duration(text: str) -> float:
    """Return the seconds of a Go duration such as `1h30m`.

    Raises ValueError with Go's words when it is none.
    """
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0.0
    seconds, position = 0.0, 0
    while part := _PART.match(body, position):
        number, unit = part.groups()
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        if unit not in _UNITS:
            unknown = f"unknown unit {quoted(unit)}"
            raise ValueError(f"time: {unknown} in duration {quoted(text)}")
        seconds += float(number) * _UNITS[unit]
        position = part.end()
    if not body or position != len(body) or seconds > _MOST:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    return -seconds if text.startswith("-") else seconds


def old_duration(text: str) -> float:
    """Return the seconds of a duration as Headscale before 0.29 writes it: `1d12h`.

    Its units come in falling order, days, weeks and years among them.
    """
    found = _OLD_PARTS.fullmatch(text)
    numbers = [int(part) for part in found.groups("0")] if found else []
    if not text or not numbers or max(numbers) >= 2**63:
        raise ValueError(f"not a valid duration string: {quoted(text)}")
    sizes = (31_536_000.0, 604_800.0, 86_400.0, 3_600.0, 60.0, 1.0, 0.001)
    seconds = sum(number * size for number, size in zip(numbers, sizes, strict=True))
    if seconds > _MOST:
        raise ValueError("duration out of range")
    return seconds


def _go(seconds: float) -> str:
    """Write seconds as Go does: `168h0m1s`."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:g}s"
    if hours or minutes:
        text = f"{int(minutes)}m{text}"
    return f"{sign}{int(hours)}h{text}" if hours else sign + text


def _check_pairs(
    context: Context,
    where: str,
    path: Path,
    sources: list[Selector],
    targets: list[Selector],
) -> None:
    """Refuse sources that a destination does not go with."""
    release = context.release
    tagged = [s for s in sources if s.kind == "tag" or s.autogroup == "tagged"]
    personal = [t for t in targets if t.kind == "user" or t.autogroup in _PERSONAL]
    if tagged and personal and not release.ssh_tag_to_member:
        message = f"{where}: tags in SSH source cannot access user-owned devices"
        help = f"take {tagged[0]} out of src, or {personal[0]} out of dst"
        context.problem(SSH, message, path, help=help)
    if not release.ssh_to_other_user:
        _check_same_user(context, where, path, sources, targets)


def _check_same_user(
    context: Context,
    where: str,
    path: Path,
    sources: list[Selector],
    targets: list[Selector],
) -> None:
    """Refuse a user as destination for anybody but that user."""
    hosted = context.release.hosted
    reason = "user destination requires source to contain only that same user"
    if hosted:
        reason = "users in dst are only allowed from the same user"
        if not sources:
            return  # an empty list is refused nowhere there
    for target in targets:
        if target.kind == "user" and {s.text for s in sources} != {target.text}:
            message = f"{where}: {reason} {quoted(target.text)}"
            help = 'write "autogroup:self" for "the own devices"'
            context.problem(UNSUPPORTED, message, path, help=help)


_PERSONAL = ("self", "member")

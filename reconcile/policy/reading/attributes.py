"""Reading `nodeAttrs`, `tests` and `sshTests`."""

from ipaddress import ip_network
from typing import Any

from reconcile.policy.language.document import Assertion, Attribution
from reconcile.policy.language.fields import Path, find, get
from reconcile.policy.language.selectors import Selector, is_address, parse
from reconcile.policy.language.sets import prefix
from reconcile.policy.reading.context import (
    DECLARATION,
    NAME,
    PLACE,
    UNSUPPORTED,
    Context,
    quoted,
)
from reconcile.policy.reading.rules import protocol
from reconcile.policy.reading.words import HOSTED_WORDS, ONLY_TAILSCALE

_RESERVED = (ip_network("100.100.100.0/24"), ip_network("100.115.92.0/23"))
_VERDICTS = ("accept", "deny", "check")
_NO_TARGETS = ("self", "internet", "danger-all", "nonroot")


def attributions(context: Context) -> tuple[Attribution, ...]:
    """Read `nodeAttrs`; attribute names are passed through unchecked."""
    if "nodeAttrs" not in context.release.sections:
        return ()
    found = []
    for index, path, rule in context.rules("nodeAttrs"):
        before = context.count()
        where = f"nodeAttrs[{index}]"
        context.known_fields(path, rule, "nodeAttrs")
        targets = []
        for at, text in context.texts(path, rule, "target"):

            def said(reason: str, where: str = where) -> str:
                return f"{where}: {reason}"

            selector = context.selector(at, text, said)
            if selector and selector.autogroup in _NO_TARGETS:
                message = f"{where}: {quoted(text)} not valid as a target"
                context.problem(PLACE, message, at)
            elif selector:
                targets.append(selector)
        names = context.texts(path, rule, "attr")
        _check_hosted(context, where, path, rule, names)
        valued = _valued(context, path, rule)
        if context.count() == before:
            texts = (*(text for _, text in names), *valued)
            found.append(Attribution(index, path, tuple(targets), texts))
    return tuple(found)


def _valued(context: Context, path: Path, rule: dict[str, Any]) -> dict[str, object]:
    """Return `app`: attributes with values, such as the domains of app connectors."""
    found = find(rule, "app")
    if not context.release.hosted or found is None or found[1] is None:
        return {}
    if isinstance(found[1], dict):
        return found[1]
    context.shape((*path, found[0]), "an object", found[1])
    return {}


def _check_hosted(
    context: Context,
    where: str,
    path: Path,
    rule: dict[str, Any],
    names: list[tuple[Path, str]],
) -> None:
    pools = context.texts(path, rule, "ipPool")
    for at, text in pools:
        if not is_address(text):
            context.problem(DECLARATION, f"{where}: IPPool({text}): invalid prefix", at)
            continue
        network = ip_network(text, strict=False)
        if any(network.version == 4 and network.overlaps(taken) for taken in _RESERVED):
            message = f"{where}: IPPool({text}): network within reserved range"
            context.problem(DECLARATION, message, at)
    if context.release.hosted:
        return
    funnels = [(at, name) for at, name in names if name == "funnel"]
    for word, texts in (("ipPool", pools), ("funnel", funnels)):
        for at, text in texts:
            context.problem(
                UNSUPPORTED,
                f"{where}: {quoted(text)} is not supported",
                at,
                why=ONLY_TAILSCALE,
                help=HOSTED_WORDS[word],
                subject=word,
            )


def tests(context: Context) -> tuple[Assertion, ...]:
    """Read `tests`; what is wrong in an entry makes it fail, not the reading."""
    if "tests" not in context.release.sections:
        return ()
    found = []
    for index, path, rule in context.rules("tests"):
        source = context.text(path, rule, "src") or ""
        if context.release.hosted:
            source = source.strip()
        context.known_fields(path, rule, "tests")
        found.append(
            Assertion(
                "tests",
                index,
                path,
                source,
                protocol(context, path, rule) or "",
                (),
                {
                    name: tuple(context.texts(path, rule, name))
                    for name in ("accept", "deny")
                },
            )
        )
    return tuple(found)


def ssh_tests(context: Context) -> tuple[Assertion, ...]:
    """Read `sshTests`; destinations that can never be SSH servers are refused."""
    if "sshTests" not in context.release.sections:
        return ()
    found = []
    for index, path, rule in context.rules("sshTests"):
        context.known_fields(path, rule, "sshTests")
        targets = context.texts(path, rule, "dst")
        for at, text in targets:
            _check_ssh_target(context, index, at, text.strip())
        found.append(
            Assertion(
                "sshTests",
                index,
                path,
                (context.text(path, rule, "src") or "").strip(),
                "",
                tuple(text.strip() for _, text in targets),
                {
                    name: tuple(
                        (at, login.strip())
                        for at, login in context.texts(path, rule, name)
                    )
                    for name in _VERDICTS
                },
            )
        )
    return tuple(found)


def _check_ssh_target(context: Context, index: int, path: Path, text: str) -> None:
    where = f"sshTests[{index}]"
    selector = parse(text)
    if text == "autogroup:internet" or _is_network(context, selector):
        message = f"{where}: SSH tests dst contains disallowed element {quoted(text)}"
        context.problem(PLACE, message, path, help="name nodes that run SSH")
    elif selector.kind == "tag" and text not in context.tags:
        message = f"{where}: SSH tests dst contains unknown tag {quoted(text)}"
        advice = context.advice(selector)
        meant = advice.meant
        context.problem(NAME, message, path, help=advice.help, meant=meant)


def _is_network(context: Context, selector: Selector) -> bool:
    """Tell whether a selector stands for a network, written out or behind an alias.

    `100.64.0.7/32` is an address to Headscale; to the hosted service only in an alias.
    """
    is_alias = selector.kind == "host"
    written = context.hosts.get(selector.text) if is_alias else selector.text
    address = written.strip() if isinstance(written, str) else ""
    if not is_address(address):
        return False
    has_length = context.release.hosted and not is_alias and "/" in address
    return has_length or prefix(address).size() > 1


def randomized_ports(context: Context) -> bool:
    """Read `randomizeClientPort`; a value that is not a boolean is refused."""
    if "randomizeClientPort" not in context.release.sections:
        return False
    value = get(context.value, "randomizeClientPort")
    found = find(context.value, "randomizeClientPort")
    if found and not isinstance(value, bool | None):
        context.shape((found[0],), "true or false", value)
    return value is True

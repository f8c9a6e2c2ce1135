"""Finds matches that anyone can fake, and matches that undo themselves."""

from reconcile.desired.findings import Findings, did_you_mean
from reconcile.desired.state import Desired, Match, NodeSettings
from reconcile.source.variables import quoted

# What a device chooses itself: its host name, and the name derived from it.
_CHOSEN_BY_DEVICE = {"hostname", "name"}


def check_match(
    address: str,
    name: str | None,
    match: Match,
    settings: NodeSettings,
    findings: Findings,
    *,
    replaces: bool = False,
) -> None:
    """Report what is dangerous about a match; `name` is None for a rule's.

    `replaces` tells whether the entry may go over to a device installed anew.
    """
    fields = match.fields
    if gains := _gains(settings):
        if fields.keys() <= _CHOSEN_BY_DEVICE:
            _spoofable(address, match, settings, gains, findings)
        elif replaces and match.lasting.keys() <= _CHOSEN_BY_DEVICE:
            called = match.lasting.get("hostname", name or "")
            _spoofable_later(address, match, called, settings, gains, findings)
    if settings.tags and "user" in fields:
        _stops(
            address,
            match,
            findings,
            why="a tagged node has no user, so it is no longer found once it is tagged",
            help="match by machine_key or preauth_key instead of user",
        )
    if name is not None and fields.get("name", name) != name:
        old = quoted(fields["name"])
        _stops(
            address,
            match,
            findings,
            why=f"the node is renamed from {old}, and no longer found by that name",
            help="match by machine_key, or another field that a rename leaves alone",
        )
    if settings.tags is not None and fields.get("tag", "") not in {"", *settings.tags}:
        _stops(
            address,
            match,
            findings,
            why=f"its tags do not hold {fields['tag']}, by which it is found",
            help=f"add {fields['tag']} to its tags, or match by machine_key",
        )


def check_match_user(match: Match, desired: Desired, findings: Findings) -> None:
    """Report a user in a match who is nearly, but not quite, a declared one.

    Any other unknown user may come from an identity provider.
    """
    name, users = match.fields.get("user"), desired.users
    if name is None or users is None or name in users:
        return
    near = did_you_mean(name, users, cutoff=0.75)
    if near:
        findings.warn(
            "RC0106",
            f"{quoted(name)} is not among the users",
            match.position,
            why="a match that names a user who does not exist finds no node",
            about=(f"user:{name}",),
            help=near,
        )


def _stops(
    address: str, match: Match, findings: Findings, *, why: str, help: str
) -> None:
    findings.error(
        "RC0208",
        f"the match of {address} stops matching once the entry is applied",
        match.position,
        why=why,
        help=help,
    )


def _spoofable(
    address: str,
    match: Match,
    settings: NodeSettings,
    gains: str,
    findings: Findings,
) -> None:
    by = " and ".join(sorted(match.fields))
    chosen = match.fields.get("hostname", match.fields.get("name", ""))
    more = "" if settings.tags else "user, "
    findings.warn(
        "RC0207",
        f"{address} is matched by {by} only, and gets {gains}",
        match.position,
        why=f"anyone who can enrol a device called {quoted(chosen)} gets that too",
        help=f"add {more}preauth_key or machine_key to the match",
        about=(address,),
    )


def _spoofable_later(
    address: str,
    match: Match,
    called: str,
    settings: NodeSettings,
    gains: str,
    findings: Findings,
) -> None:
    more = "preauth_key" if settings.tags else "user or preauth_key"
    findings.warn(
        "RC0207",
        f"`replace: auto` gives {gains} of {address} to a device by its hostname only",
        match.position,
        why="once the device is gone, anyone who can enrol another called "
        f"{quoted(called)} gets that",
        help=f"add {more} to the match: a new installation has to fulfil it too",
        about=(address,),
    )


def _gains(settings: NodeSettings) -> str:
    """Return what a node gets that others would like to have, or ""."""
    gains = sorted(settings.tags or ())
    if settings.routes:
        gains += sorted(settings.routes.approve)
    if settings.exit_node:
        gains.append("the exit node")
    return ", ".join(gains[:3]) + (" and more" if len(gains) > 3 else "")

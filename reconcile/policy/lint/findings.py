"""The codes of lint and the making of its findings, which are warnings all."""

from reconcile.policy.language.document import Problem
from reconcile.policy.language.fields import Path
from reconcile.policy.language.words import listed
from reconcile.remedies import Cut

DEAD = "RC0501"  # a rule matches nothing
COVERED = "RC0502"  # other rules open all that a rule opens
BROAD = "RC0503"
UNREACHED = "RC0504"  # no node has an address, and no approved route leads there
UNUSED = "RC0505"
UNOWNED = "RC0506"  # a node wears a tag that the policy does not declare
UNWORN = "RC0507"  # a rule names a tag that no node wears
STRANGER = "RC0508"  # the server has no such user
LOCKED = "RC0509"  # an SSH rule without port 22
SHADOWED = "RC0510"  # check before accept
TWICE = "RC0511"
MEANING = "RC0512"  # other servers read this in another way
ENDLESS = "RC0513"  # a test that servers take too long for

NAMED = 5  # of one kind in one message


def finding(
    code: str,
    message: str,
    path: Path,
    *,
    key: bool = False,
    why: str = "",
    help: str = "",
    related: tuple[tuple[Path, str], ...] = (),
    cut: bool = False,
) -> Problem:
    """Return a warning about a part of the policy; `cut` tells that it can go."""
    edit = Cut() if cut else None
    return Problem(code, message, path, key, "warning", why, help, related, edit=edit)


def counted(number: int, one: str) -> str:
    """Return a number with its noun: `1 rule`, `3 rules`."""
    return f"{number} {one}{'' if number == 1 else 's'}"


__all__ = ["counted", "finding", "listed"]

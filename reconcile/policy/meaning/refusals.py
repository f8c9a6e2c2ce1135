"""What a server refuses only because of the users that it has."""

from collections.abc import Iterator

from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.fields import section_name
from reconcile.policy.language.references import references
from reconcile.policy.meaning.identity import Ambiguous, Directory
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.reading.context import NAME, quoted

# Where a token that fits two users is refused; elsewhere it means nobody.
_CHECKED = ("groups", "tagOwners", "autoApprovers", "acls", "ssh")


def refuses_namesakes(policy: Policy, section: str) -> bool:
    """Tell whether a token that fits two users is refused in a section."""
    return policy.release.checks_users and section_name(section) in _CHECKED


def refusals(policy: Policy, resolver: Resolver) -> Iterator[Problem]:
    """Yield what is wrong with a policy in a tailnet, though its text is fine."""
    if policy.release.checks_users:
        yield from _ambiguous(policy, resolver.directory)
        yield from _unknown_targets(policy, resolver)


def _ambiguous(policy: Policy, directory: Directory) -> Iterator[Problem]:
    for mention in references(policy.value).mentions:
        if mention.kind != "user" or not refuses_namesakes(policy, mention.section):
            continue
        try:
            directory.user(mention.name)
        except Ambiguous:
            message = f"multiple users found: token {quoted(mention.name)}"
            yield Problem(
                NAME,
                message,
                mention.path,
                why=directory.no_user(mention.name),
                help=directory.ways_out(mention.name),
            )


def _unknown_targets(policy: Policy, resolver: Resolver) -> Iterator[Problem]:
    for entry in policy.attributions:
        for target in entry.targets:
            for token in resolver.strangers(target) if entry.attributes else ():
                yield Problem(
                    NAME,
                    f"nodeAttrs[{entry.index}]: {resolver.directory.not_one(token)}",
                    entry.path,
                    why=resolver.directory.no_user(token),
                    help=resolver.directory.ways_out(token)
                    or "name users that the server has",
                )

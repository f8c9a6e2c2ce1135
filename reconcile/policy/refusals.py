"""What a server refuses only because of the users that it has."""

from collections.abc import Iterator

from reconcile.policy.document import Policy, Problem
from reconcile.policy.fields import section_name
from reconcile.policy.identity import Ambiguous, Directory
from reconcile.policy.reading.context import NAME, quoted
from reconcile.policy.references import references
from reconcile.policy.resolve import Resolver
from reconcile.policy.tailnet import Tailnet

# Where a token that fits two users is refused; elsewhere it means nobody.
_CHECKED = ("groups", "tagOwners", "autoApprovers", "acls", "ssh")


def refusals(policy: Policy, tailnet: Tailnet, resolver: Resolver) -> Iterator[Problem]:
    """Yield what is wrong with a policy in a tailnet, though its text is fine."""
    if policy.release.checks_users and tailnet.users:
        yield from _ambiguous(policy, tailnet)
        yield from _unknown_targets(policy, resolver)


def _ambiguous(policy: Policy, tailnet: Tailnet) -> Iterator[Problem]:
    directory = Directory.of(policy.value, tailnet.users)
    for mention in references(policy.value).mentions:
        if mention.kind != "user" or section_name(mention.section) not in _CHECKED:
            continue
        try:
            directory.user(mention.name)
        except Ambiguous:
            message = f"multiple users found: token {quoted(mention.name)}"
            help = "name the user by what no other user has, the name or the e-mail"
            yield Problem(NAME, message, mention.path, help=help)


def _unknown_targets(policy: Policy, resolver: Resolver) -> Iterator[Problem]:
    for entry in policy.attributions:
        for target in entry.targets:
            for token in resolver.strangers(target) if entry.attributes else ():
                message = (
                    f"nodeAttrs[{entry.index}]: user not found: token {quoted(token)}"
                )
                help = "name users that the server has"
                yield Problem(NAME, message, entry.path, help=help)

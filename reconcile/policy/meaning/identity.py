"""Who a selector means: users and groups resolved against a tailnet's users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from reconcile.model import EXIT_ROUTES, Node, User, user_labels
from reconcile.policy.language import fields, selectors
from reconcile.policy.language.fields import entries, find, strings
from reconcile.policy.language.sets import prefix


class Ambiguous(LookupError):
    """A user token that fits two users: it means neither of them."""


@dataclass(frozen=True)
class Directory:
    """The users of a tailnet and the groups of a policy."""

    users: Sequence[User]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, users: Sequence[User]) -> "Directory":
        """Make a directory from a policy value, whatever its shape, and the users."""
        groups = {
            name: [text.strip() for _, text in strings((), members)]
            for _, name, members in entries(value, "groups")
        }
        return cls(users, groups)

    @cached_property
    def _by_token(self) -> Mapping[str, list[User]]:
        found: dict[str, list[User]] = {}
        for user in self.users:
            for token in {user.name, user.email}:  # "@" is who has no name or e-mail
                found.setdefault(token, []).append(user)
        # Who bears a token as the provider's identifier is meant, whoever else fits.
        found |= {u.provider_id: [u] for u in reversed(self.users) if u.provider_id}
        return found

    @cached_property
    def _labels(self) -> Mapping[str, str]:
        return user_labels(self.users)

    def user(self, token: str) -> User | None:
        """Return the user that a token means, None when there is none.

        The token is an identifier of the identity provider, an email, or a name with
        `@` behind it. Raises Ambiguous when two users fit: one by name and one by
        email, or several with one email.
        """
        found = self.fitting(token)
        if len(found) > 1:
            raise Ambiguous(f"multiple users found for {token}")
        return found[0] if found else None

    def token(self, user: User) -> str:
        """Return a token that means a user and nobody else, "" when there is none."""
        name = f"{user.name}@" if user.name and "@" not in user.name else user.name
        tokens = name, user.email, user.provider_id and f"{user.provider_id}@"
        return next((t for t in tokens if t and self.fitting(t) == [user]), "")

    def no_user(self, token: str) -> str:
        """Say why a token means no user: it fits none, or more than one."""
        found = self.fitting(token)
        if not found:
            return f"the server has no user {token}"
        *others, last = (self._labels[user.id] for user in found)
        many = f"{len(found)} users" if len(found) > 2 else "two users"
        return f"{token} fits {many}, {', '.join(others)} and {last}"

    def not_one(self, token: str) -> str:
        """Say in the words of servers that a token means no user."""
        what = "multiple users found" if self.fitting(token) else "user not found"
        return f'{what}: token "{token}"'

    def ways_out(self, token: str) -> str:
        """Say what to do about a token that fits several users."""
        ways = []
        for user in self.fitting(token):
            label, own = self._labels[user.id], self.token(user)
            if own:
                ways.append(f"write {own} for {label}")
            elif user.provider:
                ways.append(f"give {label} another e-mail")
            else:
                ways.append(f"rename or remove {label}")
        return "; ".join(ways)

    def fitting(self, token: str) -> Sequence[User]:
        """Return the users that a token fits: it means nobody where they are two."""
        return self._by_token.get(token.removesuffix("@"), ())

    def _tokens(self, selector: str) -> Sequence[str]:
        is_group = selectors.parse(selector).kind == "group"
        return self.groups.get(selector, ()) if is_group else (selector,)

    def ids(self, selector: str) -> frozenset[str]:
        """Return the ids of the users that a user or group selector means.

        A token that fits two users means neither, as servers have it.
        """
        fitting = map(self.fitting, self._tokens(selector))
        return frozenset(users[0].id for users in fitting if len(users) == 1)

    def strangers(self, selector: str) -> tuple[str, ...]:
        """Return the tokens of a user or group selector that mean no single user."""
        tokens = self._tokens(selector)
        return tuple(token for token in tokens if len(self.fitting(token)) != 1)

    def selects(self, selector: str, node: Node) -> bool:
        """Tell whether a user, group, tag or autogroup selector means a node.

        A node to which somebody gave tags has no user in effect, whatever its record
        says.
        """
        parsed = selectors.parse(selector)
        if parsed.kind == "tag":
            return parsed.text in node.worn
        if parsed.kind == "autogroup":
            return parsed.autogroup == ("tagged" if node.worn else "member")
        if parsed.kind not in ("user", "group"):
            return False
        return node.owner in self.ids(parsed.text)


def allowed_tags(value: object, node: Node, users: Sequence[User]) -> frozenset[str]:
    """Return the tags that a device asked for and a policy lets its user have."""
    directory = Directory.of(value, users)
    owners = {tag: who for _, tag, who in entries(value, "tagOwners")}
    return frozenset(
        tag
        for tag in node.asked_tags
        for _, token in strings((), owners.get(tag))
        if node.user_id in directory.ids(token)
    )


def auto_approved(value: object, node: Node, users: Sequence[User]) -> frozenset[str]:
    """Return the routes that a node advertises and the policy approves by itself."""
    return frozenset(approvals(value, node, users))


def approvals(
    value: object, node: Node, users: Sequence[User]
) -> Mapping[str, fields.Path]:
    """Return the same, each route with the path of the first item that approves it.

    Exit routes are approved only by `autoApprovers.exitNode`: an entry `0.0.0.0/0`
    under `routes` covers every IPv4 subnet route, but never the exit route.
    """
    approvers = find(value, "autoApprovers")
    if approvers is None or not node.available:
        return {}
    directory, (top, below) = Directory.of(value, users), approvers
    covering = [
        (prefix(route), (top, *path))
        for entry, route, names in entries(below, "routes")
        if selectors.is_address(route)
        for path, text in strings(entry, names)
        if directory.selects(text, node)
    ]
    found: dict[str, fields.Path] = {}
    for route in node.available - EXIT_ROUTES:
        network = prefix(route)
        if path := next((path for wider, path in covering if network <= wider), None):
            found[route] = path
    name, names = find(below, "exitNode") or ("", None)
    for path, text in strings((top, name), names):
        if directory.selects(text, node):
            return found | dict.fromkeys(node.available & EXIT_ROUTES, path)
    return found

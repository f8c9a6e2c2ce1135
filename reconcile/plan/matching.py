"""Which nodes fulfil a match?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain

from reconcile.desired.state import NodeRule
from reconcile.model import Node, User, user_labels
from reconcile.policy.meaning.identity import Directory


class Index:
    """The live nodes by each field that an entry may match, built when first used.

    A match names a user by name, by e-mail or by the identity provider's id. `renamed`
    are the other names of users whom the file renames: a match may say either.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        users: Iterable[User] = (),
        renamed: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.nodes = tuple(nodes)
        self.users = tuple(users)
        self.directory = Directory(self.users)
        self._renamed = renamed or {}
        self._by_id = {user.id: user for user in self.users}
        self._labels = user_labels(self.users)
        self._meant: dict[str, Sequence[User]] = {}
        self._by_field: dict[str, dict[str, list[Node]]] = {}

    def find(self, match: Mapping[str, str]) -> list[Node]:
        """Return the nodes for which every field of a match holds."""
        (name, wanted), *more = match.items()
        if name == "user":
            users = self.meant(wanted)
            name, wanted = "user_id", users[0].id if len(users) == 1 else ""
        found = self._by(name).get(wanted, [])
        return [
            node for node in found if all(self.holds(node, *field) for field in more)
        ]

    def _by(self, name: str) -> dict[str, list[Node]]:
        if name not in self._by_field:
            table: dict[str, list[Node]] = {}
            for node in self.nodes:
                for value in self.values_of(node, name):
                    table.setdefault(value, []).append(node)
            self._by_field[name] = table
        return self._by_field[name]

    def owner(self, node: Node) -> str | None:
        """Return what to call the user of a node, None for a tagged one."""
        if node.user_id is None:
            return None
        return self._labels.get(node.user_id, f"#{node.user_id}")

    def values_of(self, node: Node, name: str) -> Iterable[str]:
        """Return what a node offers for a field of `match`: several tags, addresses."""
        if name == "tag":
            return node.worn
        if name == "ip":
            return node.addresses
        if name == "user":
            return self._user(node)
        value: str = getattr(node, name)
        return (value,) if value else ()

    def _user(self, node: Node) -> Iterable[str]:
        """Return by what a match can name the user of a node, and nobody else."""
        user = self._by_id.get(node.user_id or "")
        token = self.directory.token(user).removesuffix("@") if user else ""
        return (token,) if token else ()

    def tokens(self) -> list[str]:
        """Return every name, e-mail and provider's id of a user."""
        known = ((u.name, u.email, u.provider_id) for u in self.users)
        return [*filter(None, chain.from_iterable(known))]

    def meant(self, token: str) -> Sequence[User]:
        """Return the users whom a match may mean; more than one is a mistake."""
        if token not in self._meant:
            names = (token, *self._renamed.get(token, ()))
            fitting = map(self.directory.fitting, names)
            self._meant[token] = next(filter(None, fitting), ())
        return self._meant[token]

    def holds(self, node: Node, name: str, wanted: str) -> bool:
        """Tell whether one field of a match holds for a node."""
        if name == "user":
            users = self.meant(wanted)
            return len(users) == 1 and users[0].id == node.user_id
        return wanted in self.values_of(node, name)

    def rule_holds(self, rule: NodeRule, node: Node) -> bool:
        """Tell whether a rule is about a node; `name` and `hostname` may hold globs."""
        return all(
            any(fnmatchcase(value, wanted) for value in self.values_of(node, name))
            if name in ("name", "hostname")
            else self.holds(node, name, wanted)
            for name, wanted in rule.match.fields.items()
        )


def quoted(value: str) -> str:
    """Quote a value for YAML; JSON strings are YAML strings."""
    return json.dumps(value, ensure_ascii=True)

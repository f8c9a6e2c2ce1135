"""Live states made by hand, short enough to read inside a test."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from textwrap import dedent as _dedent

from reconcile.live.headscale.releases import RELEASES
from reconcile.model import Live, Node, PolicyText, ServerInfo, User, canonical_route
from reconcile.plan import binding
from reconcile.plan.compare import diff
from reconcile.policy.meaning.tailnet import Tailnet

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
POLICY = '{"tagOwners": {"tag:web": [], "tag:db": []}, "acls": []}\n'


def dedent(text):
    return _dedent(text).lstrip("\n")


def server(release="0.29", **fields):
    row = RELEASES[release]
    known = {
        "type": "headscale",
        "url": "https://hs.example.com",
        "version": release,
        "release": release,
        "lacking": dict(row.lacks),
        "caveats": dict(row.caveats),
        "tags_need_owner": row.tags_need_owner,
        "tagging_drops_user": row.tagging_drops_user,
    }
    return ServerInfo(**{**known, **fields})


def user(number, name, **fields):
    return User(str(number), name, **fields)


def node(number, name, **fields):
    """Return a node; lists stand for sets, and its host name is its name.

    `user` is the name of its user: `owned` puts the id in its place.
    """
    for key in ("tags", "key_tags", "asked_tags", "approved", "available"):
        values = fields.get(key, ())
        if key in ("approved", "available"):
            values = map(canonical_route, values)
        fields[key] = frozenset(values)
    known = {
        "hostname": name,
        "machine_key": f"mkey:{number:064x}",
        "node_key": f"nodekey:{number:064x}",
        "addresses": (f"100.64.0.{number}",),
        "user_id": fields.pop("user", None if fields["tags"] else "alice"),
    }
    return Node(str(number), name, **{**known, **fields})


def owned(nodes, users):
    """Return nodes with the id of their user where they have the name of one."""
    ids = {user.name: user.id for user in users}
    return tuple(
        replace(each, user_id=ids.get(each.user_id, each.user_id)) for each in nodes
    )


def tailnet(users, nodes, **more):
    """Return the tailnet of users and nodes, which have their users' names."""
    return Tailnet(users, owned(nodes, users), **more)


def bind(desired, nodes):
    """Bind entries to nodes; all users that either names are there, their name as id."""
    entries = (*(desired.nodes or {}).values(), *desired.rules)
    named = {entry.match.fields.get("user") for entry in entries} - {None}
    known = owners(nodes)
    named -= {each.name for each in known}
    return binding.bind(desired, nodes, [*known, *(User(n, n) for n in named)])


def owners(nodes):
    """Return a user for each name that nodes have for one."""
    names = sorted({each.user_id for each in nodes if each.user_id})
    return [User(name, name) for name in names]


def live(users=None, nodes=(), policy=POLICY, release="0.29", info=None):
    text = policy if isinstance(policy, PolicyText) else PolicyText(policy)
    state = info or server(release)
    users = owners(nodes) if users is None else users
    return Live(state, NOW, tuple(users), owned(nodes, users), text)


def changes(desired, state):
    """Return what a diff finds, by address."""
    return {change.address: change for change in diff(desired, state).changes}


def problems(desired, state):
    """Return the problems that a diff finds, by code."""
    return {problem.code: problem for problem in diff(desired, state).problems}


def call_git(*arguments):
    """Run git in the current folder and return what it prints."""
    done = subprocess.run(["git", *arguments], check=True, capture_output=True)
    return done.stdout.decode().strip()


def pasted(text):
    """Return the arguments that a shell makes of a command of ours."""
    script = f'reconcile() {{ printf "%s\\0" "$@"; }}\n{text}'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]

"""Live states made by hand, short enough to read inside a test."""

import subprocess
from datetime import UTC, datetime
from textwrap import dedent as _dedent

from reconcile.diff import diff
from reconcile.model import Live, Node, PolicyText, ServerInfo, User, canonical_route
from reconcile.server.releases import RELEASES

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
    """Return a node; lists stand for sets, and its host name is its name."""
    for key in ("tags", "approved", "available"):
        values = fields.get(key, ())
        if key != "tags":
            values = map(canonical_route, values)
        fields[key] = frozenset(values)
    known = {
        "hostname": name,
        "machine_key": f"mkey:{number:064x}",
        "node_key": f"nodekey:{number:064x}",
        "addresses": (f"100.64.0.{number}",),
        "user": None if fields["tags"] else "alice",
    }
    return Node(str(number), name, **{**known, **fields})


def live(users=(), nodes=(), policy=POLICY, release="0.29", info=None):
    text = policy if isinstance(policy, PolicyText) else PolicyText(policy)
    state = info or server(release)
    return Live(state, NOW, tuple(users), tuple(nodes), text)


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

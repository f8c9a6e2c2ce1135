"""The policy language, offline: what a policy says, what changed, what it allows.

Nothing here knows files or servers. A policy is the plain value that
`reconcile.hujson.parse(text).value` or inline YAML gives, and every place in it is a
path that `Document.locate` turns into a position.

- `compare(before, after)` tells what changed, by meaning (`PolicyDiff` of `Item`).
- `render(value, header)` writes a value as HuJSON text, always the same way.
- `references(value)` lists the names declared and mentioned; `owned_tags(value)` the
  tags that a node may carry.
- `auto_approved(value, node, users)` tells which routes need no administrator.
"""

from reconcile.policy.changes import Item, PolicyDiff, compare
from reconcile.policy.identity import Ambiguous, Directory, auto_approved
from reconcile.policy.references import Mention, References, owned_tags, references
from reconcile.policy.render import render

__all__ = [
    "Ambiguous",
    "Directory",
    "Item",
    "Mention",
    "PolicyDiff",
    "References",
    "auto_approved",
    "compare",
    "owned_tags",
    "references",
    "render",
]

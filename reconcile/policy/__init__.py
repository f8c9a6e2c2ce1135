"""The policy language, offline: what a policy says, what changed, what it allows.

Nothing here knows files or servers. A policy is the plain value that HuJSON
(`reconcile.source.hujson.parse(text).value`) or inline YAML gives, and every place in
it is a path that `Document.locate` turns into a position.

Text and meaning:

- `compare(before, after)` tells what changed, by meaning (`PolicyDiff` of `Item`).
- `render(value, header)` writes a value as HuJSON text, always the same way.
- `references(value)` lists the names declared and mentioned; `owned_tags(value)` the
  tags that a node may carry.
- `auto_approved(value, node, users)` tells which routes need no administrator.

What a server makes of it; these load the evaluator, so import them from their module:

- `reading.read(value, release)` gives a `document.Policy`: typed rules and all that
  the release (`0.26` to `0.29`, `main`, `tailscale`) refuses, with its words;
  `reading.diagnostics(problems, locate)` gives the findings their positions.
- `tailnet.Tailnet(users, nodes)` is what a policy is applied to. For Headscale before
  0.29 pass `advertised=release(name).advertised_routes`.
- `evaluate.Evaluator(policy, tailnet)`: packet filters, capabilities, SSH rules, the
  policy's own tests with reasons, attributes, peers and the routes they show, and
  `refusals`: what the server refuses only because of the users that it has.
- `access.Access(policy, tailnet)`: who reaches what (`entries`), `who`, `why`.
- `assertions.Assertions(access)`: whether a claim about access (`claims`) holds.
- `difference.diff((policy, tailnet), (policy, tailnet))`: what a change opens and
  closes, each with its cause; made for 10,000 nodes and 2,000 rules.

Evaluate only a policy whose `errors` are empty. What cannot be known offline (device
postures, roles, IP sets, services) is taken as large as it could be and is named in
`unsure`: an answer that leaves something out is never called safe.
"""

from reconcile.policy.edits.changes import Item, PolicyDiff, compare
from reconcile.policy.language.references import (
    Mention,
    References,
    owned_tags,
    references,
)
from reconcile.policy.language.render import render
from reconcile.policy.meaning.identity import Ambiguous, Directory, auto_approved

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

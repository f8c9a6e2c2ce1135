"""A small tailnet for the first minute: people, a subnet router, an exit node, tags."""

from reconcile.simulator import enrol, routing
from reconcile.simulator.keys import new_secret
from reconcile.simulator.policy import store
from reconcile.simulator.world import Key, User, World

POLICY = """\
// Who may reach what in our tailnet.
{
  "groups": {
    "group:admins": ["alice@"],
    "group:family": ["alice@", "bob@", "carol@"],
  },

  // Whoever owns a tag may give it to a device.
  "tagOwners": {
    "tag:storage": ["group:admins"],
    "tag:router":  ["group:admins"],
    "tag:ci":      ["group:admins"],
  },

  "autoApprovers": {
    "routes": {"192.168.10.0/24": ["tag:router"]},
  },

  "acls": [
    // Admins reach everything.
    {"action": "accept", "src": ["group:admins"], "dst": ["*:*"]},
    // The family reaches the file server, and the internet through the exit node.
    {"action": "accept", "src": ["group:family"], "dst": ["tag:storage:443,445"]},
    {"action": "accept", "src": ["group:family"], "dst": ["autogroup:internet:*"]},
  ],
}
"""
PEOPLE = (("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol"), ("ci-bot", ""))
NEVER_OVER = "2099-01-01T00:00:00Z"


def world(release: str | None = None) -> World:
    """Return the demo tailnet on an emulated version."""
    made = World(release) if release else World()
    for name, shown in PEOPLE:
        email = f"{name}@example.com" if shown else ""
        made.users.append(
            User(made.new_id("user"), name, display_name=shown, email=email)
        )
    store(made, POLICY)
    enrol.connect(made, "laptop", "alice")
    enrol.connect(made, "phone", "bob", expiry="2035-01-01T00:00:00Z")
    enrol.connect(made, "kitchen-tv", "bob", online=False)
    everything = list(routing.EXIT)
    enrol.connect(made, "exit-1", "carol", routes=everything, approved=everything)
    enrol.connect(made, "nas", "alice", tags=["tag:storage"])
    routes = ["10.0.0.0/8", "192.168.10.0/24"]
    enrol.connect(made, "router", "alice", tags=["tag:router"], routes=routes)
    _build_machine(made)
    return made


def _build_machine(made: World) -> None:
    """Let a machine join with a pre-auth key, as CI machines do."""
    owner = made.user_named("ci-bot")
    key = Key(
        made.new_id("key"),
        owner.id if owner else None,
        new_secret(made.release, "auth"),
        reusable=True,
        ephemeral=True,
        expiration=NEVER_OVER,
    )
    made.keys.append(key)
    enrol.join(made, key.secret, "build-1")

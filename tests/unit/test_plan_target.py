"""--target and --exclude with the name of a server in front."""

from reconcile.plan import build
from tests.support import live


def test_an_address_may_name_its_server(wanted):
    state, here = wanted("users: { alice: {}, bob: {} }"), live(users=[])
    chosen = build(state, here, name="prod", target=["prod/user:alice"])
    assert [change.address for change in chosen.changes] == ["user:alice"]
    elsewhere = build(state, here, name="lab", target=["prod/user:alice"])
    assert elsewhere.changes == ()
    kept = build(state, here, name="lab", exclude=["prod/user:*", "lab/user:bob"])
    assert [change.address for change in kept.changes] == ["user:alice"]

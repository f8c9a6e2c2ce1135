"""Live states as files: complete, stable, and refused when they are something else."""

import json

import pytest

from reconcile.errors import InputError
from reconcile.live import snapshot
from reconcile.model import Live, PolicyText
from tests.support import NOW, live, node, server, user

FULL = live(
    [user(1, "alice", email="a@example.com"), user(2, "bob", provider="oidc")],
    [
        node(1, "nas", tags=["tag:web"], approved=["10.0.0.0/8"], expiry=NOW),
        node(2, "é \u202e\x1b", user=None, preauth_key="3", ephemeral=True),
    ],
    release="0.28",
)


@pytest.mark.parametrize(
    "state",
    [
        FULL,
        Live(server("main"), NOW),
        Live(server(), NOW, users=(), nodes=(), policy=PolicyText(None, False)),
    ],
    ids=["full", "nothing read", "empty"],
)
def test_a_snapshot_comes_back_equal(state):
    text = snapshot.dumps(state)
    assert snapshot.loads(text, "live.json") == state
    assert snapshot.dumps(snapshot.loads(text, "live.json")) == text
    assert text.isascii()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "5", "{" * 9, "[" * 100_000, '{"snapshot_version": "9"}'],
)
def test_what_is_no_snapshot_is_refused_as_such(text):
    with pytest.raises(InputError) as caught:
        snapshot.loads(text, "live.json")
    (finding,) = caught.value.diagnostics
    assert finding.code == "RC0030"
    assert finding.message == "live.json is not a snapshot of reconcile"
    assert "reconcile snapshot -o FILE" in finding.help


EDITS = {
    "a user without id": lambda d: d["users"][0].pop("id"),
    "an unknown field": lambda d: d["users"][0].update(nosuch=1),
    "a name of a number": lambda d: d["users"][0].update(name=5),
    "a name of null": lambda d: d["nodes"][0].update(name=None),
    "tags of a text": lambda d: d["nodes"][0].update(tags="tag:web"),
    "tags of numbers": lambda d: d["nodes"][0].update(tags=[1]),
    "a route that is none": lambda d: d["nodes"][0].update(approved=["10.0.0.0"]),
    "routes of numbers": lambda d: d["nodes"][0].update(available=[5]),
    "an expiry in words": lambda d: d["nodes"][0].update(expiry="soon"),
    "an expiry without zone": lambda d: d["nodes"][0].update(expiry="2030-01-01"),
    "an online of a text": lambda d: d["nodes"][0].update(online="no"),
    "no time": lambda d: d.pop("taken_at"),
    "a time without zone": lambda d: d.update(taken_at="2030-01-01T00:00:00"),
    "a policy of a text": lambda d: d.update(policy="{}"),
    "a policy of a number": lambda d: d["policy"].update(text=5),
    "a server of a text": lambda d: d.update(server="hs"),
    "a version of a number": lambda d: d["server"].update(version=5),
    "users of a map": lambda d: d.update(users={}),
    "nodes of a number": lambda d: d.update(nodes=5),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_snapshot_that_was_edited_wrongly_is_refused(name):
    document = json.loads(snapshot.dumps(FULL))
    EDITS[name](document)
    with pytest.raises(InputError) as caught:
        snapshot.loads(json.dumps(document), "live.json")
    assert [d.code for d in caught.value.diagnostics] == ["RC0030"]


def test_half_of_a_character_is_in_no_snapshot():
    text = snapshot.dumps(FULL).replace('"alice"', r'"al\ud83dice"')
    assert r"\ud83d" in text
    with pytest.raises(InputError) as caught:
        snapshot.loads(text, "live.json")
    assert caught.value.diagnostics[0].why == "it holds half of a character"

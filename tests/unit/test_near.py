"""What was probably meant by a misspelt word."""

from reconcile import near


def test_the_nearest_of_some_names():
    assert near.nearest("tag:wbe", iter(["tag:web", "tag:db"])) == "tag:web"
    assert near.nearest("ALICE@", ["alice@", "bob@"]) == "alice@"
    assert near.nearest("x", ["alice@"]) == ""


def test_thousands_of_names_are_not_gone_through_for_every_word(monkeypatch):
    monkeypatch.setattr(near, "get_close_matches", None)
    assert near.nearest("tag:x", (f"tag:{n}" for n in range(5000))) == ""

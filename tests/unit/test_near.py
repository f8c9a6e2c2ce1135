"""What was probably meant by a misspelt word."""

from reconcile.source import near


def test_the_nearest_of_some_names():
    assert near.nearest("tag:wbe", iter(["tag:web", "tag:db"])) == "tag:web"
    assert near.nearest("ALICE@", ["alice@", "bob@"]) == "alice@"
    assert near.nearest("x", ["alice@"]) == ""


def test_thousands_of_names_are_not_gone_through_for_every_word():
    names = [f"tag:{n}" for n in range(5000)]
    assert near.nearest("tag:x", names) == ""
    assert near.nearest("tag:x", names[:1000]) != ""


def test_thousands_of_words_are_not_held_against_the_names():
    words = [f"tag:x{n}" for n in range(1000)]
    with near.bounded():
        found = [near.nearest(word, ["tag:x"] * 500) for word in words]
    assert (found[0], found[-1]) == ("tag:x", "")
    assert 0 < sum(map(bool, found)) < 200
    with near.bounded():  # another run begins anew
        assert near.nearest("tag:xx", ["tag:x"]) == "tag:x"


def test_a_word_as_long_as_a_page_is_held_against_nothing():
    assert near.nearest("x" * 300, ["x" * 299]) == ""
    assert near.nearest("x" * 100, ["x" * 99]) == "x" * 99

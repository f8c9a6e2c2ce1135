"""Laws of comparing policies."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconcile.policy.edits.changes import compare

NAMES = st.sampled_from(["a@", "b@", "group:x", "tag:t", "tag:u", "*"])
TARGET = st.builds("{}:{}".format, NAMES, st.integers(1, 5))
RULE = st.fixed_dictionaries(
    {
        "action": st.just("accept"),
        "src": st.lists(NAMES, max_size=3),
        "dst": st.lists(
            st.builds("{}:{}".format, NAMES, st.integers(1, 5)), max_size=3
        ),
    }
)
MEMBERS = st.lists(NAMES, max_size=3)
LISTS = st.dictionaries(NAMES, MEMBERS, max_size=3)
POLICY = st.fixed_dictionaries(
    {},
    optional={
        "acls": st.lists(RULE, max_size=6),
        "ssh": st.lists(RULE, max_size=3),
        "groups": LISTS,
        "hosts": st.dictionaries(NAMES, NAMES, max_size=2),
        "autoApprovers": st.fixed_dictionaries(
            {}, optional={"routes": LISTS, "exitNode": MEMBERS}
        ),
        "other": st.lists(st.integers(), max_size=3),
    },
)
OPPOSITE = {"add": "remove", "remove": "add", "change": "change", "move": "move"}
INVERSE = {"widen": "narrow", "narrow": "widen", "change": "change", "none": "none"}


@given(POLICY)
def test_nothing_changed(policy: Any) -> None:
    assert not compare(policy, policy)


@given(POLICY, POLICY)
def test_every_difference_is_told_once_and_both_ways(before: Any, after: Any) -> None:
    there, back = compare(before, after), compare(after, before)
    assert bool(there) == (before != after)
    assert len(there.items) == len(back.items)
    for op, opposite in OPPOSITE.items():
        assert there.count(op) == back.count(opposite)  # type: ignore[arg-type]
    effects = sorted(item.effect for item in there.items if item.op != "move")
    assert effects == sorted(INVERSE[i.effect] for i in back.items if i.op != "move")


@given(POLICY, POLICY)
def test_paths_lead_to_the_parts(before: Any, after: Any) -> None:
    for item in compare(before, after).items:
        for path, policy in ((item.before_path, before), (item.path, after)):
            value = policy
            for step in path or ():
                value = value[step]

"""The policy: one document, compared by bytes or by meaning."""

import pytest

from reconcile.errors import InputError
from reconcile.model import PolicyText
from reconcile.plan.changes import Action
from reconcile.plan.compare import diff
from reconcile.plan.policies import facts
from tests.support import live, node, server

FILE = "policy: { file: policy.hujson }"
TEXT = """// who may what
{
  "acls": [
    {"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}, // web
  ],
  "tagOwners": {"tag:web": [],},
}
"""


def policy_change(desired, policy, **fields):
    state = live(policy=policy, **fields)
    return next((c for c in diff(desired, state).changes if c.kind == "policy"), None)


def test_a_policy_that_the_file_does_not_mention_is_left_alone(wanted):
    assert policy_change(wanted("users: {}"), TEXT) is None


def test_the_same_bytes_need_no_write(wanted):
    """A PUT costs seconds and re-approves routes, even of the same text."""
    assert policy_change(wanted(FILE, policy_hujson=TEXT), TEXT) is None


def test_a_file_goes_out_byte_for_byte(wanted, tmp_path):
    text = TEXT.replace("\n", "\r\n") + "/* é, then no newline */"
    (tmp_path / "policy.hujson").write_bytes(text.encode())
    change = policy_change(wanted(FILE), "{}")
    assert change.after == {"text": text}
    assert change.before == {"text": "{}"}


def test_a_comment_alone_is_a_change_of_a_file_but_no_rule(wanted):
    change = policy_change(wanted(FILE, policy_hujson=TEXT), TEXT.replace("// web", ""))
    assert change.action is Action.UPDATE
    assert change.policy.formatting_only
    assert (change.policy.items, change.policy.lines) == ((), 1)


def test_a_line_comment_without_newline_at_the_end_is_found_before_the_server(wanted):
    """Headscale refuses it: `parsing comment: unexpected EOF`."""
    with pytest.raises(InputError) as caught:
        wanted(FILE, policy_hujson=TEXT + "// end")
    assert [d.code for d in caught.value.diagnostics] == ["RC0013"]


INLINE = """
    policy:
      acls: [{ action: accept, src: [alice@], dst: ["tag:web:443"] }]
      tagOwners: { "tag:web": [] }
"""


def test_an_inline_policy_is_compared_by_meaning(wanted):
    assert policy_change(wanted(INLINE), TEXT) is None


def test_an_inline_policy_that_means_something_else_is_rendered(wanted):
    change = policy_change(wanted(INLINE), TEXT.replace("443", "22"))
    assert '"tag:web:443"' in change.after["text"]
    assert change.after["text"].endswith("\n")


def test_the_first_policy_of_a_server_is_created(wanted):
    change = policy_change(wanted(FILE, policy_hujson=TEXT), PolicyText(None))
    assert (change.action, change.before) == (Action.CREATE, {})
    assert change.policy.first


def test_an_empty_stored_policy_is_not_the_same_as_none(wanted):
    """`PUT ""` is accepted by every release, and opens everything at a restart."""
    change = policy_change(wanted(FILE, policy_hujson=TEXT), "")
    assert (change.action, change.before) == (Action.UPDATE, {"text": ""})


@pytest.mark.parametrize("stored", ["not a policy {", "[]", "null", '{"acls": 5}'])
def test_a_stored_policy_that_cannot_be_read_is_replaced(wanted, stored):
    change = policy_change(wanted(FILE, policy_hujson=TEXT), stored)
    assert change.after == {"text": TEXT}


def test_what_changed_is_told_by_meaning_with_its_line(wanted):
    old = TEXT.replace("443", "80")
    change = policy_change(wanted(FILE, policy_hujson=TEXT), old)
    (item,) = change.policy.items
    assert item.subject == "acls[0]"
    assert (item.position.file, item.position.line) == ("policy.hujson", 4)
    assert change.policy.drifted[0].subject == "acls[0]"


def test_a_policy_without_rules_is_warned_about_where_it_opens(wanted):
    desired = wanted(FILE, policy_hujson='{"tagOwners": {}}\n')
    change = policy_change(desired, TEXT)
    assert "allows ALL traffic" in change.policy.warnings[0]
    closed = wanted(FILE, policy_hujson='{"acls": []}\n')
    assert policy_change(closed, TEXT).policy.warnings == ()


def test_file_mode_is_noticed_and_blocks_the_write_alone(wanted):
    desired = wanted(FILE + "\nnodes: { nas: { exit_node: true } }", policy_hujson=TEXT)
    info = server(lacking={"policy.write": "(policy.mode: file) refuses writes"})
    state = live(nodes=[node(1, "nas")], policy=PolicyText("{}", False), info=info)
    found = {c.address: c for c in diff(desired, state).changes}
    assert "policy.mode: file" in found["policy"].blocked
    assert found["node:nas"].blocked == ""


def test_the_wanted_policy_decides_which_tags_are_owned(wanted):
    desired = wanted(FILE, policy_hujson=TEXT)
    assert facts(desired, live(policy="{}")).owned_tags == {"tag:web"}
    silent = wanted("users: {}")
    owned = facts(silent, live(policy='{"tagOwners": {"tag:db": []}}')).owned_tags
    assert owned == {"tag:db"}

"""Somebody else writes while an apply runs: it is seen, or it was no loss."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconcile.apply.outcome import Outcome, Result
from reconcile.apply.run import Apply
from reconcile.errors import Exit, Rejected, StalePlan
from reconcile.model import EXIT_ROUTES, PolicyText, User
from reconcile.plan.plan import build
from reconcile.report.outcome import render_json, render_text
from tests.support import NOW, live, node, user
from tests.unit.test_apply import Clock, Model, raising, run, told

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas/plan.schema.json").read_text("utf-8")
)
TAGGED = "nodes: { nas: { tags: [tag:web] } }"
TAG = "node.tags node:nas"


def one(**fields):
    """Return a server with one node, and one that nobody manages."""
    return Model(live([user(1, "alice")], [node(1, "nas", user="alice", **fields)]))


def at_look(model, act, number=1):
    """Let somebody act right before a level reads what it writes."""

    def hook():
        if len(model.looks) == number - 1:
            act()

    model.before["look"] = hook


def tag(model, *names):
    return lambda: model.change("node", "1", "tags", frozenset(names))


def test_what_moved_before_the_first_write_is_not_overwritten(wanted):
    model = one()
    at_look(model, tag(model, "tag:db"))
    outcome = run(wanted(TAGGED), model)
    assert (model.written, outcome.exit_code) == ([], Exit.PARTIAL)
    assert (
        "failed: node:nas: set tags: it was changed by somebody else after the plan: "
        "tags was [] before, is [tag:db] now" in render_text([outcome])
    )


def test_what_became_as_wanted_before_the_first_write_is_no_fault(wanted):
    model = one()
    at_look(model, tag(model, "tag:web"))
    outcome = run(wanted(TAGGED), model)
    assert (told(outcome), model.written) == ({TAG: "converged"}, [])
    assert outcome.exit_code == Exit.OK


FOREIGN = {
    "another field": lambda m: m.change("node", "1", "expiry", NOW),
    "the user's name": lambda m: m.change("user", "1", "name", "alicia"),
    "the policy": lambda m: setattr(
        m, "state", replace(m.state, policy=PolicyText('{"tagOwners":{"tag:web":[]}}'))
    ),
}


@pytest.mark.parametrize("moved", FOREIGN)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_what_the_plan_does_not_write_may_move(wanted, moved, late):
    model = one()
    desired = wanted("nodes: { nas: { exit_node: true } }")
    if late:
        model.after["node:nas"] = lambda: FOREIGN[moved](model)
    else:
        at_look(model, lambda: FOREIGN[moved](model))
    assert run(desired, model).exit_code == Exit.OK


def test_our_write_that_is_overwritten_is_told_with_three_values(wanted):
    model = one(approved=["10.1.0.0/16"])
    desired = wanted("nodes: { nas: { routes: { approve: [10.2.0.0/16] } } }")

    def over():
        model.change("node", "1", "routes", frozenset({"10.3.0.0/16"}))

    model.after["node:nas"] = lambda: over() if len(model.written) == 2 else None
    outcome = run(desired, model)
    assert outcome.exit_code == Exit.NOT_APPLIED
    text = render_text([outcome])
    assert (
        "  overwritten: node:nas: routes, by somebody else\n"
        "    planned from: [10.1.0.0/16]\n"
        "    this run wrote: [10.2.0.0/16]\n"
        "    there now: [10.3.0.0/16]\n" in text
    )
    assert "accepted but not applied" not in text


def test_what_is_put_back_counts_as_not_applied(wanted):
    model = one()
    model.after["node:nas"] = tag(model)
    outcome = run(wanted(TAGGED), model)
    assert (outcome.exit_code, outcome.overwritten) == (Exit.NOT_APPLIED, ())
    assert "accepted but not applied: node:nas (tags)" in render_text([outcome])


def test_more_routes_than_at_least_wanted_are_no_alarm(wanted):
    model = one()
    model.after["node:nas"] = lambda: model.change(
        "node", "1", "routes", frozenset({"10.1.0.0/16", "10.2.0.0/16"})
    )
    desired = wanted(
        "nodes: { nas: { routes: { approve: [10.1.0.0/16], mode: at-least } } }"
    )
    assert run(desired, model).exit_code == Exit.OK


def test_a_node_that_is_removed_after_our_write_is_told(wanted):
    model = one()
    model.after["node:nas"] = lambda: model.change("node", "1", "remove", None)
    outcome = run(wanted(TAGGED), model)
    assert outcome.exit_code == Exit.NOT_APPLIED
    assert "gone: node:nas: somebody else removed it" in render_text([outcome])


def test_a_user_that_somebody_else_renames(wanted):
    desired = wanted("users: { alicia: { was: alice } }")
    before, after = one(), one()
    at_look(before, lambda: before.change("user", "1", "name", "ally"))
    after.after["user:alice"] = lambda: after.change("user", "1", "name", "ally")
    early, late = run(desired, before), run(desired, after)
    assert "name was alice before, is ally now" in render_text([early])
    assert before.written == []
    assert "this run wrote: alicia\n    there now: ally" in render_text([late])
    assert (early.exit_code, late.exit_code) == (Exit.PARTIAL, Exit.NOT_APPLIED)


@pytest.mark.parametrize(("email", "status"), [("b@y.z", "converged"), ("", "failed")])
def test_a_user_that_somebody_else_makes(wanted, email, status):
    model = one()
    at_look(model, lambda: add(model, email))
    outcome = run(wanted("users: { alice: {}, bob: { email: b@y.z } }"), model)
    assert (told(outcome), model.written) == ({"user.create user:bob": status}, [])


def add(model, email=""):
    users = (*model.state.users, User("7", "bob", email=email))
    model.state = replace(model.state, users=users)


def test_a_user_that_somebody_else_makes_in_the_last_moment(wanted):
    """The server refuses the second one; it is there as wanted all the same."""
    model = one()

    def taken():
        add(model)
        raise Rejected("name is taken", status=409)

    model.before["user:bob"] = taken
    outcome = run(wanted("users: { alice: {}, bob: {} }"), model)
    assert told(outcome) == {"user.create user:bob": "converged"}
    assert outcome.exit_code == Exit.OK


# -- the policy --------------------------------------------------------------------------


def stale(model, text):
    """Let somebody write a policy in time for the adapter to see it."""

    def hook():
        model.state = replace(model.state, policy=PolicyText(text))
        raise StalePlan("the policy is another one")

    return hook


def test_a_policy_that_somebody_else_wrote_as_wanted_is_converged(wanted):
    model, desired = one(), wanted("policy: { acls: [] }")
    model.before["policy"] = stale(model, desired.policy.text)
    assert told(run(desired, model)) == {"policy.set policy": "converged"}


def test_another_policy_is_not_overwritten(wanted):
    model, desired = one(), wanted("policy: { acls: [] }")
    model.before["policy"] = stale(model, '{"hosts": {"x": "10.0.0.1"}, "acls": []}')
    outcome = run(desired, model)
    assert told(outcome) == {"policy.set policy": "failed"}
    assert "another one" in render_text([outcome])


def test_a_policy_that_is_overwritten_is_told_line_by_line(wanted):
    model, desired = one(), wanted("policy: { acls: [] }")
    theirs = PolicyText('{"groups": {"group:x": []},\n "acls": []}')
    model.after["policy"] = lambda: setattr(
        model, "state", replace(model.state, policy=theirs)
    )
    outcome = run(desired, model)
    assert outcome.exit_code == Exit.NOT_APPLIED
    text = render_text([outcome])
    assert "overwritten: policy: text, by somebody else" in text
    ours, others = text.split("then somebody else")
    assert '-{"tagOwners"' in ours
    assert '+{"groups": {"group:x": []},' in others


def test_between_the_two_writes_of_a_policy_another_one_is_not_overwritten(wanted):
    rules = '"acls": [{"action": "accept", "src": ["tag:web"], "dst": ["*:*"]}]'
    model = Model(
        live(
            nodes=[node(1, "nas", tags=["tag:web"])],
            policy=f'{{"tagOwners": {{"tag:web": []}}, {rules}}}',
        )
    )
    desired = wanted("""
        policy:
          tagOwners: { "tag:www": [] }
          acls: [{ action: accept, src: ["tag:www"], dst: ["*:*"] }]
        nodes: { nas: { tags: [tag:www] } }
    """)
    theirs = '{"tagOwners": {"tag:www": []}, "acls": []}'
    model.after["node:nas"] = lambda: setattr(
        model, "state", replace(model.state, policy=PolicyText(theirs))
    )
    outcome = run(desired, model)
    assert model.written == ["policy.set policy", TAG, "policy.set policy"]
    assert [r.status for r in outcome.results] == ["done", "done", "failed"]
    assert model.state.policy.text == theirs


@pytest.mark.parametrize(("route", "code"), [("10.1.0.0/16", 0), ("10.9.0.0/16", 5)])
def test_routes_that_our_policy_approves_are_ours_and_others_are_not(
    wanted, route, code
):
    model = Model(
        live(
            [user(1, "alice")],
            [node(1, "nas", user="alice", available=["10.1.0.0/16", "10.2.0.0/16"])],
            policy='{"acls": []}',
        )
    )
    model.after["policy"] = lambda: model.change(
        "node", "1", "routes", frozenset({route})
    )
    desired = wanted("""
        policy: { acls: [], autoApprovers: { routes: { 10.1.0.0/16: [alice@] } } }
        nodes: { nas: { routes: { approve: [10.1.0.0/16, 10.2.0.0/16] } } }
    """)
    assert run(desired, model).exit_code == code


# -- what another one overwrites, who read before we wrote -------------------------------


def test_it_waits_longer_than_it_took_before_it_reads_back(wanted):
    model, clock = one(), Clock()

    def slowly():
        clock.now += 1.5

    model.before["node:nas"] = slowly
    assert run(wanted(TAGGED), model, clock).exit_code == Exit.OK
    assert clock.pauses == [0.3 + 2 * 1.5]


def test_it_does_not_wait_for_ever_and_says_what_does_not_show(wanted):
    model, clock = one(), Clock()

    def very_slowly():
        clock.now += 60

    model.before["node:nas"] = very_slowly
    outcome = run(wanted(TAGGED), model, clock)
    assert (clock.pauses, outcome.exit_code) == ([5.0], Exit.OK)
    assert "node:nas: written more than 5 s after being compared" in render_text(
        [outcome]
    )


def test_it_does_not_wait_when_it_wrote_nothing(wanted):
    model, clock = one(), Clock()
    model.before["node:nas"] = raising(Rejected("no", status=400))
    run(wanted(TAGGED), model, clock)
    assert clock.pauses == []


def test_the_document_has_the_three_values_and_fits_the_schema(wanted):
    model = one(approved=EXIT_ROUTES)
    desired = wanted(TAGGED)
    model.after["node:nas"] = tag(model, "tag:db")
    plan = build(desired, model.state, name="hs")
    document = json.loads(render_json([plan], [run(desired, model)], []))
    Draft202012Validator(SCHEMA).validate(document)
    assert document["overwritten"] == [
        {
            "address": "node:nas",
            "field": "tags",
            "planned": [],
            "written": ["tag:web"],
            "now": ["tag:db"],
        }
    ]
    assert (document["not_applied"], document["applied"]) == (["node:nas"], False)


def test_nothing_is_late_that_was_not_written(wanted):
    model, clock = one(), Clock()
    step = run(wanted(TAGGED), model, clock).results[0].step
    assert Outcome((Result(step, "failed", window=60.0),)).late == ()


def test_what_somebody_else_moved_beside_the_plan_is_told(wanted):
    """Exit code 0 would say that the server is as the files want it."""
    model = Model(live(nodes=[node(1, "nas"), node(2, "tv")]))
    entries = "nas: { exit_node: true }, tv: { exit_node: false }"
    desired = wanted(f"nodes: {{ {entries} }}")
    model.after["node:nas"] = lambda: model.change("node", "2", "routes", EXIT_ROUTES)
    plan = build(desired, model.state, name="hs")
    outcome = run(desired, model, known=plan.changes)
    assert outcome.exit_code == Exit.NOT_APPLIED
    text = render_text([outcome])
    assert (
        "  changed meanwhile: node:tv (exit_node)\n  Somebody else changed that" in text
    )
    document = json.loads(render_json([plan], [outcome], []))
    assert (document["moved"], document["applied"]) == (["node:tv"], False)


def test_what_was_due_before_a_plan_of_a_part_is_no_news(wanted):
    model = one(expiry=NOW)
    desired = wanted("nodes: { nas: { tags: [tag:web], expiry: never } }")
    part = build(desired, model.state, name="hs", target=["node:nas.tags"])
    known = build(desired, model.state, name="hs").changes

    def replan():
        return build(desired, model.state, name="hs")

    nothing = {"ticks": Clock(), "pause": lambda _seconds: None}
    outcome = Apply(part, model, replan, known=known, **nothing).run()
    assert (outcome.moved, outcome.exit_code) == ((), Exit.OK)

"""Doing what a plan says, on a server that is a few dictionaries."""

import signal
import threading
from dataclasses import replace

import pytest

from reconcile.apply import run as module
from reconcile.apply.outcome import Outcome
from reconcile.apply.run import Apply, untouched
from reconcile.errors import AuthError, Exit, NotFound, Rejected, Unreachable
from reconcile.model import EXIT_ROUTES, PolicyText, User
from reconcile.plan.plan import build
from reconcile.report.outcome import render_text
from tests.support import live, node, user


class Model:
    """A server that does what it is told, unless a hook says otherwise.

    `before` and `after` map an address to what happens around the write of it.
    """

    def __init__(self, state):
        self.state = state
        self.before, self.after = {}, {}
        self.deaf = set()
        self.written, self.looks = [], []
        self.lock = threading.Lock()

    def look(self, kinds):
        if hook := self.before.get("look"):
            hook()
        self.looks.append("+".join(sorted(kinds)))
        return self.state

    def write(self, operation):
        if hook := self.before.get(operation.address):
            hook()
        with self.lock:
            self.written.append(f"{operation.verb} {operation.address}")
            if operation.address not in self.deaf:
                self._do(operation)
        if hook := self.after.get(operation.address):
            hook()

    def _do(self, operation):
        kind, _, verb = operation.verb.partition(".")
        if kind == "policy":
            if self.state.policy.text != operation.before:
                raise Rejected("the policy moved")
            self.state = replace(self.state, policy=PolicyText(operation.value))
        elif verb == "create":
            new = User(str(len(self.state.users) + 100), operation.value.name)
            self.state = replace(self.state, users=(*self.state.users, new))
        else:
            self.change(kind, operation.id, verb, operation.value)

    def change(self, kind, number, verb, value):
        """Change one object, as this tool or as somebody else."""
        field = {"routes": "approved", "rename": "name"}.get(verb, verb)
        made = []
        for item in getattr(self.state, f"{kind}s"):
            if item.id != number:
                made.append(item)
            elif verb != "remove":
                if field == "tags":
                    item = replace(item, user_id=None)
                made.append(replace(item, **{field: value}))
        self.state = replace(self.state, **{f"{kind}s": tuple(made)})


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def __call__(self):
        return self.now


def run(desired, model, clock=None, **options):
    """Plan and apply at once; return the outcome."""
    clock = clock or Clock()

    def replan():
        return build(desired, model.state, name="hs")

    how = {"ticks": clock, "pause": clock.pauses.append, **options}
    return Apply(replan(), model, replan, **how).run()


def told(outcome):
    """Return what became of each step, by verb and address."""
    return {
        f"{r.step.operation.verb} {r.step.operation.address}": r.status
        for r in outcome.results
    }


def raising(error):
    def hook():
        raise error

    return hook


ALL = """
    users: { alice: {}, ci-bot: {} }
    policy: { groups: { "group:ci": [ci-bot@] }, tagOwners: { "tag:web": [] }, acls: [] }
    nodes:
      nas: { tags: [tag:web], exit_node: true }
      tv: { exit_node: true }
    removed: [node:old, user:eve]
"""


def everything():
    return Model(
        live(
            [user(1, "alice"), user(2, "eve")],
            [node(1, "nas"), node(2, "tv"), node(3, "old", user="eve")],
            policy='{"acls": []}',
        )
    )


def test_everything_is_done_in_order_and_the_next_plan_is_empty(wanted):
    model = everything()
    desired = wanted(ALL)
    outcome = run(desired, model)
    assert outcome.exit_code == Exit.OK
    assert model.written[:3] == [
        "user.create user:ci-bot",
        "policy.set policy",
        "node.tags node:nas",
    ]
    assert set(model.written[3:5]) == {"node.routes node:nas", "node.routes node:tv"}
    assert model.written[5:] == ["node.remove node:old", "user.remove user:eve"]
    assert build(desired, model.state, name="hs").changes == ()


def test_inside_a_level_writes_run_side_by_side(wanted):
    """Each write waits until all three are there: one after the other never ends."""
    model = Model(live(nodes=[node(n, f"n{n}") for n in (1, 2, 3)]))
    together = threading.Barrier(3, timeout=20)
    model.before = {f"node:n{n}": together.wait for n in (1, 2, 3)}
    desired = wanted("nodes: { n1: &on { exit_node: true }, n2: *on, n3: *on }")
    assert run(desired, model, parallelism=3).exit_code == Exit.OK


def test_parallelism_is_the_most_at_a_time(wanted):
    model = Model(live(nodes=[node(n, f"n{n}") for n in range(1, 9)]))
    here, most = [], []

    def enter():
        here.append(1)
        most.append(len(here))

    model.before = {f"node:n{n}": enter for n in range(1, 9)}
    model.after = {f"node:n{n}": here.pop for n in range(1, 9)}
    entries = ", ".join(f"n{n}: {{ exit_node: true }}" for n in range(1, 9))
    assert run(wanted(f"nodes: {{ {entries} }}"), model, parallelism=2).results
    assert max(most) <= 2


def test_between_levels_the_last_write_of_one_comes_before_the_next(wanted):
    model = everything()
    late = threading.Event()
    model.before = {"node:tv": lambda: late.wait(20)}
    model.after = {"node:nas": lambda: late.set() if len(model.written) > 3 else None}
    run(wanted(ALL), model, parallelism=4)
    assert model.written.index("node.remove node:old") > model.written.index(
        "node.routes node:tv"
    )


def test_a_failure_skips_what_waits_for_it_and_nothing_else(wanted):
    model = everything()
    model.before["policy"] = raising(Rejected("PUT answered 500: no"))
    outcome = run(wanted(ALL), model)
    assert told(outcome) == {
        "user.create user:ci-bot": "done",
        "policy.set policy": "failed",
        "node.tags node:nas": "skipped",
        "node.routes node:nas": "skipped",
        "node.routes node:tv": "done",
        "node.remove node:old": "skipped",
        "user.remove user:eve": "skipped",
    }
    assert outcome.exit_code == Exit.PARTIAL
    text = render_text([outcome])
    assert "Applied 2 of 7. 1 failed, 4 skipped. Run again" in text
    assert "failed: policy: write: PUT answered 500: no" in text
    assert "skipped: node:nas: set tags: waits for policy" in text


def test_after_a_partial_failure_the_next_run_finishes(wanted):
    model = everything()
    model.before["policy"] = raising(Rejected("no"))
    desired = wanted(ALL)
    run(desired, model)
    del model.before["policy"]
    assert run(desired, model).exit_code == Exit.OK
    assert build(desired, model.state, name="hs").changes == ()


def test_fail_fast_starts_nothing_after_the_first_failure(wanted):
    model = everything()
    model.before["policy"] = raising(Rejected("no"))
    outcome = run(wanted(ALL), model, fail_fast=True)
    assert told(outcome)["node.routes node:tv"] == "skipped"
    assert model.written == ["user.create user:ci-bot"]
    assert "--fail-fast" in render_text([outcome])


def test_fail_fast_holds_inside_a_level_too(wanted):
    model = Model(live(nodes=[node(n, f"n{n}") for n in range(1, 6)]))
    model.before = {"node:n1": raising(Rejected("no"))}
    entries = ", ".join(f"n{n}: {{ exit_node: true }}" for n in range(1, 6))
    run(wanted(f"nodes: {{ {entries} }}"), model, fail_fast=True, parallelism=1)
    assert model.written == []


def test_a_refused_credential_stops_the_rest(wanted):
    """Each further try could lock the key out, and none can succeed."""
    model = Model(live(nodes=[node(n, f"n{n}") for n in range(1, 6)]))
    tried = []

    def refuse():
        tried.append(1)
        raise AuthError("the API key is refused")

    model.before = {f"node:n{n}": refuse for n in range(1, 6)}
    entries = ", ".join(f"n{n}: {{ exit_node: true }}" for n in range(1, 6))
    outcome = run(wanted(f"nodes: {{ {entries} }}"), model, parallelism=1)
    assert len(tried) == 1
    assert sorted(told(outcome).values()) == ["failed", *["skipped"] * 4]
    assert "the server refuses the credential" in render_text([outcome])


# -- answers that do not come, and answers that are not true -----------------------------


def test_a_lost_answer_is_settled_by_reading_back_it_happened(wanted):
    model = everything()
    model.after["node:tv"] = raising(Unreachable("the connection broke off"))
    outcome = run(wanted(ALL), model)
    assert told(outcome)["node.routes node:tv"] == "done"
    assert outcome.of("failed") == ()


def test_progress_does_not_count_a_lost_answer_as_a_failure(wanted):
    from reconcile.report.outcome import progress_line

    model, seen = everything(), []
    model.after["node:tv"] = raising(Unreachable("the connection broke off"))
    outcome = run(wanted(ALL), model, progress=lambda *told: seen.append(told))
    (line,) = [progress_line(*told) for told in seen if told[0].lost]
    assert "(no certain answer, looked up later)" in line
    assert not any("(failed)" in progress_line(*told) for told in seen)
    number = len(outcome.results)
    assert f"Applied {number} of {number}." in render_text([outcome])


def test_a_lost_answer_is_settled_by_reading_back_it_did_not_happen(wanted):
    model = everything()
    model.before["node:tv"] = raising(Unreachable("the connection broke off"))
    outcome = run(wanted(ALL), model)
    assert told(outcome)["node.routes node:tv"] == "failed"
    assert outcome.exit_code == Exit.PARTIAL
    assert "it may have happened" not in render_text([outcome])


LOST = {
    "tags": "tags: [tag:web], exit_node: true",
    "name": "match: { id: '1' }, routes: { approve: [] }",
    "routes": "routes: { approve: [10.1.0.0/16] }",
    "expiry": "expiry: 2031-01-01, routes: { approve: [] }",
}


@pytest.mark.parametrize("field", LOST)
def test_one_lost_step_of_several_is_settled_by_its_own_field(wanted, field):
    """The change as a whole is still due, and its later steps go on."""
    name = "old" if field == "name" else "nas"
    model = Model(live(nodes=[node(1, name, approved=["10.9.0.0/16"])]))
    lost = []

    def once():
        if not lost:
            lost.append(model.written[-1])
            raise Unreachable("reset")

    model.after["node:nas"] = once
    desired = wanted(f"nodes: {{ nas: {{ {LOST[field]} }} }}")
    outcome = run(desired, model, parallelism=1)
    assert lost == [
        "node.name node:nas" if field == "name" else f"node.{field} node:nas"
    ]
    assert len(outcome.results) > 1
    assert set(told(outcome).values()) == {"done"}
    assert outcome.exit_code == Exit.OK


@pytest.mark.parametrize("field", LOST)
def test_one_lost_step_that_did_not_happen_stops_the_later_ones(wanted, field):
    name = "old" if field == "name" else "nas"
    model = Model(live(nodes=[node(1, name, approved=["10.9.0.0/16"])]))
    model.before["node:nas"] = raising(Unreachable("reset"))
    desired = wanted(f"nodes: {{ nas: {{ {LOST[field]} }} }}")
    outcome = run(desired, model, parallelism=1)
    first, *rest = outcome.results
    assert (first.status, {r.status for r in rest}) == ("failed", {"skipped"})
    assert outcome.exit_code == Exit.PARTIAL


def test_a_lost_step_that_cannot_be_read_back_may_have_happened(wanted):
    model = everything()
    model.before["node:tv"] = raising(Unreachable("reset"))
    desired = wanted(ALL)
    plan = build(desired, model.state, name="hs")
    replan = raising(Unreachable("gone"))
    outcome = Apply(plan, model, replan).run()
    text = render_text([outcome])
    assert "it may have happened all the same" in text
    assert "could not read back: gone" in text
    assert outcome.exit_code == Exit.PARTIAL


def test_accepted_but_not_applied_is_exit_6(wanted):
    model = everything()
    model.deaf = {"node:nas"}
    outcome = run(wanted(ALL), model)
    assert outcome.exit_code == Exit.NOT_APPLIED
    assert [c.address for c in outcome.not_applied] == ["node:nas"]
    assert "accepted but not applied: node:nas (tags, exit_node)" in render_text(
        [outcome]
    )


@pytest.mark.parametrize("address", ["user:ci-bot", "policy", "node:old", "user:eve"])
def test_every_kind_of_write_is_read_back(wanted, address):
    model = everything()
    model.deaf = {address, "user:eve"} if address == "node:old" else {address}
    outcome = run(wanted(ALL), model)
    assert address in [c.address for c in outcome.not_applied]


def test_not_being_able_to_read_back_is_no_success(wanted):
    model = everything()
    plan = build(wanted(ALL), model.state, name="hs")
    outcome = Apply(plan, model, raising(Unreachable("gone"))).run()
    assert (outcome.exit_code, outcome.unread) == (Exit.NOT_APPLIED, "gone")


# -- somebody else at the same time ------------------------------------------------------


def test_what_somebody_else_changed_in_between_is_not_overwritten(wanted):
    model, clock = everything(), Clock()

    def meanwhile():
        clock.now += 3
        model.change("node", "1", "tags", frozenset({"tag:lab"}))

    model.after["policy"] = meanwhile
    outcome = run(wanted(ALL), model, clock)
    assert told(outcome)["node.tags node:nas"] == "failed"
    assert "node.tags node:nas" not in model.written
    assert told(outcome)["node.routes node:tv"] == "done"
    assert "changed by somebody else" in render_text([outcome])
    assert next(n for n in model.state.nodes if n.id == "1").tags == {"tag:lab"}


def test_what_somebody_else_did_already_is_not_done_twice(wanted):
    model, clock = everything(), Clock()

    def meanwhile():
        clock.now += 3
        model.change("node", "1", "tags", frozenset({"tag:web"}))
        model.change("node", "1", "routes", EXIT_ROUTES)

    model.after["policy"] = meanwhile
    outcome = run(wanted(ALL), model, clock)
    assert told(outcome)["node.tags node:nas"] == "converged"
    assert "node.tags node:nas" not in model.written
    assert outcome.exit_code == Exit.OK
    total = len(outcome.results)
    done = f"Applied {total - 2} of {total}. 2 already as wanted."
    assert done in render_text([outcome])


def test_an_object_that_vanished_in_between_is_not_called_done(wanted):
    model, clock = everything(), Clock()

    def meanwhile():
        clock.now += 3
        left = tuple(n for n in model.state.nodes if n.id != "1")
        model.state = replace(model.state, nodes=left)

    model.after["policy"] = meanwhile
    outcome = run(wanted(ALL), model, clock)
    assert told(outcome)["node.tags node:nas"] == "failed"
    assert outcome.exit_code == Exit.PARTIAL


def test_each_level_reads_once_what_it_writes(wanted):
    model = everything()
    run(wanted(ALL), model)
    assert model.looks == ["user", "node+user", "node+user", "node+user", "user"]


def test_without_a_policy_to_write_a_level_of_nodes_reads_nodes_alone(wanted):
    model = Model(live(nodes=[node(1, "nas"), node(2, "tv")]))
    run(wanted("nodes: { nas: &on { exit_node: true }, tv: *on }"), model)
    assert model.looks == ["node"]


def test_inside_a_long_level_old_objects_are_read_again_too(wanted):
    model, clock = Model(live(nodes=[node(n, f"n{n}") for n in (1, 2, 3)])), Clock()

    def meanwhile():
        clock.now += 3
        model.change("node", "3", "routes", frozenset({"10.0.0.0/8"}))

    model.after["node:n1"] = meanwhile
    entries = ", ".join(f"n{n}: {{ exit_node: true }}" for n in (1, 2, 3))
    outcome = run(wanted(f"nodes: {{ {entries} }}"), model, clock, parallelism=1)
    assert list(told(outcome).values()) == ["done", "done", "failed"]


def test_our_own_writes_are_not_taken_for_somebody_elses(wanted):
    """A renamed user shows on its nodes, and a policy approves routes by itself."""
    model, clock = (
        Model(
            live(
                [user(1, "bob")],
                [node(1, "nas", user="bob", available=["10.1.0.0/16", "10.2.0.0/16"])],
                policy='{"acls": []}',
            )
        ),
        Clock(),
    )

    def renamed():
        clock.now += 3

    def approved():
        clock.now += 3
        model.change("node", "1", "routes", frozenset({"10.1.0.0/16"}))

    model.after = {"user:bob": renamed, "policy": approved}
    desired = wanted("""
        users: { robert: { was: bob } }
        policy: { acls: [], autoApprovers: { routes: { 10.1.0.0/16: [robert@] } } }
        nodes: { nas: { routes: { approve: [10.1.0.0/16, 10.2.0.0/16] } } }
    """)
    outcome = run(desired, model, clock)
    assert set(told(outcome).values()) == {"done"}
    assert outcome.exit_code == Exit.OK


def test_when_the_server_cannot_be_read_again_nothing_more_is_written(wanted):
    model = everything()

    def unreachable():
        model.before["look"] = raising(Unreachable("gone"))

    model.after["policy"] = unreachable
    outcome = run(wanted(ALL), model)
    assert model.written == ["user.create user:ci-bot", "policy.set policy"]
    assert "could not be read again: gone" in render_text([outcome])
    assert len(outcome.results) == 7


# -- Ctrl-C ------------------------------------------------------------------------------


def interrupt():
    """Send Ctrl-C to the main thread, from the thread of a write."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_ctrl_c_lets_running_writes_end_and_starts_no_other(wanted):
    model = everything()
    model.before["policy"] = interrupt
    outcome = run(wanted(ALL), model)
    assert model.written == ["user.create user:ci-bot", "policy.set policy"]
    assert told(outcome)["policy.set policy"] == "done"
    assert list(told(outcome).values()).count("skipped") == 5
    assert (outcome.interrupted, outcome.exit_code) == (True, Exit.PARTIAL)
    text = render_text([outcome])
    assert "Applied 2 of 7. 0 failed, 5 skipped. Run again" in text
    assert "skipped: node:tv: approve routes: the run was interrupted" in text


def test_ctrl_c_inside_a_level_starts_none_of_its_other_writes(wanted):
    model = Model(live(nodes=[node(n, f"n{n}") for n in range(1, 6)]))
    model.before = {"node:n2": interrupt}
    entries = ", ".join(f"n{n}: {{ exit_node: true }}" for n in range(1, 6))
    outcome = run(wanted(f"nodes: {{ {entries} }}"), model, parallelism=1)
    assert model.written == ["node.routes node:n1", "node.routes node:n2"]
    assert list(told(outcome).values()) == ["done", "done", *["skipped"] * 3]


def test_a_second_ctrl_c_does_not_wait_but_still_reports(wanted, monkeypatch):
    """A signal may come just before a wait begins, so the waits are interrupted here."""
    model = everything()
    hold = threading.Event()
    model.before["policy"] = lambda: hold.wait(20)
    real, waits = module.wait, []

    def interrupted(running, seconds, **more):
        if "policy" in {step.operation.address for step in running.values()}:
            waits.append(more)
            raise KeyboardInterrupt
        return real(running, seconds, **more)

    monkeypatch.setattr(module, "wait", interrupted)
    outcome = run(wanted(ALL), model)
    written = list(model.written)
    hold.set()
    assert len(waits) == 2
    assert told(outcome)["policy.set policy"] == "failed"
    assert written == ["user.create user:ci-bot"]
    assert "interrupted before an answer came" in render_text([outcome])


def test_ctrl_c_while_reading_back_keeps_the_report(wanted):
    model = everything()
    plan = build(wanted(ALL), model.state, name="hs")
    outcome = Apply(plan, model, raising(KeyboardInterrupt())).run()
    assert (outcome.interrupted, outcome.exit_code) == (True, Exit.NOT_APPLIED)
    assert set(told(outcome).values()) == {"done"}


# -- report ------------------------------------------------------------------------------


def test_progress_counts_every_step(wanted):
    seen = []
    run(wanted(ALL), everything(), progress=lambda r, n, total: seen.append((n, total)))
    assert seen == [(n, 7) for n in range(1, 8)]


def test_an_outcome_without_steps_says_nothing():
    assert render_text([Outcome(())]) == ""


def test_what_waits_for_a_lost_write_that_happened_goes_on(wanted):
    model = everything()
    model.after["user:ci-bot"] = raising(Unreachable("reset"))
    outcome = run(wanted(ALL), model)
    assert set(told(outcome).values()) == {"done"}
    assert outcome.exit_code == Exit.OK


def test_what_was_to_be_removed_and_is_gone_is_done(wanted):
    model = everything()

    def gone():
        model.change("node", "3", "remove", None)
        raise NotFound("node not found", status=404)

    model.before["node:old"] = gone
    outcome = run(wanted(ALL), model)
    assert told(outcome)["node.remove node:old"] == "done"


def test_a_500_after_which_everything_is_as_wanted_is_done(wanted):
    """Headscale stores a policy, then may fail on what it does with it."""
    model = everything()
    model.after["policy"] = raising(Rejected("ssh rules", status=500))
    assert told(run(wanted(ALL), model))["policy.set policy"] == "done"


def test_a_node_that_vanished_is_not_taken_for_done(wanted):
    model = everything()

    def vanished():
        model.change("node", "2", "remove", None)
        raise Unreachable("reset")

    model.before["node:tv"] = vanished
    assert told(run(wanted(ALL), model))["node.routes node:tv"] == "failed"


def test_a_server_that_was_not_begun_is_in_the_report_too(wanted):
    plan = build(wanted(ALL), everything().state, name="hs")
    outcome = untouched(plan, "the run was interrupted")
    assert set(told(outcome).values()) == {"skipped"}
    assert (len(outcome.results), outcome.exit_code) == (7, Exit.PARTIAL)

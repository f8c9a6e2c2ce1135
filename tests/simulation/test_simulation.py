"""A thousand seeds: whatever goes wrong, one apply with nothing wrong converges.

`python -m tests.simulation SEED` repeats one. The tests at the end break the program
on purpose: the laws have to notice.
"""

from dataclasses import replace

import pytest

from reconcile.apply import run as apply
from reconcile.live import http
from reconcile.live.headscale import adapter as headscale
from reconcile.live.headscale.adapter import Headscale
from reconcile.source import disk
from tests.simulation.run import play

_EACH = 50
_PATIENCE = 150  # seeds in which a break has to show


@pytest.mark.parametrize("first", range(0, 1000, _EACH))
def test_every_law_holds(first):
    for number in range(first, first + _EACH):
        tale = play(number)
        assert not tale.wrong, tale.text()


def test_a_seed_always_goes_the_same_way():
    for number in range(5):
        assert play(number).text() == play(number).text()


def sends_all_again(patch):
    sent = http.exchange
    patch.setattr(http, "exchange", lambda *all_, again: sent(*all_, again=True))


def believes_every_answer(patch):
    patch.setattr(apply, "_still_due", lambda *_: False)
    patch.setattr(apply, "_happened", lambda *_: True)


def never_looks_at_the_policy(patch):
    patch.setattr(Headscale, "policy_to_write", lambda _, operation: operation.value)


def writes_files_bit_by_bit(patch):
    def overwrite(path, data, _now, _mode):
        path.write_bytes(data[:9])
        disk.os.fsync(0)
        path.write_bytes(data)

    patch.setattr(disk, "_replace", overwrite)


def takes_a_route_away(patch):
    approve = Headscale._set_routes

    def fewer(self, operation):
        routes = frozenset(sorted(operation.value)[1:])
        approve(self, replace(operation, value=routes))

    patch.setitem(headscale._WRITERS, "node.routes", fewer)


def leaves_the_last_step_out(patch):
    steps = apply.steps
    patch.setattr(apply, "steps", lambda changes: steps(changes)[:-1])


BREAKS = {
    sends_all_again: "sent 2 times",
    believes_every_answer: "exit 0, and",
    never_looks_at_the_policy: "a policy is written without a look at it",
    writes_files_bit_by_bit: "half a plan is written",
    takes_a_route_away: "touched: POST /api/v1/node/",
    leaves_the_last_step_out: "the plan after it ended with 2",
}


@pytest.mark.parametrize("break_", BREAKS)
def test_a_broken_program_is_noticed(break_, monkeypatch):
    break_(monkeypatch)
    told = ("\n".join(play(number).wrong) for number in range(_PATIENCE))
    assert any(BREAKS[break_] in text for text in told)

"""A signal never hits the middle of a request, and a second one does not wait."""

import signal

import pytest

from reconcile.live import interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def listening():
    known = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    interrupts.listen()
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_what_runs(listening, number):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def request(done, *signals):
    with interrupts.held_back():
        for number in signals:
            signal.raise_signal(number)
        done.append("answer")


def test_a_request_is_finished_first(listening, capfd):
    done = []
    with pytest.raises(KeyboardInterrupt):
        request(done, signal.SIGINT)
    assert done == ["answer"]
    assert "waits for the server's answer" in capfd.readouterr().err
    request(done)
    assert done == ["answer", "answer"]


def test_a_second_signal_does_not_wait(listening):
    done = []
    with pytest.raises(KeyboardInterrupt):
        request(done, signal.SIGTERM, signal.SIGTERM)
    assert done == []


def test_what_is_to_be_ignored_stays_so(listening):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    interrupts.listen()
    signal.raise_signal(signal.SIGHUP)

"""Signals to a barn or supervisor: which are heard, and which interrupt a hook."""

from __future__ import annotations

import os
import signal

import pytest

from haconiwa.errors import HookError
from haconiwa.lifecycle.hooks import call_function
from haconiwa.supervisor.signals import STOP_SIGNALS, Signals
from tests.support.child import in_child


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def test_one_to_stop_is_heard_once_however_often_it_comes_at_once() -> None:
    def process() -> None:
        signals = Signals((*STOP_SIGNALS, signal.SIGUSR1))
        send(signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        assert signals.take() == [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR1]
        assert signals.take() == []

    in_child(process)


def test_its_echo_does_not_interrupt_the_next_hook() -> None:
    """As the hook of the end, which is called when the stop has interrupted one before."""

    def process() -> None:
        signals = Signals(STOP_SIGNALS)
        with pytest.raises(HookError, match="was interrupted"):
            call_function(lambda _: send(signal.SIGTERM), None, "the hook")
        assert call_function(lambda _: send(signal.SIGINT), None, "the next hook") is None
        assert signals.take() == [signal.SIGTERM]

    in_child(process)


def test_a_hang_up_that_nohup_has_ignored_stays_so_unless_it_means_a_reload() -> None:
    def process() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        Signals(STOP_SIGNALS)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        reloading = Signals(STOP_SIGNALS, (signal.SIGTERM, signal.SIGINT))
        send(signal.SIGHUP)
        assert reloading.take() == [signal.SIGHUP]

    in_child(process)

"""Signals: what the standard library's module does not reach."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.kernel import process
from haconiwa.kernel.process import reset_library_signals
from haconiwa.kernel.signals import signal_name, signal_number
from tests.support.child import in_child


def _ignored() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line.split()[1] for line in file if line.startswith("SigIgn")), 16)


def test_the_signals_of_the_c_library_get_their_default_action() -> None:
    def child() -> str:
        ignore = (1).to_bytes(8, "little") + bytes(24)  # struct kernel_sigaction with SIG_IGN
        for number in (32, 33):
            assert process._rt_sigaction(number, ignore, None, 8) == 0
        before = _ignored()
        reset_library_signals()
        return f"{before >> 31 & 3} {_ignored() >> 31 & 3}"

    assert in_child(child) == "3 0"


@given(st.sampled_from([s for s in signal.Signals if s.name not in ("SIGIOT", "SIGCLD", "SIGPOLL")]))
def test_names_and_numbers_are_those_of_the_standard_library(sig: signal.Signals) -> None:
    assert signal_number(sig.name) == signal_number(sig.name[3:].lower()) == signal_number(str(int(sig))) == int(sig)
    assert signal_number(signal_name(int(sig))) == int(sig)


@pytest.mark.parametrize("sig", ["", "SIGNOPE", "_DFL", "DFL", "99", "-1", 0, 65, "\uff19"])
def test_what_is_no_signal_is_refused(sig: int | str) -> None:
    with pytest.raises(ValueError, match="unknown signal"):
        signal_number(sig)


def test_signals_are_plain_numbers() -> None:
    assert signal_name(signal.SIGRTMIN + 1) == str(signal.SIGRTMIN + 1)

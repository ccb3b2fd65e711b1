"""The limits of a reload as plain values."""

from __future__ import annotations

import os

import pytest

from haconiwa.errors import ContainerError
from haconiwa.lifecycle.reload import apply_rlimits, rlimit_specs
from haconiwa.spec.model import RlimitSpec
from haconiwa.spec.record import to_plain

LIMITS = (RlimitSpec(name="NOFILE", soft=10, hard=None), RlimitSpec(name="CORE", soft=0, hard=0))


def test_plain_values_are_records_again() -> None:
    assert rlimit_specs(to_plain(LIMITS)) == LIMITS
    assert rlimit_specs([]) == ()


@pytest.mark.parametrize(
    "plain",
    [
        None, {}, "NOFILE", [None], ["NOFILE"], [{}], [{"name": "NOFILE"}], [{"name": "NOFILE", "soft": 1}],
        [{"name": "NOFILE", "soft": True, "hard": 1}], [{"name": "NOFILE", "soft": -1, "hard": 1}],
        [{"name": "NOFILE", "soft": 1, "hard": 1.5}], [{"name": "NOTHING", "soft": 1, "hard": 1}],
        [{"name": 5, "soft": 1, "hard": 1}],
    ],
)  # fmt: skip
def test_others_are_refused(plain: object) -> None:
    with pytest.raises(ValueError, match=r"^no "):
        rlimit_specs(plain)


def test_a_limit_that_is_too_large_for_a_call_is_an_error_of_ours() -> None:
    new = [{"name": "NOFILE", "soft": 1 << 63, "hard": 1 << 63}]
    with pytest.raises(ContainerError, match="cannot set the limits NOFILE: Python int too large"):
        apply_rlimits([], new, lambda: [os.getpid()])

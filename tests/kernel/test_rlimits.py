"""Resource limits, compared with what the standard library shows."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.rlimits import RLIM_INFINITY, RLIMIT, getrlimit, setrlimit
from tests.support.child import in_child


def test_the_same_as_the_standard_librarys() -> None:
    for name, number in RLIMIT.members.items():
        if name == "LOCKS":
            continue  # the standard library has no name for it
        assert number == getattr(resource, f"RLIMIT_{name}")
        assert getrlimit(number) == tuple(limit % 2**64 for limit in resource.getrlimit(number))


def test_set_and_read() -> None:
    def check() -> None:
        setrlimit(RLIMIT.CORE, 1, 4096)
        assert getrlimit(RLIMIT.CORE) == (1, 4096)
        hard = getrlimit(RLIMIT.CPU)[1]
        setrlimit(RLIMIT.CPU, hard, hard)
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] == (-1 if hard == RLIM_INFINITY else hard)

    in_child(check)


def test_failures() -> None:
    with pytest.raises(SyscallError) as caught:
        setrlimit(RLIMIT.CORE, 2, 1)
    assert (caught.value.errno, caught.value.call) == (
        errno.EINVAL,
        "setrlimit(RLIMIT_CORE, {rlim_cur=2, rlim_max=1})",
    )
    with pytest.raises(SyscallError) as caught:
        getrlimit(99)
    assert (caught.value.errno, caught.value.call) == (errno.EINVAL, "getrlimit(99)")


@pytest.mark.requires("root")
def test_a_hard_limit_is_raised_by_the_privileged_only() -> None:
    def check() -> None:
        setrlimit(RLIMIT.CORE, 0, 1)
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(PermissionError):
            setrlimit(RLIMIT.CORE, 0, 2)

    in_child(check)

"""Files that are memory only."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from haconiwa.host.descriptors import memory_file
from tests.support.child import in_child


@pytest.mark.parametrize("content", [b"", b"text", b"x" * 300_000])
def test_it_reads_as_what_was_given(content: bytes) -> None:
    fd = memory_file(content)
    with open(fd, "rb") as file:
        assert not os.get_inheritable(fd)
        assert file.read() == content


def test_what_cannot_be_written_costs_no_descriptor() -> None:
    def check() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError, match="File too large"):
            memory_file(b"x" * 100)
        assert os.listdir("/proc/self/fd") == before

    in_child(check)

"""A barn that fails, on a part of one."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from haconiwa.host.loop import Loop
from haconiwa.supervisor.barn import Work


def test_a_barn_that_fails_gives_back_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_loop: Loop) -> None:
        raise MemoryError

    closed: list[bool] = []
    read_fd, write_fd = os.pipe()
    work = object.__new__(Work)
    fields = {
        "_loop": Loop(),
        "_signals": SimpleNamespace(fd=read_fd),
        "_members": [],
        "_fork_next": lambda: None,
        "_relay": SimpleNamespace(close=lambda: closed.append(True)),
        "_print_fd": -1,
    }
    for field, value in fields.items():
        setattr(work, field, value)
    monkeypatch.setattr("haconiwa.supervisor.barn.settle", fail)
    with pytest.raises(MemoryError):
        work.run()
    assert closed == [True]
    for fd in (read_fd, write_fd):
        os.close(fd)

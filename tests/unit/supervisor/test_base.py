from __future__ import annotations

import os
import signal
import subprocess

import pytest

from haconiwa.spec.model import ContainerSpec, RootfsSpec
from haconiwa.supervisor.base import Base


def base(**settings: object) -> Base:
    fields = {"name": "web", "environ": {}, "stdio": {}, "metadata": {"a": "b"}, "sources": {}}
    return Base(ContainerSpec(**{**fields, **settings}))  # type: ignore[arg-type]


def test_what_it_says_before_the_start() -> None:
    one = base(rootfs=RootfsSpec(path="/srv/web"))
    assert (one.name, one.root, one.metadata) == ("web", "/srv/web", {"a": "b"})
    assert (one.status, one.pid, one.exit_status, one.cgroup.paths, one.timer) == ("creating", 0, None, (), None)
    assert one.supervisor_pid == os.getpid()
    assert base().root == "/"


def test_kill_before_the_start() -> None:
    with pytest.raises(ProcessLookupError, match="web is not running"):
        base().kill()


@pytest.mark.parametrize("sig", ["TERM", "SIGTERM", "term", 15, "15", signal.SIGTERM])
def test_kill(sig: int | str) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        one = base()
        one._pidfd = os.pidfd_open(process.pid)
        one.kill(sig)
        assert process.wait(20) == -signal.SIGTERM
        os.close(one._pidfd)


@pytest.mark.parametrize("sig", ["NOPE", "SIGNOPE", -1, 999, ""])
def test_kill_with_no_signal(sig: int | str) -> None:
    one = base()
    one._pidfd = os.pidfd_open(os.getpid())
    with pytest.raises(ValueError, match="signal"):
        one.kill(sig)
    os.close(one._pidfd)


def test_log(capfd: pytest.CaptureFixture[str]) -> None:
    base().log("one")
    base().log(2)
    base().log("é\udcff")
    assert capfd.readouterr().out.startswith("web: one\nweb: 2\nweb: é")


def test_stop_asks_the_supervisor() -> None:
    one = base()
    asked: list[int] = []
    one._stop = lambda: asked.append(1)
    one.stop()
    assert asked == [1]

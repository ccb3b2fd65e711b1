from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from haconiwa.errors import HookError
from haconiwa.lifecycle.hooks import call_function
from haconiwa.spec.model import ContainerSpec, RootfsSpec
from haconiwa.supervisor.base import Barn, Base


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


def in_hook(function: Callable[[Any], object], argument: object) -> str:
    """Why a hook fails."""
    with pytest.raises(HookError) as caught:
        call_function(function, argument, "it")
    return caught.value.why


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pid", "base.pid: hooks can read it, not set it"),
        ("cgroup", "base.cgroup: hooks can read it, not set it"),
        ("stop", "base.stop: hooks can read it, not set it"),
        ("stauts", 'unknown name "base.stauts"; did you mean "status"?'),
        ("xyzzy", 'unknown name "base.xyzzy"'),
    ],
)
def test_hooks_set_nothing(name: str, why: str) -> None:
    one = base()
    one.status = "running"  # the supervisor
    assert in_hook(lambda base: setattr(base, name, 1), one) == f"AttributeError: {why}"
    assert (one.status, one.pid) == ("running", 0)


def test_names_that_there_are_not() -> None:
    one, barn = base(), Barn("garden.haco", ("web",))
    assert in_hook(lambda base: base.meta, one) == 'AttributeError: unknown name "base.meta"; did you mean "metadata"?'
    assert in_hook(lambda barn: setattr(barn, "exit_status", 0), barn).endswith(
        "barn.exit_status: hooks can read it, not set it"
    )
    assert not hasattr(one, "nothing")


def test_how_they_are_shown() -> None:
    assert [repr(one) for one in (base(), Barn("garden.haco", ("web",)))] == [
        "<Base of web, creating>",
        "<Barn of garden.haco>",
    ]

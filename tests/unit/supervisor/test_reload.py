"""Reloads on SIGHUP that fail: each says why, and the container goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from haconiwa.errors import ConfigError, HaconiwaError
from haconiwa.host.loop import Loop
from haconiwa.spec.model import ContainerSpec
from haconiwa.supervisor import reload
from haconiwa.supervisor.reload import Reloader

SPEC = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={})


class Reloading:
    """As much of a supervisor as reloads."""

    def __init__(self, load: Callable[[], object]) -> None:
        self.loop = Loop()
        self.spec = SPEC
        self.options = SimpleNamespace(load=load, haco_file="/srv/web.haco")
        self.container = SimpleNamespace(pidfd=0)
        self.base = SimpleNamespace(status="restarting")
        self.told: list[tuple[str, object]] = []
        self.reported: list[HaconiwaError] = []

    def tell(self, event: str, **details: object) -> None:
        self.told.append((event, details.get("error")))

    def report(self, error: HaconiwaError) -> None:
        self.reported.append(error)

    def reload(self) -> list[tuple[str, object]]:
        """What was told once it is over; the container ends meanwhile."""
        Reloader(self).ask()  # type: ignore[arg-type]
        self.container.pidfd = -1
        self.loop.run_until(lambda: bool(self.told))
        return self.told


def refuse() -> None:
    raise ConfigError("it is wrong")


DIED = "web: cannot reload: the process that executed its haco file has died"
SILENT = "web: cannot reload: the process that executed its haco file gave no answer"


def fork() -> object:
    if pid := os.fork():
        os.waitpid(pid, 0)
    return SimpleNamespace(containers=())


@pytest.mark.parametrize(
    ("load", "error", "is_reported_here"),
    [
        (lambda: os._exit(1), DIED, True),
        (lambda: os.kill(os.getpid(), 9), DIED, True),
        (lambda: os._exit(0), SILENT, True),
        (lambda: os.closerange(3, 1000), SILENT, True),
        (fork, SILENT, True),
        (lambda: SimpleNamespace(containers=()), "web: cannot reload: the file does not describe it any more", False),
        (lambda: SimpleNamespace(containers=(SPEC,)), "web: is not running", True),
        (lambda: 1 / 0, "web: internal error: ZeroDivisionError: division by zero", False),
        (refuse, "it is wrong", False),
    ],
)
def test_why_a_reload_has_failed(load: Callable[[], object], error: str, is_reported_here: bool) -> None:
    reloading = Reloading(load)
    assert reloading.reload() == [("reload_failed", error)]
    assert [str(one) for one in reloading.reported] == [error] * is_reported_here


def test_between_two_runs_it_is_refused() -> None:
    reloading = Reloading(refuse)
    reloading.container.pidfd = -1
    assert reloading.reload() == [("reload_failed", "web: cannot reload: it is restarting")]
    assert len(reloading.reported) == 1


def test_a_file_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_LOAD_WITHIN_S", 0.01)
    read_fd, write_fd = os.pipe()  # from which nothing comes
    reloading = Reloading(lambda: os.read(read_fd, 1))
    assert reloading.reload() == [("reload_failed", "web: cannot reload: its haco file took more than 0.01 s")]
    assert reloading.reported[0].hint == "try haconiwa check /srv/web.haco"
    os.close(read_fd)
    os.close(write_fd)


def test_what_nobody_has_foreseen_ends_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(reload, "_change", fail)
    reloading = Reloading(lambda: SimpleNamespace(containers=(SPEC,)))
    assert reloading.reload() == [("reload_failed", "unforeseen")]
    assert [str(one) for one in reloading.reported] == ["web: internal error: ValueError: unforeseen"]


def test_the_end_of_the_container_is_that_of_its_reload() -> None:
    read_fd, write_fd = os.pipe()
    reloading = Reloading(lambda: os.read(read_fd, 1))
    reloader = Reloader(reloading)  # type: ignore[arg-type]
    reloader.ask()
    reloader.cancel()
    reloader.cancel()
    assert reloading.told == [("reload_failed", "web: cannot reload: it has ended")]
    assert reloading.reported == []
    os.close(read_fd)
    os.close(write_fd)

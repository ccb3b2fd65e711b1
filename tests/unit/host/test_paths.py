"""Folders of root and of an ordinary user, who is a child of the test with other ids."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.errors import HostError
from haconiwa.host import paths
from tests.support.child import in_child

UID = 52_321
_VARIABLES = (
    "HACONIWA_RUN_DIR", "HACONIWA_LIB_DIR", "HACONIWA_LOG_DIR", "HACONIWA_CACHE_DIR", "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME",
)  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def home(session_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that the user can reach, with a good folder for the state."""
    folder = session_dir / "paths-home"
    (folder / "run").mkdir(parents=True, mode=0o700)
    folder.chmod(0o755)
    os.chown(folder / "run", UID, UID)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    yield folder
    (folder / "run").rmdir()
    for path in folder.iterdir():
        path.rmdir()
    folder.rmdir()


def as_user(function: Callable[[], str]) -> str:
    """What a function answers in a child with the ids of the user; of an error its words."""

    def call() -> str:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        try:
            return function()
        except HostError as error:
            return f"{error.what}: {error.why}"

    return in_child(call)


@pytest.mark.requires("root")
def test_root_has_those_of_the_system() -> None:
    assert paths.run_dir() == "/run/haconiwa"
    assert paths.lib_dir() == "/var/lib/haconiwa"
    assert paths.log_dir() == "/var/log/haconiwa"
    assert paths.cache_dir() == "/var/cache/haconiwa"
    assert paths.default_pid_file("web") == "/run/haconiwa-web.pid"


@pytest.mark.requires("root")
def test_a_user_has_its_own(home: Path) -> None:
    assert as_user(paths.run_dir) == f"{home}/run/haconiwa"
    assert as_user(paths.lib_dir) == f"{home}/.local/share/haconiwa"
    assert as_user(paths.log_dir) == f"{home}/.local/state/haconiwa"
    assert as_user(paths.cache_dir) == f"{home}/.cache/haconiwa"
    assert as_user(lambda: paths.default_pid_file("web")) == f"{home}/run/haconiwa-web.pid"


@pytest.mark.requires("root")
def test_variables_of_the_specification_and_ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/data")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HACONIWA_CACHE_DIR", "/srv/cache")
    assert as_user(paths.lib_dir) == "/srv/data/haconiwa"
    assert as_user(paths.log_dir) == f"{home}/.local/state/haconiwa"
    assert as_user(paths.cache_dir) == "/srv/cache"
    monkeypatch.setenv("HACONIWA_RUN_DIR", "/srv/run/x")
    assert as_user(lambda: paths.default_pid_file("web")) == "/srv/run/haconiwa-web.pid"
    assert as_user(lambda: paths.own_folders()["HACONIWA_RUN_DIR"]) == "/srv/run/x"


@pytest.mark.requires("root")
def test_a_link_for_the_state_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = home / "link"
    link.symlink_to("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(link))
    assert as_user(paths.run_dir).endswith("it is no directory with an absolute path")
    link.unlink()


@pytest.mark.requires("root")
def test_without_a_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    monkeypatch.delenv("HOME")
    assert as_user(paths.lib_dir) == "cannot tell where the folder of HACONIWA_LIB_DIR is: HOME is not set"

"""What a supervisor does when its own host fails it, on a part of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from haconiwa.errors import ContainerError
from haconiwa.lifecycle.state import Claim, State, read_state
from haconiwa.supervisor.link import make_link
from haconiwa.supervisor.supervisor import Supervisor


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One that has just the name and a pid file."""
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HACONIWA_LOG_DIR", str(tmp_path / "log"))
    (tmp_path / "pid").write_text(str(os.getpid()))
    one = object.__new__(Supervisor)
    ours, theirs = make_link()
    fields = {
        "spec": SimpleNamespace(name="web", container_pid_file=str(tmp_path / "pid")),
        "container": SimpleNamespace(clean_up=lambda: None),
        "take_requests": lambda: None,
        "state": State(name="web", haco_file="/srv/web.haco", status="running", config={}),
        "_link": theirs,
        "_site": SimpleNamespace(cgroup_paths=()),
        "_claim": Claim("web"),
        "_control": Control(),
    }
    for field, value in fields.items():
        setattr(one, field, value)
    yield one
    ours.close()
    theirs.close()


class Control:
    """As much of a control socket as is used here."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.closed = False

    def tell(self, event: dict[str, str]) -> None:
        self.told.append(event["event"])

    def close(self) -> None:
        self.closed = True


def fail() -> None:
    raise OSError(5, "broken")


@pytest.mark.parametrize(
    "breaks", [lambda s: setattr(s.container, "clean_up", fail), lambda s: setattr(s, "take_requests", fail)]
)
def test_what_cannot_be_cleared_up_is_no_reason_to_leave_the_rest(
    supervisor: Supervisor, tmp_path: Path, breaks: Callable[[Supervisor], None]
) -> None:
    breaks(supervisor)
    with pytest.raises(OSError, match="broken"):
        supervisor._clear_up()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "run"]
    assert list((tmp_path / "run").iterdir()) == []
    assert (supervisor._control.told, supervisor._control.closed) == (["removed"], True)  # type: ignore[union-attr]


def test_a_full_disk_is_no_reason_to_end_a_running_container(
    supervisor: Supervisor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state_file = tmp_path / "run/web/state.json"
    os.symlink("/dev/full", f"{state_file}.new")  # refused as a link
    supervisor.set_ready(True)
    assert supervisor._control.told == ["ready"]  # type: ignore[union-attr]
    assert f'error: web: cannot record its state in "{state_file}"' in capfd.readouterr().err
    with pytest.raises(ContainerError, match="cannot record its state"):
        supervisor.record(status="running")
    os.unlink(f"{state_file}.new")
    supervisor.note(status="stopped")
    stored = read_state("web")
    assert stored is not None
    assert (stored.status, stored.health) == ("stopped", "ready")
    supervisor._claim.release()
    with pytest.raises(ContainerError, match="cannot record its state"):
        supervisor.note(status="running")

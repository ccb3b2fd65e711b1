"""What `create` leaves alone, what it makes again, and that nothing half made looks complete."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haconiwa.build.create import create
from haconiwa.build.marker import State, own_marker, write_marker
from haconiwa.build.place import Place, locked
from haconiwa.errors import BuildError, ConfigError, HaconiwaError, Where
from haconiwa.kernel.mount import mount, umount2
from haconiwa.spec.build import BootstrapSpec, ProvisionSpec
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.support.build import Recorder, container, shell_step
from tests.support.cutting import INTERRUPTED, KILLED, count_moments, cut, in_a_child, interrupt, kill
from tests.support.filesystems import on_a_small_disk
from tests.support.leftovers import OwnDirs, end_processes

pytestmark = pytest.mark.requires("root")

SCRIPT = "".join(f"echo {number}; mkdir d{number}\n" for number in range(6))


def entries(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def created(tmp_path: Path, code: str = "mkdir bin", **options: bool) -> list[str]:
    report = Recorder()
    create(container(tmp_path / "web", "shell", code=code), report, **options)
    return report.told


def test_a_complete_root_is_left_alone(tmp_path: Path) -> None:
    created(tmp_path)
    assert created(tmp_path, "exit 1") == [f"Rootfs {tmp_path}/web is already there"]
    assert entries(tmp_path) == [".web.haconiwa.json", "web"]


def test_folders_above_are_made_for_root_only(tmp_path: Path) -> None:
    create(container(tmp_path / "a/b/web", "shell", code="mkdir bin"), Recorder())
    assert os.stat(tmp_path / "a").st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "a/b/web").st_mode & 0o777 == 0o755


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    created(tmp_path)
    assert entries(tmp_path / "web") == ["bin"]


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path, force: bool) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/precious").touch()
    told = created(tmp_path, force=force)
    assert len(told) == 1
    assert told[0].startswith(f"Rootfs {tmp_path}/web is not empty and was not made by haconiwa")
    assert entries(tmp_path / "web") == ["precious"]


def test_a_marker_of_another_directory_does_not_make_it_ours(tmp_path: Path) -> None:
    created(tmp_path)
    (tmp_path / "web").rename(tmp_path / "old")
    (tmp_path / "web").mkdir()
    (tmp_path / "web/precious").touch()
    assert "was not made by haconiwa" in created(tmp_path, force=True)[0]
    assert entries(tmp_path / "web") == ["precious"]


def test_a_root_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    created(tmp_path)
    (tmp_path / "web").rename(tmp_path / "old")
    created(tmp_path)
    assert entries(tmp_path) == [".web.haconiwa.json", "old", "web"]


def test_force_makes_our_own_again(tmp_path: Path) -> None:
    created(tmp_path)
    (tmp_path / "web/changed").touch()
    assert created(tmp_path, "mkdir sbin", force=True)[-1] == "Success!"
    assert entries(tmp_path / "web") == ["sbin"]


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("/etc/passwd"), os.mkfifo])
def test_something_else_in_the_place_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "web")
    with pytest.raises(BuildError, match="web: cannot make"):
        created(tmp_path)
    assert entries(tmp_path) == ["web"]


def test_a_link_to_a_directory_that_is_missing_makes_it_there(tmp_path: Path) -> None:
    (tmp_path / "web").symlink_to("elsewhere/web")
    created(tmp_path)
    assert entries(tmp_path / "elsewhere") == [".web.haconiwa.json", "web"]


def test_a_strategy_that_makes_nothing_has_failed(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match='the strategy "shell" made an empty root file system'):
        created(tmp_path, "true")
    assert entries(tmp_path) == []


def test_errors_name_the_container_and_the_line(tmp_path: Path) -> None:
    where = Where("web.haco", 7)
    spec = container(tmp_path / "web", "shell", code="exit 3")
    spec = replace(spec, bootstrap=BootstrapSpec(strategy="shell", options={"code": "exit 3"}, where=where))
    with pytest.raises(BuildError) as raised:
        create(spec, Recorder())
    assert raised.value.lines()[:2] == ["error: web: the bootstrap script failed: exited 3", "  at: web.haco:7"]
    assert raised.value.last_lines == ("+ exit 3",)


@pytest.mark.parametrize("missing", ["rootfs", "bootstrap"])
def test_a_file_that_does_not_say_what_to_make(tmp_path: Path, missing: str) -> None:
    spec: ContainerSpec = replace(container(tmp_path / "web", "shell", code="mkdir bin"), **{missing: None})
    with pytest.raises(ConfigError, match=r"(chroot_to is not set|no bootstrap strategy is set)"):
        create(spec, Recorder())


@pytest.mark.setting("bootstrap.skip", "skip_bootstrap")
def test_a_bootstrap_that_is_skipped_makes_nothing(tmp_path: Path) -> None:
    spec = container(tmp_path / "web", "shell", code="mkdir bin")
    spec = replace(spec, bootstrap=BootstrapSpec(strategy="shell", options={}, skip=True))
    create(spec, Recorder())
    assert entries(tmp_path) == []


def test_two_creates_exclude_each_other(tmp_path: Path) -> None:
    def again(text: str) -> None:
        with pytest.raises(BuildError, match=r"cannot lock .*another haconiwa is building"):
            created(tmp_path)

    create(container(tmp_path / "web", "shell", code="mkdir bin"), Recorder(again))
    assert entries(tmp_path) == [".web.haconiwa.json", "web"]


def test_two_creates_of_different_roots_do_not(tmp_path: Path) -> None:
    with locked(Place(str(tmp_path / "other"))):
        assert created(tmp_path)[-1] == "Success!"


@pytest.mark.parametrize("line", [0, 3, 11])
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_an_interrupted_script_leaves_nothing(tmp_path: Path, line: int, error: type[BaseException]) -> None:
    report = Recorder()

    def interrupt(_text: str) -> None:
        if len(report.lines) == line:
            raise error

    report.on_line = interrupt
    with pytest.raises((KeyboardInterrupt, BuildError)):
        create(container(tmp_path / "web", "shell", code=SCRIPT), report)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("where", ["$ROOTFS", "final"])
@pytest.mark.parametrize("step", range(6))
def test_a_killed_create_leaves_nothing_that_looks_complete(tmp_path: Path, step: int, where: str) -> None:
    root = tmp_path / "web"
    path = root if where == "final" else where
    code = f"mkdir -p {path}; cd {path}\n" + SCRIPT

    def die(text: str) -> None:
        if text == str(step):
            os.kill(os.getpid(), signal.SIGKILL)

    killed = os.fork()
    if killed == 0:
        create(container(root, "shell", code=code), Recorder(die))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == -signal.SIGKILL
    place = Place(str(root))
    marker = own_marker(place)
    assert marker is None or marker.state is State.BUILDING
    if where == "final" and root.exists() and entries(root):  # the script may have been killed before it wrote
        with pytest.raises(BuildError, match="is what an interrupted script has left"):
            create(container(root, "shell", code=code), Recorder())
    create(container(root, "shell", code=code), Recorder(), force=True)
    assert entries(root) == [f"d{number}" for number in range(6)]
    assert entries(tmp_path) == [".web.haconiwa.json", "web"]


@pytest.mark.parametrize("action", [interrupt, kill])
@pytest.mark.parametrize(
    "number", [1, 2, 3, 5, 8, 13, 21, 34, 55, 200, -80, -40, -25, -15, -12, -9, -7, -5, -3, -2, -1]
)
def test_the_host_strategy_cut_anywhere(tmp_path: Path, number: int, action: Callable[[], None]) -> None:
    spec = container(tmp_path / "web", "host")
    total = count_moments(lambda: create(container(tmp_path / "counted", "host"), Recorder()))
    whole = subprocess.run(["find", ".", "-printf", "%P %M\\n"], cwd=tmp_path / "counted", capture_output=True).stdout
    moment = number if number > 0 else total + 1 + number
    status = cut(lambda: create(spec, Recorder()), moment, action)
    assert status == (INTERRUPTED if action is interrupt else KILLED)
    marker = own_marker(Place(str(tmp_path / "web")))
    assert (marker is not None) == (tmp_path / "web").exists()
    assert marker is None or marker.state is State.COMPLETE
    create(spec, Recorder())
    again = subprocess.run(["find", ".", "-printf", "%P %M\\n"], cwd=tmp_path / "web", capture_output=True).stdout
    assert sorted(again.splitlines()) == sorted(whole.splitlines())
    assert [name for name in entries(tmp_path) if ".partial" in name] == []


def test_a_program_is_killed_whole_by_ctrl_c(tmp_path: Path) -> None:
    """As on a terminal: a signal to the process that creates, while a program of several processes works."""
    code = "set +x; sleep 1000 & (trap '' TERM INT; sleep 1000) & echo ready; wait"

    def interrupt_self(text: str) -> None:
        if text == "ready":
            os.kill(os.getpid(), signal.SIGINT)

    def work() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        create(container(tmp_path / "web", "shell", code=code), Recorder(interrupt_self))

    assert in_a_child(work) == 2
    assert end_processes(OwnDirs([str(tmp_path)]), deadline_s=0.0) == []
    assert entries(tmp_path) == []


@pytest.mark.parametrize("size", ["4k", "8k", "64k", "256k"])
@pytest.mark.parametrize("strategy", ["host", "shell", "tarball"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, strategy: str, size: str) -> None:
    content = tmp_path.with_name(tmp_path.name + ".content")
    content.write_bytes(os.urandom(1 << 20))
    archive = f"{content}.tar"
    subprocess.run(["tar", "-C", content.parent, "-cf", archive, content.name], check=True)
    options: dict[str, Any] = {"shell": {"code": f"cp {content} x"}, "tarball": {"archive_path": archive}}
    spec = container(tmp_path / "web", strategy, **options.get(strategy, {}))

    def work() -> None:
        report = Recorder()
        with pytest.raises(HaconiwaError) as raised:
            create(spec, report)
        print("\n".join([*raised.value.lines(), *report.texts()]))
        assert entries(tmp_path) == []

    lines = on_a_small_disk(tmp_path, size, work)
    print(lines)
    assert any("No space left on device" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


def test_a_root_that_is_a_mount_point_is_refused_in_words(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "web").mkdir()
        mount("tmpfs", str(tmp_path / "web"), "tmpfs")
        with pytest.raises(BuildError) as raised:
            created(tmp_path)
        print(raised.value)
        assert entries(tmp_path) == ["web"]
        umount2(str(tmp_path / "web"))

    assert any("is a mount point" in line for line in on_a_small_disk(tmp_path, "1m", work))


def test_a_read_only_place_is_named(tmp_path: Path) -> None:
    def work() -> None:
        mount(None, str(tmp_path), None, 32 | 1)  # MS_REMOUNT | MS_RDONLY
        with pytest.raises(BuildError) as raised:
            created(tmp_path)
        print(raised.value)

    lines = on_a_small_disk(tmp_path, "1m", work)
    assert lines == [f'web: cannot lock "{tmp_path}/web": Read-only file system (EROFS)']


def test_what_interrupted_builds_left_is_cleared_but_no_mount_is_crossed(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "web"))

    def work() -> None:
        os.makedirs(f"{place.partial_root}/deep")
        mount("tmpfs", f"{place.partial_root}/deep", "tmpfs")
        Path(f"{place.partial_root}/deep/precious").touch()
        with pytest.raises(BuildError, match="something is mounted on"):
            created(tmp_path)
        assert Path(f"{place.partial_root}/deep/precious").exists()
        umount2(f"{place.partial_root}/deep")
        created(tmp_path)
        assert entries(tmp_path) == [".web.haconiwa.json", "web"]

    on_a_small_disk(tmp_path, "1m", work)


def test_a_root_whose_provisioning_is_not_done_is_told_from_a_complete_one(tmp_path: Path) -> None:
    steps = (shell_step("exit 1"),)
    spec = replace(container(tmp_path / "web", "shell", code="mkdir bin"), provision=ProvisionSpec(steps=steps))
    create(spec, Recorder(), provision=False)
    marker = json.loads((tmp_path / ".web.haconiwa.json").read_text(encoding="ascii"))
    assert marker["state"] == "complete"
    write_marker(Place(str(tmp_path / "web")), State.BOOTSTRAPPED, "shell", str(tmp_path / "web"))
    report = Recorder()
    create(spec, report, provision=False)
    assert report.told == [f"Rootfs {tmp_path}/web is already there, but its provisioning did not come to its end"]

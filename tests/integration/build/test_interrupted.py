"""Making a root file system cut at 20 moments of each way: nothing half made looks complete, the next one works."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.build.kept import roots_dir
from haconiwa.build.layer import commit
from haconiwa.build.marker import State, own_marker
from haconiwa.build.place import Place
from haconiwa.build.remove import remove
from haconiwa.host.layers import layer_folder, lower_of, make_layer, upper_of
from haconiwa.host.tree import remove_tree
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container
from tests.support.cutting import INTERRUPTED, KILLED, count_moments, cut, interrupt, kill
from tests.support.filesystems import mounted
from tests.support.leftovers import OwnDirs, end_processes
from tests.support.program import Program

pytestmark = [pytest.mark.requires("root"), pytest.mark.usefixtures("run_dirs")]

HacoFile = Callable[..., Path]

MOMENTS = 20
CODE = "mkdir dir; echo content > file; ln file dir/link"
CONTENT = ["dir", "dir/link", "file"]


def recipe(path: Path, way: str, archive: Path) -> ContainerSpec:
    """A container that is made by unpacking an archive, or by a script whose result is kept."""
    if way == "unpacking":
        return container(path, "tarball", archive_path=str(archive))
    spec = container(path, "shell", code=CODE, cache=True)
    assert spec.rootfs
    return replace(spec, rootfs=replace(spec.rootfs, overlay=way == "layer"))


def content(root: Path) -> list[str]:
    lower = lower_of(str(root))
    return sorted(
        os.path.relpath(os.path.join(folder, name), lower)
        for folder, folders, files in os.walk(lower)
        for name in (*folders, *files)
    )


@pytest.mark.parametrize("way", ["keeping", "copying", "layer", "unpacking"])
def test_cut_at_any_moment(tmp_path: Path, way: str) -> None:
    cut_at_each(tmp_path, way)


@pytest.mark.requires("btrfs", "mkfs.btrfs")
@pytest.mark.parametrize("way", ["keeping", "copying"])
def test_cut_at_any_moment_of_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    with mounted("btrfs", tmp_path) as point:
        monkeypatch.setenv("HACONIWA_CACHE_DIR", str(point / "cache"))
        cut_at_each(point, way)
        command = ["btrfs", "subvolume", "list", str(point)]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert [line.split("path ")[1].split("/")[0] for line in listed.splitlines()] == ["cache"]


def cut_at_each(folder: Path, way: str) -> None:
    """Cut `create` at 20 moments; what is made lies in a folder."""
    source, builds = folder / "source", folder / "builds"
    source.mkdir()
    subprocess.run(["/bin/sh", "-ec", CODE], cwd=source, check=True)
    archive = folder / "root.tar"
    subprocess.run(["tar", "-C", source, "-cf", archive, "."], check=True)
    builds.mkdir()

    def prepare() -> None:
        """What is kept before: nothing, or the recipe's root."""
        if way in ("copying", "layer"):
            create(recipe(builds / "first", "keeping", archive), Recorder())
            remove(str(builds / "first"), force=False)
        elif os.path.isdir(roots_dir()):
            remove_tree(roots_dir())

    root = builds / "web"
    spec = recipe(root, way, archive)
    create(spec, Recorder())  # loads what is loaded once
    remove(str(root), force=False)
    prepare()
    total = count_moments(lambda: create(spec, Recorder()))
    for number in range(MOMENTS):
        remove(str(root), force=True)
        prepare()
        action = kill if number % 2 else interrupt
        moment = 1 + number * (total - 1) // (MOMENTS - 1)
        status = cut(lambda: create(spec, Recorder()), moment, action)
        assert status == (KILLED if action is kill else INTERRUPTED), f"moment {moment} of {total}"
        marker = own_marker(Place(str(root)))
        if marker is None or marker.state is State.BUILDING:
            assert not root.exists() or os.listdir(root) == []
        else:
            assert content(root) == CONTENT
        create(spec, Recorder(), force=marker is not None and marker.state is State.BUILDING)
        assert content(root) == CONTENT, f"after moment {moment} of {total}"
        assert [name for name in os.listdir(builds) if "partial" in name or "lock" in name or "new" in name] == []
    remove(str(root), force=False)
    assert os.listdir(builds) == []


def test_a_commit_cut_at_any_moment(tmp_path: Path) -> None:
    """All is as before, or as after; a second commit comes to the same."""
    root = tmp_path / "web"
    spec = recipe(root, "layer", tmp_path)
    total = 0
    for number in range(-1, MOMENTS):
        create(spec, Recorder(), force=True)
        folder = layer_folder(str(root), spec.name)
        make_layer(folder, str(root))
        Path(upper_of(folder), "new").touch()
        if number < 0:
            total = count_moments(lambda: commit(spec, Recorder()))
            continue
        moment = 1 + number * (total - 1) // (MOMENTS - 1)
        cut(lambda: commit(spec, Recorder()), moment, kill if number % 2 else interrupt)
        if os.path.isdir(upper_of(folder)):
            commit(spec, Recorder())
        assert content(root) == sorted([*CONTENT, "new"]), f"moment {moment} of {total}"
        remove(str(root), force=True)
    assert [name for name in os.listdir(tmp_path) if name.startswith(".web.")] == []


LINES = "".join(f"echo step {number}\n" for number in range(5))
HACO = """
from haconiwa import define
with define() as config:
    config.name = "web"
    config.chroot_to({root!r})
    with config.bootstrap as b:
        b.strategy = "shell"
        b.code = {code!r}
        b.cache = True
        b.postprocess("shell", {lines!r})
    with config.provision as p:
        p.run_shell("touch /one\\n" + {lines!r})
        p.run_shell({lines!r} + "touch /two")
"""


@pytest.mark.slow
@pytest.mark.requires("busybox")
def test_the_command_ended_at_20_lines(
    haconiwa: Program, haco_file: HacoFile, run_dirs: RunDirs, busybox_root: Path
) -> None:
    """Of what it prints from the first step to the last: bootstrap, postprocess, keeping, provisioning."""
    root = run_dirs.base / "builds/web"
    code = f"cp -a {busybox_root}/. .\n{LINES}"
    file = haco_file(HACO.format(root=str(root), code=code, lines=LINES))

    def ended_at(line: int, number: signal.Signals) -> int:
        process = haconiwa.start("create", file)
        assert process.stderr
        for _ in range(line):
            process.stderr.readline()
        process.send_signal(number)
        process.communicate(timeout=30)
        return process.returncode

    total = len(haconiwa("create", file).stderr.splitlines())
    whole = content(root)
    endings = set()
    for number in range(MOMENTS):
        haconiwa("rm", "--force", file)
        remove_tree(roots_dir())
        sent = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)[number % 3]
        endings.add(ended_at(1 + number * (total - 2) // (MOMENTS - 1), sent))
        marker = own_marker(Place(str(root)))
        if marker is None or marker.state is State.BUILDING:
            assert not root.exists()
        else:
            assert marker.state is State.BOOTSTRAPPED or content(root) == whole
        haconiwa("create", file)
        assert content(root) == whole
        assert sorted(os.listdir(root.parent)) == [".web.haconiwa.json", "web"]
        assert [name for name in os.listdir(roots_dir()) if name.startswith(".")] == []
        assert end_processes(OwnDirs([str(root.parent)]), deadline_s=0.0) == []
    assert endings >= {128 + signal.SIGTERM, 128 + signal.SIGHUP, -signal.SIGKILL}

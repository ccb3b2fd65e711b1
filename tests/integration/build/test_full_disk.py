"""Making a root on a disk that fills at 20 moments: nothing looks complete, and with more room the next one works."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haconiwa.build.create import create
from haconiwa.build.marker import State, own_marker
from haconiwa.build.place import Place
from haconiwa.errors import HaconiwaError
from haconiwa.spec.build import ProvisionSpec
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.support.build import Recorder, container, shell_step, write_image
from tests.support.filesystems import enlarge, on_a_small_disk

pytestmark = [pytest.mark.slow, pytest.mark.requires("root"), pytest.mark.usefixtures("run_dirs")]

MOMENTS = 20
PAGES = 240  # of 4 KiB, in the files of the root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The files of the root, on another disk."""
    path = tmp_path.with_name(f"{tmp_path.name}-source")
    path.mkdir()
    for number in range(PAGES // 8):
        (path / f"d{number}").mkdir()
        (path / f"d{number}/file").write_bytes(os.urandom(8 * 4096))
    return path


def packed(source: Path, *options: str) -> bytes:
    return subprocess.run(["tar", "-C", source, *options, "-c", "."], check=True, capture_output=True).stdout


def by_shell(path: Path, source: Path) -> dict[str, Any]:
    return {"strategy": "shell", "code": f"cp -a {source}/. $ROOTFS", "cache": True}


def by_python(path: Path, source: Path) -> dict[str, Any]:
    return {
        "strategy": "python",
        "code": f"import shutil; shutil.copytree({str(source)!r}, rootfs, dirs_exist_ok=True)",
    }


def by_tarball(path: Path, source: Path) -> dict[str, Any]:
    path.write_bytes(packed(source))
    return {"strategy": "tarball", "archive_path": str(path)}


def by_oci(path: Path, source: Path) -> dict[str, Any]:
    return {"strategy": "oci", "image": f"oci:{write_image(path, [packed(source, '-z')])}:image"}


def by_git(path: Path, source: Path) -> dict[str, Any]:
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *identity, *command], cwd=source, check=True)
    return {"strategy": "git", "git_url": str(source), "git_options": ("--no-hardlinks",)}


@pytest.mark.requires("skopeo", "git")
@pytest.mark.parametrize("way", [by_shell, by_python, by_tarball, by_oci, by_git])
def test_the_bootstrap(tmp_path: Path, source: Path, way: Callable[[Path, Path], dict[str, Any]]) -> None:
    spec = container(tmp_path / "web", **way(tmp_path.with_name(f"{tmp_path.name}-content"), source))

    def work() -> None:
        report = Recorder()
        with pytest.raises(HaconiwaError) as raised:
            create(spec, report)
        assert "no space left on device" in "\n".join([*raised.value.lines(), *report.texts()]).lower()
        assert os.listdir(tmp_path) == []
        enlarge(tmp_path)
        create(spec, Recorder())
        assert files(tmp_path / "web") == files(source)

    for moment in range(1, MOMENTS + 1):
        on_a_small_disk(tmp_path, f"{4 * PAGES * moment // (MOMENTS + 1)}k", work)


def files(root: Path) -> dict[str, int]:
    found = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(root)): path.stat().st_size for path in found}


@pytest.mark.requires("busybox")
def test_the_provisioning(tmp_path: Path, busybox_root: Path, source: Path) -> None:
    spec = container(tmp_path / "web", "shell", code=f"cp -a {busybox_root}/. $ROOTFS")
    code = f"for n in $(seq {PAGES}); do head -c 4096 /dev/zero > /file-$n; done"
    spec = replace(spec, provision=ProvisionSpec(steps=(shell_step("touch /first"), shell_step(code, "shell-2"))))

    def measure() -> None:
        create(spec, Recorder(), provision=False)
        disk = os.statvfs(tmp_path)
        print((disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024)

    def work() -> None:
        with pytest.raises(HaconiwaError):
            create(spec, Recorder())
        assert state(spec) is State.BOOTSTRAPPED
        enlarge(tmp_path)
        report = Recorder()
        create(spec, report)
        assert state(spec) is State.COMPLETE
        assert len(list((tmp_path / "web").glob("file-*"))) == PAGES
        assert sorted(os.listdir(tmp_path)) == [".web.haconiwa.json", "web"]

    (base,) = map(int, on_a_small_disk(tmp_path, "64m", measure))
    for moment in range(1, MOMENTS + 1):
        on_a_small_disk(tmp_path, f"{base + 4 * PAGES * moment // (MOMENTS + 1)}k", work)


def state(spec: ContainerSpec) -> State | None:
    assert spec.rootfs
    marker = own_marker(Place(spec.rootfs.path))
    return marker.state if marker else None

"""Archives made to write outside. Whatever they hold: nothing outside changes, and no device node is made."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haconiwa.build.create import create
from haconiwa.errors import BuildError
from tests.support.build import Recorder, container, write_image
from tests.support.hostile import CASES, add, devices

pytestmark = [
    pytest.mark.requires("root"),
    pytest.mark.timeout(30),
    pytest.mark.usefixtures("run_dirs"),
]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that archives try to reach; "../../outside" as seen from the directory that is filled."""
    path = tmp_path / "outside"
    path.mkdir(mode=0o750)
    (path / "file").write_text("untouched", encoding="ascii")
    return path


def state_of(outside: Path) -> object:
    entries = [(entry, entry.lstat().st_mode, entry.lstat().st_nlink) for entry in sorted(outside.iterdir())]
    return entries, outside.stat().st_mode, (outside / "file").read_bytes(), sorted(os.listdir(outside.parent))


def unpack(
    tmp_path: Path, content: bytes, strategy: str = "tarball", **options: Any
) -> tuple[Recorder, BuildError | None]:
    """Unpack an archive from somewhere else and check what holds for every archive."""
    path = tmp_path.with_name(tmp_path.name + "-archive")
    if strategy == "oci":
        options["image"] = f"oci:{write_image(path, [content])}:image"
    else:
        path.write_bytes(content)
        options["archive_path"] = str(path)
    report = Recorder()
    failure = None
    try:
        create(container(tmp_path / "web", strategy, **options), report)
    except BuildError as error:
        failure = error
        assert not (tmp_path / "web").exists()
        assert not (tmp_path / ".web.haconiwa.json").exists()
    assert not (tmp_path / ".web.partial").exists()
    assert all(text.isprintable() for text in report.texts())
    return report, failure


def devices_below(root: Path) -> list[str]:
    found = [os.path.join(parent, name) for parent, _, names in os.walk(root) for name in names]
    return [path for path in found if stat.S_ISCHR(os.lstat(path).st_mode) or stat.S_ISBLK(os.lstat(path).st_mode)]


def _zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-q"], input=content, capture_output=True, check=True).stdout


PATHS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "tar": ("tarball", bytes),
    "gzip": ("tarball", gzip.compress),
    "zstd": ("tarball", _zstd),
    "layer": ("oci", gzip.compress),
}
"""The ways in which an archive comes to be unpacked: the strategy, and what is done with the bytes before."""


@pytest.mark.requires("zstd", "skopeo")
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@pytest.mark.parametrize(
    "path", ["tar", "layer", *(pytest.param(path, marks=pytest.mark.slow) for path in ("gzip", "zstd"))]
)
@pytest.mark.parametrize("name", CASES)
def test_nothing_outside_changes(tmp_path: Path, outside: Path, name: str, path: str, form: int) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as archive:
        CASES[name](archive, str(outside))
    before = state_of(outside)
    strategy, pack = PATHS[path]
    _, failure = unpack(tmp_path, pack(content.getvalue()), strategy)
    for left in ("web", ".web.haconiwa.json"):
        if failure is None:
            os.rename(tmp_path / left, tmp_path.with_name(f"{tmp_path.name}{left}"))
    assert state_of(outside) == before
    assert devices_below(tmp_path.with_name(f"{tmp_path.name}web")) == []


@pytest.mark.parametrize("name", ["dot_dot", "absolute_link", "relative_link", "hard_link", "long_chain_of_links"])
def test_what_leaves_the_root_is_refused_by_name(tmp_path: Path, outside: Path, name: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.GNU_FORMAT) as archive:
        CASES[name](archive, str(outside))
    report, failure = unpack(tmp_path, content.getvalue())
    assert failure is not None
    assert failure.status == 2
    assert any("file" in text or "escape" in text for text in report.texts())
    assert failure.what == f'cannot unpack "{tmp_path}-archive"'
    assert "file" in failure.why or "escape" in failure.why


def test_devices_are_left_out_by_name(tmp_path: Path, outside: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        devices(archive, str(outside))
    report, failure = unpack(tmp_path, content.getvalue())
    assert failure is None
    assert {f'left out the device node "{name}"' for name in ("null", "disk", "dev/mem")} <= set(report.texts())
    assert sorted(os.listdir(tmp_path / "web")) == ["dev", "file"]


def _good() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        add(archive, "file", os.urandom(100_000))
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage" * 1000,
        _good()[:50_000],
        _good()[:-1],
        b"\x1f\x8b" + bytes(1000),
        b"\x28\xb5\x2f\xfd" + bytes(1000),
        gzip.compress(b"no archive" * 1000),
        gzip.compress(bytes(10240)),
    ],
    ids=["empty", "garbage", "half", "last byte", "bad gzip", "bad zstd", "no tar inside", "no member"],
)
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    _, failure = unpack(tmp_path, content)
    assert failure is not None
    assert os.listdir(tmp_path) == []


def test_a_member_larger_than_the_archive_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.size = 2**62
    _, failure = unpack(tmp_path, member.tobuf(tarfile.GNU_FORMAT))
    assert failure is not None


@pytest.mark.setting("bootstrap.max_size")
@pytest.mark.parametrize("strategy", ["tarball", "oci"])
def test_a_bomb_is_stopped_at_its_limit(tmp_path: Path, strategy: str) -> None:
    member = tarfile.TarInfo("zeros")
    member.size = 8 << 30
    content = gzip.compress(member.tobuf(tarfile.GNU_FORMAT)) + gzip.compress(bytes(1 << 20)) * 8192
    _, failure = unpack(tmp_path, content, strategy, max_size=16 << 20)
    assert failure is not None
    assert failure.why == "it holds more than 16 MiB"
    assert os.listdir(tmp_path) == []


@pytest.mark.setting("bootstrap.timeout_sec")
def test_unpacking_ends_in_time(tmp_path: Path) -> None:
    options = ("--to-command=mkfifo /unpack/never; read forever < /unpack/never",)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        add(archive, "file")
    _, failure = unpack(tmp_path, content.getvalue(), tar_options=options, timeout_sec=0.2)
    assert failure is not None
    assert failure.why == "it takes more than 0.2 s"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "archive")
    with pytest.raises(BuildError, match="it is no regular file"):
        create(container(tmp_path / "web", "tarball", archive_path=str(tmp_path / "archive")), Recorder())


def test_tar_cannot_run_what_is_outside_and_sees_no_host(tmp_path: Path, outside: Path) -> None:
    """Even if an archive took tar over: the sandbox holds /usr, read-only, and the directory."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        add(archive, "file")
    path = tmp_path.with_name(tmp_path.name + "-archive")
    path.write_bytes(content.getvalue())
    probe = (
        f"ls -d /etc /proc/1 /dev/null {outside} ; touch /usr/x /x; echo x > /unpack/probe; cat /proc/net/dev; id -u"
    )
    options = (f"--to-command={probe}",)
    report = Recorder()
    create(container(tmp_path / "web", "tarball", archive_path=str(path), tar_options=options), report)
    text = "\n".join(report.texts())
    for missing in ("/etc", "/proc/1", "/dev/null", str(outside)):
        assert f"cannot access '{missing}': No such file or directory" in text
    assert "cannot touch '/usr/x': Read-only file system" in text
    assert "cannot touch '/x': Read-only file system" in text
    assert os.listdir(tmp_path / "web") == ["probe"]

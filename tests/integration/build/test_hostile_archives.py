"""Archives made to write outside. Whatever they hold: nothing outside changes, and no device node is made."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from haconiwa.build.create import create
from haconiwa.errors import BuildError
from tests.support.build import Recorder, container, write_image
from tests.support.hostile import CASES, LAYERS, REACHED, Fill, add, devices
from tests.support.web import served

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
    """All that could be different afterwards; reading changes nothing of it."""
    return [
        (path, status.st_mode, status.st_nlink, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns,
         os.listxattr(path))
        for path in (outside, *sorted(outside.iterdir()))
        for status in [path.lstat()]
    ], (outside / "file").read_bytes(), sorted(os.listdir(outside.parent))  # fmt: skip


def unpack(tmp_path: Path, options: Mapping[str, Any]) -> tuple[Recorder, BuildError | None]:
    """Make a root and check what holds whatever it is made from."""
    report = Recorder()
    failure = None
    try:
        create(container(tmp_path / "web", **options), report)
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


def _through(*command: str) -> Callable[[bytes], bytes]:
    return lambda content: subprocess.run(command, input=content, capture_output=True, check=True).stdout


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _through("zstd", "-q"),
}
"""What can be done with the bytes of an archive before the strategy ``tarball`` gets it."""

LAYERED: dict[str, list[Callable[[bytes], bytes]]] = {
    "layer": [gzip.compress],
    "plain layer": [bytes],
    "zstd layer": [_through("zstd", "-q")],
    "two layers": [gzip.compress, gzip.compress],
}
"""The same for the layers of an image; two are the same archive twice, so it meets what it has made itself."""

QUICK = ("tar", "layer")
PATHS = [
    pytest.param(path, marks=() if path in QUICK else pytest.mark.slow)
    for path in (*PACKED, "http", "url", *LAYERED, "docker-archive")
]


@contextmanager
def offered(way: str, content: bytes, path: Path) -> Iterator[dict[str, Any]]:
    """Let an archive be had in one of the ways, meanwhile; the container's options for it."""
    if way in LAYERED or way == "docker-archive":
        layers = [pack(content) for pack in LAYERED.get(way, [gzip.compress])]
        image = f"oci:{write_image(path, layers)}:image"
        if way == "docker-archive":
            other = f"docker-archive:{path}.tar:image:1"
            subprocess.run(["skopeo", "--insecure-policy", "copy", image, other], check=True, capture_output=True)
            image = f"docker-archive:{path}.tar"
        yield {"strategy": "oci", "image": image}
    elif way == "http":
        with served(content) as server:
            digest = hashlib.sha256(content).hexdigest()
            yield {"strategy": "tarball", "archive_path": server.url("file"), "sha256": digest}
    else:
        path.write_bytes(PACKED.get(way, bytes)(content))
        yield {"strategy": "tarball", "archive_path": f"file://{path}" if way == "url" else str(path)}


def filled(fill: Fill, outside: Path, form: int = tarfile.GNU_FORMAT) -> bytes:
    """The bytes of an archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as archive:
        fill(archive, str(outside))
    return content.getvalue()


def beside(tmp_path: Path) -> Path:
    """Where an archive may be: not below what is watched."""
    return tmp_path.with_name(f"{tmp_path.name}-archive")


def make_from(tmp_path: Path, content: bytes, way: str = "tar", **options: Any) -> tuple[Recorder, BuildError | None]:
    with offered(way, content, beside(tmp_path)) as found:
        return unpack(tmp_path, {**found, **options})


def check(tmp_path: Path, outside: Path, options: Mapping[str, Any]) -> None:
    """Make a root, and see that nothing else has changed and that it has no device."""
    before = state_of(outside)
    _, failure = unpack(tmp_path, options)
    for left in ("web", ".web.haconiwa.json"):
        if failure is None:
            os.rename(tmp_path / left, tmp_path.with_name(f"{tmp_path.name}{left}"))
    assert state_of(outside) == before
    assert devices_below(tmp_path.with_name(f"{tmp_path.name}web")) == []


@pytest.mark.requires("zstd", "skopeo")
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_outside_changes(tmp_path: Path, outside: Path, name: str, path: str, form: int) -> None:
    with offered(path, filled(CASES[name], outside, form), beside(tmp_path)) as options:
        check(tmp_path, outside, options)


@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_does_not_follow_the_links_of_another(tmp_path: Path, outside: Path, name: str) -> None:
    layers = [gzip.compress(filled(fill, outside)) for fill in LAYERS[name]]
    image = write_image(beside(tmp_path), layers)
    check(tmp_path, outside, {"strategy": "oci", "image": f"oci:{image}:image"})


ESCAPES = (
    "dot_dot", "absolute", "absolute_link", "relative_link", "chain_of_links", "hard_link", "hard_link_to_link",
    "mode_through_link", "names_in_extended_headers", "whiteout_by_dot_dot",
    "whiteout_absolute", "whiteout_through_link",
)  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
def test_a_program_that_trusts_would_change_what_is_outside(tmp_path: Path, outside: Path, name: str) -> None:
    """The archives do what they are made for, and it would be seen."""
    before = state_of(outside)
    (tmp_path / "web/rootfs").mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(filled(CASES[name], outside, tarfile.PAX_FORMAT))) as archive:
        trust(archive, tmp_path / "web/rootfs")
    shutil.rmtree(tmp_path / "web")
    assert state_of(outside) != before


def trust(archive: tarfile.TarFile, root: Path) -> None:
    """Unpack as programs did before they knew of such archives."""
    for member in archive:
        path = os.path.join(root, member.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if member.issym():
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(path)
            with suppress(FileExistsError):
                os.symlink(member.linkname, path)
        elif member.islnk():
            os.link(os.path.join(root, member.linkname), path, follow_symlinks=False)
        elif member.isdir():
            os.makedirs(path, exist_ok=True)
            os.chmod(path, member.mode)
        else:
            with suppress(IsADirectoryError):
                Path(path).write_bytes(REACHED)


@pytest.mark.parametrize("name", ["dot_dot", "absolute_link", "relative_link", "hard_link", "long_chain_of_links"])
def test_what_leaves_the_root_is_refused_by_name(tmp_path: Path, outside: Path, name: str) -> None:
    report, failure = make_from(tmp_path, filled(CASES[name], outside))
    assert failure is not None
    assert failure.status == 2
    assert any("file" in text or "escape" in text for text in report.texts())
    assert failure.what == f'cannot unpack "{tmp_path}-archive"'
    assert "file" in failure.why or "escape" in failure.why


def test_devices_are_left_out_by_name(tmp_path: Path, outside: Path) -> None:
    report, failure = make_from(tmp_path, filled(devices, outside))
    assert failure is None
    assert {f'left out the device node "{name}"' for name in ("null", "disk", "dev/mem")} <= set(report.texts())
    assert sorted(os.listdir(tmp_path / "web")) == ["dev", "file"]


HARMLESS = (
    "Removing leading `/' from member names",
    "Removing leading `x/' from hard link targets",
    "setxattrat: Cannot set 'user.x' extended attribute for file 'x': Operation not supported",
    "Exiting with failure status due to previous errors",
)


@pytest.mark.parametrize("length", [300, 1 << 19], ids=["refused", "longer than a line"])
@pytest.mark.parametrize("words", HARMLESS)
def test_a_name_like_a_harmless_message_is_refused(tmp_path: Path, words: str, length: int) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        add(archive, "file")
        add(archive, words + "n" * length)
    _, failure = make_from(tmp_path, content.getvalue())
    assert failure is not None
    assert failure.status == 2
    assert failure.why.startswith(words[:8])


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
@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("way", ["tar", "http", "plain layer"])
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, content: bytes, way: str) -> None:
    _, failure = make_from(tmp_path, content, way)
    assert failure is not None
    assert os.listdir(tmp_path) == []


@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("way", ["tar", "http", "layer"])
def test_a_member_larger_than_the_archive_is_refused(tmp_path: Path, way: str) -> None:
    member = tarfile.TarInfo("x")
    member.size = 2**62
    _, failure = make_from(tmp_path, member.tobuf(tarfile.GNU_FORMAT), way)
    assert failure is not None
    assert os.listdir(tmp_path) == []


@pytest.mark.setting("bootstrap.max_size")
@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("way", ["tar", "http", "plain layer"])
def test_a_bomb_is_stopped_at_its_limit(tmp_path: Path, way: str) -> None:
    member = tarfile.TarInfo("zeros")
    member.size = 8 << 30
    content = gzip.compress(member.tobuf(tarfile.GNU_FORMAT)) + gzip.compress(bytes(1 << 20)) * 8192
    _, failure = make_from(tmp_path, content, way, max_size=16 << 20)
    assert failure is not None
    assert failure.why == "it holds more than 16 MiB"
    assert os.listdir(tmp_path) == []


@pytest.mark.setting("bootstrap.timeout_sec")
def test_unpacking_ends_in_time(tmp_path: Path) -> None:
    options = ("--to-command=mkfifo /unpack/never; read forever < /unpack/never",)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        add(archive, "file")
    _, failure = make_from(tmp_path, content.getvalue(), tar_options=options, timeout_sec=0.2)
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

"""Archives made to write outside. Whatever they hold: nothing outside changes, and no device node is made."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.errors import BuildError
from tests.support.build import Recorder, container

pytestmark = [pytest.mark.requires("root"), pytest.mark.timeout(30)]

Fill = Callable[[tarfile.TarFile, str], None]

REACHED = b"reached"


def add(archive: tarfile.TarFile, name: str, content: bytes = REACHED, **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def link(archive: tarfile.TarFile, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
    add(archive, name, b"", type=kind, linkname=target)


def directory(archive: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    add(archive, name, b"", type=tarfile.DIRTYPE, mode=mode)


def dot_dot(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "../outside/file")
    add(archive, "../../outside/file")
    add(archive, "x/../../../outside/file")


def absolute(archive: tarfile.TarFile, outside: str) -> None:
    add(archive, f"{outside}/file")


def absolute_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", outside)
    add(archive, "x/file")


def relative_link(archive: tarfile.TarFile, _outside: str) -> None:
    link(archive, "x", "../../outside")
    add(archive, "x/file")


def chain_of_links(archive: tarfile.TarFile, _outside: str) -> None:
    directory(archive, "a")
    directory(archive, "a/b")
    link(archive, "a/b/up", "..")
    link(archive, "up", "a/b/up/..")
    link(archive, "out", "up/../../outside")
    add(archive, "out/file")


def hard_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file", tarfile.LNKTYPE)
    add(archive, "x")
    link(archive, "y", "../../outside/file", tarfile.LNKTYPE)
    add(archive, "y")


def hard_link_to_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file")
    link(archive, "y", "x", tarfile.LNKTYPE)
    add(archive, "y")


def link_as_root(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, ".", outside)
    link(archive, "./", outside)
    add(archive, "./file")


def link_then_file(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file")
    add(archive, "x")


def mode_through_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", outside)
    directory(archive, "x", 0o777)
    directory(archive, "./x/", 0o7777)


def directory_becomes_link(archive: tarfile.TarFile, outside: str) -> None:
    directory(archive, "x")
    link(archive, "x", outside)
    add(archive, "x/file")
    link(archive, "x", outside)
    add(archive, "x/file")


def long_chain_of_links(archive: tarfile.TarFile, _outside: str) -> None:
    """Ends above PATH_MAX, where a check by path gives up and a write does not."""
    path = ""
    for step in "abcdefghijklmnop":
        part = os.path.join(path, "d" * 247)
        directory(archive, part)
        link(archive, os.path.join(path, step), "d" * 247)
        path = part
    linked = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    link(archive, linked, "../" * 16)
    link(archive, "escape", f"{linked}/../../outside")
    link(archive, "flag", "escape/file", tarfile.LNKTYPE)
    add(archive, "flag")
    add(archive, "escape/file")


def devices(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
    add(archive, "disk", b"", type=tarfile.BLKTYPE, devmajor=8, devminor=0)
    directory(archive, "dev")
    add(archive, "dev/mem", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=1)
    add(archive, "file")


def fifo_then_file(archive: tarfile.TarFile, _outside: str) -> None:
    directory(archive, "etc")
    add(archive, "etc/passwd", b"", type=tarfile.FIFOTYPE)
    add(archive, "etc/group", b"", type=tarfile.FIFOTYPE)
    add(archive, "etc/group")


def setuid(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "su", mode=0o6755)


def huge_owner(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x", uid=2**32, gid=2**32 + 1)


def odd_names(archive: tarfile.TarFile, _outside: str) -> None:
    for name in ("a\nb", "\x1b[2J", "-rf", "--checkpoint-action=exec=touch outside", "$(touch y)", "x" * 300):
        add(archive, name)
    add(archive, "../\x1b[31m\nred")


def trusted_attributes(archive: tarfile.TarFile, _outside: str) -> None:
    attributes = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.x": "y", "no.such.keyword": "1"}
    add(archive, "x", pax_headers=attributes)


def sparse_of_an_exabyte(archive: tarfile.TarFile, _outside: str) -> None:
    headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "x",
        "GNU.sparse.realsize": str(2**60),
    }
    content = f"1\n{2**60 - 512}\n512\n".encode().ljust(512, b"\0") + bytes(512)
    add(archive, "x", content, pax_headers=headers)


CASES: dict[str, Fill] = {
    function.__name__: function
    for function in (
        dot_dot, absolute, absolute_link, relative_link, chain_of_links, hard_link, hard_link_to_link, link_as_root,
        link_then_file, mode_through_link, directory_becomes_link, long_chain_of_links, devices, fifo_then_file, setuid,
        huge_owner, odd_names, trusted_attributes, sparse_of_an_exabyte,
    )
}  # fmt: skip


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


def unpack(tmp_path: Path, content: bytes) -> tuple[Recorder, BuildError | None]:
    """Unpack an archive from somewhere else and check what holds for every archive."""
    path = tmp_path.with_name(tmp_path.name + "-archive")
    path.write_bytes(content)
    report = Recorder()
    failure = None
    try:
        create(container(tmp_path / "web", "tarball", archive_path=str(path)), report)
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


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_outside_changes(tmp_path: Path, outside: Path, name: str, form: int) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as archive:
        CASES[name](archive, str(outside))
    before = state_of(outside)
    _, failure = unpack(tmp_path, content.getvalue())
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

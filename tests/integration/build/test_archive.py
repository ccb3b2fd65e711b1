"""Archives of a root: what they hold, that they are the same each time, and that they are read back identically."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from haconiwa.build.archive import TYPES, archive
from haconiwa.build.create import create
from haconiwa.build.place import Place, locked
from haconiwa.errors import BuildError, ConfigError
from haconiwa.host.tree import remove_tree
from haconiwa.spec.model import ContainerSpec, UserSpec
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container
from tests.support.program import Program
from tests.support.rootfs import make_deep

pytestmark = [pytest.mark.requires("root", "bzip2", "xz", "zstd"), pytest.mark.usefixtures("run_dirs")]

TARS = ["none", "gzip", "bzip2", "xz", "zstd"]
CAP_NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with something of everything."""
    path = tmp_path / "web"
    (path / "etc/empty").mkdir(parents=True)
    (path / "etc/passwd").write_text("root:x:0:0::/:\n" * 500, encoding="ascii")
    (path / "link").symlink_to("/etc/passwd")
    os.link(path / "etc/passwd", path / "hard")
    (path / "su").write_bytes(os.urandom(5000))
    os.chown(path / "su", 12, 34)
    os.chmod(path / "su", 0o4751)
    (path / "ping").touch()
    os.setxattr(path / "ping", "security.capability", CAP_NET_RAW)
    os.setxattr(path / "etc/passwd", "user.note", b"a\0b")
    os.setxattr(path / "etc", "system.posix_acl_default", posix_acl())
    with open(path / "sparse", "wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"middle")
    os.mkfifo(path / "fifo")
    (path / "odd\n\x1b[2J\\ name \udce4").touch()
    os.utime(path / "su", ns=(0, 1_234_567_890_123_456_789))
    return path


def posix_acl() -> bytes:
    """u::rwx u:7:rw- g::r-x m::rwx o::---, see acl(5)."""
    entries = [(1, 7, 2**32 - 1), (2, 6, 7), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 0, 2**32 - 1)]
    return (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + mode.to_bytes(2, "little") + owner.to_bytes(4, "little")
        for tag, mode, owner in entries
    )


def content(top: Path) -> dict[str, object]:
    """Everything about every file, by its path; hard links by the first of their names."""
    found: dict[str, object] = {}
    first: dict[int, str] = {}
    for folder, directories, files in os.walk(top):
        for name in sorted([*directories, *files, "."]):
            path = os.path.normpath(os.path.join(folder, name))
            status = os.lstat(path)
            attributes = {
                key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
            }
            data = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
            shown = os.path.relpath(path, top)
            found[shown] = (
                status.st_mode, status.st_uid, status.st_gid, status.st_size * (not stat.S_ISDIR(status.st_mode)),
                status.st_mtime_ns, attributes, hashlib.sha256(data).digest(),
                os.readlink(path) if stat.S_ISLNK(status.st_mode) else "",
                first.setdefault(status.st_ino, shown),
            )  # fmt: skip
    return found


def web(root: Path, **changes: Any) -> ContainerSpec:
    return replace(container(root), **changes)


def strategy_for(path: Path, kind: str) -> dict[str, Any]:
    if kind == "oci":
        return {"strategy": "oci", "image": f"oci:{path}:latest"}
    return {"strategy": "tarball", "archive_path": str(path)}


@pytest.mark.requires("xz", "zstd", "skopeo")
@pytest.mark.parametrize("kind", [*TARS, "oci"])
def test_what_is_written_is_read_back_identically(root: Path, tmp_path: Path, kind: str) -> None:
    written = tmp_path / "archive"
    size = archive(web(root), str(written), kind, Recorder())
    before = content(root)
    again = tmp_path / "again"
    create(container(again, **strategy_for(written, kind)), Recorder())
    assert content(again) == before
    assert os.stat(again / "sparse").st_blocks < 1000
    if kind != "oci":
        assert size == written.stat().st_size
    assert archive(web(again), str(tmp_path / "second"), kind, Recorder()) == size
    assert tree_bytes(tmp_path / "second") == tree_bytes(written)


def tree_bytes(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


@pytest.mark.requires("mksquashfs")
def test_squashfs_is_the_same_each_time_and_keeps_everything(root: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        archive(web(root), str(tmp_path / name), "squashfs", Recorder())
    assert tree_bytes(tmp_path / "first") == tree_bytes(tmp_path / "second")
    unsquash: list[str | Path] = ["unsquashfs", "-d", tmp_path / "again", tmp_path / "first"]
    subprocess.run(unsquash, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert coarse(content(tmp_path / "again")) == coarse(content(root))


def coarse(found: dict[str, Any]) -> dict[str, list[object]]:
    """What squashfs has: whole seconds, and no access lists."""
    return {
        path: [*values[:4], values[4] // 10**9, values[5].get("security.capability"), *values[6:]]
        for path, values in found.items()
    }


@pytest.mark.requires("zstd")
@pytest.mark.parametrize("kind", ["none", "zstd", "gzip"])
def test_a_dry_run_tells_the_size_and_writes_nothing(root: Path, tmp_path: Path, kind: str) -> None:
    size = archive(web(root), str(tmp_path / "a"), kind, Recorder(), dry_run=True)
    assert not (tmp_path / "a").exists()
    assert archive(web(root), str(tmp_path / "a"), kind, Recorder()) == size


@pytest.mark.requires("mksquashfs")
def test_a_dry_run_of_squashfs_leaves_nothing(root: Path, tmp_path: Path) -> None:
    assert archive(web(root), str(tmp_path / "a"), "squashfs", Recorder(), dry_run=True) > 4000
    assert os.listdir(tmp_path) == ["web"]


def test_times_are_clamped_to_the_source_date(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    archive(web(root), str(tmp_path / "a"), "none", Recorder())
    listing = subprocess.run(
        ["tar", "-tvf", tmp_path / "a", "--utc"], capture_output=True, text=True, check=True
    ).stdout
    times = {line.split()[3] for line in listing.splitlines()}
    assert times == {"2017-07-14", "2009-02-13"}


def test_a_source_date_that_is_none(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(ConfigError, match="is no number of seconds"):
        archive(web(root), str(tmp_path / "a"), "none", Recorder())


def test_members_are_told_and_options_passed(root: Path, tmp_path: Path) -> None:
    report = Recorder()
    archive(web(root), str(tmp_path / "a"), "none", report, options=["--exclude=./etc/*"], verbose=True)
    assert {"./etc/", "./su"} <= {*report.texts()}
    assert "./etc/passwd" not in report.texts()
    assert all(text.isprintable() for text in report.texts())


@pytest.mark.requires("skopeo")
def test_an_image_says_how_to_run_it(root: Path, tmp_path: Path) -> None:
    environ, user = {"B": "2=3", "A": "1"}, UserSpec(uid="joe", gid=7)
    spec = web(root, init_command=("/bin/x", "-v"), environ=environ, user=user, workdir="/srv")
    archive(spec, str(tmp_path / "image"), "oci", Recorder())
    command = ["skopeo", "inspect", "--config", f"oci:{tmp_path}/image:latest"]
    config = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert config["config"] == {
        "Cmd": ["/bin/x", "-v"], "Env": ["A=1", "B=2=3"], "User": "joe:7", "WorkingDir": "/srv",
    }  # fmt: skip
    assert config["os"] == "linux"
    copied = ["skopeo", "--insecure-policy", "copy", command[-1], f"docker-archive:{tmp_path}/x.tar:x:1"]
    subprocess.run(copied, capture_output=True, check=True)


PODMAN = r"""
if [ -e /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi  # crun refuses to run beside it
podman() {
    command podman --root "$1/storage" --runroot "$1/r" --tmpdir "$1/tmp" --storage-driver vfs --runtime crun \
        --cgroup-manager cgroupfs --events-backend file "${@:2}"
}
podman "$1" load -q -i "$2" >&2
podman "$1" run --rm --network host --cgroups disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    "$(podman "$1" images -q)"
"""


@pytest.mark.slow
@pytest.mark.requires("podman", "crun", "busybox")
def test_podman_runs_the_image(busybox_root: Path, run_dirs: RunDirs, tmp_path: Path) -> None:
    command = ("/bin/sh", "-c", "echo $GREETING; pwd; id -u; stat -c %a-%u-%g-%h /bin/tool; sha256sum </sparse")
    spec = web(busybox_root, init_command=command, environ={"GREETING": "from the image"}, workdir="/tmp")
    tool = busybox_root / "bin/tool"
    tool.touch()
    os.chown(tool, 12, 34)
    tool.chmod(0o4751)
    os.link(tool, busybox_root / "bin/other")
    sparse = busybox_root / "sparse"
    sparse.write_bytes(bytes(1 << 20) + b"middle")
    os.truncate(sparse, 1 << 24)
    archive(spec, str(tmp_path / "image"), "oci", Recorder())
    script = ["unshare", "--mount", "bash", "-euc", PODMAN, "podman", str(run_dirs.base), str(tmp_path / "image")]
    done = subprocess.run(script, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(sparse.read_bytes()).hexdigest()
    assert done.stdout.splitlines() == ["from the image", "/tmp", "0", "4751-12-34-2", f"{digest}  -"]


@pytest.mark.parametrize("kind", TYPES)
def test_an_interrupted_archive_leaves_nothing(root: Path, tmp_path: Path, kind: str) -> None:
    class Interrupting(Recorder):
        def line(self, prefix: str, text: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive(web(root), str(tmp_path / "a"), kind, Interrupting(), verbose=True)
    assert os.listdir(tmp_path) == ["web"]


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else's, with a file that stays as it is."""
    folder = tmp_path / "precious"
    folder.mkdir(mode=0o700)
    (folder / "new").write_text("kept", encoding="ascii")
    yield folder
    assert os.listdir(folder) == ["new"]
    assert (folder / "new").read_text(encoding="ascii") == "kept"


@pytest.mark.requires("mksquashfs")
@pytest.mark.parametrize("kind", TYPES)
def test_no_planted_link_is_written_through(root: Path, tmp_path: Path, precious: Path, kind: str) -> None:
    (tmp_path / f"a.partial-{os.getpid()}").symlink_to(precious / "new")
    if kind != "oci":  # a directory replaces no link
        (tmp_path / "a").symlink_to(precious / "new")
    archive(web(root), str(tmp_path / "a"), kind, Recorder())
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.requires("mksquashfs")
@pytest.mark.parametrize("kind", TYPES)
def test_a_folder_that_is_exchanged_meanwhile_leads_nowhere(
    root: Path, tmp_path: Path, precious: Path, kind: str
) -> None:
    target = tmp_path / "out"
    target.mkdir()

    def exchange(_text: str) -> None:
        for name in [name for name in os.listdir(target) if not os.path.islink(target / name)]:
            os.rename(target / name, tmp_path / "moved")
            os.symlink(precious, target / name)

    archive(web(root), str(target / "a"), kind, Recorder(exchange), verbose=True)
    assert os.listdir(tmp_path / "moved") == []
    assert (target / "a").lstat().st_size > 0
    assert not (target / "a").is_symlink()


@pytest.mark.parametrize("put", [os.symlink, os.rename], ids=["link", "folder"])
def test_a_folder_that_is_exchanged_at_once_is_refused(
    root: Path, tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path, Path], None]
) -> None:
    make = os.mkdir
    exchanged = []

    def make_and_exchange(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(name, mode, dir_fd=dir_fd)
        os.rmdir(name, dir_fd=dir_fd)
        put(precious, tmp_path / name)
        exchanged.append(tmp_path / name)

    monkeypatch.setattr(os, "mkdir", make_and_exchange)
    with pytest.raises(BuildError, match="somebody else changes the folder that it is in"):
        archive(web(root), str(tmp_path / "a"), "none", Recorder())
    if put is os.rename:
        exchanged[0].rename(precious)


@pytest.mark.requires("mksquashfs")
def test_squashfs_follows_no_link_that_takes_the_place_of_a_folder(tmp_path: Path, precious: Path) -> None:
    root = tmp_path / "web"
    (root / "z").mkdir(parents=True)
    (root / "z/new").write_text("own", encoding="ascii")
    # the file "a" is what a command prints, which is run before the folders are read
    swap = f"mv {root}/z {tmp_path}/moved; ln -s {precious} {root}/z; echo swapped"
    options = ["-p", f"a f 444 0 0 {swap}", "-processors", "1"]
    report = Recorder()
    with pytest.raises(BuildError, match='"mksquashfs" failed'):
        archive(web(root), str(tmp_path / "a.squashfs"), "squashfs", report, options=options)
    assert (root / "z").is_symlink()
    assert any(text.startswith(f"Failed to read file {root}/z/new") for text in report.texts())
    assert sorted(os.listdir(tmp_path)) == ["moved", "precious", "web"]


@pytest.mark.requires("mksquashfs")
@pytest.mark.parametrize("kind", TYPES)
def test_what_cannot_be_read_fails(root: Path, tmp_path: Path, kind: str) -> None:
    """Tar can read what has a longer path than the kernel takes."""
    make_deep(str(root), 40, "n" * 255)
    try:
        if kind == "squashfs":
            with pytest.raises(BuildError, match='"mksquashfs" failed'):
                archive(web(root), str(tmp_path / "a"), kind, Recorder())
        else:
            archive(web(root), str(tmp_path / "a"), kind, Recorder())
        assert (tmp_path / "a").exists() == (kind != "squashfs")
    finally:  # pytest cannot
        remove_tree(str(root))


def test_an_archive_is_replaced_at_once(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("older", encoding="ascii")
    with pytest.raises(BuildError, match='"tar" failed'):
        archive(web(root), str(tmp_path / "a"), "none", Recorder(), options=["--no-such-option"])
    assert (tmp_path / "a").read_text(encoding="ascii") == "older"
    archive(web(root), str(tmp_path / "a"), "none", Recorder())
    assert (tmp_path / "a").stat().st_size > 5000


@pytest.fixture
def device(tmp_path: Path) -> Path:
    os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return tmp_path / "device"


@pytest.mark.parametrize("kind", ["none", "oci"])
def test_no_node_is_replaced(root: Path, tmp_path: Path, device: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(device)
    before = sorted((path.name, path.lstat()) for path in tmp_path.iterdir())
    for name in ("device", "fifo", "link"):
        with pytest.raises(BuildError, match=f'cannot write "{tmp_path}/{name}": it is no regular file'):
            archive(web(root), str(tmp_path / name), kind, Recorder())
    assert sorted((path.name, path.lstat()) for path in tmp_path.iterdir()) == before


def test_what_cannot_be_archived(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="lies in the root file system itself"):
        archive(web(root), str(root / "a.tar"), "none", Recorder())
    with pytest.raises(BuildError, match="it is a directory"):
        archive(web(root), str(tmp_path), "none", Recorder())
    with pytest.raises(BuildError, match="it is a directory that is not empty"):
        archive(web(root), str(tmp_path), "oci", Recorder())
    with pytest.raises(BuildError, match="there is no root file system at"):
        archive(web(tmp_path / "missing"), str(tmp_path / "a"), "none", Recorder())
    with pytest.raises(ConfigError, match="chroot_to is not set"):
        archive(web(root, rootfs=None), str(tmp_path / "a"), "none", Recorder())
    with locked(Place(str(root))), pytest.raises(BuildError, match="cannot lock"):
        archive(web(root), str(tmp_path / "a"), "none", Recorder())
    with pytest.raises(BuildError, match=r"No such file or directory"):
        archive(web(root), str(tmp_path / "no/a"), "none", Recorder())


HACO = """
from haconiwa import define
with define() as config:
    config.name = "web"
    config.chroot_to({root!r})
    with config.bootstrap as b:
        b.strategy = "shell"
        b.code = "mkdir bin; echo made > bin/file"
    with config.provision as p:
        p.run_python(lambda: open("/provisioned", "w").close())
"""


@pytest.mark.requires("zstd")
def test_the_command(haconiwa: Program, run_dirs: RunDirs, haco_file: Any) -> None:
    file = haco_file(HACO.format(root=str(run_dirs.base / "web")))
    assert (
        "there is no root file system"
        in haconiwa("archive", file, "-d", run_dirs.base / "x.tar", "-n", expect=125).stderr
    )
    assert "does not say what type" in haconiwa("archive", file, "-d", run_dirs.base / "x", expect=2).stderr
    done = haconiwa("archive", file, "-d", run_dirs.base / "x.tar.zst", "-v", "--tar-options=--exclude=./proc")
    assert f"Archived web to {run_dirs.base}/x.tar.zst: " in done.stderr
    assert "[archive]:          ./bin/file" in done.stderr
    listing = subprocess.run(["tar", "-tf", run_dirs.base / "x.tar.zst"], capture_output=True, text=True, check=True)
    assert {"./bin/file", "./provisioned"} <= {*listing.stdout.split()}
    size = (run_dirs.base / "x.tar.zst").stat().st_size
    again = haconiwa("archive", file, "-d", run_dirs.base / "y.tar.zst", "-n", "--tar-options=--exclude=./proc")
    assert again.stdout.endswith(f"({size} bytes)\n")
    assert not (run_dirs.base / "y.tar.zst").exists()

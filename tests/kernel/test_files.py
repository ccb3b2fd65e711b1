"""openat2, close_range and fstatfs."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from haconiwa.kernel.errors import AT_FDCWD, SyscallError
from haconiwa.kernel.files import (
    CLOSE_RANGE,
    DEVPTS_SUPER_MAGIC,
    MAX_FD,
    NSFS_MAGIC,
    PROC_SUPER_MAGIC,
    RESOLVE,
    close_range,
    fstatfs,
    openat2,
)
from haconiwa.kernel.mount import mount
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.process import set_pdeathsig
from tests.support.child import in_child
from tests.support.filesystems import TMPFS_MAGIC


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with links that would lead out of it."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("inside", encoding="ascii")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("outside", encoding="ascii")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "upwards").symlink_to("../../../etc/passwd")
    (root / "loop").symlink_to("loop")
    return root


def read_from(root: Path, path: str, resolve: int) -> str:
    """The text of a file opened by openat2 relative to a root."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = openat2(root_fd, path, os.O_RDONLY, 0, resolve)
    finally:
        os.close(root_fd)
    assert not os.get_inheritable(fd)
    with open(fd, encoding="ascii") as file:
        return file.read()


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/passwd", "absolute", "upwards", "../../etc/passwd"])
def test_openat2_in_root_never_leaves_it(tree: Path, path: str) -> None:
    assert read_from(tree, path, RESOLVE.IN_ROOT) == "inside"


def test_openat2_without_rules_follows(tree: Path) -> None:
    assert read_from(tree, "../etc/passwd", 0) == "outside"


@pytest.mark.parametrize(
    ("path", "resolve", "name"),
    [
        ("../etc/passwd", RESOLVE.BENEATH, "EXDEV"),
        ("absolute", RESOLVE.BENEATH, "EXDEV"),
        ("absolute", RESOLVE.NO_SYMLINKS | RESOLVE.IN_ROOT, "ELOOP"),
        ("loop", RESOLVE.IN_ROOT, "ELOOP"),
        ("nowhere", RESOLVE.IN_ROOT, "ENOENT"),
        ("etc/passwd/x", RESOLVE.IN_ROOT, "ENOTDIR"),
        ("etc", RESOLVE.IN_ROOT | RESOLVE.BENEATH, "EINVAL"),
    ],
)
def test_openat2_failures(tree: Path, path: str, resolve: RESOLVE, name: str) -> None:
    with pytest.raises(SyscallError) as caught:
        read_from(tree, path, resolve)
    assert errno.errorcode[caught.value.errno or 0] == name
    assert caught.value.call.endswith(f', "{path}", {{flags=O_CLOEXEC, mode=00, resolve={resolve}}}, 24)')


def test_openat2_refuses_magic_links(tmp_path: Path) -> None:
    with pytest.raises(SyscallError) as caught:
        openat2(AT_FDCWD, "/proc/self/exe", os.O_PATH, 0, RESOLVE.NO_MAGICLINKS)
    assert caught.value.errno == errno.ELOOP
    assert caught.value.call == (
        'openat2(AT_FDCWD, "/proc/self/exe", {flags=O_CLOEXEC|O_PATH, mode=00, resolve=RESOLVE_NO_MAGICLINKS}, 24)'
    )


def test_openat2_creates_with_a_mode(tmp_path: Path) -> None:
    os.close(openat2(AT_FDCWD, tmp_path / "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o600
    with pytest.raises(SyscallError, match=r"mode=0600, resolve=0}, 24\): Invalid argument \(EINVAL\)"):
        openat2(AT_FDCWD, tmp_path / "new", os.O_RDONLY, 0o600)


def test_openat2_is_made_again_after_a_signal(tmp_path: Path) -> None:
    """Opening a FIFO waits for a writer, who comes only after the interruption."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def check() -> None:
        writers = []

        def write(*_: object) -> None:
            if (pid := os.fork()) == 0:
                set_pdeathsig(signal.SIGKILL)  # should the reader not come back
                os.close(os.open(fifo, os.O_WRONLY))
                os._exit(0)
            writers.append(pid)

        signal.signal(signal.SIGALRM, write)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        os.close(openat2(AT_FDCWD, fifo, os.O_RDONLY))
        assert len(writers) == 1
        os.waitpid(writers[0], 0)

    in_child(check)


def test_openat2_outlasts_renames(tree: Path) -> None:
    """The kernel gives EAGAIN for a ".." when anything is renamed meanwhile."""

    def check() -> None:
        if os.fork() == 0:
            set_pdeathsig(signal.SIGKILL)
            while True:
                os.rename(tree / "etc", tree / "moved")
                os.rename(tree / "moved", tree / "etc")
        root_fd = os.open(tree, os.O_PATH | os.O_DIRECTORY)
        (tree / "a").mkdir()
        for _ in range(2000):
            os.close(openat2(root_fd, "a/../a/../a/../a", os.O_PATH, 0, RESOLVE.IN_ROOT))

    in_child(check)


def test_close_range_closes_and_marks() -> None:
    def check() -> None:
        first = os.dup(0)
        second = os.dup(0)
        os.set_inheritable(first, True)
        close_range(first, first, CLOSE_RANGE.CLOEXEC)
        assert not os.get_inheritable(first)
        close_range(second, second)
        os.fstat(first)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(second)
        for fd in (0, 1, 2, first):
            os.set_inheritable(fd, True)
        close_range(3, MAX_FD, CLOSE_RANGE.CLOEXEC)
        assert [os.get_inheritable(fd) for fd in (0, 1, 2, first)] == [True, True, True, False]

    in_child(check)


def test_close_range_failure() -> None:
    with pytest.raises(SyscallError) as caught:
        close_range(5, 4, CLOSE_RANGE.CLOEXEC | CLOSE_RANGE.UNSHARE)
    assert (caught.value.errno, caught.value.call) == (
        errno.EINVAL,
        "close_range(5, 4, CLOSE_RANGE_UNSHARE|CLOSE_RANGE_CLOEXEC)",
    )


@pytest.mark.parametrize(("path", "magic"), [("/proc", PROC_SUPER_MAGIC), ("/proc/self/ns/mnt", NSFS_MAGIC)])
def test_fstatfs(path: str, magic: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        assert fstatfs(fd) == magic
    finally:
        os.close(fd)


@pytest.mark.requires("root")
@pytest.mark.parametrize(("fstype", "magic"), [("tmpfs", TMPFS_MAGIC), ("devpts", DEVPTS_SUPER_MAGIC)])
def test_fstatfs_of_a_mount(tmp_path: Path, fstype: str, magic: int) -> None:
    def check() -> None:
        mount("x", tmp_path, fstype)
        assert fstatfs(os.open(tmp_path, os.O_RDONLY)) == magic

    in_child(check, unshared=CLONE.NEWNS)


def test_fstatfs_failure() -> None:
    with pytest.raises(SyscallError) as caught:
        fstatfs(-1)
    assert (caught.value.errno, caught.value.call) == (errno.EBADF, "fstatfs(-1)")

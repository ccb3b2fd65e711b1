"""Landlock on real files and ports, in a forked child."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.landlock import (
    LANDLOCK_ACCESS_FS,
    LANDLOCK_ACCESS_NET,
    NET_VERSION,
    landlock_access,
    landlock_allow_path,
    landlock_allow_port,
    landlock_create_ruleset,
    landlock_restrict_self,
    landlock_version,
)
from haconiwa.kernel.process import set_no_new_privs
from tests.support.child import in_child

pytestmark = pytest.mark.requires("landlock")
FS = LANDLOCK_ACCESS_FS


def allow(ruleset_fd: int, access: int, path: Path) -> None:
    fd = os.open(path, os.O_PATH)
    landlock_allow_path(ruleset_fd, access, fd)
    os.close(fd)


def test_only_what_is_allowed(tmp_path: Path) -> None:
    readable, writable = tmp_path / "r", tmp_path / "w"
    for folder in (readable, writable):
        folder.mkdir()
        (folder / "file").write_text("x")

    def check() -> None:
        ruleset_fd = landlock_create_ruleset(landlock_access(landlock_version()))
        assert not os.get_inheritable(ruleset_fd)
        allow(ruleset_fd, FS.READ_FILE | FS.READ_DIR, readable)
        allow(ruleset_fd, FS.WRITE_FILE, writable / "file")
        set_no_new_privs()
        landlock_restrict_self(ruleset_fd)
        assert (readable / "file").read_text() == "x"
        os.close(os.open(writable / "file", os.O_WRONLY))
        for path, flags in ((readable / "file", os.O_WRONLY), (writable / "file", os.O_RDONLY)):
            with pytest.raises(PermissionError):
                os.open(path, flags)
        with pytest.raises(PermissionError):
            (readable / "new").mkdir()

    in_child(check)


def test_ports() -> None:
    if landlock_version() < NET_VERSION:
        pytest.skip("this kernel's Landlock knows no ports")

    def check() -> None:
        ruleset_fd = landlock_create_ruleset(0, LANDLOCK_ACCESS_NET.BIND_TCP)
        landlock_allow_port(ruleset_fd, LANDLOCK_ACCESS_NET.BIND_TCP, 0)
        set_no_new_privs()
        landlock_restrict_self(ruleset_fd)
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            with pytest.raises(PermissionError):
                other.bind(("127.0.0.1", one.getsockname()[1] ^ 1))

    in_child(check)


@pytest.mark.parametrize(
    ("version", "highest"), [(1, "MAKE_SYM"), (2, "REFER"), (3, "TRUNCATE"), (5, "IOCTL_DEV"), (9, "IOCTL_DEV")]
)
def test_each_version_knows_more(version: int, highest: str) -> None:
    assert int(landlock_access(version)) == 2 * int(FS.members[highest]) - 1


def test_failures(tmp_path: Path) -> None:
    with pytest.raises(SyscallError) as caught:
        landlock_create_ruleset(1 << 62)
    assert caught.value.errno == errno.EINVAL
    ruleset_fd = landlock_create_ruleset(FS.READ_FILE)
    with pytest.raises(SyscallError) as caught:
        allow(ruleset_fd, FS.MAKE_DIR, tmp_path)
    assert caught.value.errno == errno.EINVAL
    assert "LANDLOCK_ACCESS_FS_MAKE_DIR" in caught.value.call
    with pytest.raises(SyscallError) as caught:
        landlock_allow_port(ruleset_fd, LANDLOCK_ACCESS_NET.BIND_TCP, 80)
    assert caught.value.errno == errno.EINVAL
    os.close(ruleset_fd)
    with pytest.raises(SyscallError) as caught:
        landlock_restrict_self(ruleset_fd)
    assert caught.value.errno == errno.EBADF


@pytest.mark.requires("root")
def test_it_takes_a_privilege_or_no_new_privs() -> None:
    def check() -> None:
        ruleset_fd = landlock_create_ruleset(FS.READ_FILE)
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError) as caught:
            landlock_restrict_self(ruleset_fd)
        assert caught.value.errno == errno.EPERM

    in_child(check)

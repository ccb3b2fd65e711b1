"""Programs of control groups, attached for real."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from haconiwa.host.cgroups import hierarchies
from haconiwa.isolation.device_program import device_program
from haconiwa.kernel.bpf import BPF_CGROUP, BPF_F, BPF_PROG_TYPE, bpf_prog_attach, bpf_prog_load
from haconiwa.kernel.errors import SyscallError
from tests.support.child import in_child

pytestmark = pytest.mark.requires("root", "cgroup_bpf")

if TYPE_CHECKING:
    from haconiwa.isolation.device_rules import Rule

ALLOW_ALL = bytes.fromhex("b700000001000000 9500000000000000")


@pytest.fixture
def group() -> Iterator[Path]:
    base = next(hierarchy for hierarchy in hierarchies() if hierarchy.version == 2)
    path = Path(f"{base.base}/haconiwa-test-bpf-{os.getpid()}")
    path.mkdir()
    yield path
    path.rmdir()


def attach(group: Path, program: bytes) -> None:
    program_fd = bpf_prog_load(BPF_PROG_TYPE.CGROUP_DEVICE, program, "Apache-2.0")
    assert not os.get_inheritable(program_fd)
    group_fd = os.open(group, os.O_PATH)
    bpf_prog_attach(group_fd, program_fd, BPF_CGROUP.DEVICE, BPF_F.ALLOW_MULTI)
    os.close(program_fd)
    os.close(group_fd)


def tried(group: Path, path: str, flags: int) -> int:
    """The error number that a process of the group gets for an open; 0 for none."""

    def check() -> int:
        (group / "cgroup.procs").write_text("0")
        try:
            os.close(os.open(path, flags))
        except OSError as error:
            return error.errno or -1
        return 0

    return int(in_child(check))


READ_NULL: Rule = ("c", 1, 3, "r")


@pytest.mark.parametrize(
    ("rules", "path", "flags", "expected"),
    [
        ([], "/dev/null", os.O_RDONLY, errno.EPERM),
        ([READ_NULL], "/dev/null", os.O_RDONLY, 0),
        ([READ_NULL], "/dev/null", os.O_WRONLY, errno.EPERM),
        ([READ_NULL], "/dev/null", os.O_RDWR, errno.EPERM),
        ([READ_NULL], "/dev/zero", os.O_RDONLY, errno.EPERM),
        ([("b", 1, 3, "rwm")], "/dev/null", os.O_RDONLY, errno.EPERM),
        ([("c", 1, None, "rw")], "/dev/zero", os.O_RDWR, 0),
        ([("c", 2, None, "rw")], "/dev/zero", os.O_RDWR, errno.EPERM),
        ([("c", None, 5, "w")], "/dev/zero", os.O_WRONLY, 0),
        ([("c", None, None, "m")], "/dev/zero", os.O_WRONLY, errno.EPERM),
        ([("c", 9, 9, "rwm"), READ_NULL, ("b", None, None, "rwm")], "/dev/null", os.O_RDONLY, 0),
        ([READ_NULL, ("c", 1, 3, "w")], "/dev/null", os.O_RDWR, errno.EPERM),  # each rule for itself
    ],
)
def test_rules_of_devices(group: Path, rules: list[Rule], path: str, flags: int, expected: int) -> None:
    attach(group, device_program(rules))
    assert tried(group, path, flags) == expected


def test_making_nodes(group: Path, tmp_path: Path) -> None:
    attach(group, device_program([("c", None, None, "m")]))

    def check() -> None:
        (group / "cgroup.procs").write_text("0")
        os.mknod(tmp_path / "char", 0o020600, os.makedev(1, 11))
        with pytest.raises(PermissionError):
            os.mknod(tmp_path / "block", 0o060600, os.makedev(7, 0))

    in_child(check)


def test_a_group_below_cannot_allow_more(group: Path) -> None:
    attach(group, device_program([READ_NULL]))
    below = group / "below"
    below.mkdir()
    attach(below, ALLOW_ALL)
    assert tried(below, "/dev/null", os.O_RDONLY) == 0
    assert tried(below, "/dev/zero", os.O_RDONLY) == errno.EPERM
    below.rmdir()


@pytest.mark.parametrize("program", [b"", b"\0" * 8, ALLOW_ALL[:8]])
def test_a_program_that_the_kernel_refuses(program: bytes) -> None:
    with pytest.raises(SyscallError) as caught:
        bpf_prog_load(BPF_PROG_TYPE.CGROUP_DEVICE, program, "Apache-2.0")
    assert caught.value.errno in (errno.EINVAL, errno.E2BIG, errno.EACCES)
    assert caught.value.call.startswith("bpf(BPF_PROG_LOAD, ")
    assert "BPF_PROG_TYPE_CGROUP_DEVICE" in caught.value.call


def test_attaching_to_what_is_no_group() -> None:
    program_fd = bpf_prog_load(BPF_PROG_TYPE.CGROUP_DEVICE, ALLOW_ALL, "Apache-2.0")
    folder_fd = os.open("/", os.O_PATH)
    with pytest.raises(SyscallError) as caught:
        bpf_prog_attach(folder_fd, program_fd, BPF_CGROUP.DEVICE, BPF_F.ALLOW_MULTI)
    assert caught.value.errno == errno.EBADF
    assert "BPF_CGROUP_DEVICE" in caught.value.call
    assert "BPF_F_ALLOW_MULTI" in caught.value.call
    os.close(folder_fd)
    os.close(program_fd)


def test_not_without_privilege() -> None:
    def check() -> None:
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError) as caught:
            bpf_prog_load(BPF_PROG_TYPE.CGROUP_DEVICE, ALLOW_ALL, "Apache-2.0")
        assert caught.value.errno == errno.EPERM

    in_child(check)

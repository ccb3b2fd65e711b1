"""Constants and failed calls print as in the kernel's headers and in strace(1)."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.kernel.errors import SyscallError, render_argument, render_call
from haconiwa.kernel.files import RESOLVE, openat2
from haconiwa.kernel.libc import encode
from haconiwa.kernel.mount import AT, FSCONFIG, MNT, MOUNT_ATTR, MS, OPEN_TREE, mount, umount2
from haconiwa.kernel.namespaces import CLONE


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (MS.BIND | MS.REC, "MS_BIND|MS_REC"),
        (MS(0), "0"),
        (MS.RDONLY | 1 << 40, "MS_RDONLY|0x10000000000"),
        (MNT.DETACH | MNT.UMOUNT_NOFOLLOW, "MNT_DETACH|UMOUNT_NOFOLLOW"),
        (OPEN_TREE.CLONE | AT.RECURSIVE, "OPEN_TREE_CLONE|AT_RECURSIVE"),
        (MOUNT_ATTR._ATIME | MOUNT_ATTR.RDONLY, "MOUNT_ATTR__ATIME|MOUNT_ATTR_RDONLY"),
        (MOUNT_ATTR.NOATIME, "MOUNT_ATTR_NOATIME"),
        (CLONE.NEWNS | CLONE.NEWPID | CLONE.INTO_CGROUP, "CLONE_NEWNS|CLONE_NEWPID|CLONE_INTO_CGROUP"),
        (FSCONFIG.CMD_CREATE, "FSCONFIG_CMD_CREATE"),
    ],
)
def test_constants_print_under_their_kernel_names(flags: int, text: str) -> None:
    assert str(flags) == text
    assert f"{flags}" == text


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_no_bit_is_lost_in_print(bits: int) -> None:
    shown = str(RESOLVE(bits)).split("|")
    assert bits == sum(int(RESOLVE[part[8:]]) if part.startswith("RESOLVE_") else int(part, 16) for part in shown)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        ("/a b", '"/a b"'),
        (b"/raw\xff", '"/raw\\xdcff"'),
        ('quo"te\\', '"quo\\"te\\\\"'),
        ("line\nend\x1b", '"line\\x0aend\\x1b"'),
        (-100, "AT_FDCWD"),
        (7, "7"),
        (signal.SIGKILL, "SIGKILL"),
        ({"flags": MS.BIND, "mode": "0600"}, "{flags=MS_BIND, mode=0600}"),
    ],
)
def test_arguments_are_shown_as_strace_does(value: object, text: str) -> None:
    assert render_argument(value) == text


def test_a_call_is_its_name_and_its_arguments() -> None:
    shown = render_call("mount", ("proc", "/proc", "proc", MS.NOSUID | MS.NODEV))
    assert shown == 'mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV)'


def test_the_error_has_errno_and_call_and_is_an_oserror() -> None:
    error = SyscallError(errno.ENOENT, "chdir()")
    assert isinstance(error, OSError)
    assert (error.errno, error.call, error.strerror) == (errno.ENOENT, "chdir()", os.strerror(errno.ENOENT))
    assert str(error) == "chdir(): No such file or directory (ENOENT)"


@pytest.mark.parametrize(
    ("number", "builtin"),
    [
        (errno.ENOENT, FileNotFoundError),
        (errno.EEXIST, FileExistsError),
        (errno.ENOTDIR, NotADirectoryError),
        (errno.EPERM, PermissionError),
        (errno.EACCES, PermissionError),
        (errno.EINTR, InterruptedError),
        (errno.ESRCH, ProcessLookupError),
        (errno.EAGAIN, BlockingIOError),
    ],
)
def test_the_usual_numbers_make_the_usual_exceptions(number: int, builtin: type[OSError]) -> None:
    error = SyscallError(number, "x()")
    assert isinstance(error, builtin)
    assert isinstance(error, SyscallError)
    assert str(error) == f"x(): {os.strerror(number)} ({errno.errorcode[number]})"


def test_a_number_without_a_name_is_shown() -> None:
    assert str(SyscallError(4095, "x()")).endswith("(4095)")


@pytest.mark.parametrize("text", ["a\0b", b"\0", "\0"])
def test_a_nul_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="embedded null byte"):
        encode(text)


@given(st.binary(max_size=40).filter(lambda raw: b"\0" not in raw))
def test_any_other_path_reaches_the_kernel_unchanged(raw: bytes) -> None:
    assert encode(os.fsdecode(raw)) == encode(raw) == raw


@pytest.mark.parametrize(
    "call",
    [
        lambda: mount("a\0", "/nowhere", "tmpfs"),
        lambda: mount("a", "/nowhere\0", "tmpfs"),
        lambda: mount("a", "/nowhere", "tmp\0fs"),
        lambda: mount("a", "/nowhere", "tmpfs", 0, "size=1\0"),
        lambda: umount2("/nowhere\0"),
        lambda: openat2(-1, "/nowhere\0", 0),
    ],
)
def test_the_wrappers_refuse_a_nul_before_the_call(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match="embedded null byte"):
        call()


def test_a_failure_needs_no_import() -> None:
    """It may happen in a child whose root belongs to a container already."""
    code = """if True:
        import sys
        from haconiwa.kernel import capabilities, files, keyctl, mount, namespaces, network, process, terminal, uts
        loaded = set(sys.modules)
        def refuse(*_):
            raise AssertionError("import")
        sys.meta_path[:] = [type("Refuse", (), {"find_spec": refuse})]
        for call in (
            lambda: mount.mount("caf\\u00e9\\udcff\\n", "/nowhere", "tmpfs", mount.MS.NOSUID, "x"),
            lambda: mount.mount_setattr(-1, "nowhere", mount.AT.RECURSIVE, attr_set=mount.MOUNT_ATTR.RDONLY),
            lambda: files.openat2(-1, "nowhere", 0, 0, files.RESOLVE.IN_ROOT),
            lambda: namespaces.setns(-1, namespaces.CLONE.NEWNS),
            lambda: terminal.get_window_size(1),
        ):
            try:
                call()
            except OSError as error:
                print(ascii(str(error)))
        assert set(sys.modules) == loaded, set(sys.modules) - loaded
    """
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 5

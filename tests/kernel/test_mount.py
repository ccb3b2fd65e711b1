"""The mount calls, each in a mount namespace of a forked child."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.kernel.errors import AT_FDCWD, SyscallError
from haconiwa.kernel.files import RESOLVE, fstatfs, openat2
from haconiwa.kernel.mount import (
    AT,
    FSMOUNT,
    FSOPEN,
    MNT,
    MOUNT_ATTR,
    MOVE_MOUNT,
    MS,
    OPEN_TREE,
    fsconfig_create,
    fsconfig_set_flag,
    fsconfig_set_string,
    fsmount,
    fsopen,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    pivot_root,
    read_fs_context_errors,
    umount2,
)
from haconiwa.kernel.namespaces import CLONE
from tests.support.child import in_child
from tests.support.filesystems import TMPFS_MAGIC

pytestmark = pytest.mark.requires("root")


def failure(function: Callable[..., object], *arguments: object, **more: object) -> tuple[str, str]:
    """The errno's name and the text of a call that must fail."""
    with pytest.raises(SyscallError) as caught:
        function(*arguments, **more)
    return errno.errorcode[caught.value.errno or 0], caught.value.call


def mount_options(path: str | Path) -> set[str]:
    """The per-mount options of the topmost mount at a path, and its propagation."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        fields = [line.split() for line in lines if line.split()[4] == str(path)][-1]
    return {*fields[5].split(","), *(field.split(":")[0] for field in fields[6 : fields.index("-")])}


def in_mount_namespace(function: Callable[[], object]) -> str:
    return in_child(function, unshared=CLONE.NEWNS)


def tmpfs_fd(*flags: str, **options: str) -> int:
    """A detached tmpfs."""
    fs_fd = fsopen("tmpfs")
    for flag in flags:
        fsconfig_set_flag(fs_fd, flag)
    for key, value in options.items():
        fsconfig_set_string(fs_fd, key, value)
    fsconfig_create(fs_fd)
    return fsmount(fs_fd)


def test_mount_and_umount2(tmp_path: Path) -> None:
    def check() -> None:
        mount("mine", tmp_path, "tmpfs", MS.NOSUID | MS.NODEV | MS.NOEXEC, "size=64k,mode=0700")
        assert {"nosuid", "nodev", "noexec"} <= mount_options(tmp_path)
        assert os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize == 65536
        assert tmp_path.stat().st_mode & 0o777 == 0o700
        umount2(tmp_path)
        assert not os.path.ismount(tmp_path)

    in_mount_namespace(check)


def test_mount_takes_names_that_are_not_utf_8(tmp_path: Path) -> None:
    target = os.path.join(os.fsencode(tmp_path), b"caf\xe9")

    def check() -> None:
        os.mkdir(target)
        mount(b"caf\xe9", target, "tmpfs", 0, "mode=0711")
        assert os.path.ismount(target)
        umount2(os.fsdecode(target), MNT.DETACH)
        os.rmdir(target)

    in_mount_namespace(check)


def test_mount_binds_and_remounts(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()

    def check() -> None:
        mount(tmp_path / "from", tmp_path / "to", None, MS.BIND)
        mount(None, tmp_path / "to", None, MS.BIND | MS.REMOUNT | MS.RDONLY)
        assert "ro" in mount_options(tmp_path / "to")
        mount(None, tmp_path / "to", None, MS.SHARED)
        assert "shared" in mount_options(tmp_path / "to")

    in_mount_namespace(check)


def test_mount_failures_show_the_call(tmp_path: Path) -> None:
    def check() -> None:
        assert failure(mount, "proc", "/nowhere", "proc", MS.NOSUID | MS.NODEV) == (
            "ENOENT",
            'mount("proc", "/nowhere", "proc", MS_NOSUID|MS_NODEV)',
        )
        assert failure(mount, None, tmp_path, "nofs", 0, "a=b") == (
            "ENODEV",
            f'mount(NULL, "{tmp_path}", "nofs", 0, "a=b")',
        )
        assert failure(mount, "x", tmp_path, "tmpfs", 0, "nooption=1")[0] == "EINVAL"

    in_mount_namespace(check)


def test_mount_without_the_right(tmp_path: Path) -> None:
    def check() -> None:
        os.setresuid(65534, 65534, 65534)
        assert failure(mount, "x", "/", "tmpfs")[0] == "EPERM"

    in_mount_namespace(check)


def test_umount2_failures(tmp_path: Path) -> None:
    def check() -> None:
        assert failure(umount2, tmp_path, MNT.DETACH | MNT.UMOUNT_NOFOLLOW) == (
            "EINVAL",
            f'umount2("{tmp_path}", MNT_DETACH|UMOUNT_NOFOLLOW)',
        )
        mount("x", tmp_path, "tmpfs")
        with open(tmp_path / "busy", "wb"):
            assert failure(umount2, tmp_path)[0] == "EBUSY"
            umount2(tmp_path, MNT.DETACH)

    in_mount_namespace(check)


def test_pivot_root_onto_itself(tmp_path: Path) -> None:
    def check() -> None:
        mount("root", tmp_path, "tmpfs")
        (tmp_path / "here").touch()
        os.chdir(tmp_path)
        pivot_root(".", ".")
        umount2(".", MNT.DETACH)
        os.chdir("/")
        assert os.listdir("/") == ["here"]

    in_mount_namespace(check)


def test_pivot_root_failures(tmp_path: Path) -> None:
    def check() -> None:
        mount("x", tmp_path, "tmpfs")
        plain = tmp_path / "no-mount-point"
        plain.mkdir()
        assert failure(pivot_root, plain, plain) == ("EINVAL", f'pivot_root("{plain}", "{plain}")')
        assert failure(pivot_root, "/nowhere", "/nowhere")[0] == "ENOENT"

    in_mount_namespace(check)


def test_open_tree_clones_and_move_mount_attaches(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()

    def check() -> None:
        mount("x", tmp_path / "from", "tmpfs")
        (tmp_path / "from/file").touch()
        (tmp_path / "from/sub").mkdir()
        mount("y", tmp_path / "from/sub", "tmpfs")
        (tmp_path / "from/sub/deep").touch()
        tree_fd = open_tree(AT_FDCWD, tmp_path / "from", OPEN_TREE.CLONE | AT.RECURSIVE)
        assert not os.get_inheritable(tree_fd)
        move_mount(tree_fd, "", AT_FDCWD, tmp_path / "to", MOVE_MOUNT.F_EMPTY_PATH)
        assert sorted(os.listdir(tmp_path / "to")) == ["file", "sub"]
        assert os.listdir(tmp_path / "to/sub") == ["deep"]

    in_mount_namespace(check)


def test_move_mount_takes_a_target_that_openat2_has_confined(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "link").symlink_to("/real")  # absolute: outside it would name something else

    def check() -> None:
        root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
        target_fd = openat2(root_fd, "link", os.O_PATH | os.O_DIRECTORY, 0, RESOLVE.IN_ROOT)
        move_mount(tmpfs_fd(), "", target_fd, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH)
        assert os.path.ismount(root / "real")

    in_mount_namespace(check)


def test_open_tree_and_move_mount_failures(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def check() -> None:
        assert failure(open_tree, AT_FDCWD, "/nowhere", OPEN_TREE.CLONE | AT.RECURSIVE) == (
            "ENOENT",
            'open_tree(AT_FDCWD, "/nowhere", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)',
        )
        fd = tmpfs_fd()
        assert failure(move_mount, fd, "", AT_FDCWD, tmp_path / "nowhere", MOVE_MOUNT.F_EMPTY_PATH) == (
            "ENOENT",
            f'move_mount({fd}, "", AT_FDCWD, "{tmp_path}/nowhere", MOVE_MOUNT_F_EMPTY_PATH)',
        )
        assert failure(move_mount, fd, "", AT_FDCWD, tmp_path / "file", MOVE_MOUNT.F_EMPTY_PATH)[0] == "EINVAL"

    in_mount_namespace(check)


def test_a_file_system_is_made_by_descriptor(tmp_path: Path) -> None:
    def check() -> None:
        fs_fd = fsopen("tmpfs", 0)
        assert not os.get_inheritable(fs_fd)
        fsconfig_set_string(fs_fd, "size", "64k")
        fsconfig_set_flag(fs_fd, "ro")
        fsconfig_create(fs_fd)
        mount_fd = fsmount(fs_fd, 0, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV)
        assert not os.get_inheritable(mount_fd)
        assert fstatfs(mount_fd) == TMPFS_MAGIC
        move_mount(mount_fd, "", AT_FDCWD, tmp_path, MOVE_MOUNT.F_EMPTY_PATH)
        assert {"nosuid", "nodev"} <= mount_options(tmp_path)
        assert os.statvfs(tmp_path).f_flag & os.ST_RDONLY
        assert os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize == 65536

    in_mount_namespace(check)


def test_the_kernels_words_about_a_bad_option() -> None:
    def check() -> None:
        fs_fd = fsopen("tmpfs", FSOPEN.CLOEXEC)
        assert read_fs_context_errors(fs_fd) == []
        assert failure(fsconfig_set_string, fs_fd, "colour", "blue") == (
            "EINVAL",
            f'fsconfig({fs_fd}, FSCONFIG_SET_STRING, "colour", "blue", 0)',
        )
        assert failure(fsconfig_set_flag, fs_fd, "taste") == (
            "EINVAL",
            f'fsconfig({fs_fd}, FSCONFIG_SET_FLAG, "taste", NULL, 0)',
        )
        assert read_fs_context_errors(fs_fd) == [
            "e tmpfs: Unknown parameter 'colour'",
            "e tmpfs: Unknown parameter 'taste'",
        ]
        assert read_fs_context_errors(fs_fd) == []

    in_mount_namespace(check)


def test_fsopen_fsconfig_and_fsmount_failures() -> None:
    def check() -> None:
        assert failure(fsopen, "nofs") == ("ENODEV", 'fsopen("nofs", FSOPEN_CLOEXEC)')
        fs_fd = fsopen("tmpfs")
        assert failure(fsmount, fs_fd, FSMOUNT.CLOEXEC, MOUNT_ATTR.RDONLY) == (
            "EINVAL",
            f"fsmount({fs_fd}, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY)",
        )
        fsconfig_create(fs_fd)
        assert failure(fsconfig_create, fs_fd) == ("EBUSY", f"fsconfig({fs_fd}, FSCONFIG_CMD_CREATE, NULL, NULL, 0)")
        with pytest.raises(OSError, match="Bad file descriptor"):
            read_fs_context_errors(os.open("/", os.O_PATH))

    in_mount_namespace(check)


def test_mount_setattr_sets_and_clears_recursively(tmp_path: Path) -> None:
    def check() -> None:
        mount("x", tmp_path, "tmpfs", MS.NOEXEC)
        (tmp_path / "sub").mkdir()
        mount("y", tmp_path / "sub", "tmpfs", MS.NOEXEC)
        mount_setattr(
            AT_FDCWD,
            tmp_path,
            AT.RECURSIVE,
            attr_set=MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOATIME,
            attr_clr=MOUNT_ATTR.NOEXEC | MOUNT_ATTR._ATIME,
            propagation=MS.SHARED,
        )
        for path in (tmp_path, tmp_path / "sub"):
            assert {"ro", "noatime", "shared"} <= mount_options(path)
            assert "noexec" not in mount_options(path)

    in_mount_namespace(check)


def test_mount_setattr_of_a_detached_mount_by_its_descriptor(tmp_path: Path) -> None:
    def check() -> None:
        mount_fd = tmpfs_fd()
        mount_setattr(mount_fd, "", AT.EMPTY_PATH, attr_set=MOUNT_ATTR.RDONLY)
        move_mount(mount_fd, "", AT_FDCWD, tmp_path, MOVE_MOUNT.F_EMPTY_PATH)
        assert "ro" in mount_options(tmp_path)
        (tmp_path.parent / "still-writable").touch()

    in_mount_namespace(check)


@pytest.mark.requires("idmapped_tmpfs")
def test_mount_setattr_maps_ids(tmp_path: Path) -> None:
    def check() -> None:
        userns_fd = _user_namespace("0 100000 1000")
        mount_fd = tmpfs_fd(mode="0755")
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=mount_fd))
        mount_setattr(mount_fd, "", AT.EMPTY_PATH, attr_set=MOUNT_ATTR.IDMAP, userns_fd=userns_fd)
        assert os.stat("file", dir_fd=mount_fd).st_uid == 100000

    in_mount_namespace(check)


def _user_namespace(mapping: str) -> int:
    """A descriptor of a new user namespace with one line of uid and gid map."""
    from haconiwa.kernel.process import clone3

    pid, pidfd = clone3(CLONE.NEWUSER)
    if pid == 0:
        os.kill(os.getpid(), 19)
        os._exit(0)
    os.waitid(os.P_PIDFD, pidfd, os.WSTOPPED)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text(mapping, encoding="ascii")
    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return fd


def test_mount_setattr_failures(tmp_path: Path) -> None:
    def check() -> None:
        attributes = "{attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0, userns_fd=0}"
        assert failure(mount_setattr, AT_FDCWD, tmp_path, AT.RECURSIVE, attr_set=MOUNT_ATTR.RDONLY) == (
            "EINVAL",
            f'mount_setattr(AT_FDCWD, "{tmp_path}", AT_RECURSIVE, {attributes}, 32)',
        )
        fd = tmpfs_fd()
        assert failure(mount_setattr, fd, "", AT.EMPTY_PATH, attr_set=MOUNT_ATTR.IDMAP, userns_fd=fd)[0] == "EBADF"

    in_mount_namespace(check)

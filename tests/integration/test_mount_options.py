"""Options of mounts, as the container's own mountinfo shows them, beside what mount(8) makes of the same words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")

TMPFS_WORDS = (
    "ro", "rw", "nosuid", "noexec", "noatime", "strictatime", "relatime", "nodiratime", "nosymfollow", "sync",
    "dirsync", "lazytime", "nosuid,noexec,ro", "noatime,nodiratime,lazytime", "mode=700,uid=5,gid=6,size=64k",
    "nr_inodes=100", "defaults", "users", "owner,suid", "comment=x,x-y=z", "nofail", "shared", "slave", "unbindable",
)  # fmt: skip


class Mount:
    """One line of mountinfo, see proc_pid_mountinfo(5)."""

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        fields = left.split()
        self.point = fields[4]
        self.options = set(fields[5].split(","))
        self.propagation = {field.partition(":")[0] for field in fields[6:]}
        self.fstype, self.source, own = right.split()
        self.own = set(own.split(","))


def seen(box: Box, under: str) -> dict[str, Mount]:
    """The container's mounts below a path."""
    text = box.run("cat", "/proc/self/mountinfo").stdout
    return {mount.point: mount for mount in map(Mount, text.splitlines()) if mount.point.startswith(under)}


def in_own_namespace(script: str) -> str:
    """What a shell script of the host prints in a mount namespace of its own."""
    argv = ["unshare", "-m", "/bin/sh", "-ec", script]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def source(box: Box) -> Path:
    """A directory of the host's with a file."""
    path = box.folder / "source"
    path.mkdir()
    (path / "file").write_text("content\n")
    return path


def test_options_of_a_file_system_are_those_of_mount_8(box: Box, source: Path) -> None:
    box.write("".join(
        f'config.add_mount_point("tmpfs", to="/mnt/{n}", fs="tmpfs", options={words!r})\n'
        for n, words in enumerate(TMPFS_WORDS)
    ))  # fmt: skip
    ours = seen(box, "/mnt/")
    script = "".join(
        f"mkdir {n} && mount -n -i -t tmpfs -o nodev,nosuid,{w} tmpfs {n}\n" for n, w in enumerate(TMPFS_WORDS)
    )
    theirs_text = in_own_namespace(f"mount -t tmpfs tmpfs {source} && cd {source}\n{script}cat /proc/self/mountinfo")
    theirs = {m.point.replace(str(source), "/mnt"): m for m in map(Mount, theirs_text.splitlines())}
    for number, words in enumerate(TMPFS_WORDS):
        mine, other = ours[f"/mnt/{number}"], theirs[f"/mnt/{number}"]
        assert (words, mine.options) == (words, other.options)
        assert (words, mine.own) == (words, other.own)
        assert (words, mine.propagation - {"master"}) == (words, other.propagation - {"master"})


@pytest.mark.parametrize("recursive", [True, False])
def test_options_of_a_bind_mount_reach_what_is_below(box: Box, source: Path, recursive: bool) -> None:
    (source / "below").mkdir()
    box.write(f"""
        for words in ("ro", "noexec,nosuid", "noatime", "relatime", "strictatime", "nodiratime", "nosymfollow",
                      "exec,suid", "ro=recursive", "shared", "rslave"):
            config.add_mount_point({str(source)!r}, to=f"/mnt/{{words}}", options=words, recursive={recursive})
    """)  # fmt: skip
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,noatime,nosuid", "x", str(source / "below")], check=True)
    try:
        found = seen(box, "/mnt/")
    finally:
        subprocess.run(["umount", str(source / "below")], check=True)
    below = {point.removesuffix("/below"): mount for point, mount in found.items() if point.endswith("/below")}
    assert (len(below) == 11) == recursive
    for mounts, inherited in ((found, set()), *([(below, {"noexec", "nosuid", "noatime"})] if recursive else [])):
        assert mounts["/mnt/ro"].options >= {"ro", "nodev", *inherited}
        assert mounts["/mnt/ro=recursive"].options >= {"ro", "nodev"}
        assert mounts["/mnt/noexec,nosuid"].options >= {"rw", "nodev", "noexec", "nosuid"}
        assert "noatime" in mounts["/mnt/noatime"].options
        assert mounts["/mnt/relatime"].options >= {"relatime"}
        assert not mounts["/mnt/strictatime"].options & {"relatime", "noatime"}
        assert "nodiratime" in mounts["/mnt/nodiratime"].options
        assert "nosymfollow" in mounts["/mnt/nosymfollow"].options
        assert not mounts["/mnt/exec,suid"].options & {"noexec", "nosuid"}
    assert found["/mnt/shared"].propagation == {"shared"}
    assert not found["/mnt/ro"].propagation


def test_mounts_travel_only_where_they_are_let(box: Box, source: Path) -> None:
    """Shared: both ways; slave: from the host inside; private, the default: not at all."""
    words = ("shared", "slave", "private")
    for word in words:
        (source / word).mkdir()
    box.write("".join(
        f'config.add_mount_point({str(source / word)!r}, to="/mnt/{word}", options="{word}")\n' for word in words
    ) + "config.capabilities.reset_to_privileged()")  # fmt: skip
    subprocess.run(["mount", "--bind", str(source), str(source)], check=True)
    try:
        subprocess.run(["mount", "--make-shared", str(source)], check=True)
        script = """
            for i in shared slave private; do mkdir /mnt/$i/in /mnt/$i/out; mount -t tmpfs x /mnt/$i/in; done
            echo ready; read line; grep -o '/mnt/[a-z]*/out' /proc/mounts; echo; read line
        """
        with box.background(script) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "ready\n"
            assert [word for word in words if os.path.ismount(source / word / "in")] == ["shared"]
            for word in words:
                subprocess.run(["mount", "-t", "tmpfs", "x", str(source / word / "out")], check=True)
            process.stdin.write("\n")
            process.stdin.flush()
            lines = iter(process.stdout.readline, "\n")
            assert sorted(line.strip() for line in lines) == ["/mnt/shared/out", "/mnt/slave/out"]
    finally:
        subprocess.run(["umount", "-R", str(source)], check=True)


def test_overlay(box: Box) -> None:
    """Directories are the host's, relative ones beside the haco file; many long ones are more than one option takes."""
    layers = [f"layer-{number}-{'x' * 100}" for number in range(6)]
    for name in [*layers, "with:colon", "upper", "work"]:
        (box.folder / name).mkdir()
        (box.folder / name / name[:7]).write_text(name)
    box.write(f"""
        config.add_mount_point("overlay", to="/mnt/a", fs="overlay",
                               options="lowerdir=layer-0-{"x" * 100},upperdir=upper,workdir=work")
        config.add_mount_point("overlay", to="/mnt/b", fs="overlay",
                               options={f"lowerdir={':'.join(layers)}:with" + chr(92) + ":colon"!r})
    """)
    output = box.sh("ls /mnt/a /mnt/b; echo new > /mnt/a/new; touch /mnt/b/new 2>&1", expect=1)
    assert (
        output.split()
        == (
            "/mnt/a: layer-0 upper /mnt/b: layer-0 layer-1 layer-2 layer-3 layer-4 layer-5 with:co "
            "touch: /mnt/b/new: Read-only file system"
        ).split()
    )
    assert (box.folder / "upper/new").read_text() == "new\n"


def test_owner_and_mode_of_a_mount_and_of_directories_made_for_it(box: Box, source: Path) -> None:
    box.write(f"""
        config.add_mount_point("tmpfs", to="/mnt/deep/t", fs="tmpfs",
            options="X-mount.mkdir=0710,X-mount.owner=7,X-mount.group=8,X-mount.mode=1755,size=1m")
        config.add_mount_point({str(source)!r}, to="/srv/deep/s", options="X-mount.mkdir,x-comment=1")
    """)
    output = box.sh("stat -c '%a %u %g' /mnt/deep /mnt/deep/t /srv/deep")
    assert output.splitlines() == ["710 0 0", "1755 7 8", "755 0 0"]


def test_umask_of_the_caller_does_not_matter(box: Box, source: Path) -> None:
    box.write(f'config.add_mount_point({str(source / "file")!r}, to="/srv/deep/s")')
    argv = [box.haconiwa.path, "start", str(box.file), "--", "true"]
    subprocess.run(argv, check=True, umask=0o077, env=box.haconiwa.environ())
    assert [(box.root / name).stat().st_mode & 0o777 for name in ("srv/deep", "srv/deep/s")] == [0o755, 0o644]


@pytest.mark.parametrize(
    ("fs", "options", "words"),
    [
        ("tmpfs", "colour=red", "tmpfs: Unknown parameter 'colour': Invalid argument (EINVAL)"),
        ("tmpfs", "mode=zz", "tmpfs: Bad value for 'mode': Invalid argument (EINVAL)"),
        ("nosuchfs", "", "No such device (ENODEV)"),
        ("overlay", "lowerdir=/no/such/layer", "No such file or directory (ENOENT)"),
        ("ext4", "", "No such file or directory (ENOENT)"),
    ],
)
def test_what_a_file_system_refuses_is_said_in_its_words(box: Box, fs: str, options: str, words: str) -> None:
    box.write(f'config.add_mount_point("/no/such/device", to="/mnt", fs="{fs}", options="{options}")')
    lines = box.fails("true").splitlines()
    shown = f" with {options}" if options else ""
    assert lines[0].startswith(f'error: {box.name}: cannot mount {fs} on "/mnt"{shown}: ')
    assert lines[0].endswith(words)
    assert lines[1] == f"  at: {box.file}:{box.settings_line}"


def test_optional_device_may_be_missing(box: Box) -> None:
    box.write('config.add_mount_point("/no/such/device", to="/mnt", fs="ext4", options="nofail")')
    assert box.sh("ls -d /mnt", expect=1) == ""


@pytest.mark.parametrize(
    ("make_source", "make_target", "words"),
    [
        (os.mkdir, lambda path: path.write_text(""), "Not a directory (ENOTDIR)"),
        (lambda path: path.write_text(""), os.mkdir, "Is a directory (EISDIR)"),
    ],
)
def test_directory_and_file_do_not_mix(
    box: Box, make_source: Callable[[Path], object], make_target: Callable[[Path], object], words: str
) -> None:
    make_source(box.folder / "thing")
    make_target(box.root / "mnt")
    box.write('config.add_mount_point("thing", to="/mnt")')
    assert box.fails("true").splitlines()[0].endswith(f'on "/mnt": {words}')


def test_special_files_are_bound_as_files(box: Box) -> None:
    os.mkfifo(box.folder / "fifo")
    box.write('config.add_mount_point("fifo", to="/run/fifo")\nconfig.add_mount_point("/dev/null", to="/run/null")')
    assert box.sh("test -p /run/fifo && test -c /run/null && echo both") == "both\n"


def test_deep_and_long_destinations(box: Box, source: Path) -> None:
    deep = "/d" * 1500
    box.write(f"""
        config.add_mount_point({str(source)!r}, to={deep!r})
        config.add_mount_point({str(source)!r}, to="/m/" + "n" * 255)
    """)
    try:
        assert box.run("cat", f"{deep}/file", f"/m/{'n' * 255}/file").stdout == "content\n" * 2
    finally:
        subprocess.run(["rm", "-r", str(box.root / "d")], check=True)  # too deep for shutil
    box.write(f'config.add_mount_point({str(source)!r}, to="/m/" + "n" * 256)')
    assert "File name too long (ENAMETOOLONG)" in box.fails("true")


def test_more_mounts_than_descriptors(box: Box, source: Path) -> None:
    box.write(f'for i in range(200):\n    config.add_mount_point({str(source)!r}, to=f"/m/{{i}}")')
    argv = ["prlimit", "--nofile=100:100", box.haconiwa.path, "start", str(box.file), "--", "true"]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, env=box.haconiwa.environ())
    assert result.returncode == 125
    assert "Too many open files (EMFILE)" in result.stderr
    assert "hint: each mount takes a descriptor until it is attached: raise the limit with ulimit -n" in result.stderr

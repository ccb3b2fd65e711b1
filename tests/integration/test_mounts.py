"""Mounts of a haco file as the container sees them, and what a hostile root file system cannot do with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.box import Box, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.fixture
def source(box: Box) -> Path:
    """A directory of the host's with one file."""
    path = box.folder / "source"
    path.mkdir()
    (path / "file").write_text("content\n")
    return path


def options(box: Box, point: str) -> set[str]:
    """The mount's own options of a mount point."""
    text = box.run("cat", "/proc/self/mountinfo").stdout
    return next(set(line.split()[5].split(",")) for line in text.splitlines() if line.split()[4] == point)


@pytest.mark.setting("add_mount_point")
def test_bind_mount_makes_its_target(box: Box, source: Path) -> None:
    box.write(f'config.add_mount_point({str(source)!r}, to=root / "srv/deep/data")')
    assert box.run("cat", "/srv/deep/data/file").stdout == "content\n"
    assert {"rw", "nodev"} <= options(box, "/srv/deep/data")
    assert (box.root / "srv/deep/data").is_dir()
    assert not list((box.root / "srv/deep/data").iterdir())


def test_bind_mount_of_a_file(box: Box, source: Path) -> None:
    box.write(f'config.add_mount_point({str(source / "file")!r}, to="/etc/deep/one")')
    assert box.run("cat", "/etc/deep/one").stdout == "content\n"
    assert (box.root / "etc/deep/one").read_text() == ""


def test_relative_source_is_beside_the_haco_file(box: Box, source: Path) -> None:
    box.write('config.add_mount_point("source", to="/mnt")')
    assert box.run("cat", "/mnt/file", cwd="/").stdout == "content\n"


def test_readonly_bind_mount(box: Box, source: Path) -> None:
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt", readonly=True)')
    assert "Read-only file system" in box.run("touch", "/mnt/x", expect=1).stderr
    assert os.access(source, os.W_OK)


def test_readonly_reaches_what_is_mounted_below(box: Box, source: Path) -> None:
    box.write(f"""
        config.add_mount_point({str(source)!r}, to="/mnt", readonly=True, options="nosuid,noexec")
        config.add_mount_point("tmpfs", to="/mnt2", fs="tmpfs", options="size=64k,mode=700,noexec")
    """)
    assert {"ro", "nosuid", "noexec", "nodev"} <= options(box, "/mnt")
    assert {"rw", "noexec", "nodev"} <= options(box, "/mnt2")
    assert box.sh("stat -c %a /mnt2").strip() == "700"


def test_device_mount_option_has_to_be_asked_for(box: Box, source: Path) -> None:
    os.mknod(source / "null", 0o020666, os.makedev(1, 3))
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt", options="dev")')
    assert box.run("/bin/sh", "-c", "echo x > /mnt/null && echo written").stdout == "written\n"


def test_later_mounts_lie_on_top_in_file_order(box: Box, source: Path) -> None:
    box.write(f"""
        config.add_mount_point("tmpfs", to="/mnt", fs="tmpfs")
        config.add_mount_point({str(source)!r}, to="/mnt/below")
        config.add_mount_point("tmpfs", to="/dev/shm/over", fs="tmpfs")
    """)
    assert box.sh("cat /mnt/below/file; ls /mnt; test -d /dev/shm/over && echo over") == "content\nbelow\nover\n"


def test_optional_source_may_be_missing(box: Box) -> None:
    box.write('config.add_mount_point("/no/such/thing", to="/mnt", optional=True)')
    assert box.sh("grep -c ' /mnt ' /proc/mounts", expect=1) == "0\n"


@pytest.mark.setting("mount_network_etc")
def test_network_etc_is_shown_read_only(box: Box) -> None:
    (box.folder / "etc").mkdir()
    (box.folder / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    box.write(f"config.mount_network_etc(root, host_root={str(box.folder / 'etc')!r})")
    assert box.run("cat", "/etc/resolv.conf").stdout == "nameserver 192.0.2.1\n"
    assert "Read-only" in box.run("/bin/sh", "-c", "echo x > /etc/resolv.conf", expect=1).stderr
    assert box.run("cat", "/etc/hosts").stdout == "127.0.0.1 localhost\n"


@pytest.mark.setting("mount_independent")
def test_mqueue(box: Box) -> None:
    box.write(independent=("procfs", "devtmpfs", "mqueue"))
    assert box.sh("grep -c ' /dev/mqueue mqueue ' /proc/mounts") == "1\n"


def test_no_mount_travels_to_the_host(box: Box, source: Path) -> None:
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt")\nconfig.capabilities.reset_to_privileged()')
    script = "mkdir /mnt/inner && mount -t tmpfs tmpfs /mnt/inner && touch /mnt/inner/x && echo ready; read line"
    with box.background(script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert not os.path.ismount(source / "inner")
        assert not (source / "inner/x").exists()


@pytest.mark.setting("namespace.set_uid_mapping", "namespace.set_gid_mapping")
def test_source_below_a_folder_of_roots_alone(box: Box, source: Path) -> None:
    box.folder.joinpath("closed").mkdir(mode=0o700)
    source.rename(box.folder / "closed/source")
    (box.root / "mnt").mkdir()  # the host's root owns the root file system, so nobody inside may make it
    box.write(f"""
        config.add_mount_point({str(box.folder / "closed/source")!r}, to="/mnt")
        config.namespace.set_uid_mapping(min=0, max=1000, offset=100000)
        config.namespace.set_gid_mapping(min=0, max=1000, offset=100000)
    """)
    assert box.run("cat", "/mnt/file").stdout == "content\n"


# --------------------------------------------------------------------------------------------------- traps in the root


class Trap:
    """Watches what must not change on the host: a directory that stands for it, with a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "host"
        self.path.mkdir()
        (self.path / "file").write_text("the host's\n")

    def untouched(self) -> bool:
        """Whether the host's directory is as it was."""
        return [path.name for path in self.path.iterdir()] == ["file"] and (
            self.path / "file"
        ).read_text() == "the host's\n"


@pytest.fixture
def trap(box: Box) -> Trap:
    return Trap(box.folder)


def replace_by_link(box: Box, name: str, target: str | Path) -> None:
    """Make a link of what is at a path of the root."""
    path = box.root / name
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_link_in_place_of_a_system_directory_stays_inside(box: Box, trap: Trap, name: str) -> None:
    replace_by_link(box, name, trap.path)
    # the target is missing inside, or, were it followed outside, it would be covered on the host
    box.run("true", expect=None)
    assert trap.untouched()
    assert not os.path.ismount(trap.path)


@pytest.mark.parametrize(
    "target", ["/", "/tmp", "../../../../../tmp", "/proc/self/root", "/proc/1/root/tmp", "/proc/self/cwd", "tmp/../.."]
)
@pytest.mark.parametrize("name", ["proc", "sys", "dev", "mnt"])
def test_links_to_places_of_the_host(box: Box, source: Path, name: str, target: str) -> None:
    replace_by_link(box, name, target)
    box.write(f'config.add_mount_point({str(source)!r}, to=root / "mnt")')
    before = Path("/proc/self/mountinfo").read_text()
    result = box.run("/bin/busybox", "true", expect=None)
    assert result.returncode in (0, 125, 126, 127), result.stderr
    assert "internal error" not in result.stderr
    assert Path("/proc/self/mountinfo").read_text() == before


def test_etc_that_is_a_link_to_the_hosts_etc(box: Box, trap: Trap) -> None:
    for path in (box.root / "etc").iterdir():
        path.unlink()
    replace_by_link(box, "etc", trap.path)
    (trap.path / "resolv.conf").write_text("x")
    box.write("config.mount_network_etc(root)")
    box.run("true", expect=None)
    assert sorted(path.name for path in trap.path.iterdir()) == ["file", "resolv.conf"]
    assert (trap.path / "resolv.conf").read_text() == "x"


def test_resolv_conf_that_is_a_link_to_a_file_of_the_host(box: Box, trap: Trap) -> None:
    replace_by_link(box, "etc/resolv.conf", trap.path / "file")
    (box.folder / "etc").mkdir()
    (box.folder / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    box.write(f"config.mount_network_etc(root, host_root={str(box.folder / 'etc')!r})")
    # it leads to that path inside, where the file is made
    assert box.run("cat", "/etc/resolv.conf").stdout == "nameserver 192.0.2.1\n"
    assert trap.untouched()
    assert (box.root / str(trap.path / "file").lstrip("/")).is_file()


def test_dangling_resolv_conf_as_distributions_bring_it(box: Box) -> None:
    replace_by_link(box, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    (box.folder / "etc").mkdir()
    (box.folder / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    box.write(f"config.mount_network_etc(root, host_root={str(box.folder / 'etc')!r})")
    assert box.run("cat", "/run/systemd/resolve/stub-resolv.conf").stdout == "nameserver 192.0.2.1\n"


@pytest.mark.parametrize("links", [{"mnt": "mnt"}, {"mnt": "mnt2", "mnt2": "mnt"}])
def test_loop_of_links_is_an_error(box: Box, source: Path, links: dict[str, str]) -> None:
    for name, target in links.items():
        (box.root / name).symlink_to(target)
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt")')
    lines = box.fails("true").splitlines()
    assert lines[0] == (
        f'error: {box.name}: cannot bind "{source}" on "/mnt": Too many levels of symbolic links (ELOOP)'
    )
    assert lines[1] == f"  at: {box.file}:{box.settings_line}"


def test_dangling_link_as_the_target_of_a_directory_leads_inside(box: Box, source: Path) -> None:
    (box.root / "mnt").symlink_to("/nowhere/at/all")
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt")')
    assert box.run("cat", "/nowhere/at/all/file").stdout == "content\n"
    assert (box.root / "nowhere/at/all").is_dir()


def test_target_with_dots_stays_inside(box: Box, source: Path) -> None:
    (box.root / "mnt").symlink_to("../../../../srv")
    (box.root / "srv").mkdir()
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt")')
    assert box.run("cat", "/srv/file").stdout == "content\n"


def test_file_where_a_directory_has_to_be(box: Box, source: Path) -> None:
    (box.root / "mnt").write_text("a file")
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt/below")')
    assert 'on "/mnt/below": Not a directory (ENOTDIR)' in box.fails("true")
    box.write(f'config.add_mount_point({str(source)!r}, to="/mnt")')
    assert 'on "/mnt": Not a directory (ENOTDIR)' in box.fails("true")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _large(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 << 20)


def _missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_fifo, "it is not a regular file"),
        (_directory, "Is a directory (EISDIR)|it is not a regular file"),
        (_large, "File too large (EFBIG)"),
        (_missing, "No such file or directory (ENOENT)"),
    ],
)
def test_accounts_that_cannot_be_read(box: Box, make: Callable[[Path], None], why: str) -> None:
    (box.root / "etc/passwd").unlink()
    make(box.root / "etc/passwd")
    assert box.run("echo", "ran").stdout == "ran\n"  # nobody needs it
    box.write('config.uid = "alice"')
    message = box.fails("true").splitlines()[0]
    assert message.partition('cannot read the container\'s "/etc/passwd": ')[2] in why.split("|")


def test_passwd_that_is_a_link_to_the_hosts_is_looked_up_inside(box: Box, trap: Trap) -> None:
    (trap.path / "file").write_text("alice:x:0:0::/:/bin/sh\n")
    replace_by_link(box, "etc/passwd", trap.path / "file")
    box.write('config.uid = "alice"')
    assert "No such file or directory (ENOENT)" in box.fails("true")


def test_device_multiplexer_of_the_rootfs_is_not_trusted(box: Box, haconiwa: Program) -> None:
    # without a devpts of its own, /dev/pts/ptmx of the root may be anything
    (box.root / "dev/pts").mkdir()
    os.mkfifo(box.root / "dev/pts/ptmx")
    box.write(independent=("procfs",))
    child = haconiwa.on_terminal("start", box.file, "--", "tty")
    child.expect("exited")
    child.wait()
    assert child.exitstatus in (0, 1)
    child.close()


def test_multiplexer_of_the_rootfs_is_not_used_by_attach_either(box: Box, haconiwa: Program) -> None:
    """Inside, /dev/ptmx is the container's: the terminal then comes from a devpts of its own."""
    os.mkfifo(box.root / "dev/ptmx")
    box.write(independent=("procfs",))
    box.daemon()
    child = haconiwa.on_terminal("attach", box.name, "--", "/bin/sh", "-c", "test -t 0 && echo on a terminal")
    child.expect("on a terminal")
    child.wait()
    child.close()
    box.stop()


@pytest.mark.parametrize("user", [False, True])
def test_hooks_see_the_hosts_paths_and_the_mounts_below_the_root(box: Box, source: Path, user: bool) -> None:
    """Also a path that climbs above "/", which must not lead into the container."""
    (box.root / "mnt").mkdir()
    (box.root / "proc").mkdir(exist_ok=True)
    box.write(
        f"""
        config.add_mount_point({str(source)!r}, to="/mnt")
        if {user}:
            config.namespace.set_uid_mapping(min=0, max=1000, offset=0)
            config.namespace.set_gid_mapping(min=0, max=1000, offset=0)
        """,
        """
        @config.add_general_hook("before_chroot")
        def look(base):
            print(os.path.exists("/.." + __file__), os.listdir(base.root + "/mnt"))
        """,
    )
    assert "True ['file']" in box.run("true").stdout + box.run("true").stderr


@pytest.mark.requires("binfmt_misc")
def test_program_of_binfmt_misc(box: Box) -> None:
    """A file that is handed to an interpreter by its name, in a user namespace with formats of its own (Linux 6.7)."""
    for name in ("proc", "dev"):
        (box.root / name).mkdir(exist_ok=True)
    (box.root / "prog.garden").write_text("no program that the kernel knows\n")
    (box.root / "prog.garden").chmod(0o755)
    box.write("""
        config.namespace.set_uid_mapping(min=0, max=1000, offset=0)
        config.namespace.set_gid_mapping(min=0, max=1000, offset=0)
        config.filesystem.readonly_paths = []
        config.add_mount_point("binfmt_misc", to="/proc/sys/fs/binfmt_misc", fs="binfmt_misc")
    """)
    box.daemon("echo ':garden:E::garden::/bin/busybox:' > /proc/sys/fs/binfmt_misc/register; echo ready; exec sleep 99")
    wait_until(lambda: "garden" in box.attach("ls", "/proc/sys/fs/binfmt_misc").stdout, "the format is registered")
    assert "applet not found" in box.attach("/prog.garden", expect=127).stderr
    box.stop()

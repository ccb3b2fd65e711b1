"""What a container's program sees of itself and of the host."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from haconiwa.kernel.capabilities import to_mask
from tests.integration.box import CAPABILITIES, HOST_GROUPS, NAMESPACES, Box
from tests.support.requirements import has

pytestmark = pytest.mark.requires("root", "busybox")

Where = Callable[[Box], dict[str, str]]


def fields(text: str) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    return {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in text.splitlines())}


def by_start(box: Box) -> dict[str, str]:
    return fields(box.run("cat", "/proc/self/status").stdout)


def by_attach(box: Box) -> dict[str, str]:
    box.daemon()
    text = box.attach("cat", "/proc/self/status").stdout
    box.stop()
    return fields(text)


both = pytest.mark.parametrize("status", [by_start, by_attach])


@both
def test_capabilities_by_default(box: Box, status: Where) -> None:
    shown = status(box)
    mask = f"{to_mask(CAPABILITIES):016x}"
    assert (shown["CapPrm"], shown["CapEff"], shown["CapBnd"]) == (mask, mask, mask)
    assert (shown["CapInh"], shown["CapAmb"]) == ("0" * 16, "0" * 16)


@both
def test_no_signal_is_ignored_or_blocked(box: Box, status: Where) -> None:
    shown = status(box)
    assert (shown["SigIgn"], shown["SigBlk"]) == ("0" * 16, "0" * 16)


@both
def test_ids_and_groups_of_root(box: Box, status: Where) -> None:
    shown = status(box)
    assert (shown["Uid"], shown["Gid"], shown["Groups"]) == ("0 0 0 0", "0 0 0 0", "")


@pytest.mark.setting("uid", "gid", "groups")
@both
def test_user_by_name(box: Box, status: Where) -> None:
    box.write('config.uid = "alice"\nconfig.groups = ["audio", 77]')
    shown = status(box)
    assert (shown["Uid"], shown["Gid"]) == ("1000 1000 1000 1000", "1001 1001 1001 1001")
    assert sorted(shown["Groups"].split()) == ["29", "77"]
    empty = "0" * 16
    assert (shown["CapPrm"], shown["CapEff"], shown["CapInh"], shown["CapAmb"]) == (empty,) * 4


@pytest.mark.setting("uid", "gid")
@both
def test_user_by_number(box: Box, status: Where) -> None:
    box.write("config.uid = 1000")
    assert status(box)["Gid"] == "1001 1001 1001 1001"
    box.write('config.uid = "4242"')
    assert status(box)["Gid"] == "4242 4242 4242 4242"
    box.write("config.uid = 1\nconfig.gid = 29")
    assert status(box)["Gid"] == "29 29 29 29"


@pytest.mark.setting("capabilities.allow", "capabilities.ambient")
@both
def test_ambient_capabilities_reach_an_ordinary_user(box: Box, status: Where) -> None:
    box.write('config.uid = "alice"\nconfig.capabilities.allow("net_raw")\nconfig.capabilities.ambient("net_raw")')
    shown = status(box)
    mask = f"{to_mask(['net_raw']):016x}"
    assert (shown["CapPrm"], shown["CapEff"], shown["CapInh"], shown["CapAmb"]) == (mask,) * 4


@pytest.mark.setting("capabilities.drop")
@both
def test_capabilities_dropped(box: Box, status: Where) -> None:
    box.write('config.capabilities.drop("CAP_NET_RAW", "setuid")')
    bounding = int(status(box)["CapBnd"], 16)
    assert bounding == to_mask(CAPABILITIES - {"net_raw", "setuid"})


@pytest.mark.setting("capabilities.reset_to_privileged")
@both
def test_privileged_keeps_what_the_caller_has(box: Box, status: Where) -> None:
    box.write("config.capabilities.reset_to_privileged()")
    with open("/proc/self/status", encoding="ascii") as file:
        ours = fields(file.read())
    assert status(box)["CapBnd"] == ours["CapBnd"]


@pytest.mark.setting("no_new_privs")
@both
def test_no_new_privs(box: Box, status: Where) -> None:
    assert status(box)["NoNewPrivs"] == "0"
    box.write("config.no_new_privs = True")
    assert status(box)["NoNewPrivs"] == "1"


@both
def test_umask(box: Box, status: Where) -> None:
    before = os.umask(0o077)
    try:
        assert status(box)["Umask"] == "0022"
    finally:
        os.umask(before)


@both
def test_session_is_its_own(box: Box, status: Where) -> None:
    shown = status(box)
    # its number is that of a process of the same pid namespace, not 0 for one outside
    assert shown["NSsid"] == shown["NSpgid"] == shown["Pid"]


def test_first_process(box: Box) -> None:
    assert box.sh("echo $$; echo $PPID; read name < /proc/1/comm; echo $name").split() == ["1", "0", "busybox"]


@pytest.mark.setting("namespace.unshare")
@pytest.mark.parametrize("name", [*NAMESPACES, "net", "cgroup"])
def test_namespace_is_its_own(box: Box, name: str) -> None:
    box.write(namespaces=(*NAMESPACES, "net", "cgroup"))
    kind = {"mount": "mnt"}.get(name, name)
    assert box.sh(f"readlink /proc/self/ns/{kind}").strip() != os.readlink(f"/proc/self/ns/{kind}")


@pytest.mark.parametrize("name", ["net", "user"])
def test_namespace_not_asked_for_is_the_hosts(box: Box, name: str) -> None:
    assert box.sh(f"readlink /proc/self/ns/{name}").strip() == os.readlink(f"/proc/self/ns/{name}")


@pytest.mark.setting("name", "hostname", "domainname")
def test_names(box: Box) -> None:
    assert box.sh("uname -n").strip() == box.name
    box.write('config.hostname = "other.example"\nconfig.domainname = "nis"')
    assert box.sh("uname -n; cat /proc/sys/kernel/domainname").split() == ["other.example", "nis"]


def test_without_the_uts_namespace_the_hosts_name_stays(box: Box) -> None:
    box.write(namespaces=("mount", "pid"))
    assert box.sh("uname -n").strip() == os.uname().nodename


@pytest.mark.requires("netns")
def test_loopback_is_up(box: Box) -> None:
    box.write(namespaces=(*NAMESPACES, "net"))
    assert "LOOPBACK,UP" in box.sh("ip link show lo")
    assert box.sh("ls /sys/class/net").split() == ["lo"]


@pytest.mark.requires("netns", "ip")
@pytest.mark.setting("namespace.use_netns")
def test_network_namespace_by_name(box: Box) -> None:
    subprocess.run(["ip", "netns", "add", box.name], check=True)
    try:
        box.write(f'config.namespace.use_netns("{box.name}")')
        inode = box.sh("stat -L -c %i /proc/self/ns/net").strip()
        assert inode == str(os.stat(f"/run/netns/{box.name}").st_ino)
    finally:
        subprocess.run(["ip", "netns", "delete", box.name], check=True)


def test_cgroup_namespace_is_its_own_and_rooted_at_the_containers_group(box: Box) -> None:
    paths = {line.split(":")[2] for line in box.sh("cat /proc/self/cgroup").splitlines()}
    assert "/" in paths
    assert not any(box.name in path for path in paths)


@pytest.mark.setting("namespace.enter")
def test_process_is_in_its_group_as_the_hosts_cgroup_namespace_shows(box: Box) -> None:
    box.write(HOST_GROUPS)
    assert any(line.endswith(f"/haconiwa/{box.name}") for line in box.sh("cat /proc/self/cgroup").splitlines())


# ---------------------------------------------------------------------------------------------------- what it is given


def environment(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split("\0") if pair)


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_environment_is_exactly_the_defaults(box: Box) -> None:
    text = box.run("cat", "/proc/self/environ", environ={"SECRET": "1", "LC_ALL": "C", "TERM": "xterm"}).stdout
    assert environment(text) == {"PATH": PATH, "HOME": "/root", "container": "haconiwa"}


@pytest.mark.setting("environ")
def test_environment_asked_for(box: Box) -> None:
    box.write('config.uid = "alice"\nconfig.environ = {"PATH": "/bin", "A": "é=x", "EMPTY": ""}')
    text = box.run("cat", "/proc/self/environ").stdout
    assert environment(text) == {
        "PATH": "/bin", "HOME": "/home/alice", "container": "haconiwa", "A": "é=x", "EMPTY": "",
    }  # fmt: skip


def test_no_descriptor_above_2(box: Box) -> None:
    fd = os.open("/", os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        # the shell lists with a pattern and so opens the directory itself, as 3
        assert box.sh("echo /proc/$$/fd/*").split() in (
            [f"/proc/1/fd/{number}" for number in (0, 1, 2)],
            [f"/proc/1/fd/{number}" for number in (0, 1, 2, 3)],
        )
        assert box.sh("readlink /proc/1/fd/3; readlink /proc/1/fd/4", expect=None) == ""
    finally:
        os.close(fd)


def test_descriptor_of_the_haco_file_is_closed(box: Box) -> None:
    box.write(rest='held = os.open("/", os.O_RDONLY)\nos.set_inheritable(held, True)')
    assert box.sh("for n in 3 4 5 6 7 8 9 10 11 12 13 14; do readlink /proc/1/fd/$n; done", expect=None) == ""


@pytest.mark.setting("workdir")
def test_workdir(box: Box) -> None:
    assert box.run("pwd").stdout == "/\n"
    box.write('config.workdir = "/var/tmp"')
    assert box.run("pwd").stdout == "/var/tmp\n"


@pytest.mark.setting("resource.set_limit")
def test_rlimits(box: Box) -> None:
    box.write('config.resource.set_limit("NOFILE", 64, 128)\nconfig.resource.set_limit("CORE", 0)')
    text = box.sh("cat /proc/self/limits")
    assert re.search(r"^Max open files +64 +128 ", text, re.MULTILINE)
    assert re.search(r"^Max core file size +0 +0 ", text, re.MULTILINE)


def test_small_limits_do_not_hit_the_start(box: Box) -> None:
    binds = "".join(f'config.add_mount_point("/etc/hosts", to=root / "mnt/{n}")\n' for n in range(16))
    box.write(binds + 'config.resource.set_limit("NOFILE", 5)\nconfig.resource.set_limit("AS", 16 << 20)')
    assert box.run("/bin/sh", "-c", "ulimit -n; ulimit -v").stdout.split() == ["5", "16384"]


@pytest.mark.skipif(has("sys_resource"), reason="this host lets root raise hard limits")
def test_hard_limit_that_cannot_be_raised_names_the_line(box: Box) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    box.write(f'config.resource.set_limit("NOFILE", {hard + 1})')
    lines = box.fails("true").splitlines()
    assert lines[0].startswith(f"error: {box.name}: cannot raise the hard limit NOFILE to {hard + 1} if it is lower: ")
    assert lines[0].endswith("Operation not permitted (EPERM)")
    assert lines[1] == f"  at: {box.file}:{box.settings_line}"
    assert lines[2].startswith("  hint: ")


KEYRING = "import ctypes; print(ctypes.CDLL(None).syscall({number}, 0, -3, 0))"
"""Prints the serial number of the session keyring: keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)."""


def test_session_keyring_is_not_the_hosts(box: Box) -> None:
    # with the host's root, because busybox has no program that asks
    unconfined = 'config.seccomp.profile = "unconfined"'  # the default one lets nobody ask
    box.write(unconfined, root=None, independent=(), namespaces=("pid",))
    code = KEYRING.format(number=250 if os.uname().machine == "x86_64" else 219)
    # a session keyring of the test's own, or root's default one would be shown
    join = code.replace("0, -3, 0", "1, 0")
    script = f"{join}; {code}; import os, sys; sys.stdout.flush(); os.execv(sys.argv[1], sys.argv[1:])"
    argv = [sys.executable, "-c", script, box.haconiwa.path, "start", str(box.file), "--", sys.executable, "-c", code]
    result = subprocess.run(argv, capture_output=True, text=True, check=True, env=box.haconiwa.environ())
    ours = result.stdout.split()
    assert len(ours) == 3
    assert ours[0] == ours[1]
    assert int(ours[2]) > 0
    assert ours[2] != ours[1]


def test_host_processes_are_not_seen(box: Box) -> None:
    pids = [name for name in box.sh("ls /proc").split() if name.isdigit()]
    assert set(pids) <= {"1", "2"}


def test_dumpable_is_back_after_the_exec(box: Box) -> None:
    # a process that may not be dumped has its /proc files owned by root
    box.write('config.uid = "alice"')
    assert box.sh("stat -c %u /proc/1/fd").strip() == "1000"


# -------------------------------------------------------------------------------------------------------------- mounts


def mounts(text: str) -> dict[str, tuple[str, set[str]]]:
    """The file system type and the mount's own options, by mount point; of several on top of each other the last."""
    table = {}
    for line in text.splitlines():
        left, right = line.split(" - ")
        words = left.split()
        table[words[4]] = (right.split()[0], set(words[5].split(",")))
    return table


@pytest.mark.setting("mount_independent", "chroot_to")
def test_mounts_and_their_options(box: Box) -> None:
    table = mounts(box.run("cat", "/proc/self/mountinfo").stdout)
    assert table["/"][1] >= {"rw", "nodev"}
    assert table["/proc"] == ("proc", {"rw", "nosuid", "nodev", "noexec", "relatime"})
    assert table["/sys"] == ("sysfs", {"ro", "nosuid", "nodev", "noexec", "relatime"})
    assert table["/dev"] == ("tmpfs", {"rw", "nosuid", "noexec", "relatime"})
    assert table["/dev/pts"] == ("devpts", {"rw", "nosuid", "noexec", "relatime"})
    assert table["/dev/shm"] == ("tmpfs", {"rw", "nosuid", "nodev", "noexec", "relatime"})
    for point, (_, options) in table.items():
        if point.startswith(("/proc/", "/sys/")):
            assert "ro" in options, point


@pytest.mark.setting("mount_independent")
@pytest.mark.parametrize(
    ("argument", "seen"),
    [
        ("", "1 sleep"),
        (", hidepid='noaccess'", "1"),
        (", hidepid='invisible'", ""),
        (", hidepid='ptraceable'", ""),
    ],
)
def test_users_see_no_processes_of_others_if_that_is_asked(box: Box, argument: str, seen: str) -> None:
    box.write(f"config.mount_independent('procfs'{argument})")
    box.daemon()
    script = "[ ! -d /proc/1 ] || echo 1 $(cat /proc/1/comm 2>/dev/null)"
    assert box.attach("/bin/sh", "-c", script, options=("-u", "alice")).stdout.strip() == seen
    assert box.attach("/bin/sh", "-c", script).stdout == "1 sleep\n"
    box.stop()


def test_no_mount_of_the_hosts_is_seen(box: Box) -> None:
    text = box.run("cat", "/proc/self/mountinfo").stdout
    expected = {"/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm"}
    points = {line.split()[4] for line in text.splitlines()}
    assert {point for point in points if not point.startswith(("/proc/", "/sys/"))} == expected
    assert "shared:" not in text
    assert "master:" not in text


@pytest.mark.setting("filesystem.use_legacy_chroot")
def test_legacy_chroot(box: Box) -> None:
    box.write("config.filesystem.use_legacy_chroot = True")
    assert box.sh("ls /").split() == sorted(os.listdir(box.root))


def test_root_of_a_chroot_is_a_wall(box: Box) -> None:
    assert box.sh("cd ../../../..; ls") == box.sh("ls /")


@pytest.mark.setting("rootfs.readonly")
def test_readonly_rootfs(box: Box) -> None:
    box.write("config.rootfs.readonly = True")
    assert "Read-only file system" in box.run("touch", "/x", expect=1).stderr
    assert box.sh("echo x > /dev/shm/x && echo written") == "written\n"


def test_private_dev_has_the_harmless_nodes_only(box: Box) -> None:
    names = box.sh("cd /dev; find . -type c | sort").split()
    assert names == sorted(["./full", "./null", "./pts/ptmx", "./random", "./tty", "./urandom", "./zero"])
    assert box.sh("find /dev -type b") == ""
    assert box.sh("stat -c '%a %t:%T' /dev/null /dev/tty").splitlines() == ["666 1:3", "666 5:0"]
    assert box.sh("cd /dev; for n in ptmx fd stdin stdout stderr; do readlink $n; done").split() == [
        "pts/ptmx", "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2",
    ]  # fmt: skip


def test_device_nodes_work(box: Box) -> None:
    assert box.sh("head -c 3 /dev/zero | od -An -tx1; echo x > /dev/full || echo full").split() == [
        "00", "00", "00", "full",
    ]  # fmt: skip


def test_console_only_on_a_terminal(box: Box) -> None:
    assert box.sh("test -e /dev/console || echo none") == "none\n"


def test_device_node_of_the_rootfs_is_dead(box: Box) -> None:
    os.mknod(box.root / "tmp/null", 0o666 | 0o020000, os.makedev(1, 3))
    os.mknod(box.root / "disk", 0o666 | 0o060000, os.makedev(7, 0))
    messages = box.run("/bin/sh", "-c", "echo x > /tmp/null; cat /disk", expect=1).stderr
    assert messages.count("Permission denied") == 2


def test_nodes_cannot_be_made(box: Box) -> None:
    assert "Operation not permitted" in box.run("mknod", "/tmp/x", "c", "1", "3", expect=1).stderr


# ------------------------------------------------------------------------------------------- masked and read-only paths


@pytest.mark.parametrize("path", ["/proc/keys", "/proc/timer_list", "/proc/kcore", "/proc/sched_debug"])
def test_masked_file_is_empty(box: Box, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip("this kernel does not have it")
    assert box.run("cat", path).stdout == ""
    box.run("umount", path, expect=1)
    assert box.sh(f"chmod 600 {path} || echo refused") == "refused\n"
    assert os.stat("/dev/null").st_mode & 0o777 == 0o666


@pytest.mark.parametrize("path", ["/sys/firmware", "/proc/acpi", "/proc/scsi", "/sys/devices/virtual/powercap"])
def test_masked_directory_is_empty_and_cannot_be_written(box: Box, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip("this kernel does not have it")
    assert box.run("ls", "-A", path).stdout == ""
    assert "Read-only file system" in box.run("mkdir", f"{path}/x", expect=1).stderr


@pytest.mark.parametrize("path", ["/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"])
def test_readonly_path_cannot_be_written(box: Box, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip("this kernel does not have it")
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        before = file.read()
    box.write("config.capabilities.reset_to_privileged()")
    assert "Read-only file system" in box.run("/bin/sh", "-c", f"echo x > {path}", expect=1).stderr
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        assert file.read() == before


def test_sysfs_cannot_be_written(box: Box) -> None:
    # open fails for the file system before it does for the file's mode
    messages = box.run("/bin/sh", "-c", "echo x > /sys/kernel/notes; mkdir /sys/x", expect=1).stderr
    assert "Read-only file system" in messages or "Permission denied" in messages


@pytest.mark.setting("filesystem.add_masked_path", "filesystem.add_readonly_path")
def test_own_masked_and_readonly_paths(box: Box) -> None:
    (box.root / "etc/secret").write_text("x")
    (box.root / "srv/fixed").mkdir(parents=True)
    (box.root / "srv/hidden").mkdir()
    (box.root / "srv/hidden/x").write_text("x")
    box.write("""
        config.filesystem.add_masked_path("/etc/secret")
        config.filesystem.add_masked_path("/srv/hidden")
        config.filesystem.add_masked_path("/not/there")
        config.filesystem.add_readonly_path("/srv/fixed")
    """)
    assert box.sh("cat /etc/secret; ls /srv/hidden; touch /srv/fixed/x || echo refused") == "refused\n"


@pytest.mark.setting("filesystem.masked_paths", "filesystem.readonly_paths")
def test_lists_of_paths_may_be_emptied(box: Box) -> None:
    box.write("config.filesystem.masked_paths = []\nconfig.filesystem.readonly_paths = []")
    table = mounts(box.run("cat", "/proc/self/mountinfo").stdout)
    assert not [point for point in table if point.startswith(("/proc/", "/sys/"))]


def test_masked_path_that_is_a_link_masks_what_it_leads_to_inside(box: Box) -> None:
    (box.root / "etc/link").symlink_to("/etc/hosts")
    box.write('config.filesystem.add_masked_path("/etc/link")')
    with open("/etc/hosts", encoding="utf-8") as file:
        host = file.read()
    assert box.run("cat", "/etc/hosts").stdout == ""
    with open("/etc/hosts", encoding="utf-8") as file:
        assert file.read() == host

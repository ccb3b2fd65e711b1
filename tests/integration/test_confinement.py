"""The rarer settings that confine a program, seen from inside, by start and by attach."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import NAMESPACES, Box

pytestmark = pytest.mark.requires("root", "busybox")

SETTINGS = """
config.umask = 0o027
config.oom_score_adj = 321
config.personality = "linux32"
config.resource.set_limit("NOFILE", 100, 200)
config.landlock.allow_read("/")
config.landlock.allow_execute("/bin")
config.landlock.allow_write("/tmp", "/dev")
"""
MAPS = """
config.namespace.set_uid_mapping(min=0, max=1, offset=0)
config.namespace.set_gid_mapping(min=0, max=1, offset=0)
"""
LOOK = """
    umask; cat /proc/self/oom_score_adj; uname -m; ulimit -Sn; ulimit -Hn; ulimit -Sc
    echo a > /tmp/a && cat /tmp/a && rm /tmp/a && echo > /dev/null && echo written
    echo a > /etc/a || echo refused; cp /bin/busybox /tmp/b && /tmp/b true || echo not executed; rm /tmp/b
"""
SEEN = "0027 321 i686 100 200 0 a written refused not executed".split(" ", 9)


@pytest.mark.setting(
    "landlock.allow_read", "landlock.allow_execute", "landlock.allow_write", "umask", "oom_score_adj", "personality"
)
@pytest.mark.requires("landlock")
@pytest.mark.parametrize("namespaces", [NAMESPACES, (*NAMESPACES, "user")])
def test_start_and_attach_confine_alike(box: Box, namespaces: tuple[str, ...]) -> None:
    box.write(SETTINGS + (MAPS if "user" in namespaces else ""), namespaces=namespaces)
    by_start = box.sh(LOOK)
    assert by_start.split("\n")[:-1] == SEEN
    box.daemon()
    assert box.attach("/bin/sh", "-c", LOOK).stdout == by_start
    box.stop()
    assert box.haconiwa("inspect", str(box.file)).stdout.count('"access": "write"') == 2


def test_core_files_are_off_until_asked_for(box: Box) -> None:
    box.write('config.resource.set_limit("CORE", 4096)')
    assert box.sh("ulimit -Sc").strip() == "8"  # the shell counts in units of 512 bytes


def test_a_limit_that_the_host_forbids_is_refused_before_the_fork(box: Box) -> None:
    box.write('config.resource.set_limit("NOFILE", 2**40)')
    shown = box.fails("true")
    assert "cannot raise the hard limit NOFILE" in shown
    assert "root may ask for" in shown
    assert f"{box.file}:{box.settings_line}" in shown


def test_a_lower_oom_score_needs_the_privilege(box: Box) -> None:
    box.write("config.oom_score_adj = -1000")
    result = box.run("cat", "/proc/self/oom_score_adj", expect=None)
    if result.returncode:
        assert "takes CAP_SYS_RESOURCE" in result.stderr
    else:
        assert result.stdout.strip() == "-1000"


@pytest.mark.requires("landlock")
def test_landlock_paths_are_those_inside(box: Box) -> None:
    box.write('config.landlock.allow_read("/no/such")')
    shown = box.fails("true")
    assert 'cannot let Landlock allow to read "/no/such": No such file or directory (ENOENT)' in shown
    outward = box.root / "outward"
    outward.symlink_to(box.folder)  # a directory of the host's alone
    box.write('config.landlock.allow_execute("/outward")')
    assert 'cannot let Landlock allow to execute "/outward"' in box.fails("true")


@pytest.mark.setting("landlock.allow_bind", "landlock.allow_connect")
@pytest.mark.requires("landlock_ports")
def test_landlock_ports(box: Box) -> None:
    box.write(
        'config.landlock.allow_execute("/")\nconfig.landlock.allow_connect(7)\nconfig.landlock.allow_bind(80)',
        namespaces=(*NAMESPACES, "net"),
    )
    script = "nc -l -p 81 -w 1 2>&1; nc -w 1 127.0.0.1 8 2>&1; nc -w 1 127.0.0.1 7 2>&1"
    assert box.sh(script, expect=None).splitlines() == [
        "nc: bind: Permission denied",
        "nc: can't connect to remote host (127.0.0.1): Permission denied",
        "nc: can't connect to remote host (127.0.0.1): Connection refused",
    ]


SYSCTLS = """
config.sysctl["net.ipv4.ip_unprivileged_port_start"] = 80
config.sysctl["net/ipv4/conf/lo/forwarding"] = 1
config.sysctl["net.ipv4.tcp_rmem"] = "4096 131072 6291456"
config.sysctl["kernel.shmmni"] = 77
config.sysctl["kernel.sem"] = "250 32000 32 77"
config.sysctl["fs.mqueue.msg_max"] = 17
"""
READ_SYSCTLS = """
    cd /proc/sys
    cat net/ipv4/ip_unprivileged_port_start net/ipv4/conf/lo/forwarding kernel/shmmni fs/mqueue/msg_max
    cat kernel/sem net/ipv4/tcp_rmem | tr -s '\\t' ' '
    echo 1 > kernel/shmmni || echo read-only
"""


@pytest.mark.setting("sysctl")
def test_sysctls_are_the_containers_own(box: Box) -> None:
    files = ("net/ipv4/ip_unprivileged_port_start", "kernel/shmmni", "kernel/sem", "fs/mqueue/msg_max")
    before = [Path("/proc/sys", name).read_text() for name in files]
    box.write(SYSCTLS, namespaces=(*NAMESPACES, "net"))
    shown = box.sh(READ_SYSCTLS).splitlines()
    assert shown == ["80", "1", "77", "17", "250 32000 32 77", "4096 131072 6291456", "read-only"]
    assert [Path("/proc/sys", name).read_text() for name in files] == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('config.sysctl["net.ipv4.no_such"] = 1', "this kernel has no such parameter"),
        ('config.sysctl["net.ipv4.ip_forward"] = "yes"', "it does not take this value"),
    ],
)
def test_wrong_sysctls_stop_the_start(box: Box, setting: str, message: str) -> None:
    box.write(setting, namespaces=(*NAMESPACES, "net"))
    assert message in box.fails("true")


def test_no_sysctl_of_the_host_through_a_namespace_that_is_its_own(box: Box) -> None:
    settings = 'config.namespace.enter("net", "/proc/self/ns/net")\nconfig.sysctl["net.ipv4.ip_forward"] = 1'
    box.write(settings)
    assert "the net namespace that it entered is the host's" in box.fails("true")


@pytest.mark.setting("namespace.set_time_offset")
def test_the_clocks_of_a_time_namespace(box: Box) -> None:
    box.write("config.namespace.set_time_offset(boottime=1_000_000_000, monotonic=5)")
    assert float(box.sh("cat /proc/uptime").split()[0]) > 1_000_000_000
    assert box.sh("cat /proc/self/timens_offsets").split() == ["monotonic", "5", "0", "boottime", "1000000000", "0"]
    box.daemon()
    assert float(box.attach("cat", "/proc/uptime").stdout.split()[0]) > 1_000_000_000
    box.stop()


@pytest.mark.setting("namespace.enter")
def test_the_clocks_of_a_namespace_that_is_there(box: Box) -> None:
    argv = [
        "unshare",
        "--time",
        "--boottime",
        "1000000000",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        "echo ready; read line",
    ]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        path = f"/proc/{holder.pid}/ns/time_for_children"
        box.write(f"config.namespace.enter('time', {path!r})")
        inside = "cat /proc/uptime; readlink /proc/self/ns/time"
        uptime, _idle, link = box.sh(inside).split()
        assert float(uptime) > 1_000_000_000
        assert link == os.readlink(path)
        box.daemon()
        assert box.attach("/bin/sh", "-c", inside).stdout.split()[2] == link
        box.stop()
        holder.communicate("\n")


def test_what_the_supervisor_starts_has_its_own_clocks(box: Box) -> None:
    hook = """
        @config.add_general_hook("before_start_wait")
        def tell(base):
            import subprocess
            print("uptime", subprocess.check_output(["cat", "/proc/uptime"], text=True).split()[0])
    """
    box.write("config.namespace.set_time_offset(boottime=1_000_000_000)", hook)
    shown = box.run("true").stderr
    uptime = next(line for line in shown.splitlines() if line.startswith("uptime ")).split()[1]
    assert float(uptime) < 1_000_000_000


def test_impossible_clocks_are_refused(box: Box) -> None:
    box.write("config.namespace.set_time_offset(monotonic=-4_000_000_000)")
    assert "before their beginning" in box.fails("true")


@pytest.mark.parametrize("kind", ["ipc", "uts", "net", "pid", "time", "user"])
def test_a_kept_namespace_can_be_entered_by_the_next_container(box: Box, kind: str) -> None:
    path = box.folder / "kept" / kind
    settings = f'config.namespace.unshare("{kind}", persist_in={str(path)!r})'
    if kind == "user":
        settings += MAPS
    box.write(settings)
    inside = box.sh(f"readlink /proc/self/ns/{kind}").strip()
    assert str(path.stat().st_ino) in inside
    shown = box.fails("true")
    assert "a namespace is kept there already" in shown
    assert "haconiwa rm --namespaces" in shown
    others = tuple(name for name in NAMESPACES if name != kind)
    before = box.file.read_text()
    box.write(f'config.namespace.enter("{kind}", {str(path)!r})', namespaces=others)
    if kind == "pid":
        assert "the first process of the pid namespace has ended" in box.fails("true")
    elif kind != "user":  # where nothing maps to the root file system's owner there is nothing to start
        assert box.sh(f"readlink /proc/self/ns/{kind}").strip() == inside
    box.file.write_text(before)
    box.haconiwa("rm", "--namespaces", str(box.file))
    assert not path.exists()


def test_a_failed_start_keeps_nothing(box: Box) -> None:
    path = box.folder / "kept" / "net"
    box.write(f'config.namespace.unshare("net", persist_in={str(path)!r})')
    box.fails("/no/such", expect=127)
    assert not path.exists()


@pytest.mark.parametrize("what", ["directory", "fifo", "full"])
def test_nothing_of_others_is_covered_by_a_kept_namespace(box: Box, what: str) -> None:
    path = box.folder / "target"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("mine")
    box.write(f'config.namespace.unshare("net", persist_in={str(path)!r})')
    assert "there is something else than an empty file" in box.fails("true")
    assert path.exists()


@pytest.mark.parametrize("kind", ["mount", "ipc", "uts", "net", "pid", "user", "cgroup", "time"])
def test_the_hosts_own_namespace_can_be_entered(box: Box, kind: str) -> None:
    file = {"mount": "mnt"}.get(kind, kind)
    namespaces = tuple(name for name in ("mount", "uts") if name != kind)
    root = None if kind == "mount" else ""
    independent = () if kind == "mount" else ("procfs",)
    settings = f'config.namespace.enter("{kind}", "/proc/self/ns/{file}")'
    box.write(settings, namespaces=namespaces, root=root, independent=independent)
    assert box.sh(f"readlink /proc/self/ns/{file}").strip() == os.readlink(f"/proc/self/ns/{file}")


def test_namespaces_of_another_type_and_what_is_none_are_refused(box: Box) -> None:
    fifo = box.folder / "fifo"
    os.mkfifo(fifo)
    for path, why in (
        ("/proc/self/ns/ipc", "it is not a net namespace"),
        ("/etc/hostname", "it is not a net namespace"),
        (str(fifo), "it is not a net namespace"),
        ("/proc/1073741824/ns/net", "what made it has ended"),
    ):
        box.write(f'config.namespace.enter("net", {path!r})')
        assert why in box.fails("true")


def test_net_admin_over_the_hosts_network_is_a_decision(box: Box) -> None:
    box.write('config.capabilities.allow("net_admin")')
    assert "would rule the host's own network; add namespace.unshare" in box.fails("true", expect=2)
    box.write('config.capabilities.allow("net_admin", host_network=True)')
    assert "warning" not in box.run("true").stderr
    box.write('config.capabilities.allow("all")')
    shown = box.run("true").stderr
    assert f"warning: {box.name}: with all capabilities and without the net namespace" in shown
    assert f"  at: {box.file}:{box.settings_line}" in shown
    box.write('config.capabilities.allow("all")', namespaces=(*NAMESPACES, "net"))
    assert "warning" not in box.run("true").stderr

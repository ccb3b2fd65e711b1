"""Control groups of real containers, on whatever layout the machine has: v1, v2, or both."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from haconiwa.host.cgroups import hierarchies
from tests.integration.box import HOST_GROUPS, NAMESPACES, Box

pytestmark = pytest.mark.requires("root", "busybox")

MEGABYTE = 1 << 20
TELL = """
@config.add_general_hook("before_start_wait")
def tell(base):
    for key in {keys!r}:
        print(key, "=", base.cgroup[key].replace("\\n", ";"), flush=True)
"""


def has(controller: str) -> bool:
    """Whether the machine can limit that, on v1 or v2."""
    names = {controller, {"io": "blkio"}.get(controller, controller)}
    return any(not names.isdisjoint(hierarchy.controllers) for hierarchy in hierarchies())


def needs(*controllers: str) -> None:
    """Skip where the machine lacks a controller."""
    for controller in controllers:
        if not has(controller):
            pytest.skip(f"this machine has no {controller} controller")


def layout(controller: str) -> int:
    """The version that has a controller."""
    return next(hierarchy.version for hierarchy in hierarchies() if controller in hierarchy.controllers)


def file_of(box: Box, v2_name: str, v1_name: str) -> str:
    """What a limit's file says in one of the container's groups."""
    for group in box.groups():
        for name in (v2_name, v1_name):
            path = Path(group, name)
            if path.exists():
                return path.read_text().strip()
    raise AssertionError((v2_name, v1_name, box.groups()))


def told(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\S+) = (.*)$", text, re.MULTILINE))


@pytest.mark.setting(
    "cgroup.memory.max",
    "cgroup.memory.low",
    "cgroup.cpu.max",
    "cgroup.cpu.weight",
    "cgroup.pids.max",
    "cgroup.cpuset.cpus",
)
def test_limits_are_written_and_read_back(box: Box) -> None:
    needs("memory", "cpu", "pids", "cpuset")
    box.write(
        """
        config.cgroup["memory.max"] = "64M"
        config.cgroup["memory.low"] = "8M"
        config.cgroup["cpu.max"] = "40000 80000"
        config.cgroup["cpu.weight"] = 50
        config.cgroup["pids.max"] = 32
        config.cgroup["cpuset.cpus"] = 0
        """,
    )
    box.daemon()
    try:
        assert file_of(box, "memory.max", "memory.limit_in_bytes") == str(64 * MEGABYTE)
        assert file_of(box, "memory.low", "memory.soft_limit_in_bytes") == str(8 * MEGABYTE)
        assert file_of(box, "cpu.max", "cpu.cfs_quota_us") in ("40000 80000", "40000")
        assert file_of(box, "cpu.weight", "cpu.shares") == ("50" if layout("cpu") == 2 else "421")
        assert file_of(box, "pids.max", "pids.max") == "32"
        assert file_of(box, "cpuset.cpus", "cpuset.cpus") == "0"
    finally:
        box.stop()
    box.nothing_left()


@pytest.mark.setting("cgroup.memory.limit_in_bytes", "cgroup.cpu.cfs_quota_us", "cgroup.cpu.shares")
def test_names_of_v1_mean_the_same(box: Box) -> None:
    needs("memory", "cpu", "pids")
    keys = [
        "memory.max",
        "cpu.max",
        "cpu.weight",
        "pids.max",
        "memory.limit_in_bytes",
        "cpu.cfs_quota_us",
        "cpu.shares",
    ]
    box.write(
        """
        config.cgroup["memory.limit_in_bytes"] = "64M"
        config.cgroup["cpu.cfs_quota_us"] = 40000
        config.cgroup["cpu.shares"] = 1024
        config.cgroup["pids.max"] = "max"
        """,
        TELL.format(keys=keys),
    )
    assert told(box.run("true").stderr) == {
        "memory.max": str(64 * MEGABYTE),
        "cpu.max": "40000 100000",
        "cpu.weight": "100",
        "pids.max": "max",
        "memory.limit_in_bytes": str(64 * MEGABYTE),
        "cpu.cfs_quota_us": "40000",
        "cpu.shares": "1024",
    }


def test_processes_are_limited_from_the_first_on_and_by_attach_too(box: Box) -> None:
    needs("pids")
    box.write(f"config.cgroup['pids.max'] = 4\n{HOST_GROUPS}")
    forks = "sleep 100 & sleep 100 & sleep 100 & sleep 100 & wait"
    assert "Resource temporarily unavailable" in box.run("/bin/sh", "-c", forks, expect=None).stderr
    box.daemon()
    try:
        inside = Path(f"/proc/{box.state()['init']['pid']}/cgroup").read_text()
        attached = box.attach("cat", "/proc/self/cgroup").stdout
        assert attached == inside
        assert f"/haconiwa/{box.name}" in attached
        too_many = "for n in 1 2 3; do sleep 100 >/dev/null 2>&1 & done; wait"
        assert "Resource temporarily unavailable" in box.attach("/bin/sh", "-c", too_many, expect=None).stderr
    finally:
        box.stop()
    box.nothing_left()


def test_too_much_memory_ends_a_program(box: Box) -> None:
    needs("memory")
    box.write("config.cgroup['memory.max'] = '16M'")
    fill = "tail -c 64m /dev/zero; echo $?"
    assert box.run("/bin/sh", "-c", fill).stdout == "137\n"
    box.nothing_left()


def test_a_start_that_its_memory_is_too_small_for(box: Box) -> None:
    needs("memory")
    box.write(
        "config.cgroup['memory.max'] = '2M'",
        """
        @config.add_general_hook("after_fork")
        def fill(base):
            bytearray(8 << 20)
        """,
    )
    shown = box.fails("true")
    assert "the container's process died before its program ran: signaled(9), since it may not use more memory" in shown
    assert "its memory limit leaves no room for a start: raise it" in shown
    box.nothing_left()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("config.cgroup['rdma.max'] = 'x hca_handle=1'", 'cgroup["rdma.max"]: this host has no controller "rdma"'),
        (
            "config.cgroup('v2')['net_cls.classid'] = 1",
            'cgroup("v2")["net_cls.classid"]: this host has no v2 controller',
        ),
    ],
)
def test_what_the_host_cannot_do_is_refused_before_anything_is_done(box: Box, settings: str, said: str) -> None:
    if "rdma" in settings and has("rdma"):
        pytest.skip("this machine has it")
    box.write(settings)
    shown = box.fails("true", expect=2)
    assert f"{box.file}:{box.settings_line}: {said}" in shown
    assert "it has cgroup " in shown
    box.nothing_left()


def test_a_value_that_the_kernel_refuses(box: Box) -> None:
    needs("cpuset")
    box.write("config.cgroup['cpuset.cpus'] = 4095")
    shown = box.fails("true")
    assert 'cannot write "4095" to "' in shown
    assert f"at: {box.file}:{box.settings_line}" in shown
    assert 'hint: cgroup["cpuset.cpus"]: the kernel does not take this value here' in shown
    box.nothing_left()


def test_a_file_that_the_kernel_does_not_have(box: Box) -> None:
    needs("memory")
    box.write(f"config.cgroup('v{layout('memory')}')['memory.no_such_file'] = 1")
    shown = box.fails("true")
    assert "memory.no_such_file" in shown
    assert "has no such file; it has memory." in shown
    box.nothing_left()


def test_only_the_groups_that_are_needed(box: Box) -> None:
    box.write(independent=("procfs",))
    box.daemon()
    try:
        count = len(box.groups())
        assert count == (2 if any("devices" in h.controllers for h in hierarchies() if h.version == 1) else 1)
    finally:
        box.stop()


@pytest.mark.setting("cgroup_name")
def test_another_name_for_the_groups(box: Box) -> None:
    box.write(f"config.cgroup_name = '{box.name}-other'\n{HOST_GROUPS}")
    assert f"/haconiwa/{box.name}-other\n" in box.sh("cat /proc/self/cgroup")
    box.nothing_left()


def test_a_group_with_processes_of_others_is_refused(box: Box) -> None:
    box.write(f"config.cgroup_name = '{box.name}-busy'")
    with foreign_group(f"{box.name}-busy") as group:
        shown = box.fails("true")
        assert f'cannot create the cgroup "{group}": it exists and has processes in it' in shown
        assert os.path.isdir(group)


def test_an_empty_group_that_was_left_keeps_nothing(box: Box) -> None:
    needs("memory")
    hierarchy = next(h for h in hierarchies() if "memory" in h.controllers)
    stale = Path(hierarchy.group(box.name))
    stale.mkdir(parents=True)
    limit = stale / ("memory.limit_in_bytes" if hierarchy.version == 1 else "cgroup.max.depth")
    limit.write_text("4194304" if hierarchy.version == 1 else "3")
    box.write(
        "config.cgroup['memory.swap.max'] = 'max'" if hierarchy.version == 2 else "config.cgroup['memory.low'] = 0"
    )
    box.daemon()
    try:
        assert limit.read_text() != ("4194304\n" if hierarchy.version == 1 else "3\n")
    finally:
        box.stop()
    box.nothing_left()


@contextlib.contextmanager
def foreign_group(name: str) -> Iterator[str]:
    """A group of that name with a process in it, where a container's first group would be."""
    from haconiwa.isolation.cgroups import tracking_hierarchy

    hierarchy = tracking_hierarchy(hierarchies())
    assert hierarchy is not None
    path = Path(hierarchy.group(name))
    path.mkdir(parents=True)
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_fd)
        os.read(read_fd, 1)
        os._exit(0)
    (path / "cgroup.procs").write_text(str(pid))
    yield str(path)
    os.close(write_fd)
    os.close(read_fd)
    os.waitpid(pid, 0)
    path.rmdir()
    with contextlib.suppress(OSError):
        path.parent.rmdir()


LIVE = """
@config.add_general_hook("before_start_wait")
def change(base):
    cg = base.cgroup
    print("current", int(cg["memory.current"]) > 0, int(cg["pids.current"]) >= 1)
    cg["memory.max"] = "48M"
    print("max", cg["memory.max"], cg["memory.limit_in_bytes"])
    cg["cpu.max"] = "max"
    print("cpu", cg["cpu.max"])
    cg["cgroup.freeze"] = 1
    print("frozen", cg["cgroup.freeze"], cg["freezer.state"] in ("FROZEN", "FREEZING"))
    cg["freezer.state"] = "THAWED"
    print("thawed", cg["cgroup.freeze"], cg["freezer.state"])
    print("paths", all(path.endswith("/haconiwa/" + base.name) for path in cg.paths), len(cg.paths) > 0)
    for key, value in (("memory.max", "1GB"), ("memory.max", None), ("cgroup.freeze", 7)):
        try:
            cg[key] = value
        except (ValueError, OSError) as error:
            print("refused", type(error).__name__)
    for key in ("hugetlb.2MB.max", "../x", "memory.no_such"):
        try:
            cg[key]
        except Exception as error:
            print(f"missing {error}")
"""


def test_hooks_read_and_write_the_live_groups(box: Box) -> None:
    needs("memory", "pids", "cpu")
    box.write("config.cgroup['memory.max'] = config.cgroup['pids.max'] = config.cgroup['cpu.max'] = 'max'", LIVE)
    lines = box.run("true").stderr.splitlines()
    for line in (
        "current True True",
        "max 50331648 50331648",
        "cpu max 100000",
        "frozen 1 True",
        "thawed 0 THAWED",
        "paths True True",
    ):
        assert line in lines, lines
    assert sum(line.startswith("refused ") for line in lines) == 3
    missing = [line for line in lines if line.startswith("missing ")]
    assert len(missing) == 3
    assert all("the container has no group of the " in line for line in missing)


@pytest.mark.setting("mount_independent")
def test_the_groups_inside_are_its_own_and_read_only(box: Box) -> None:
    box.write(independent=("procfs", "sysfs", "devtmpfs", "cgroup"))
    shown = box.sh(
        """
        cat /proc/self/cgroup
        echo options $(awk '$3 ~ /^cgroup/ { print $4 }' /proc/mounts | cut -d, -f1 | sort -u)
        for f in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs); do echo first $(head -n 1 $f); done
        find /sys/fs/cgroup -mindepth 2 -type d | grep -v unified/ | grep -c haconiwa
        mkdir /sys/fs/cgroup/x 2>&1
        echo 1 2>&1 > $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs | head -n 1)
        """,
        expect=None,
    ).splitlines()
    own = [line for line in shown if re.match(r"\d+:", line) and "name=" not in line]
    mounted = {name for hierarchy in hierarchies() for name in hierarchy.controllers if hierarchy.version == 1}
    mine = [line for line in own if line.startswith("0:") or set(line.split(":")[1].split(",")) & mounted]
    assert mine
    assert all(line.endswith(":/") for line in mine), mine
    assert "options ro" in shown
    firsts = {line for line in shown if line.startswith("first ")}
    assert firsts == {"first 1"}, shown
    assert "0" in shown
    assert any("Read-only file system" in line for line in shown)


@pytest.mark.requires("userns")
def test_the_groups_inside_a_user_namespace(box: Box) -> None:
    box.write(
        "config.namespace.set_uid_mapping(min=0, max=65536, offset=100000)\n"
        "config.namespace.set_gid_mapping(min=0, max=65536, offset=100000)\n",
        independent=("procfs", "devtmpfs", "cgroup"),
    )
    (box.root / "sys/fs/cgroup").mkdir(parents=True)
    assert "cgroup.procs" in box.sh("find /sys/fs/cgroup -maxdepth 2")


def test_writable_groups_for_service_managers(box: Box) -> None:
    box.write(
        "config.mount_independent('cgroup', readonly=False)\n",
        independent=("procfs", "sysfs", "devtmpfs"),
    )
    shown = box.sh(
        "d=$(dirname $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs | head -n 1)); mkdir $d/x; ls -d $d/x"
    )
    assert shown.strip().endswith("/x")
    box.nothing_left()


DEVICES = """
for n in null zero full random urandom; do : < /dev/$n && echo read $n; done
echo > /dev/null && echo written
mknod /tmp/mem c 1 1 && echo made
cat < /tmp/mem > /dev/null
mknod /tmp/disk b 7 0 && echo made
cat < /tmp/disk > /dev/null
mknod /tmp/null c 1 3 && : < /tmp/null && echo again
"""
TMP = "config.add_mount_point('tmpfs', to='/tmp', fs='tmpfs', options='dev')\nconfig.capabilities.allow('mknod')\n"


def test_only_harmless_devices_can_be_used(box: Box) -> None:
    box.write(TMP)
    result = box.run("/bin/sh", "-c", DEVICES, expect=None)
    words = [f"read {name}" for name in ("null", "zero", "full", "random", "urandom")]
    assert result.stdout.splitlines() == [*words, "written", "made", "made", "again"]
    assert result.stderr.count("Operation not permitted") == 2
    box.daemon()
    try:
        attached = box.attach(
            "/bin/sh", "-c", "cat /tmp/x; mknod /tmp/x c 1 11; cat /tmp/x", options=("-A", "mknod"), expect=1
        )
        assert "Operation not permitted" in attached.stderr
    finally:
        box.stop()


@pytest.mark.setting("cgroup.devices.allow")
@pytest.mark.parametrize(
    ("settings", "denied"),
    [
        ("config.cgroup['devices.allow'] = 'c 200:77 r'", False),
        ("config.cgroup['devices.allow'] = ['a']", False),
        ("config.mount_independent('devtmpfs', host=True)", False),
        ("config.cgroup['devices.allow'] = 'c 200:77 w'", True),
    ],
)
def test_devices_that_are_allowed(box: Box, settings: str, denied: bool) -> None:
    box.write(f"{TMP}{settings}")
    # No driver has this number, so that what is allowed to open it learns that.
    result = box.run("/bin/sh", "-c", "mknod /tmp/x c 200 77 && cat /tmp/x", expect=1)
    assert ("Operation not permitted" if denied else "No such device or address") in result.stderr


@pytest.mark.setting("cgroup.devices.deny")
def test_nothing_but_what_is_allowed_again(box: Box) -> None:
    box.write(f"{TMP}config.cgroup['devices.deny'] = 'a'\nconfig.cgroup['devices.allow'] = ['c 1:3 rw']\n")
    result = box.run(
        "/bin/sh", "-c", "cat /dev/null && echo null; mknod /tmp/x c 1 5 && echo made; cat /tmp/x", expect=1
    )
    assert result.stdout == "null\nmade\n"
    assert "Operation not permitted" in result.stderr


def test_a_terminal_works_under_the_rules(box: Box, haconiwa_pty: Callable[..., pexpect.spawn[str]]) -> None:
    box.write()
    child = haconiwa_pty(
        "start", box.file, "--", "/bin/sh", "-c", "echo on $(tty); echo x > /dev/tty; echo y > /dev/ptmx; exit 4"
    )
    child.expect("on /dev/pts/0")
    child.expect("x\r\n")
    child.expect("exited\\(4\\)")


def test_the_hosts_root_has_no_rules(box: Box) -> None:
    box.write(root=None, independent=(), namespaces=tuple(name for name in NAMESPACES if name != "mount"))
    groups = box.sh("cat /proc/self/cgroup")
    assert not re.search(rf"devices[^:]*:/haconiwa/{box.name}", groups)


@pytest.mark.requires("cgroup1")
def test_a_machine_with_v1_alone(box: Box) -> None:
    """The v2 hierarchy of a hybrid machine is covered, so that there is none."""
    limits = "config.cgroup['memory.max'] = '64M'\nconfig.cgroup['pids.max'] = 9"
    box.write(f"{limits}\n{HOST_GROUPS}", TELL.format(keys=["memory.max"]))
    unified = next((h.mount_point for h in hierarchies() if h.version == 2), None)
    cover = f"mount -t tmpfs none {unified} && " if unified else ""
    argv = ["unshare", "--mount", "sh", "-c", f'{cover}exec "$@"', "sh", box.haconiwa.path, "start", str(box.file)]
    done = subprocess.run(
        [*argv, "--", "/bin/cat", "/proc/self/cgroup"],
        env=box.haconiwa.environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"freezer:/haconiwa/{box.name}" in done.stdout
    assert f"0::/haconiwa/{box.name}" not in done.stdout
    assert "memory.max = 67108864" in done.stderr
    box.nothing_left()


IN_A_DELEGATED_GROUP = """
    echo 0 > {group}/cgroup.procs
    exec unshare --cgroup --mount sh -ec 'umount "$0"; mount -t cgroup2 none "$0"; exec "$@"' /sys/fs/cgroup "$@"
"""


@pytest.mark.requires("cgroup2")
def test_inside_a_delegated_group_that_has_processes(box: Box) -> None:
    """They are moved out of the way, since a group cannot have both processes and controllers to hand on."""
    needs("memory", "pids")
    group = Path(next(hierarchy.base for hierarchy in hierarchies()), f"{box.name}-delegated")
    (group.parent / "cgroup.subtree_control").write_text("+memory +pids")
    group.mkdir()
    box.write("config.cgroup['memory.max'] = '64M'", TELL.format(keys=["memory.max"]))
    try:
        done = subprocess.run(
            ["sh", "-ec", IN_A_DELEGATED_GROUP.format(group=group), "sh", box.haconiwa.path, "start", str(box.file),
             "--", "/bin/cat", "/proc/self/cgroup"],
            env=box.haconiwa.environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"0::/haconiwa/{box.name}\n"
        assert "memory.max = 67108864" in done.stderr
        assert sorted(path.name for path in group.iterdir() if path.is_dir()) == ["haconiwa-host"]
    finally:
        (group / "haconiwa-host").rmdir()
        group.rmdir()

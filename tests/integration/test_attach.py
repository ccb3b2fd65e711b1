"""Attached programs are confined like the container's first process, and nothing of the host is in their reach."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from haconiwa.kernel.capabilities import to_mask
from tests.integration.box import CAPABILITIES, HOST_GROUPS, NAMESPACES, Box, Watched, wait_until
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "busybox")

SAME = (
    "Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
    "NoNewPrivs", "Seccomp",
)  # fmt: skip
ALL = (*NAMESPACES, "net", "cgroup")
SETTINGS = """
config.uid = "alice"
config.groups = ["audio"]
config.environ = {"A": "from the file", "B": "too"}
config.workdir = "/var/tmp"
config.no_new_privs = True
config.capabilities.allow("net_admin", host_network=True)
config.capabilities.ambient("net_admin")
config.resource.set_limit("NOFILE", 100, 200)
"""


def status(text: str) -> dict[str, str]:
    fields = {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in text.splitlines())}
    return {key: fields[key] for key in SAME}


def shows_the_host(box: Box, listing: str) -> bool:
    """Whether a listing has what the host's root has and the container's has not."""
    return bool(set(listing.split()) & (set(os.listdir("/")) - set(os.listdir(box.root))))


def test_confined_like_the_first_process(box: Box) -> None:
    box.write(SETTINGS, namespaces=ALL)
    state = box.daemon()
    pid = state["init"]["pid"]
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        first = status(file.read())
    assert status(box.attach("cat", "/proc/self/status").stdout) == first
    script = """
    for name in mnt uts ipc pid net cgroup user; do readlink /proc/self/ns/$name; done
    cat /proc/self/cgroup /proc/self/limits; pwd; umask; echo $A $B $HOME $container $PATH
    """
    mine = box.attach("sh", "-c", script).stdout
    box.stop()
    box.write(SETTINGS, namespaces=ALL)
    theirs = box.sh(script)
    # the namespaces of another start are others; all else is equal
    assert mine.splitlines()[7:] == theirs.splitlines()[7:]


@pytest.mark.parametrize("name", [*ALL, "user"])
def test_namespaces_are_the_containers(box: Box, name: str) -> None:
    box.write(namespaces=ALL)
    kind = {"mount": "mnt"}.get(name, name)
    pid = box.daemon()["init"]["pid"]
    assert box.attach("readlink", f"/proc/self/ns/{kind}").stdout.strip() == os.readlink(f"/proc/{pid}/ns/{kind}")
    box.stop()


def test_it_is_in_the_containers_group(box: Box) -> None:
    box.write(HOST_GROUPS)
    pid = box.daemon()["init"]["pid"]
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        assert box.attach("cat", "/proc/self/cgroup").stdout == file.read()
    box.stop()


def test_first_process_cannot_loosen_what_is_attached(box: Box) -> None:
    # what it shows of itself in /proc is not what counts
    box.write(SETTINGS)
    box.daemon("ulimit -n 50; exec sleep 1000")
    assert box.attach("sh", "-c", "ulimit -n; ulimit -Hn").stdout.split() == ["100", "200"]
    box.stop()


def test_environment(box: Box) -> None:
    box.write(SETTINGS)
    box.daemon()
    text = box.attach(
        "cat", "/proc/self/environ", options=("-e", "B=mine", "-e", "C="), environ={"SECRET": "1", "LC_ALL": "C"}
    ).stdout
    environ = dict(pair.split("=", 1) for pair in text.split("\0") if pair)
    assert environ == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home/alice",
        "container": "haconiwa", "A": "from the file", "B": "mine", "C": "",
    }  # fmt: skip
    box.stop()


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("-u", "root"), "0 0"),
        (("-u", "nobody"), "65534 65534"),
        (("-u", "1234"), "1234 1234"),
        (("-g", "daemon"), "1000 1"),
        (("-u", "root", "-g", "77"), "0 77"),
        ((), "1000 1001"),
    ],
)
def test_user_and_group(box: Box, options: tuple[str, ...], ids: str) -> None:
    box.write('config.uid = "alice"')
    box.daemon()
    assert box.attach("sh", "-c", "echo $(id -u) $(id -g)", options=options).stdout == f"{ids}\n"
    box.stop()


def test_unknown_user(box: Box) -> None:
    box.daemon()
    messages = box.attach("true", options=("-u", "mallory"), expect=125).stderr
    assert 'cannot find the user "mallory": the container\'s "/etc/passwd" does not name it' in messages
    box.stop()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-u", "-1"), '--uid: "-1" is not a name or a number'),
        (("-g", "a b"), '--gid: "a b" is not a name or a number'),
        (("-A", "chwon"), '--allow: unknown capability "chwon"; did you mean "chown"?'),
        (("-e", "A"), '--env: "A" is not NAME=VALUE'),
    ],
)
def test_options_that_are_wrong(box: Box, options: tuple[str, ...], message: str) -> None:
    box.daemon()
    assert box.attach("true", options=options, expect=2).stderr.startswith(f"error: {message}")
    box.stop()


def test_workdir(box: Box) -> None:
    box.daemon()
    assert box.attach("pwd", options=("-w", "/var/tmp")).stdout == "/var/tmp\n"
    messages = box.attach("pwd", options=("-w", "/not/there"), expect=125).stderr
    assert 'cannot change to the directory "/not/there": No such file or directory (ENOENT)' in messages
    box.stop()


@pytest.mark.parametrize("path", ["/proc/self/fd/3", "/proc/self/fd/5", "/proc/self/fd/7", "/proc/self/fd/9"])
def test_workdir_cannot_be_the_hosts(box: Box, path: str) -> None:
    box.daemon()
    script = "pwd; ls; ls .."
    result = box.attach("sh", "-c", script, options=("-w", path), expect=None)
    assert result.returncode == 125 or "bin" in result.stdout.split()
    assert not shows_the_host(box, result.stdout)
    box.stop()


def test_capabilities_more_and_fewer(box: Box) -> None:
    box.daemon()
    shown = box.attach("grep", "CapBnd", "/proc/self/status", options=("-A", "sys_chroot", "-D", "CAP_CHOWN,setuid"))
    mask = to_mask((CAPABILITIES | {"sys_chroot"}) - {"chown", "setuid"})
    assert int(shown.stdout.split()[1], 16) == mask
    box.stop()


@pytest.mark.parametrize(
    ("options", "bounding", "ambient"),
    [
        (("-A", "all"), -1, "net_bind_service"),
        (("-A", "ALL", "-D", "chown"), ~to_mask(("chown",)), "net_bind_service"),
        (("-D", "all"), 0, ""),
        (("-D", "cap_all", "-A", "kill,chown"), to_mask(("kill", "chown")), ""),
    ],
)
def test_all_capabilities(box: Box, options: tuple[str, ...], bounding: int, ambient: str) -> None:
    box.write('config.capabilities.ambient("net_bind_service")')
    box.daemon()
    shown = box.attach("grep", "-E", "CapBnd|CapAmb", "/proc/self/status", options=options).stdout.split()
    with open("/proc/self/status", encoding="utf-8") as file:
        ours = next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd"))
    assert int(shown[1], 16) == ours & bounding
    assert int(shown[3], 16) == to_mask(ambient.split())
    box.stop()


def test_exit_status(box: Box) -> None:
    box.daemon()
    assert box.attach("sh", "-c", "exit 7", expect=7).stderr == ""
    box.attach("sh", "-c", "kill -9 $$", expect=137)
    assert "command not found in the container" in box.attach("nothing", expect=127).stderr
    assert "Permission denied (EACCES)" in box.attach("/etc/passwd", expect=126).stderr
    assert "(ELOOP)" in box.attach("/proc/self/exe", expect=126).stderr
    box.stop()


def test_streams_pass_through(box: Box) -> None:
    box.daemon()
    result = box.attach("sh", "-c", "cat; echo error >&2", stdin="typed\n")
    assert (result.stdout, result.stderr) == ("typed\n", "error\n")
    box.stop()


def test_no_descriptor_above_2(box: Box) -> None:
    box.daemon()
    assert box.attach("sh", "-c", "for n in 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$n; done", expect=None).stdout == ""
    box.stop()


def test_default_is_the_shell_there_is(box: Box) -> None:
    box.daemon()
    result = box.haconiwa("attach", box.name, stdin="readlink /proc/$$/exe; echo $0\n")
    assert result.stdout.splitlines()[0] == "/bin/busybox"
    box.stop()


def test_target_is_another_process_of_the_container(box: Box) -> None:
    box.write(namespaces=("mount", "ipc", "uts", "pid"))
    state = box.daemon("unshare -i sleep 1000 2>/dev/null || sleep 1000 & echo up; wait")
    with open(f"{state['cgroups'][0]}/cgroup.procs", encoding="ascii") as file:
        others = [int(line) for line in file if int(line) != state["init"]["pid"]]
    assert others
    assert box.attach("echo", "there", options=("-t", str(others[0]))).stdout == "there\n"
    box.stop()


def test_target_that_is_not_the_containers_is_refused(box: Box) -> None:
    box.daemon()
    for pid in (1, os.getpid(), 2**22 - 1, 0, -1):
        result = box.attach("true", options=("-t", str(pid)), expect=None)
        assert result.returncode in (2, 125)
        assert f"has no process {pid}" in result.stderr or pid <= 0
        assert "internal error" not in result.stderr
    box.stop()


def test_found_by_file_without_executing_it(box: Box) -> None:
    box.daemon()
    box.file.write_text("raise SystemExit('executed')")
    result = box.haconiwa("attach", box.file, "--", "echo", "found")
    assert result.stdout == "found\n"
    box.stop()


def test_of_several_containers_one_has_to_be_named(box: Box) -> None:
    text = box.file.read_text().replace(f"    config.name = {box.name!r}\n", "")
    text = text.replace("    config.container_pid_file", "    #")
    box.file.write_text(f"""{text}
    for letter in "ab":
        with config.define() as child:
            child.name = {box.name!r} + letter
            child.init_command = ["/bin/sleep", "1000"]
""")
    box.haconiwa("start", "-D", box.file)
    try:
        result = box.haconiwa("attach", box.file, "--", "true", expect=2)
        assert f"{box.name}a" in result.stderr
        assert f"{box.name}b" in result.stderr
        named = box.haconiwa("attach", "-n", f"{box.name}b", box.file, "--", "uname", "-n")
        assert named.stdout == f"{box.name}b\n"
        assert "no container" in box.haconiwa("attach", "-n", "c", box.file, "--", "true", expect=2).stderr
    finally:
        for letter in "ab":
            box.haconiwa("stop", "-T", "0", f"{box.name}{letter}")


def test_attach_to_what_does_not_run(box: Box) -> None:
    result = box.attach("true", expect=125)
    assert f'error: cannot find a container "{box.name}"' in result.stderr


def test_attach_while_the_container_dies(box: Box, haconiwa: Program) -> None:
    pid = box.daemon()["init"]["pid"]
    attached = [haconiwa.start("attach", box.name, "--", "sleep", "1000") for _ in range(4)]
    os.kill(pid, 9)
    for process in attached:
        _, stderr = process.communicate(timeout=20)
        assert process.returncode in (125, 137), stderr
        assert "internal error" not in stderr
    wait_until(lambda: not box.run_dir.exists(), "the supervisor has cleared up")
    box.nothing_left()


def test_attached_process_ends_with_the_container(box: Box, haconiwa: Program) -> None:
    box.write(namespaces=("mount", "ipc", "uts"))
    box.daemon()
    with haconiwa.start("attach", box.name, "--", "sh", "-c", "echo up; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        box.stop()
        assert process.wait(20) == 137


def test_attached_program_dies_with_its_attach(box: Box, haconiwa: Program, watched: Callable[[int], Watched]) -> None:
    state = box.daemon()
    with haconiwa.start("attach", box.name, "--", "sh", "-c", "echo up; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        with open(f"{state['cgroups'][0]}/cgroup.procs", encoding="ascii") as file:
            inner = next(int(line) for line in file if int(line) != state["init"]["pid"])
        one = watched(inner)
        process.kill()
        assert one.ended()
    assert box.status() == "running"
    box.stop()


def test_root_that_was_replaced_on_the_host_does_not_matter(box: Box) -> None:
    box.daemon()
    box.root.rename(box.folder / "moved")
    assert box.attach("cat", "/etc/os-release").stdout.startswith("ID=busybox")
    box.stop()
    (box.folder / "moved").rename(box.root)


def test_legacy_chroot_is_joined_too(box: Box) -> None:
    box.write("config.filesystem.use_legacy_chroot = True")
    box.daemon()
    assert box.attach("ls", "/etc/os-release").stdout == "/etc/os-release\n"
    assert not shows_the_host(box, box.attach("ls", "/..").stdout)
    box.stop()


def test_container_on_the_hosts_root(box: Box) -> None:
    box.write(root=None, independent=(), namespaces=("pid", "uts"))
    box.daemon()
    assert box.attach("uname", "-n").stdout == f"{box.name}\n"
    box.stop()


# ------------------------------------------------------------------------------------------------------- user namespace

MAPS = """
config.namespace.set_uid_mapping(min=0, max=2000, offset=100000)
config.namespace.set_gid_mapping(min=0, max=2000, offset=200000)
"""


@pytest.fixture
def user_box(box: Box) -> Box:
    """A box in a user namespace, with a root that belongs to it."""
    for folder, folders, files in os.walk(box.root):
        for name in (*folders, *files, "."):
            os.chown(os.path.join(folder, name), 100000, 200000, follow_symlinks=False)
    box.write(MAPS, namespaces=ALL)
    return box


@pytest.mark.requires("userns")
class TestUserNamespace:
    def test_maps(self, user_box: Box) -> None:
        text = user_box.sh("cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; stat -c %u:%g /etc")
        assert text.split() == ["0", "100000", "2000", "0", "200000", "2000", "0", "0", "0:0"]

    def test_namespaces_belong_to_it(self, user_box: Box) -> None:
        user_box.write(f"{MAPS}config.capabilities.allow('sys_admin', 'net_admin')", namespaces=ALL)
        script = "hostname changed && hostname; ip link add d0 type dummy 2>/dev/null; mount -t tmpfs x /mnt && echo ok"
        (user_box.root / "mnt").mkdir()
        assert user_box.sh(script).split() == ["changed", "ok"]

    def test_nothing_of_the_host_may_be_done(self, user_box: Box) -> None:
        user_box.write(f"{MAPS}config.capabilities.reset_to_privileged()", namespaces=ALL)
        assert "not permitted" in user_box.run("mknod", "/tmp/x", "b", "1", "1", expect=1).stderr
        assert user_box.sh("cat /proc/1/environ > /dev/null && echo own") == "own\n"

    def test_devices_work(self, user_box: Box) -> None:
        assert user_box.sh(
            "echo x > /dev/null; head -c 1 /dev/zero | od -An -tx1; ls -l /dev/null | cut -c1-10"
        ).split() == ["00", "crw-rw-rw-"]

    def test_attach_is_in_it_too(self, user_box: Box) -> None:
        user_box.daemon()
        script = (
            "cat /proc/self/uid_map; id -u; id -g; grep Groups /proc/self/status; touch /tmp/x && stat -c %u /tmp/x"
        )
        assert user_box.attach("sh", "-c", script).stdout.split() == [
            "0", "100000", "2000", "0", "0", "Groups:", "0",
        ]  # fmt: skip
        assert os.stat(user_box.root / "tmp/x").st_uid == 100000
        assert user_box.attach("id", "-u", options=("-u", "alice")).stdout == "1000\n"
        assert user_box.attach("true", options=("-u", "5000"), expect=125).stderr.splitlines()[0].endswith("(EINVAL)")
        user_box.stop()

    def test_user_that_is_not_mapped(self, user_box: Box) -> None:
        user_box.write(f"{MAPS}config.uid = 5000", namespaces=ALL)
        assert "uid: 5000 is not mapped in the user namespace" in user_box.fails("true", expect=2)
        (user_box.root / "etc/passwd").write_text("far:x:5000:5000::/:/bin/sh\n")
        user_box.write(f'{MAPS}config.uid = "far"', namespaces=ALL)
        lines = user_box.fails("true").splitlines()
        assert lines[0] == (f"error: {user_box.name}: cannot set the user and group ids: Invalid argument (EINVAL)")
        assert lines[2] == "  hint: in a user namespace every id used inside must be mapped"

    def test_sysfs_without_a_network_namespace_is_a_view_of_the_hosts(self, user_box: Box) -> None:
        user_box.write(MAPS)
        assert user_box.sh("test -d /sys/kernel && echo there; mkdir /sys/x 2>/dev/null || echo refused").split() == [
            "there", "refused",
        ]  # fmt: skip


def test_who_may_rule_the_hosts_network_is_told(box: Box) -> None:
    box.write(namespaces=(*NAMESPACES, "net"))
    box.daemon()
    assert box.attach("true", options=("-A", "net_admin")).stderr == ""
    box.stop()
    box.write()
    box.daemon()
    assert box.attach("true", options=("-A", "net_admin")).stderr == (
        f"warning: {box.name}: it shares the host's network, and with net_admin the command rules that\n"
    )
    box.stop()

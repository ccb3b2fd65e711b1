"""A step that fails: its message, word for word, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from haconiwa.cli.privilege import require_root
from haconiwa.errors import HostError
from tests.conftest import RunDirs
from tests.integration.box import NAMESPACES, Box
from tests.support.child import in_child

pytestmark = pytest.mark.requires("root", "busybox")

ENOENT = "No such file or directory (ENOENT)"

FAILURES = [
    pytest.param(
        'config.add_mount_point("/no/such/thing", to=root / "mnt")',
        f'cannot open "/no/such/thing" to bind it on "/mnt": {ENOENT}',
        "create it, or pass optional=True to add_mount_point",
        id="missing source",
    ),
    pytest.param(
        'config.add_mount_point("none", to="/mnt", fs="nosuchfs")',
        'cannot mount nosuchfs on "/mnt": No such device (ENODEV)',
        "see /proc/filesystems for what this kernel has",
        id="unknown file system",
    ),
    pytest.param(
        'config.add_mount_point("tmpfs", to="/mnt", fs="tmpfs", options="nosuchoption=1")',
        "cannot mount tmpfs on \"/mnt\" with nosuchoption=1: tmpfs: Unknown parameter 'nosuchoption': "
        "Invalid argument (EINVAL)",
        "",
        id="unknown option of a file system",
    ),
    pytest.param(
        'config.uid = "mallory"',
        'cannot find the user "mallory": the container\'s "/etc/passwd" does not name it',
        "give a number, or create it while provisioning",
        id="unknown user",
    ),
    pytest.param(
        'config.gid = "nobodies"',
        'cannot find the group "nobodies": the container\'s "/etc/group" does not name it',
        "give a number, or create it while provisioning",
        id="unknown group",
    ),
    pytest.param(
        'config.workdir = "/no/such"',
        f'cannot change to the directory "/no/such": {ENOENT}',
        "the root file system must have it, and the program's user be allowed into it",
        id="missing workdir",
    ),
    pytest.param(
        'config.workdir = "/etc/passwd"',
        'cannot change to the directory "/etc/passwd": Not a directory (ENOTDIR)',
        "the root file system must have it, and the program's user be allowed into it",
        id="workdir that is a file",
    ),
    pytest.param(
        'config.namespace.enter("net", "/etc/hostname")',
        'cannot open the net namespace "/etc/hostname": it is not a net namespace',
        "give a path such as /proc/PID/ns/net",
        id="namespace that is a file",
    ),
    pytest.param(
        'config.namespace.enter("net", "/proc/self/ns/uts")',
        'cannot open the net namespace "/proc/self/ns/uts": it is not a net namespace',
        "give a path such as /proc/PID/ns/net",
        id="namespace of another type",
    ),
    pytest.param(
        'config.namespace.enter("net", "/no/such/namespace")',
        f'cannot open the net namespace "/no/such/namespace": {ENOENT}',
        "what made it has ended, or has not begun",
        id="missing namespace",
    ),
    pytest.param(
        'config.apparmor = "no-such-profile"',
        'cannot find the AppArmor profile "no-such-profile": AppArmor is not active on this host',
        "boot with apparmor=1 security=apparmor, or leave apparmor out",
        id="no AppArmor",
        marks=pytest.mark.skipif(os.path.exists("/sys/module/apparmor"), reason="this kernel has AppArmor"),
    ),
    pytest.param(
        'config.selinux_context = "system_u:system_r:container_t:s0"',
        'cannot find the SELinux context "system_u:system_r:container_t:s0": SELinux is not active on this host',
        "boot with selinux=1 security=selinux and a policy, or leave selinux_context out",
        id="no SELinux",
        marks=pytest.mark.skipif(os.path.exists("/sys/fs/selinux"), reason="this kernel has SELinux"),
    ),
]


@pytest.mark.parametrize(("settings", "words", "hint"), FAILURES)
def test_message_names_the_step_the_line_and_what_to_do(box: Box, settings: str, words: str, hint: str) -> None:
    box.write(settings)
    result = box.run("echo", "must not run", expect=125)
    assert result.stdout == ""
    expected = [f"error: {box.name}: {words}", f"  at: {box.file}:{box.settings_line}"]
    expected += [f"  hint: {hint}"] if hint else []
    lines = result.stderr.splitlines()
    assert lines == expected
    box.nothing_left()
    # and the same name starts again at once
    box.write()
    box.run("true")


def test_missing_root(box: Box) -> None:
    box.write(root=box.folder / "nowhere")
    lines = box.fails("true").splitlines()
    assert lines[0] == (
        f'error: {box.name}: cannot open the root file system "{box.folder}/nowhere": it does not exist'
    )
    assert lines[1].startswith(f"  at: {box.file}:")
    assert lines[2] == "  hint: run haconiwa create with the haco file first"


def test_root_that_is_a_file(box: Box) -> None:
    (box.folder / "file").write_text("")
    box.write(root=box.folder / "file")
    assert f'cannot open the root file system "{box.folder}/file": it is not a directory' in box.fails("true")


def test_unknown_option_of_a_bind_mount_is_found_before_anything(box: Box) -> None:
    box.write('config.add_mount_point("/etc", to="/mnt", options="mode=700")')
    messages = box.fails("true", expect=2)
    assert messages.startswith(f"error: {box.file}:{box.settings_line}: ")
    assert "mode" in messages
    box.nothing_left()


def test_pid_file_that_cannot_be_written(box: Box) -> None:
    text = box.file.read_text().replace(repr(str(box.pid_file)), repr("/no/such/folder/x.pid"))
    box.file.write_text(text)
    line = text[: text.index("/no/such")].count("\n") + 1
    for options in ((), ("-D",)):
        messages = box.haconiwa("start", *options, box.file, "--", "true", expect=125).stderr
        assert (
            f'{box.name}: cannot write the pid file "/no/such/folder/x.pid": No such file or directory (EN' in messages
        )
        hint = "container_pid_file can name another place; its folder must exist"
        assert f"  at: {box.file}:{line}\n  hint: {hint}\n" in messages
        box.nothing_left()


def two(box: Box, settings: str = "", rest: str = "") -> None:
    """A barn of the containers NAMEa and NAMEb, which end when asked."""
    box.write(settings, rest, command=("/bin/sleep", "1000"))
    text = box.file.read_text().replace(f"    config.name = {box.name!r}\n", "")
    text = text.replace(f"    config.container_pid_file = {str(box.pid_file)!r}\n", "")
    head, _, tail = text.partition("    config.namespace.unshare(")
    first, _, tail = tail.partition("\n")
    children = f"    for letter in 'ab':\n        config.define().name = {box.name!r} + letter\n"
    box.file.write_text(f"{head}    config.namespace.unshare({first}\n{tail.rstrip()}\n{children}")


def test_pid_file_of_a_barn_that_cannot_be_written(box: Box) -> None:
    two(box, 'config.container_pid_file = "/no/such/folder/x.pid"')
    for options in ((), ("-D",)):
        messages = box.haconiwa("start", *options, box.file, expect=125).stderr
        assert 'cannot write the pid file "/no/such/folder/x.pid": No such file or directory (ENOENT)' in messages
        box.nothing_left()


def test_log_that_cannot_be_written_stops_the_whole_start_and_is_named(box: Box, run_dirs: RunDirs) -> None:
    two(box)
    run_dirs.log.mkdir()
    log = run_dirs.log / f"{box.name}b.supervisor.log"
    log.mkdir()
    messages = box.haconiwa("start", "-D", box.file, expect=125).stderr
    assert messages.startswith(f'error: {box.name}b: cannot open the log "{log}": Is a directory (EISDIR)\n')
    assert box.haconiwa("ps", "-q").stdout == ""
    log.rmdir()
    shutil.rmtree(run_dirs.log)
    run_dirs.log.write_text("")
    messages = box.haconiwa("start", "-D", box.file, expect=125).stderr
    assert messages.startswith(f'error: {box.name}a: cannot open the log "{run_dirs.log}/{box.name}a.supervisor.log": ')


def test_without_root_it_says_so(box: Box) -> None:
    def start_as_nobody() -> str:
        os.setresuid(65534, 65534, 65534)  # in a fork: an interpreter in root's home could not be started
        try:
            require_root("start")
        except HostError as error:
            return f"{error.exit_status} {error.lines()[0]}"
        return "allowed"

    assert in_child(start_as_nobody) == "125 error: cannot start as user 65534: it needs root"


def test_failure_in_the_middle_undoes_what_was_done(box: Box) -> None:
    box.write("""
        config.add_mount_point("tmpfs", to="/mnt/one", fs="tmpfs")
        config.add_mount_point("/etc", to="/mnt/one/etc")
        config.add_mount_point("none", to="/mnt/two", fs="nosuchfs")
    """, namespaces=(*NAMESPACES, "net", "cgroup"))  # fmt: skip
    before = os.listdir("/proc/self/fd")
    box.fails("true")
    assert len(os.listdir("/proc/self/fd")) == len(before)
    box.nothing_left()


@pytest.mark.parametrize("options", [(), ("-D",)])
def test_one_of_several_containers_that_fails_stops_the_others(box: Box, options: tuple[str, ...]) -> None:
    text = box.file.read_text().replace(f"    config.name = {box.name!r}\n", "")
    text = text.replace("    config.container_pid_file", "    #")
    box.file.write_text(f"""{text}
    script = "trap 'echo asked >> /asked; exit 0' TERM; while :; do sleep 0.05; done"
    for letter in "ab":
        with config.define() as child:
            child.name = {box.name!r} + letter
            child.init_command = ["/bin/sh", "-c", script] if letter == "a" else ["/no/such"]
            if letter == "b":
                @child.add_general_hook("before_fork")
                def wait_for_the_other(base):
                    import select, time
                    deadline = time.monotonic() + 10
                    while not os.path.exists({str(box.run_dir)!r} + "a/up") and time.monotonic() < deadline:
                        select.select([], [], [], 0.01)
            else:
                @child.add_async_hook(msec=100)
                def tell(base):
                    open({str(box.run_dir)!r} + "a/up", "w").close()

                @child.add_general_hook("teardown_container")
                def forget(base):
                    if os.path.exists({str(box.run_dir)!r} + "a/up"):
                        os.unlink({str(box.run_dir)!r} + "a/up")
""")
    result = box.haconiwa("start", *options, box.file, expect=127)
    assert f'error: {box.name}b: cannot execute "/no/such": command not found in the container' in result.stderr
    # the answer comes when nothing is left, so that the names are free at once
    assert not [path for path in box.run_dir.parent.iterdir() if path.name.startswith(box.name)]
    # and the other was asked once, not killed
    assert (box.root / "asked").read_text() == "asked\n"


@pytest.mark.setting("namespace.enter")
def test_enter_an_existing_namespace(box: Box) -> None:
    with subprocess.Popen(["unshare", "-n", "-u", "sh", "-c", "echo up; read line"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:  # fmt: skip
        assert holder.stdout is not None
        holder.stdout.readline()
        path = f"/proc/{holder.pid}/ns/net"
        box.write(f'config.namespace.enter("net", {path!r})')
        assert box.run("readlink", "/proc/self/ns/net").stdout.strip() == os.readlink(path)
        holder.communicate("\n")


def test_enter_an_existing_pid_namespace(box: Box) -> None:
    with subprocess.Popen(
        ["unshare", "-p", "-f", "--kill-child", "sh", "-c", "echo up; read line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        holder.stdout.readline()
        with open(f"/proc/{holder.pid}/task/{holder.pid}/children", encoding="ascii") as file:
            path = f"/proc/{file.read().split()[0]}/ns/pid"
        box.write(f'config.namespace.enter("pid", {path!r})', namespaces=("mount", "uts", "ipc"))
        own = os.readlink(path)
        assert box.sh("readlink /proc/self/ns/pid; cat /proc/1/comm").split() == [own, "sh"]
        holder.communicate("\n")

"""The life of an ordinary user's container: in the background, attached to, stopped, and after a killed supervisor."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.box import Watched, finish, wait_until
from tests.integration.ordinary.conftest import NewUser
from tests.integration.ordinary.garden import AUTO, daemon, listed, plant, sh
from tests.integration.test_held_at_exit import HELD
from tests.support import requirements
from tests.support.ordinary import User
from tests.support.program import Program

pytestmark = pytest.mark.requires("root", "userns", "busybox", "setpriv", "uidmap")


def test_in_the_background(user: User, haconiwa: Program) -> None:
    plant(user)
    row = daemon(user)
    assert row["status"] == "running"
    assert os.stat(f"/proc/{row['pid']}").st_uid == user.uid
    assert json.loads(haconiwa("ps", "--json").stdout) == []  # root's own
    inspected = json.loads(user.haconiwa("inspect", "garden").stdout)[0]
    assert inspected["processes"] == [row["pid"]]
    assert inspected["config"]["unprivileged"] is True
    user.haconiwa("stop", "-T", "0", "garden")
    assert listed(user) == {}
    events = user.haconiwa("events", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in events] == ["created", "started", "exited", "removed"]


def test_everything_is_in_its_own_folders(user: User) -> None:
    plant(user)
    user.haconiwa("start", "-D", "garden.haco", "--", "/bin/sh", "-c", "echo grown; exec sleep 1000")
    state = user.runtime / "haconiwa/garden/state.json"
    assert state.stat().st_uid == user.uid
    pid_file = user.runtime / "haconiwa-garden.pid"
    assert int(pid_file.read_text()) == listed(user)["garden"]["supervisor_pid"]
    wait_until(lambda: user.haconiwa("logs", "garden").stdout == "grown\n", "its output")
    assert (user.home / ".local/state/haconiwa/garden.log").read_text() == "grown\n"
    assert (user.home / ".cache/haconiwa/seccomp").is_dir()
    user.haconiwa("stop", "-T", "0", "garden")
    assert not pid_file.exists()


def test_attach_is_confined_like_the_first_process(user: User) -> None:
    plant(user)
    daemon(user)
    script = (
        "for p in 1 self; do grep -E '^(Cap|Seccomp|NoNew)' /proc/$p/status; done;"
        "for n in user pid mnt uts ipc; do readlink /proc/1/ns/$n; readlink /proc/self/ns/$n; done"
    )
    lines = user.haconiwa("attach", "garden", "--", "/bin/sh", "-c", script).stdout.splitlines()
    statuses, links = lines[:-10], lines[-10:]
    assert statuses[: len(statuses) // 2] == statuses[len(statuses) // 2 :]
    assert links[::2] == links[1::2]
    done = user.haconiwa("attach", "-u", "alice", "garden", "--", "/bin/sh", "-c", "id -u; id -g; exit 3", expect=3)
    assert done.stdout == "1000\n1001\n"
    assert "error" in user.haconiwa("attach", "-t", str(os.getpid()), "garden", "--", "/bin/id", expect=125).stderr
    user.haconiwa("stop", "-T", "0", "garden")


def test_attach_with_a_single_id(new_user: NewUser) -> None:
    user = new_user(ids=0)
    plant(user)
    daemon(user)
    assert user.haconiwa("attach", "garden", "--", "/bin/id", "-u").stdout == "0\n"
    user.haconiwa("stop", "-T", "0", "garden")


def test_on_a_terminal(user: User) -> None:
    plant(user)
    child = user.haconiwa.on_terminal("start", "garden.haco", "--", "/bin/sh")
    child.expect("# ")
    child.sendline("tty; echo pid=$$; exit 5")
    child.expect("/dev/pts/0\r\npid=1\r\n")
    child.expect("exited\\(5\\)")
    child.wait()
    assert child.exitstatus == 5


def test_kill_and_stop(user: User) -> None:
    plant(user)
    user.haconiwa(
        "start", "-D", "garden.haco", "--", "/bin/sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.1; done"
    )
    user.haconiwa("kill", "garden")
    assert listed(user) == {}
    log = user.haconiwa("logs", "--supervisor", "garden").stdout
    assert "exited(4)" in log


def test_two_users_have_one_name(new_user: NewUser) -> None:
    users = [new_user(), new_user()]
    pids = []
    for user in users:
        plant(user)
        pids.append(daemon(user)["pid"])
    for user, pid in zip(users, pids, strict=True):
        assert [row["pid"] for row in listed(user).values()] == [pid]
        shown = user.haconiwa("attach", "garden", "--", "cat", "/proc/self/uid_map").stdout.split()
        assert shown[:3] == ["0", str(user.uid), "1"]
    users[0].haconiwa("stop", "-T", "0", "garden")
    assert listed(users[1])["garden"]["status"] == "running"
    users[1].haconiwa("stop", "-T", "0", "garden")


def test_nobody_reaches_the_container_of_another(new_user: NewUser) -> None:
    owner, other = new_user(), new_user()
    plant(owner)
    row = daemon(owner)
    other.set_environ(HACONIWA_RUN_DIR=str(owner.runtime / "haconiwa"))
    for command in (("ps",), ("stop", "garden"), ("attach", "garden", "--", "/bin/id")):
        assert "error: cannot look for containers as user" in other.haconiwa(*command, expect=125).stderr
    other.run("/bin/kill", "-9", str(row["pid"]), expect=1)
    other.run("nsenter", "-t", str(row["pid"]), "-U", "-m", "/bin/id", expect=1)
    assert listed(owner)["garden"]["status"] == "running"
    owner.haconiwa("stop", "-T", "0", "garden")


def test_a_killed_supervisor_of_the_foreground_takes_the_container_along(
    user: User, watched: Callable[[int], Watched]
) -> None:
    plant(user)
    with user.haconiwa.start("start", "garden.haco", "--", "/bin/sh", "-c", "echo up; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        row = listed(user)["garden"]
        init = watched(row["pid"])
        os.kill(row["supervisor_pid"], signal.SIGKILL)
        assert init.ended()
        process.communicate(timeout=20)
    assert listed(user) == {}
    assert sh(user, "echo again") == "again\n"


def test_a_killed_supervisor_of_the_background_leaves_an_orphan(user: User, watched: Callable[[int], Watched]) -> None:
    plant(user)
    row = daemon(user)
    supervisor = watched(row["supervisor_pid"])
    supervisor.kill()
    assert supervisor.ended()
    assert listed(user)["garden"]["status"] == "orphaned"
    assert user.haconiwa("attach", "garden", "--", "/bin/id", "-u").stdout == "0\n"
    assert "its program still runs" in user.haconiwa("start", "garden.haco", expect=125).stderr
    user.haconiwa("stop", "-T", "0", "garden")
    assert listed(user) == {}


def test_what_both_dead_leave_is_cleared_by_gc(user: User, watched: Callable[[int], Watched]) -> None:
    plant(user)
    row = daemon(user)
    for pid in (row["supervisor_pid"], row["pid"]):
        process = watched(pid)
        process.kill()
        assert process.ended()
    assert listed(user)["garden"]["status"] == "stopped"
    assert user.haconiwa("gc").stdout == "Removed container garden\n"


def test_reload_changes_limits(user: User) -> None:
    plant(user, f'{AUTO}\nconfig.resource.set_limit("NOFILE", 100)')
    daemon(user)
    plant(user, f'{AUTO}\nconfig.resource.set_limit("NOFILE", 90)')
    user.haconiwa("reload", "garden")
    pid = listed(user)["garden"]["pid"]
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files")) == "90"
    user.haconiwa("stop", "-T", "0", "garden")


@pytest.fixture
def delegated(user: User) -> Iterator[Path]:
    """A group of the v2 hierarchy that belongs to the user, and in which its commands run."""
    mounts = requirements.cgroup2_mounts()
    if not mounts:
        pytest.skip("there is no cgroup v2")
    group = Path(mounts[0]) / f"haconiwa-delegated-{os.getpid()}"
    available = (Path(mounts[0]) / "cgroup.controllers").read_text().split()
    if "memory" in available:
        (Path(mounts[0]) / "cgroup.subtree_control").write_text("+memory +pids")
    group.mkdir()
    for path in (group, *(group / f"cgroup.{name}" for name in ("procs", "subtree_control", "threads"))):
        os.chown(path, user.uid, user.uid)
    leaf = f"{group}/haconiwa-host"  # where a start moves them once the group has controllers
    user.before(f"[ -d {leaf} ] && echo $$ > {leaf}/cgroup.procs || echo $$ > {group}/cgroup.procs")
    yield group
    wait_until(lambda: "populated 0\n" in (group / "cgroup.events").read_text(), "the end of its processes")
    for folder, _folders, _files in os.walk(group, topdown=False):
        os.rmdir(folder)


@pytest.mark.layouts
def test_in_a_delegated_group(user: User, delegated: Path) -> None:
    limited = _has_memory(delegated)
    plant(user, f'{AUTO}\nconfig.cgroup["memory.max"] = "64M"' if limited else AUTO)
    done = user.haconiwa("start", "-D", "garden.haco")
    assert "no cgroup here is yours" not in done.stderr
    group = delegated / "haconiwa/garden"
    assert (group / "cgroup.procs").read_text() == f"{listed(user)['garden']['pid']}\n"
    assert str(group) in json.loads(user.haconiwa("inspect", "garden").stdout)[0]["cgroups"]
    if limited:
        assert (group / "memory.max").read_text() == f"{64 << 20}\n"
    script = "cat /proc/self/cgroup"  # a path from the root of the container's own cgroup namespace
    assert "0::/\n" in user.haconiwa("attach", "garden", "--", "/bin/sh", "-c", script).stdout
    user.before("")
    error = user.haconiwa("attach", "garden", "--", "/bin/id", expect=125).stderr
    assert "hint: its cgroup can be joined only from one below the same delegated group" in error
    user.haconiwa("stop", "-T", "0", "garden")
    assert not group.exists()


@pytest.mark.layouts
def test_a_second_start_uses_the_same_delegated_group(user: User, delegated: Path) -> None:
    plant(user, f'{AUTO}\nconfig.cgroup["memory.max"] = "64M"' if _has_memory(delegated) else AUTO)
    for _ in range(2):
        daemon(user)
        assert (delegated / "haconiwa/garden").is_dir()
        user.haconiwa("stop", "-T", "0", "garden")
    assert sorted(path.name for path in delegated.iterdir() if path.is_dir()) == (
        ["haconiwa-host"] if _has_memory(delegated) else []
    )


def _has_memory(group: Path) -> bool:
    return "memory" in (group / "cgroup.controllers").read_text().split()


HACO_OF_THE_HOST = """\
from haconiwa import define
with define() as config:
    config.name = "garden"
    config.init_command = {command!r}
    config.mount_independent("procfs")
    config.namespace.unshare("mount", "ipc", "uts", "pid")
    config.namespace.map_ids("auto")
"""


@pytest.mark.parametrize("way", ["barn", "stop"])
def test_one_that_is_held_at_its_exit_ends_without_groups(user: User, way: str) -> None:
    user.write("garden.haco", HACO_OF_THE_HOST.format(command=HELD))
    with user.haconiwa.start("start", "garden.haco") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        if way == "stop":
            user.haconiwa("stop", "-T", "0", "garden")
        else:
            supervisor = Watched(listed(user)["garden"]["supervisor_pid"])
            while not supervisor.ended(timeout_s=0.2):  # one that follows at once is the same request
                supervisor.kill(signal.SIGTERM)
            supervisor.close()
        finish(process, expect=137)

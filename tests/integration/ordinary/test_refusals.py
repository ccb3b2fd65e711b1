"""What an ordinary user cannot have is refused with the reason, before anything is made."""

from __future__ import annotations

import os

import pytest

from tests.integration.ordinary.conftest import NewUser
from tests.integration.ordinary.garden import AUTO, plant, sh
from tests.support.ordinary import User

pytestmark = pytest.mark.requires("root", "userns", "busybox", "setpriv", "uidmap")

ONLY_ROOT = {
    'config.namespace.unshare("ipc", persist_in="/tmp/x")': "only root may mount on the host",
    "config.namespace.set_time_offset(boottime=5)": "only root may, since it comes before the user namespace",
    'config.namespace.enter("net", "/proc/1/ns/net")': "only root may enter what is not its own",
    'config.network.container_ip = "auto"': "only root may connect a container to others",
    'config.network.share("other")': "only root may connect a container to others",
    "config.rootfs.idmap = True": "only root may map the ids of a mount",
    'config.add_mount_point("/dev/sda", to="/mnt", fs="ext4")': 'only root may mount "ext4"',
    'config.add_mount_point("/etc", to="/mnt", options="idmap")': 'only root may use the option "idmap"',
    'config.mount_independent("devtmpfs", host=True)': "only root may show the host's own /dev",
    'config.cgroup["memory.max"] = "64M"': "no cgroup here is yours",
    'config.mount_independent("cgroup")': "no cgroup here is yours",
    'config.add_cgroup_hook(type="oom")(print)': "no cgroup here is yours",
    'config.cgroup["devices.allow"] = "c 1:3 rwm"': "no cgroup here is yours",
}


@pytest.mark.parametrize("line", ONLY_ROOT)
def test_only_root(user: User, line: str) -> None:
    plant(user, f"{AUTO}\n{line}")
    error = user.haconiwa("start", "garden.haco", expect=2).stderr
    assert error.startswith("error: garden.haco:")
    assert ONLY_ROOT[line] in error


def test_all_is_said_at_once(user: User) -> None:
    plant(user, "\n".join([AUTO, *list(ONLY_ROOT)[:3]]))
    assert user.haconiwa("start", "garden.haco", expect=2).stderr.count("error: ") == 3


@pytest.mark.parametrize("command", ["create", "provision", "start"])
def test_without_a_user_namespace(user: User, command: str) -> None:
    plant(user, "")
    assert user.haconiwa(command, "garden.haco", expect=125).stderr == (
        f"error: garden: cannot {command} as user {user.uid}: it needs root, or a user namespace\n"
        f'  hint: sudo haconiwa {command} …, or add config.namespace.unshare("user", "pid") and '
        'config.namespace.map_ids("auto")\n'
    )
    assert "create the cgroup" in user.haconiwa("plan", "garden.haco").stdout  # what root's start would do


def test_without_a_pid_namespace(user: User) -> None:
    path = plant(user)
    user.write("garden.haco", path.read_text().replace(', "pid"', ""))
    error = user.haconiwa("start", "garden.haco", expect=2).stderr
    assert "needs a pid namespace, by which all of it can be ended" in error


def test_groups_and_ids_that_are_not_mapped(new_user: NewUser) -> None:
    user = new_user(ids=0)
    plant(user, f"{AUTO}\nconfig.uid, config.groups = 5, [7]")
    error = user.haconiwa("start", "garden.haco", expect=2).stderr
    assert "groups: they cannot be set, since no group is mapped but your own" in error
    assert "uid: 5 is not mapped in the user namespace" in error


def test_a_raised_limit(user: User) -> None:
    plant(user, f'{AUTO}\nconfig.resource.set_limit("NOFILE", 100_000_000)')
    error = user.haconiwa("start", "garden.haco", expect=125).stderr
    assert f"hint: user {user.uid} may ask for " in error


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda user: user.runtime.chmod(0o755), "others can look into it (mode 0755)"),
        (lambda user: os.chown(user.runtime, 0, 0), "it belongs to user 0"),
        (lambda user: user.set_environ(XDG_RUNTIME_DIR=f"{user.home}/none"), "No such file or directory (ENOENT)"),
        (lambda user: user.set_environ(XDG_RUNTIME_DIR="runtime"), "No such file or directory (ENOENT)"),
    ],
    ids=["open", "of-root", "missing", "relative"],
)
def test_an_unsafe_folder_for_the_state(user: User, spoil: object, why: str) -> None:
    plant(user)
    spoil(user)  # type: ignore[operator]
    for command in (("start", "garden.haco"), ("ps",), ("stop", "garden")):
        error = user.haconiwa(*command, expect=125).stderr
        assert f"error: user {user.uid} cannot keep the state of containers in " in error
        assert why in error
        assert "  hint: log in anew, " in error
    assert user.haconiwa("check", "garden.haco").stdout == "garden.haco: ok\n"


def test_folders_of_somebody_else(user: User) -> None:
    plant(user)
    foreign = user.base / "foreign"
    (foreign / "haconiwa").mkdir(parents=True)
    user.set_environ(XDG_STATE_HOME=str(foreign))
    error = user.haconiwa("events", expect=125).stderr
    assert f'error: user {user.uid} cannot use "{foreign}/haconiwa": it belongs to user 0' in error


def test_a_file_of_somebody_else(user: User) -> None:
    path = plant(user)
    os.chown(path, 52_999, 52_999)
    error = user.haconiwa("start", "garden.haco", expect=2).stderr
    assert "belongs to user 52999, not to root or to you" in error
    os.chown(path, 0, 0)
    assert sh(user, "id -u") == "0\n"


def test_what_the_host_lets_a_user_do(user: User) -> None:
    shown = user.haconiwa("check", "--host").stdout
    for line in (
        f"  ok       {user.name} in /etc/subuid",
        "  ok       ids by newuidmap             set-user-ID root",
        f"  ok       folder for the state         {user.runtime}/haconiwa",
        "  no       root ",
        "  ok       user ",
    ):
        assert line in shown
    user.before("mount --bind /dev/null /usr/bin/newuidmap")
    assert "install it, on Debian: apt-get install uidmap" in user.haconiwa("check", "--host").stdout

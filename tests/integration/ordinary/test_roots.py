"""An ordinary user makes, furnishes and removes root file systems; their files belong to the ids that are mapped."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.integration.box import wait_until
from tests.integration.ordinary.conftest import NewUser
from tests.integration.ordinary.garden import AUTO, daemon, plant, sh
from tests.support.ordinary import User

pytestmark = pytest.mark.requires("root", "userns", "busybox", "setpriv", "uidmap")


@pytest.fixture
def garden(user: User) -> Path:
    """Where the root is to be, in the folder that roots are made in by default."""
    return user.home / ".local/share/haconiwa/garden"


def bootstrap(user: User, garden: Path, lines: str, maps: str = AUTO) -> None:
    """Write a file that makes its root."""
    plant(user, f"{maps}\n{textwrap.dedent(lines)}", root=garden)


def archive_of(user: User) -> Path:
    """An archive with files of several owners, which root has made."""
    tree = user.busybox_root(owner=0)
    (tree / "etc/shadow").write_text("secret\n")
    os.chown(tree / "etc/shadow", 0, 42)
    (tree / "etc/shadow").chmod(0o640)
    (tree / "srv").mkdir(mode=0o700)
    os.chown(tree / "srv", 33, 33)
    os.mknod(tree / "dev/sda", 0o060600, os.makedev(8, 0))
    archive = user.home / "tree.tar.gz"
    subprocess.run(["tar", "-C", str(tree), "-czf", str(archive), "."], check=True)
    subprocess.run(["rm", "-rf", str(tree)], check=True)
    return archive


def test_the_way_of_a_beginner(user: User, garden: Path) -> None:
    written = user.haconiwa("new", "-n", "garden", "garden.haco").stderr
    assert "choose  strategy host, in a user namespace, since you are not root\n" in written
    assert f"assign  rootfs location = {garden}\n" in written
    assert user.haconiwa("check", "garden.haco").stdout == "garden.haco: ok\n"
    user.haconiwa("create", "garden.haco")
    assert user.haconiwa("start", "garden.haco", "--", "uname", "-n").stdout == "garden\n"
    assert user.haconiwa("rm", "garden.haco").stderr == f"Removed rootfs {garden}\n"
    assert list(garden.parent.iterdir()) == []


def test_provisioning_runs_as_root_with_the_same_ids(user: User, garden: Path) -> None:
    lines = """
        config.bootstrap.strategy = "host"
        with config.provision as p:
            p.run_shell("id -u; echo hello > /etc/hello; chown 33:44 /etc/hello")
            p.run_shell("mkdir -p -m 700 /srv/own; chown 7 /srv/own")
    """
    bootstrap(user, garden, lines)
    printed = user.haconiwa("create", "garden.haco").stderr
    assert "[provision.shell-1]: 0\n" in printed
    assert printed.endswith("Command success: /bin/sh -xe exited 0\nSuccess!\n")
    status = os.stat(garden / "etc/hello")
    assert (status.st_uid, status.st_gid) == (user.first_id + 32, user.first_id + 43)
    assert sh(user, "stat -c '%u %g' /etc/hello; ls /proc/1/exe; ls -d /usr/bin") == "33 44\n/proc/1/exe\n/usr/bin\n"
    user.haconiwa("provision", "garden.haco")
    user.haconiwa("create", "--force", "garden.haco")
    user.haconiwa("rm", "garden.haco")
    assert not garden.exists()


def test_a_failed_step_says_so_once_and_leaves_what_can_be_gone_on_with(user: User, garden: Path) -> None:
    lines = 'config.bootstrap.strategy = "host"\nconfig.provision.run_shell("exit 3")'
    bootstrap(user, garden, lines)
    done = user.haconiwa("create", "garden.haco", expect=125)
    assert done.stderr.count("error: ") == 1
    assert 'the provisioning step "shell-1" failed: exited 3' in done.stderr
    user.haconiwa("rm", "garden.haco")


def test_an_archive_keeps_its_owners(user: User, garden: Path) -> None:
    archive = archive_of(user)
    bootstrap(user, garden, f'config.bootstrap.strategy = "tarball"\nconfig.bootstrap.archive_path = {str(archive)!r}')
    printed = user.haconiwa("create", "garden.haco").stderr
    assert 'left out the device node "./dev/sda"' in printed
    owners = {name: os.stat(garden / name).st_uid for name in ("etc/passwd", "srv")}
    assert owners == {"etc/passwd": user.uid, "srv": user.first_id + 32}
    assert os.stat(garden / "etc/shadow").st_gid == user.first_id + 41
    assert sh(user, "stat -c %u /srv; cat /etc/shadow") == "33\nsecret\n"
    kept = user.haconiwa("images").stdout
    assert "garden" not in kept or "rootfs" in kept
    user.haconiwa("rm", "garden.haco")
    assert not garden.exists()


def test_an_archive_without_subordinate_ids_belongs_to_the_caller(new_user: NewUser) -> None:
    user = new_user(ids=0)
    garden = user.home / ".local/share/haconiwa/garden"
    archive = archive_of(user)
    bootstrap(user, garden, f'config.bootstrap.strategy = "tarball"\nconfig.bootstrap.archive_path = {str(archive)!r}')
    user.haconiwa("create", "garden.haco")
    assert {os.stat(garden / name).st_uid for name in ("etc/passwd", "srv", "etc/shadow")} == {user.uid}
    assert sh(user, "stat -c %u /srv; id -u") == "0\n0\n"
    user.haconiwa("rm", "garden.haco")
    assert not garden.exists()


def test_a_map_without_the_caller_makes_a_root_of_its_first_id(user: User, garden: Path) -> None:
    maps = f"config.namespace.map_ids([(0, {user.first_id}, 1000)])"
    script = "mkdir -p $ROOTFS/bin; cp /bin/busybox $ROOTFS/bin/sh; id -u > $ROOTFS/who"
    bootstrap(user, garden, f'config.bootstrap.strategy = "shell"\nconfig.bootstrap.code = {script!r}', maps)
    user.home.chmod(0o700)
    user.haconiwa("create", "garden.haco")
    assert os.stat(garden).st_uid == user.first_id
    assert (garden / "who").read_text() == "0\n"
    assert user.haconiwa("start", "garden.haco", "--", "/bin/sh", "-c", "echo $(cat /who 2>&1)").returncode == 0
    user.haconiwa("rm", "garden.haco")
    assert list(garden.parent.iterdir()) == []


@pytest.mark.parametrize("code", ["function", "text"])
def test_python_and_what_a_container_leaves_can_be_removed(user: User, garden: Path, code: str) -> None:
    if code == "text":
        lines = """
            config.bootstrap.strategy = "python"
            config.bootstrap.code = "import os, shutil; os.makedirs('bin'); shutil.copy('/bin/busybox', 'bin/sh')"
        """
    else:
        lines = """
            config.bootstrap.strategy = "python"
            @config.bootstrap.function
            def make(folder):
                import shutil
                os.makedirs(f"{folder}/bin")
                shutil.copy("/bin/busybox", f"{folder}/bin/sh")
                assert os.getuid() == 0
        """
    bootstrap(user, garden, lines)
    user.haconiwa("create", "garden.haco")
    sh(user, "busybox() { exec -a $1 /bin/sh; }; mkdir -p /a/b 2>/dev/null; echo > /x")
    user.haconiwa("rm", "garden.haco")
    assert not garden.exists()


@pytest.mark.requires("git")
def test_a_repository(user: User, garden: Path) -> None:
    source = user.home / "source"
    user.run("/bin/sh", "-c", f"""
        git init -q {source} && cd {source} && mkdir bin && cp /bin/busybox bin/sh && git add . &&
        git -c user.name=x -c user.email=x@example.org commit -qm x
    """)  # fmt: skip
    bootstrap(user, garden, f'config.bootstrap.strategy = "git"\nconfig.bootstrap.git_url = {str(source)!r}')
    user.haconiwa("create", "garden.haco")
    assert sh(user, "echo $((6 * 7))") == "42\n"
    user.haconiwa("rm", "garden.haco")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_create_leaves_nothing_that_looks_complete(user: User, garden: Path, number: int) -> None:
    script = "echo began; mkdir $ROOTFS/bin; chown 33 $ROOTFS/bin; sleep 1000"
    bootstrap(user, garden, f'config.bootstrap.strategy = "shell"\nconfig.bootstrap.code = {script!r}')
    with user.haconiwa.start("create", "garden.haco") as process:
        assert process.stderr is not None
        while "began" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        process.communicate(timeout=20)
        assert process.returncode == (128 + number if number == signal.SIGTERM else -number)
    wait_until(lambda: not user.processes(), "the end of what it started")
    assert not garden.exists()
    if number == signal.SIGTERM:
        assert list(garden.parent.iterdir()) == []
    user.haconiwa("rm", "garden.haco")
    assert list(garden.parent.iterdir()) == []


@pytest.mark.parametrize("strategy", ["debootstrap", "lxc"])
def test_strategies_of_root(user: User, garden: Path, strategy: str) -> None:
    option = 'config.bootstrap.os_type = "alpine"' if strategy == "lxc" else ""
    bootstrap(user, garden, f'config.bootstrap.strategy = "{strategy}"\n{option}')
    error = user.haconiwa("create", "garden.haco", expect=125).stderr
    assert error.startswith(f'error: garden: the strategy "{strategy}" needs root\n  at: garden.haco:')
    assert "haconiwa archive" in error
    assert not garden.exists()


def test_a_root_in_use_stays(user: User, garden: Path) -> None:
    bootstrap(user, garden, 'config.bootstrap.strategy = "host"')
    user.haconiwa("create", "garden.haco")
    daemon(user)
    assert 'the container "garden" runs in it' in user.haconiwa("rm", "garden.haco", expect=125).stderr
    user.haconiwa("stop", "-T", "0", "garden")
    user.haconiwa("rm", "garden.haco")


def test_create_on_the_way_to_a_start(user: User, garden: Path) -> None:
    bootstrap(user, garden, 'config.bootstrap.strategy = "host"')
    assert user.haconiwa("start", "-b", "garden.haco", "--", "/usr/bin/id", "-u").stdout == "0\n"
    user.haconiwa("rm", "garden.haco")


def test_what_is_kept_for_the_next_is_the_users_own(user: User, garden: Path) -> None:
    archive = archive_of(user)
    lines = f"""
        config.bootstrap.strategy = "tarball"
        config.bootstrap.archive_path = {str(archive)!r}
        config.bootstrap.cache = True
    """
    bootstrap(user, garden, lines)
    user.haconiwa("create", "garden.haco")
    user.haconiwa("rm", "garden.haco")
    assert "from what was made for garden" in user.haconiwa("create", "garden.haco").stderr
    assert os.stat(garden / "srv").st_uid == user.first_id + 32
    user.haconiwa("rm", "garden.haco")
    assert "Removed root" in user.haconiwa("gc", "--all").stdout

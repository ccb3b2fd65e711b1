"""An ordinary user's containers with layers of their own: kept, thrown away, looked at, folded into the root."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from haconiwa.kernel.mount import MS, mount, umount2
from tests.integration.box import wait_until
from tests.integration.ordinary.conftest import NewUser
from tests.integration.ordinary.garden import AUTO, daemon, listed, plant, sh
from tests.support.ordinary import User

pytestmark = pytest.mark.requires("root", "userns", "busybox", "setpriv", "uidmap")

OVERLAY = f"{AUTO}\nconfig.rootfs.overlay = True"
CHANGES = """
    rm /etc/hostname /etc/empty/old
    rmdir /etc/empty
    mkdir /etc/empty
    echo new >/etc/empty/new
    echo more >>/etc/motd
    echo theirs >/srv/theirs
    chown 33:44 /srv/theirs
    chmod 600 /srv/theirs
"""


@pytest.fixture
def root(user: User) -> Path:
    """The user's root file system, with something to change."""
    root = user.busybox_root()
    folder = root / "etc/empty"
    folder.mkdir(parents=True)
    (root / "srv").mkdir(exist_ok=True)
    for path, text in ((root / "etc/hostname", "a\n"), (folder / "old", ""), (root / "etc/motd", "hello\n")):
        path.write_text(text)
    for path in (root / "srv", folder, *folder.iterdir(), root / "etc/hostname", root / "etc/motd"):
        os.chown(path, user.uid, user.uid)
    return root


def content(root: Path) -> list[tuple[str, int, int, float]]:
    """Everything in a root that a change would show in."""
    found = [(str(path), path.lstat()) for path in sorted(root.rglob("*"))]
    return [(path, status.st_mode, status.st_uid, status.st_mtime) for path, status in found]


def layers(root: Path) -> Path:
    """The folder of the layers over a root."""
    return root.parent / f".{root.name}.layers"


def test_a_layer_of_its_own_keeps_what_is_changed(user: User, root: Path) -> None:
    plant(user, OVERLAY, root=root)
    before = content(root)
    sh(user, CHANGES)
    assert content(root) == before
    assert sh(user, "ls /etc/empty; cat /etc/motd; stat -c '%u %g %a' /srv/theirs; ls /etc/hostname", expect=1) == (
        "new\nhello\nmore\n33 44 600\n"
    )
    status = os.stat(layers(root) / "kept/garden/upper/srv/theirs")
    assert (status.st_uid, status.st_gid) == (user.first_id + 32, user.first_id + 43)


def test_diff_and_commit(user: User, root: Path) -> None:
    plant(user, OVERLAY, root=root)
    assert user.haconiwa("diff", "garden.haco").stdout == ""
    sh(user, CHANGES)
    assert user.haconiwa("diff", "garden.haco").stdout.splitlines() == [
        "A /etc/empty/new", "D /etc/empty/old", "D /etc/hostname", "C /etc/motd", "A /srv/theirs",
    ]  # fmt: skip
    user.haconiwa("commit", "garden.haco")
    assert user.haconiwa("diff", "garden.haco").stdout == ""
    assert (root / "etc/motd").read_text() == "hello\nmore\n"
    assert [path.name for path in (root / "etc/empty").iterdir()] == ["new"]
    assert os.stat(root / "srv/theirs").st_uid == user.first_id + 32
    assert user.haconiwa("commit", "garden.haco", expect=125).stderr == "error: garden: there is nothing to commit\n"
    user.haconiwa("rm", "--force", "garden.haco")
    assert not root.exists()
    assert not layers(root).exists()


def test_ephemeral(user: User, root: Path) -> None:
    """Nothing of it stays, whoever its files belong to, and how deep they are."""
    plant(user, root=root)
    before = content(root)
    script = "mkdir -m 0 /srv/closed; touch /srv/closed/x; chown -R 5 /srv/closed; exit 7"
    user.haconiwa("start", "--ephemeral", "garden.haco", "--", "/bin/sh", "-c", script, expect=7)
    assert content(root) == before
    assert list((layers(root) / "thrown").iterdir()) == []


def test_an_ephemeral_one_is_taken_over_by_another_supervisor(user: User, root: Path) -> None:
    plant(user, root=root)
    user.haconiwa("start", "-D", "--ephemeral", "garden.haco", "--", "/bin/sh", "-c", "echo >/tmp/x; exec sleep 1000")
    os.kill(listed(user)["garden"]["supervisor_pid"], signal.SIGKILL)
    wait_until(lambda: listed(user)["garden"]["status"] == "orphaned", "its supervisor is gone")
    user.haconiwa("start", "--adopt", "garden.haco")
    assert (layers(root) / "thrown/garden/upper/tmp/x").exists()
    user.haconiwa("stop", "-T", "0", "garden")
    wait_until(lambda: list((layers(root) / "thrown").iterdir()) == [], "the layer is gone")


def test_an_ephemeral_one_without_a_supervisor_leaves_nothing_either(user: User, root: Path) -> None:
    plant(user, root=root)
    user.haconiwa("start", "-D", "--ephemeral", "garden.haco")
    os.kill(listed(user)["garden"]["supervisor_pid"], signal.SIGKILL)
    wait_until(lambda: listed(user)["garden"]["status"] == "orphaned", "its supervisor is gone")
    user.haconiwa("stop", "-T", "0", "garden")
    assert list((layers(root) / "thrown").iterdir()) == []


def test_a_map_without_the_user(user: User) -> None:
    """The files belong to the first mapped id; the folder around them is the user's."""
    maps = f"config.namespace.map_ids([(0, {user.first_id}, 1000)])"
    root = user.busybox_root(owner=user.first_id)
    plant(user, f"{maps}\nconfig.rootfs.overlay = True", root=root)
    assert sh(user, "echo >/etc/new; stat -c %u / /etc/new") == "0\n0\n"
    assert user.haconiwa("diff", "garden.haco").stdout == "A /etc/new\n"
    user.haconiwa("commit", "garden.haco")
    assert os.stat(root / "etc/new").st_uid == user.first_id


def test_one_who_has_no_ids_but_its_own(new_user: NewUser) -> None:
    user = new_user(ids=0)
    root = user.busybox_root()
    plant(user, OVERLAY, root=root)
    sh(user, "rm /bin/sh; echo >/etc/new")
    assert user.haconiwa("diff", "garden.haco").stdout == "D /bin/sh\nA /etc/new\n"
    user.haconiwa("start", "--ephemeral", "garden.haco", "--", "/bin/busybox", "true")


def test_commit_is_refused_while_it_runs(user: User, root: Path) -> None:
    plant(user, OVERLAY, root=root)
    daemon(user)
    error = user.haconiwa("commit", "garden.haco", expect=125).stderr
    assert f'cannot commit to "{root}": the container "garden" runs in it' in error
    user.haconiwa("stop", "-T", "0", "garden")


def test_without_a_root_the_line_is_told(user: User, root: Path) -> None:
    plant(user, OVERLAY, root=root)
    root.rename(f"{root}.away")
    error = user.haconiwa("start", "garden.haco", expect=125).stderr
    assert "it does not exist\n" in error
    assert "  at: " in error


@pytest.mark.parametrize("name", ["garden.tar.gz", "garden.squashfs"])
def test_archives_have_the_owners_of_the_inside(user: User, root: Path, name: str) -> None:
    """The home has flags of a mount that no ordinary user may take away."""
    owner = user.first_id + 32
    (root / "srv/theirs").write_text("")
    os.chown(root / "srv/theirs", owner, owner)
    plant(user, root=root)
    mount(user.home, user.home, None, MS.BIND)
    try:
        mount(None, user.home, None, MS.REMOUNT | MS.BIND | MS.NOSUID | MS.NODEV)
        user.haconiwa("archive", "-d", name, "garden.haco")
    finally:
        umount2(user.home)
    archive = user.home / name
    assert os.stat(archive).st_uid == user.uid
    list_it = ["tar", "--numeric-owner", "-tvf"] if name.endswith("gz") else ["unsquashfs", "-llnumeric"]
    lines = subprocess.run([*list_it, str(archive)], check=True, capture_output=True, text=True).stdout.splitlines()
    line = next(line for line in lines if line.endswith("/srv/theirs"))
    assert "33/33" in line


def test_a_recipe_that_is_kept_lies_below(user: User) -> None:
    """As for root: a second container of the same recipe has no files of its own."""
    roots = [user.home / ".local/share/haconiwa" / name for name in ("one", "two")]
    tree = user.busybox_root()
    script = f"cp -a {tree}/. . && echo made >etc/made && chown 33 etc/made"
    lines = f"""
{AUTO}
config.bootstrap.strategy = "shell"
config.bootstrap.code = {script!r}
config.bootstrap.cache = True
config.rootfs.overlay = True
"""
    for root in roots:
        plant(user, lines, root=root)
        user.haconiwa("create", "garden.haco")
    assert list(roots[1].iterdir()) == []
    assert sh(user, "cat /etc/made; stat -c %u /etc/made; echo x >/etc/made; id -u") == "made\n33\n0\n"
    assert user.haconiwa("diff", "garden.haco").stdout == "C /etc/made\n"
    user.haconiwa("commit", "garden.haco")
    assert (roots[1] / "etc/made").read_text() == "x\n"
    for root in roots:
        plant(user, lines, root=root)
        user.haconiwa("rm", "garden.haco")
    user.haconiwa("gc", "--all")
    assert not any(path.exists() for path in roots)

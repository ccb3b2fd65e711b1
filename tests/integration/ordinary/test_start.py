"""An ordinary user starts a container: ids, rights and exit status, and the maps of every form."""

from __future__ import annotations

import os
import re

import pytest

from tests.integration.box import HEEDS_TERM
from tests.integration.ordinary.conftest import NewUser
from tests.integration.ordinary.garden import AUTO, daemon, plant, sh
from tests.support.ordinary import User

pytestmark = pytest.mark.requires("root", "userns", "busybox", "setpriv", "uidmap")

DEFAULT_CAPABILITIES = 0x800025DB  # the whitelist of a plain haco file


def status_fields(text: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_exit_status_and_signal(user: User) -> None:
    plant(user)
    assert sh(user, "exit 7", expect=7) == ""
    assert sh(user, "no-such-command", expect=127) == ""
    user.haconiwa("start", "garden.haco", "--", "/bin/nothing", expect=127)


def test_the_caller_is_root_and_its_subordinate_ids_follow(user: User) -> None:
    plant(user)
    lines = sh(user, "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -G").split("\n")
    maps = [tuple(map(int, line.split())) for line in lines[:4]]
    assert maps == 2 * [(0, user.uid, 1), (1, user.first_id, 65535)]
    assert lines[4:6] == ["0", "0"]


def test_files_belong_to_the_mapped_ids(user: User) -> None:
    plant(user)
    sh(user, "touch /of-root /of-33; chown 33:44 /of-33")
    assert os.stat(user.home / "root/of-root").st_uid == user.uid
    status = os.stat(user.home / "root/of-33")
    assert (status.st_uid, status.st_gid) == (user.first_id + 32, user.first_id + 43)


def test_rights_are_those_of_roots_containers(user: User) -> None:
    plant(user)
    fields = status_fields(sh(user, "cat /proc/self/status"))
    assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {DEFAULT_CAPABILITIES}
    assert (int(fields["CapInh"], 16), int(fields["CapAmb"], 16)) == (0, 0)
    assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "0")


def test_paths_are_masked_and_sysfs_falls_back(user: User) -> None:
    plant(user)
    script = """
        cat /proc/keys | wc -c; touch /proc/sysrq-trigger 2>&1; touch /sys/x 2>&1; ls /proc/acpi | wc -l
        mount -t tmpfs x /mnt 2>&1; ls /dev
    """
    lines = sh(user, script).splitlines()
    assert lines[0] == "0"
    assert "Read-only file system" in lines[1] + lines[2]
    assert lines[3] == "0"
    assert "not permitted" in lines[4] or "denied" in lines[4]
    names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert sorted(" ".join(lines[5:]).split()) == names.split()


def test_its_own_id_alone_without_subordinate_ids(new_user: NewUser) -> None:
    user = new_user(ids=0, groups=(52_999,))
    plant(user)
    done = user.haconiwa(
        "start", "garden.haco", "--", "/bin/sh", "-c", "cat /proc/self/uid_map /proc/self/setgroups; id"
    )
    assert [line.split() for line in done.stdout.splitlines()[:2]] == [["0", str(user.uid), "1"], ["deny"]]
    assert done.stdout.splitlines()[2].startswith("uid=0(root) gid=0(root)")
    assert "notice: garden: no subordinate ids are set aside for you" in done.stderr


def test_a_given_single_id_needs_no_program(new_user: NewUser) -> None:
    user = new_user(ids=0)
    user.before("mount --bind /dev/null /usr/bin/newuidmap; mount --bind /dev/null /usr/bin/newgidmap")
    plant(user, f"config.namespace.map_ids([(0, {user.uid}, 1)])")
    done = user.haconiwa("start", "garden.haco", "--", "/bin/id", "-u")
    assert done.stdout == "0\n"
    assert "notice" not in done.stderr


def test_a_map_without_the_caller(user: User) -> None:
    first = user.first_id
    plant(user, f"""
        config.namespace.set_uid_mapping(min=0, max=1000, offset={first})
        config.namespace.set_gid_mapping(min=0, max=1000, offset={first + 10})
    """)  # fmt: skip
    user.home.chmod(0o700)  # which root inside cannot enter
    (user.home / "root").chmod(0o755)
    for path in (user.home / "root", *(user.home / "root").rglob("*")):
        os.chown(path, first, first + 10, follow_symlinks=False)
    daemon(user)
    done = user.haconiwa("attach", "garden", "--", "/bin/sh", "-c", "touch /x; id -u; cat /proc/self/uid_map")
    assert [line.split() for line in done.stdout.splitlines()] == [["0"], ["0", str(first), "1000"]]
    assert os.stat(user.home / "root/x").st_gid == first + 10
    user.haconiwa("stop", "-T", "0", "garden")


def test_who_runs_it_and_its_groups(user: User) -> None:
    plant(user, f"""
        {AUTO}
        config.uid, config.gid, config.groups = 1000, 1001, [29]
    """)  # fmt: skip
    assert sh(user, "id -u; id -g; id -G") == "1000\n1001\n1001 29\n"


@pytest.mark.parametrize("kind", ["uid", "gid"])
def test_ids_of_others_are_refused_with_the_reason(user: User, kind: str) -> None:
    maps = {"uid": user.first_id, "gid": user.first_id, kind: 5000}
    plant(user, "".join(f"config.namespace.set_{k}_mapping(min=0, max=10, offset={v})\n" for k, v in maps.items()))
    error = user.haconiwa("start", "garden.haco", expect=125).stderr
    last = user.first_id + 65535
    assert f"error: user {user.name} may not map the {kind}s 5000-5009: " in error
    assert f'"/etc/sub{kind}" gives it only {user.first_id}-{last}\n' in error
    assert f'root can add the line "{user.name}:{last + 1}:' in error
    assert re.search(r"\n  at: garden\.haco:\d+\n", error)


def test_a_missing_program_is_named_with_its_package(user: User) -> None:
    plant(user)
    user.before("mount --bind /dev/null /usr/bin/newgidmap")
    error = user.haconiwa("start", "garden.haco", expect=125).stderr
    assert error == (
        'error: the program "newgidmap" is missing\n  hint: install it, on Debian: apt-get install uidmap\n'
    )


def test_a_program_without_its_right(user: User) -> None:
    plant(user)
    user.before("mount -o bind,nosuid /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin")
    error = user.haconiwa("start", "garden.haco", expect=125).stderr
    assert "error: garden: cannot map the uids 0-0 to " in error
    assert "hint: newuidmap must be set-user-ID root" in error


def test_every_hook_and_a_look_inside(user: User) -> None:
    rest = """
        for point in ("setup", "before_fork", "after_fork", "before_chroot", "after_chroot", "before_start_wait",
                      "teardown_container", "teardown"):
            @config.add_general_hook(point)
            def hook(base, point=point):
                print(point, os.geteuid(), flush=True)

        @config.add_async_hook(msec=50)
        def look(base: Base) -> None:
            print("inside", base.attach(["/bin/sh", "-c", "id -u; cat /proc/1/comm"]).stdout.split(), flush=True)
            base.stop()
    """
    plant(user, rest=rest)
    printed = user.haconiwa("start", "garden.haco", "--", "/bin/sh", "-c", HEEDS_TERM, expect=4).stderr.splitlines()
    own = str(user.uid)
    outside = ("setup", "before_fork", "before_start_wait", "teardown_container", "teardown")
    inside = ("after_fork", "before_chroot", "after_chroot")
    assert {f"{point} {own}" for point in outside} | {f"{point} 0" for point in inside} <= {*printed}
    assert "inside ['0', 'busybox']" in printed


def test_the_flags_of_the_hosts_mounts_stay(user: User) -> None:
    shared = user.base / "shared"
    shared.mkdir()
    user.before(f"mount -t tmpfs -o nosuid,nodev,noexec shared {shared}; mount -o remount,bind,ro {shared}")
    plant(user, f"""
        {AUTO}
        config.add_mount_point({str(shared)!r}, to="/mnt")
    """)  # fmt: skip
    options = next(line for line in sh(user, "cat /proc/self/mountinfo").splitlines() if " /mnt " in line).split()[5]
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options.split(","))
    plant(user, f"""
        {AUTO}
        config.add_mount_point({str(shared)!r}, to="/mnt", options="rw")
    """)  # fmt: skip
    error = user.haconiwa("start", "garden.haco", expect=125).stderr
    assert "hint: only root may take away what the host's mount has" in error


def test_devices_network_clock_and_parameters_of_its_own(user: User) -> None:
    plant(user, f"""
        {AUTO}
        config.namespace.unshare("cgroup", "time")
        config.mount_independent("mqueue")
        config.network.mode = "none"
        config.add_device("/dev/null")
        config.sysctl["net.ipv4.ip_unprivileged_port_start"] = "80"
        config.resource.set_limit("NOFILE", 100)
        config.umask = 0o077
    """)  # fmt: skip
    script = (
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ulimit -n; umask; ip -o link | wc -l; ping -c1 127.0.0.1"
    )
    lines = sh(user, script).splitlines()
    assert lines[:4] == ["80", "100", "0077", "1"]
    assert "1 packets received" in " ".join(lines)

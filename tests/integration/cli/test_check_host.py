"""``haconiwa check --host`` where something is denied: it says what, and what to change."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.support.program import Program

pytestmark = pytest.mark.requires("root")

Findings = dict[tuple[str, str], dict[str, Any]]


def look(haconiwa: Program, script: str, expect: int) -> Findings:
    """What it finds in a mount namespace where a script ran before, ``"$@"`` in it being the program."""
    argv = ["unshare", "--mount", "sh", "-ec", script, "sh", haconiwa.path, "check", "--host", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=haconiwa.environ(), timeout=60)
    assert done.returncode == expect, done.stderr
    return {(found["group"], found["name"]): found for found in json.loads(done.stdout)}


def lacks(found: Findings) -> set[tuple[str, str]]:
    """What every container needs and is not there."""
    return {key for key, one in found.items() if one["needed"] and not one["ok"]}


def test_without_any_cgroup(haconiwa: Program) -> None:
    found = look(haconiwa, 'mount -t tmpfs none /sys/fs/cgroup; exec "$@"', 125)
    assert lacks(found) == {("cgroups", "layout none")}
    assert found["cgroups", "layout none"]["change"] == "mount cgroup2 on /sys/fs/cgroup"
    assert not found["cgroups", "memory"]["ok"]


@pytest.mark.requires("cgroup1")
def test_with_v1_only(haconiwa: Program) -> None:
    script = 'test ! -e /sys/fs/cgroup/unified || mount -t tmpfs none /sys/fs/cgroup/unified; exec "$@"'
    found = look(haconiwa, script, 0)
    assert found["cgroups", "layout v1"]["ok"]
    assert found["cgroups", "memory"]["detail"].startswith("v1 at ")


@pytest.mark.requires("cgroup2")
def test_with_v2_only(haconiwa: Program) -> None:
    found = look(haconiwa, 'exec "$@"', 0)
    assert found["cgroups", "layout v2"]["ok"]
    assert found["cgroups", "memory"]["detail"] == "v2 at /sys/fs/cgroup"
    assert found["cgroups", "devices"]["detail"] == "programs of v2"


def test_with_groups_that_are_read_only(haconiwa: Program) -> None:
    script = (
        'for m in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,ro "$m" 2>/dev/null || :; done; exec "$@"'
    )
    found = look(haconiwa, script, 125)
    missing = lacks(found)
    assert missing
    assert all(name.startswith("groups below ") for _group, name in missing)
    assert {found[key]["detail"] for key in missing} == {"Read-only file system (EROFS)"}


@pytest.mark.requires("setpriv")
def test_root_without_what_namespaces_need(haconiwa: Program) -> None:
    script = 'exec setpriv --bounding-set -sys_admin,-sys_chroot "$@"'
    found = look(haconiwa, script, 125)
    assert {("namespaces", name) for name in ("mount", "ipc", "uts", "pid")} <= lacks(found)
    assert ("file systems", "mounting") in lacks(found)
    assert found["namespaces", "mount"]["detail"] == "Operation not permitted (EPERM)"
    assert "sys_admin" in found["privileges", "capabilities"]["detail"].split()


@pytest.mark.requires("userns")
def test_where_no_more_namespaces_may_be_made(haconiwa: Program) -> None:
    deny = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'
    script = f"""exec unshare --user --map-root-user sh -ec '{deny}' sh "$@" """
    net = look(haconiwa, script, 0)["namespaces", "net"]
    assert (net["ok"], net["needed"]) == (False, False)
    assert net["change"] == "sysctl user.max_net_namespaces=10000"

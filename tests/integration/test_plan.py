"""What ``plan`` shows is exactly what ``start`` does."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.box import INDEPENDENT, NAMESPACES, Box

pytestmark = pytest.mark.requires("root", "busybox")

EVERYTHING = """
config.domainname = "nis"
config.uid = "alice"
config.groups = ["audio"]
config.workdir = "/tmp"
config.no_new_privs = True
config.rootfs.readonly = True
config.filesystem.add_masked_path("/etc/hosts")
config.add_mount_point("/etc", to="/mnt", readonly=True)
config.add_mount_point("tmpfs", to="/tmp", fs="tmpfs", options="size=1m")
config.mount_network_etc(root)
config.resource.set_limit("NOFILE", 100, 200)
config.capabilities.allow("net_admin", host_network=True)
config.environ["A"] = "b"
config.umask = 0o077
config.oom_score_adj = 100
config.personality = "linux32"
config.sysctl["kernel.shmmni"] = 77
config.namespace.set_time_offset(boottime=5)
"""
HOOKS = """
for point in ("before_fork", "after_network_created", "immediately_after_fork_on_parent", "after_fork",
              "after_network_initialized", "before_chroot", "after_chroot", "before_start_wait"):
    config.add_general_hook(point, print)
    config.add_general_hook(point, repr)
"""


def planned(box: Box) -> list[tuple[str, str]]:
    """Place and words of every step that ``haconiwa plan`` shows."""
    plans = json.loads(box.haconiwa("plan", "--json", box.file).stdout)
    assert [plan["name"] for plan in plans] == [box.name]
    return [(step["place"], step["what"]) for step in plans[0]["steps"]]


def executed(messages: str) -> list[tuple[str, str]]:
    """Place and words of every step in the trace of a start."""
    lines = [line for line in messages.splitlines() if line.startswith("debug: ")]
    found = []
    for line in lines:
        match = re.fullmatch(r"debug: +[0-9.]+ ms  (\w+) +(.*)", line)
        assert match, line
        found.append((match[1], match[2]))
    return found


VARIANTS = [
    pytest.param({}, id="plain"),
    pytest.param(
        {"settings": EVERYTHING, "rest": HOOKS, "namespaces": (*NAMESPACES, "net", "cgroup")}, id="everything"
    ),
    pytest.param({"settings": "config.capabilities.reset_to_privileged()", "independent": ()}, id="privileged"),
    pytest.param({"settings": "config.filesystem.use_legacy_chroot = True", "namespaces": ("mount",)}, id="chroot"),
    pytest.param({"root": None, "independent": (), "namespaces": ("pid", "uts")}, id="the host's root"),
    pytest.param(
        {
            "settings": "config.namespace.set_uid_mapping(min=0, max=2000, offset=0)\n"
            "config.namespace.set_gid_mapping(min=0, max=2000, offset=0)",
            "independent": (*INDEPENDENT, "mqueue"),
            "namespaces": (*NAMESPACES, "net"),
        },
        id="user namespace",
    ),
    pytest.param({"settings": 'config.namespace.enter("net", "/proc/self/ns/net")'}, id="entered namespace"),
]


def by_process(steps: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The steps of the supervisor and those of the child, which run at the same time, each in their order."""
    child = [step for step in steps if step[0] in ("child", "inside")]
    return [[step for step in steps if step not in child], child]


@pytest.mark.parametrize("variant", VARIANTS)
def test_plan_is_what_start_does(box: Box, variant: dict[str, object]) -> None:
    (box.root / "mnt").mkdir()
    box.write(command=("/bin/true",), **variant)  # type: ignore[arg-type]
    plan = planned(box)
    result = box.haconiwa("start", "--debug", box.file)
    assert by_process(executed(result.stderr)) == by_process(plan)
    assert len(executed(result.stderr)) == len(plan)


def test_steps_are_sorted_by_place(box: Box) -> None:
    box.write(EVERYTHING, HOOKS)
    places = [place for place, _ in planned(box)]
    order = ["supervisor", "clone", "parent", "child", "inside", "running"]
    assert places == sorted(places, key=order.index)
    assert set(places) == set(order)


def test_plan_does_nothing(box: Box) -> None:
    box.write(EVERYTHING, HOOKS)
    planned(box)
    box.nothing_left()

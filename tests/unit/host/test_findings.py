"""What the look at this machine finds, compared with what is known of it otherwise."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from haconiwa.host.cgroups import Hierarchy, cgroup_layout
from haconiwa.host.finding import Finding
from haconiwa.host.findings import NAMESPACES, PROGRAMS, look
from haconiwa.host.probes import SYSTEM_CALLS, attempt, exists, read_text


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Finding]:
    return {(finding.group, finding.name): finding for finding in look()}


def test_what_is_missing_can_be_changed(found: dict[tuple[str, str], Finding]) -> None:
    assert [finding.name for finding in found.values() if not finding.ok and not finding.change] == []


def test_the_tests_run_on_a_kernel_that_will_do(found: dict[tuple[str, str], Finding]) -> None:
    assert all(found["kernel", name].ok for name in SYSTEM_CALLS)
    assert {name for group, name in found if group == "namespaces"} == set(NAMESPACES)


@pytest.mark.requires("root")
def test_root_can_start_containers(found: dict[tuple[str, str], Finding]) -> None:
    assert [finding for finding in found.values() if finding.needed and not finding.ok] == []
    assert not [path for path in os.listdir("/sys/fs/cgroup") if path.startswith("haconiwa-check-")]


def test_programs_are_those_installed(found: dict[tuple[str, str], Finding]) -> None:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    for name in PROGRAMS:
        assert found["programs", name].ok == (shutil.which(name, path=path) is not None), name


def test_namespaces_are_those_of_the_kernel(found: dict[tuple[str, str], Finding]) -> None:
    for name in NAMESPACES:
        if found["namespaces", name].ok:
            assert os.path.exists(f"/proc/self/ns/{'mnt' if name == 'mount' else name}")


def test_an_attempt_changes_nothing_here() -> None:
    def change() -> None:
        os.chdir("/")
        os.umask(0o777)

    folder, mask = os.getcwd(), os.umask(0o022)
    os.umask(mask)
    assert attempt(change) == 0
    assert (os.getcwd(), os.umask(mask)) == (folder, mask)


def test_an_attempt_tells_the_error_number() -> None:
    assert attempt(lambda: os.stat("/no/such/file")) == errno.ENOENT
    assert attempt(lambda: 1 // 0) == 255


def test_a_call_exists_unless_the_kernel_says_no() -> None:
    assert exists(lambda: os.stat("/no/such/file"))

    def absent() -> None:
        raise OSError(errno.ENOSYS, "not here")

    assert not exists(absent)


def test_a_file_that_cannot_be_read_is_empty() -> None:
    assert read_text("/no/such/file") == ""
    assert read_text("/proc/sys/kernel/ostype") == "Linux"


@pytest.mark.parametrize(
    ("versions", "layout"), [((), "none"), ((1,), "v1"), ((2,), "v2"), ((1, 2), "hybrid"), ((1, 1, 2), "hybrid")]
)
def test_layouts(versions: tuple[int, ...], layout: str) -> None:
    assert cgroup_layout(tuple(Hierarchy(version=version, mount_point="/x") for version in versions)) == layout

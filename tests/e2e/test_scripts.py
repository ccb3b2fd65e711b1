"""The scripts of the project do what HACKING.md and bench/README.md say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]


def run(*argv: str | Path, timeout_s: float, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd="/",
        env={**os.environ, **environ},
    )


@pytest.mark.requires("root")
def test_the_demo_shows_a_timer_beside_the_container(tmp_path: Path) -> None:
    demo = run(TREE / "scripts/demo", timeout_s=60, TMPDIR=str(tmp_path))
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Container successfully exited" in demo.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_demo_tells_an_ordinary_user_what_it_needs(session_dir: Path) -> None:
    script = shutil.copy2(TREE / "scripts/demo", session_dir)  # where an ordinary user can read it
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    demo = run(*become, "bash", script, timeout_s=20)
    assert demo.returncode == 1
    assert demo.stderr == 'error: the demo makes a container and needs root: run "sudo scripts/demo"\n'


@pytest.mark.requires("root", "busybox")
@pytest.mark.usefixtures("run_dirs")
def test_the_benchmark_measures_and_leaves_nothing() -> None:
    bench = run(TREE / "bench/run.py", "--rounds=2", "--only=haconiwa,unshare", "--json", timeout_s=60)
    assert bench.returncode == 0, bench.stderr
    samples = json.loads(bench.stdout)
    assert {name: len(rows) for name, rows in samples.items()} == {"haconiwa": 2, "unshare": 2}
    assert all(row["wall_ms"] > 0 for rows in samples.values() for row in rows)
    assert not list(Path("/sys/fs/cgroup").glob("**/haconiwa-bench-*"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.requires("root", "debootstrap")
def test_the_demo_runs_on_a_bare_debian() -> None:
    proof = run(TREE / "scripts/prove-minbase", timeout_s=580)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert "== scripts/demo passed" in proof.stdout


KERNELS = [
    pytest.param("qemu", marks=pytest.mark.requires("qemu", "kmod")),
    pytest.param("uml", marks=pytest.mark.requires("uml")),
]


@pytest.mark.slow
@pytest.mark.requires("root", "busybox")
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_virtual_machine_has_cgroup_v2_alone_and_this_machines_files(kernel: str, tmp_path: Path) -> None:
    script = "cat /proc/self/cgroup /sys/kernel/security/lsm; echo; cat vm.py; touch written; exit 7"
    tree = shutil.copytree(TREE / "tests/support/vm", tmp_path / "tree")
    (tree / "vm.py").write_text("from here\n", encoding="ascii")
    machine = subprocess.run(
        [TREE / "scripts/vm", "--kernel", kernel, "--timeout", "60", "sh", "-c", script],
        check=False, capture_output=True, text=True, timeout=80, cwd=tree, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    group, modules, content = machine.stdout.splitlines()
    assert machine.returncode == 7, machine.stderr
    assert (group, content) == ("0::/session", "from here")
    assert "apparmor" in modules.split(",")
    assert not (tree / "written").exists()


@pytest.mark.slow
@pytest.mark.requires("root", "busybox", "uml")
def test_a_virtual_machine_does_not_hang() -> None:
    machine = run(TREE / "scripts/vm", "--kernel=uml", "--timeout=0.1", "--", "cat", "/dev/zero", timeout_s=20)
    assert machine.returncode == 125
    assert machine.stderr == "error: the virtual machine ended without a status, or ran 0.1 s\n"


def test_without_the_packages_the_virtual_machine_says_what_to_install(tmp_path: Path) -> None:
    for program in ("true", "unshare"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    machine = run(sys.executable, TREE / "scripts/vm", "true", timeout_s=20, PATH=str(tmp_path))
    assert machine.returncode == 125
    assert machine.stderr.startswith("error: cannot start a virtual machine: ")

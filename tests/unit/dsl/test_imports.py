"""Loading a haco file is on the way to every start: what may be imported for it is counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3] / "src"

OURS = {
    "haconiwa", "haconiwa.dsl", "haconiwa.dsl.bootstrap", "haconiwa.dsl.builder", "haconiwa.dsl.execute",
    "haconiwa.dsl.filesystem", "haconiwa.dsl.freeze", "haconiwa.dsl.functions", "haconiwa.dsl.hooks",
    "haconiwa.dsl.live", "haconiwa.dsl.load", "haconiwa.dsl.loading", "haconiwa.dsl.mounts", "haconiwa.dsl.namespace",
    "haconiwa.dsl.node", "haconiwa.dsl.paths", "haconiwa.dsl.place", "haconiwa.dsl.privileges", "haconiwa.dsl.source",
    "haconiwa.dsl.supervision",
    "haconiwa.errors", "haconiwa.host", "haconiwa.host.paths", "haconiwa.image",
    "haconiwa.kernel", "haconiwa.kernel.names", "haconiwa.spec", "haconiwa.spec.build", "haconiwa.spec.model",
    "haconiwa.spec.names", "haconiwa.spec.record", "haconiwa.spec.seccomp", "haconiwa.spec.validate",
    "haconiwa.spec.values",
}  # fmt: skip
"""What a walk-through file needs; the rest of the package is loaded only by a file that asks for it."""

STANDARD = {"__future__", "_functools", "binascii", "errno", "itertools"}
"""What comes on top of an interpreter with `os` and `enum`, which every start has."""

SCRIPT = """
import enum, os, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
from haconiwa.dsl.load import load_file
load_file(sys.argv[2])
print(*sorted(set(sys.modules) - before - {"__haco__"}))
"""

FILE = """
from haconiwa import define

with define() as config:
    config.name = "web"
    config.init_command = ["/bin/sleep", "1"]
    root = config.chroot_to("/var/lib/haconiwa/web")
    with config.bootstrap as b:
        b.strategy = "lxc"
        b.os_type = "alpine"
    with config.provision as p:
        p.run_shell("true")
    config.add_mount_point("tmpfs", to=root / "tmp", fs="tmpfs")
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    config.namespace.unshare("mount", "ipc", "uts", "pid")
    config.resource.set_limit("NOFILE", 64)
    config.capabilities.allow("sys_admin")
    config.environ["A"] = "b"
    config.add_general_hook("before_fork", lambda base: None)
    config.add_async_hook(lambda base: None, sec=3)
"""


def test_what_a_load_imports(tmp_path: Path) -> None:
    (tmp_path / "web.haco").write_text(FILE)
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT, str(SOURCE), str(tmp_path / "web.haco")],
        env={"HACONIWA_CONFIG": str(tmp_path / "none")},
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(result.stdout.split())
    assert loaded - OURS - STANDARD == set()
    assert OURS - loaded == set()


def test_the_names_of_the_package_are_loaded_when_they_are_used() -> None:
    script = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import haconiwa; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, capture_output=True, text=True)
    assert [name for name in result.stdout.split() if name.startswith("haconiwa")] == ["haconiwa"]

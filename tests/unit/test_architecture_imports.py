"""What may be loaded on the way to a start: every module costs each start its time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

HEAVY = frozenset({
    "argparse", "asyncio", "contextlib", "ctypes", "dataclasses", "difflib", "inspect", "json", "logging", "pathlib",
    "re", "shutil", "socket", "subprocess", "tempfile", "textwrap", "typing",
})  # fmt: skip

LOADED_BY_A_START = frozenset(
    """
    __future__ __haco__ __main__ _abc _codecs _collections_abc _ctypes _frozen_importlib _frozen_importlib_external
    _functools _heapq _imp _io _signal _socket _stat _struct _thread _warnings _weakref abc binascii builtins codecs
    encodings encodings.aliases encodings.utf_8 errno fcntl gc genericpath heapq io itertools marshal os
    os.path posix posixpath select stat struct sys time types zipimport
    """.split()
)
"""Modules that are not ours and may be loaded when the container is cloned. What is longer here is slower there."""

OWN_COMMANDS = frozenset({"arguments", "late_site", "main", "output", "privilege", "progress", "start"})
"""Modules of haconiwa.cli that may be loaded then."""

WATCHED_START = """\
import gc, sys
source, result, *sys.argv[1:] = sys.argv[1:]
sys.path.insert(0, source)
from haconiwa.kernel import process

def clone3(*args, **options):
    with open(result, "w") as file:
        file.write("\\n".join([f"collecting={gc.isenabled()}", *sys.modules]))
    return real(*args, **options)

real, process.clone3 = process.clone3, clone3
from haconiwa.cli.main import main
sys.exit(main())
"""

ENTRIES = (
    "haconiwa",
    "haconiwa.cli.main",
    "haconiwa.cli.start",
    "haconiwa.dsl.load",
    "haconiwa.lifecycle.container",
    "haconiwa.supervisor.barn",
)


def loaded_by(module: str) -> set[str]:
    """The modules that an interpreter without site packages has loaded after one import."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); __import__(sys.argv[2]); print(*sys.modules)"
    argv = [sys.executable, "-I", "-S", "-B", "-c", code, str(SOURCE), module]
    return set(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("module", ENTRIES)
def test_nothing_heavy_is_loaded(module: str) -> None:
    assert sorted(loaded_by(module) & HEAVY) == []


def test_the_kernel_knows_nothing_of_containers() -> None:
    ours = {name for name in loaded_by("haconiwa.kernel.mount") if name.startswith("haconiwa.")}
    assert {name.split(".")[1] for name in ours} == {"kernel"}


@pytest.mark.requires("root", "busybox")
def test_what_is_loaded_when_the_container_is_cloned(
    busybox_root: Path, haco_file: Callable[[str], Path], run_dirs: object, tmp_path: Path
) -> None:
    del run_dirs  # its variables are in the environment
    file = haco_file(f"""
        from haconiwa import define

        with define() as config:
            config.init_command = "/bin/true"
            config.chroot_to({str(busybox_root)!r})
            config.mount_independent("procfs", "devtmpfs")
            config.namespace.unshare("mount", "pid", "ipc", "uts")
            config.add_general_hook("before_chroot", print)
            config.add_async_hook(print, sec=60)
    """)
    result = tmp_path / "modules"
    script = tmp_path / "watched.py"  # a file, since what -c is given makes Python 3.13 load linecache
    script.write_text(WATCHED_START, encoding="ascii")
    argv = [sys.executable, "-I", "-S", "-B", str(script), str(SOURCE), str(result), "start", str(file)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=30)
    collecting, *loaded_in_order = result.read_text(encoding="ascii").split()
    assert collecting == "collecting=False"
    loaded = set(loaded_in_order)
    own = {name for name in loaded if name.partition(".")[0] == "haconiwa"}
    assert sorted(loaded - own - LOADED_BY_A_START) == []
    assert sorted(name for name in own if name.startswith("haconiwa.build")) == []
    assert {name.split(".")[2] for name in own if name.startswith("haconiwa.cli.")} <= OWN_COMMANDS

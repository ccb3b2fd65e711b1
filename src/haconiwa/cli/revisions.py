"""``haconiwa revisions``: the versions of everything in use, for bug reports."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import subprocess
import sys

from haconiwa import __version__
from haconiwa.errors import HostError
from haconiwa.host.cgroups import hierarchies
from haconiwa.host.programs import find_program, program_environment
from haconiwa.kernel.files import openat2
from haconiwa.kernel.mount import AT, fsopen, mount_setattr, open_tree
from haconiwa.kernel.process import clone3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

DESCRIPTION = """\
Print the versions of haconiwa, Python, the C library, the kernel and the programs that it may call, and which features
of the kernel it can use here. Put the output into bug reports."""

PROGRAMS = {
    "criu": "--version", "debootstrap": "--version", "git": "--version", "ip": "-Version", "lxc-create": "--version",
    "nft": "--version", "tar": "--version", "xz": "--version", "zstd": "--version",
}  # fmt: skip
"""Programs that haconiwa may call, and what makes them tell their version."""

_NUMBER = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")
_NO_FD = 1 << 20  # above any limit of descriptors that a kernel allows by default
_TIMEOUT_S = 10
_ABSENT = {errno.ENOSYS, errno.EOPNOTSUPP, errno.E2BIG}


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("--json", action="store_true", help="print an object")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Ask everything and print it."""
    found = revisions()
    if arguments.json:
        output.result(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if isinstance(value, dict):
            output.result(f"{name}:")
            for key, item in value.items():
                output.result(f"  {key:<16} {_shown(item)}")
        else:
            output.result(f"{name:<18} {value}")
    return 0


def revisions() -> dict[str, object]:
    """All versions by name; None for a program that is not installed."""
    return {
        "haconiwa": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "libc": _libc(),
        "kernel": f"{platform.release()} {platform.machine()}",
        "programs": {name: _version_of(name, option) for name, option in PROGRAMS.items()},
        "features": features(),
    }


def features() -> dict[str, object]:
    """What this kernel offers to this user: True, False or words."""
    namespaces = sorted(name for name in os.listdir("/proc/self/ns") if not name.endswith("_for_children"))
    return {
        "cgroup layout": _cgroup_layout(),
        "namespaces": " ".join(namespaces),
        "user namespaces": _read("/proc/sys/user/max_user_namespaces") not in ("", "0"),
        "security modules": _read("/sys/kernel/security/lsm").replace(",", " "),
        "seccomp": bool(_read("/proc/sys/kernel/seccomp/actions_avail")),
        # Each call is made so that it must fail, with another error than that it does not exist.
        "clone3": _exists(lambda: clone3(0, cgroup_fd=_NO_FD)),
        "openat2": _exists(lambda: openat2(_NO_FD, "nothing", os.O_RDONLY)),
        "open_tree": _exists(lambda: open_tree(_NO_FD, "nothing")),
        "fsopen": _exists(lambda: fsopen("")),
        "mount_setattr": _exists(lambda: mount_setattr(_NO_FD, "", AT.EMPTY_PATH)),
        "pidfd": _exists(lambda: os.pidfd_open(0)),
    }


def _exists(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError as error:
        return error.errno not in _ABSENT
    return True


def _cgroup_layout() -> str:
    versions = {hierarchy.version for hierarchy in hierarchies()}
    return {frozenset(): "none", frozenset({1}): "v1", frozenset({2}): "v2"}.get(frozenset(versions), "hybrid")


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (OSError, ValueError):
        return "unknown"  # musl


def _version_of(name: str, option: str) -> str | None:
    try:
        argv = [find_program(name), option]
        answer = subprocess.run(
            argv,
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except HostError:
        return None
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = _NUMBER.search(answer.stdout.decode("utf-8", "replace"))
    return number[0] if number else "unknown"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "-")

"""``haconiwa revisions``: the versions of everything in use, for bug reports."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys

from haconiwa import __version__
from haconiwa.errors import HostError
from haconiwa.host.cgroups import cgroup_layout, hierarchies
from haconiwa.host.probes import SYSTEM_CALLS, exists, read_text
from haconiwa.host.programs import program_environment
from haconiwa.host.tools import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output

DESCRIPTION = """\
Print the versions of haconiwa, Python, the C library, the kernel and the programs that it may call, and which features
of the kernel it can use here. Put the output into bug reports."""

PROGRAMS = {
    "debootstrap": "--version", "git": "--version", "ip": "-Version", "lxc-create": "--version",
    "mksquashfs": "-version", "mmdebstrap": "--version", "nft": "--version", "skopeo": "--version", "tar": "--version",
    "tc": "-Version", "xz": "--version", "zstd": "--version",
}  # fmt: skip
"""Programs that haconiwa may call, and what makes them tell their version; newuidmap and newgidmap never do."""

_NUMBER = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")
_TIMEOUT_S = 10


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
        "cgroup layout": cgroup_layout(hierarchies()),
        "namespaces": " ".join(namespaces),
        "user namespaces": read_text("/proc/sys/user/max_user_namespaces") not in ("", "0"),
        "security modules": read_text("/sys/kernel/security/lsm").replace(",", " "),
        "seccomp": bool(read_text("/proc/sys/kernel/seccomp/actions_avail")),
        **{name: exists(call) for name, (_version, call) in SYSTEM_CALLS.items()},
    }


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


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "-")

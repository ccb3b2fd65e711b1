"""System call numbers, for the calls that the C library has no function for."""

from __future__ import annotations

import os
import sys

# since Linux 5.0 a new call has one number on all machines
_COMMON = {
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

NUMBERS = {
    "x86_64": {
        "rt_sigaction": 13,
        "capget": 125,
        "capset": 126,
        "pivot_root": 155,
        "keyctl": 250,
        "seccomp": 317,
        "bpf": 321,
        "renameat2": 316,
        "execveat": 322,
        **_COMMON,
    },
    "aarch64": {
        "rt_sigaction": 134,
        "capget": 90,
        "capset": 91,
        "pivot_root": 41,
        "keyctl": 219,
        "seccomp": 277,
        "bpf": 280,
        "renameat2": 276,
        "execveat": 281,
        **_COMMON,
    },
}
"""By machine as in uname(2), then by name. See: syscalls(2)"""


def machine() -> str:
    """The machine whose numbers this process must use.

    A 32-bit Python on a 64-bit kernel has other numbers than uname(2) makes one believe.
    """
    name = os.uname().machine
    return name if sys.maxsize > 2**32 else f"{name}, 32 bit"

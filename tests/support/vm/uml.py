"""User-mode Linux: a kernel that is a program of this machine's. Up in two seconds, and slow at starting programs.

Its root is this machine's through hostfs. Debian's has the controllers cpu, io, memory and pids.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.support.vm.guest import DIE_WITH_US, KERNEL_OPTIONS, Job, reported_status

WORDS = ("uml", "busybox")
"""What it needs, in the words of tests/support/requirements.py."""

_MODULES = Path("/usr/lib/uml/modules")

_PROLOGUE = """\
ROOT=/ RW=/run/rw NEW=/run/new
$B mount -t proc proc /proc
$B mount -t tmpfs -o mode=755,size=75% tmpfs /run
$B insmod {overlay}
"""

# switch_root would delete what the old root holds, and that is this machine's.
_EPILOGUE = """\
$B mkdir -p $NEW/lib/modules && $B mount --bind {modules} $NEW/lib/modules
$B mkdir -p $NEW{exchange} && $B mount -t hostfs -o {exchange} hostfs $NEW{exchange}
cd $NEW && $B mkdir -p old && $B pivot_root . old && cd / && $B umount -l /old && exec /bin/bash {exchange}/command
"""


def run(job: Job) -> int | None:
    """Run a job.

    Returns:
        The command's exit status; None when the guest has not told it.
    """
    with tempfile.TemporaryDirectory(prefix="haconiwa-vm-", dir="/var/tmp") as exchange:
        overlay = next(_MODULES.glob("*/kernel/fs/overlayfs/overlay.ko"))
        init = job.init_script(_PROLOGUE.format(overlay=overlay), _EPILOGUE.format(modules=_MODULES, exchange=exchange))
        for name, text in (("init", init), ("command", job.command_script("/dev/tty1", f"{exchange}/status"))):
            Path(exchange, name).write_text(text, encoding="utf-8")
        os.chmod(f"{exchange}/init", 0o755)
        _boot(job, exchange)
        status = Path(exchange, "status")
        return reported_status(status.read_text(encoding="ascii")) if status.exists() else None


def _boot(job: Job, exchange: str) -> None:
    root = ("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={exchange}/init")
    console = ("con=null", "con1=null,fd:1")
    argv = [*DIE_WITH_US, "linux.uml", f"mem={job.memory_mb}M", *root, *console, *KERNEL_OPTIONS]
    with open(f"{exchange}/log", "w", encoding="utf-8") as log:
        # the guest's processes are processes of this machine, in the session of its first one
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)
        try:
            process.wait(job.timeout_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

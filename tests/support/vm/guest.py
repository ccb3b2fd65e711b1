"""What a virtual machine is asked to do, and the shell script that is its first process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

KERNEL_OPTIONS = (
    "quiet", "loglevel=1", "panic=-1", "cgroup_no_v1=all", "security=apparmor", "apparmor=1",
)  # fmt: skip
"""For either kernel: nothing but cgroup v2, AppArmor on, and a machine that has crashed is off."""

DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Before a command line: no virtual machine outlives the one who asked for it."""

_PASSED_ON = ("HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE")

_FUNCTIONS = """\
#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
B=/bin/busybox

# The layer over the machine's files, and everything that a system mounts at its start.
# ROOT: the machine's files; RW: room for what is written; NEW: the guest's root.
build_root() {
    $B mkdir -p $RW/upper $RW/work $NEW
    $B mount -t overlay -o lowerdir=$ROOT,upperdir=$RW/upper,workdir=$RW/work overlay $NEW || return
    $B mount -t proc proc $NEW/proc
    $B mount -t sysfs sysfs $NEW/sys
    $B mount -t securityfs securityfs $NEW/sys/kernel/security
    $B mount -t bpf bpf $NEW/sys/fs/bpf
    $B mount -t devtmpfs dev $NEW/dev
    $B mkdir -p $NEW/dev/pts $NEW/dev/shm $NEW/dev/mqueue
    $B mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $NEW/dev/pts
    $B ln -sf pts/ptmx $NEW/dev/ptmx
    $B ln -sf /proc/self/fd $NEW/dev/fd
    $B mount -t tmpfs -o mode=1777 tmpfs $NEW/dev/shm
    $B mount -t mqueue mqueue $NEW/dev/mqueue
    $B mount -t tmpfs -o mode=755 tmpfs $NEW/run
    $B mkdir $NEW/run/lock
    $B mount -t tmpfs -o mode=1777 tmpfs $NEW/tmp
    $B ip link set lo up
    $B hostname vm
}

# All controllers for everybody, and this process, like a user's session, in a group of its own.
mount_cgroups() {
    $B mount -t cgroup2 -o nsdelegate cgroup2 $NEW/sys/fs/cgroup || return
    for controller in $($B cat $NEW/sys/fs/cgroup/cgroup.controllers); do
        echo +$controller > $NEW/sys/fs/cgroup/cgroup.subtree_control
    done
    $B mkdir $NEW/sys/fs/cgroup/session && echo 1 > $NEW/sys/fs/cgroup/session/cgroup.procs
}

# A folder that the guest's own /tmp or /run would hide.
show() {
    $B mkdir -p $NEW$1 $RW/shown/upper $RW/shown/work
    $B mount -t overlay -o lowerdir=$ROOT$1,upperdir=$RW/shown/upper,workdir=$RW/shown/work overlay $NEW$1
}
"""

_BECOME_SYSTEMD = """\
if [ $$ = 1 ]; then
    mkdir -p /run/systemd/system
    printf '[Service]\\nExecStart=/bin/bash %s\\n' "$0" > /run/systemd/system/job.service
    exec /lib/systemd/systemd --unit=job.service
fi
"""


class Job:
    """One command for a virtual machine.

    Attributes:
        command: The argv, executed as root.
        folder: Where it starts; a folder of this machine, shown in the guest.
        memory_mb: How much memory the guest has.
        timeout_s: After so many seconds the guest is ended.
        systemd: The guest's first process is systemd, and the command a service of its.
        environ: What the command's environment is.
    """

    def __init__(
        self, command: list[str], folder: str, memory_mb: int, timeout_s: float, *, systemd: bool = False
    ) -> None:
        self.command = command
        self.folder = os.path.realpath(folder)
        self.memory_mb = memory_mb
        self.timeout_s = timeout_s
        self.systemd = systemd
        self.environ = passed_on(os.environ)

    def init_script(self, prologue: str, epilogue: str) -> str:
        """The guest's first process.

        Args:
            prologue: Sets ROOT, RW, NEW and makes the first two usable.
            epilogue: Makes NEW the root and executes the command's script.
        """
        show = f"show {shlex.quote(self.folder)}" if self.folder.startswith(("/tmp/", "/run/")) else ":"
        return (
            f"{_FUNCTIONS}\n{prologue}\nbuild_root && mount_cgroups && {show} && {{\n{epilogue}\n}}\n$B poweroff -f\n"
        )

    def command_script(self, output: str, status: str) -> str:
        """What runs the command in the guest, and reports.

        Args:
            output: The device that is this machine's standard output.
            status: The file that takes the exit status.
        """
        exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in self.environ.items())
        return (
            f"{_BECOME_SYSTEMD if self.systemd else ''}{exports}cd {shlex.quote(self.folder)}\nstty raw -F {output}\n"
            f"{{ setsid -w {shlex.join(self.command)} < /dev/null 2>&1; echo exit $? > {status}; }} | cat > {output}\n"
            "sync\n/bin/busybox poweroff -f\n"
        )


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's environment the command gets."""
    return {key: value for key, value in environ.items() if key in _PASSED_ON or key.startswith("HACONIWA_")}


def reported_status(report: str) -> int | None:
    """The exit status in what the guest has written; None when it has not come so far."""
    for line in reversed(report.splitlines()):
        words = line.split()
        if len(words) == 2 and words[0] == "exit" and words[1].isdigit():
            return int(words[1])
    return None

"""Small root file systems made from Debian's static busybox."""

from __future__ import annotations

import os
import shutil

DIRECTORIES = (
    "bin", "dev", "etc", "home", "lib", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "var/tmp",
)  # fmt: skip

APPLETS = (
    "[", "ar", "awk", "basename", "cat", "chmod", "chown", "chroot", "cp", "cut", "date", "dd", "df", "dirname",
    "echo", "env", "expr", "false", "find", "free", "grep", "groups", "gzip", "head", "hostname", "httpd", "id", "ip",
    "kill", "killall", "ln", "ls", "mkdir", "mkfifo", "mknod", "mktemp", "mount", "mv", "nc", "nproc", "nsenter",
    "nslookup", "od", "ping", "printf", "ps", "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "seq", "setpriv",
    "setsid", "sh", "sha256sum", "sleep", "sort", "stat", "stty", "su", "sync", "sysctl", "tail", "tar", "tee", "test",
    "timeout", "top", "touch", "tr", "true", "truncate", "tty", "umount", "uname", "unlink", "unshare", "uptime", "vi",
    "wc", "wget", "which", "xargs", "yes",
)  # fmt: skip
"""What tests run in it. Each is an inode that thousands of copies make and remove, so there are no others."""

ETC = {
    "passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "alice:x:1000:1001:Alice:/home/alice:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/bin/false\n"
    ),
    "group": "root:x:0:\ndaemon:x:1:\naudio:x:29:alice\nalice:x:1001:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n",
    "resolv.conf": "",
    "os-release": "ID=busybox\nNAME=busybox\n",
}
"""Files of /etc. The user alice has a gid that differs from the uid, so that mixing them up shows."""


def make_busybox_root(path: str) -> str:
    """Make a root file system whose programs are busybox and links to it.

    Args:
        path: Host path of a directory that does not exist yet.

    Returns:
        The path.
    """
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError('busybox is not here: mark the test with requires("busybox")')
    for directory in DIRECTORIES:
        os.makedirs(os.path.join(path, directory))
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    shutil.copy2(busybox, os.path.join(path, "bin/busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(path, "bin", applet))
    for name, text in ETC.items():
        with open(os.path.join(path, "etc", name), "w", encoding="ascii") as file:
            file.write(text)
    return path


def make_deep(folder: str, depth: int, name: str = "d", many: int = 0) -> None:
    """Nested directories; with names of more than one letter the path is soon longer than the kernel takes.

    Args:
        folder: The directory in which they begin.
        depth: How many; the innermost holds the file ``last``.
        name: What each is called.
        many: How many directories more the innermost holds.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        inner_fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner_fd
    os.mknod("last", 0o600, dir_fd=fd)
    for number in range(many):
        os.mkdir(str(number), dir_fd=fd)
    os.close(fd)

"""``host``: a private skeleton over the host's own /usr, which is bound read-only when the container starts.

Only what everybody on the host may read is copied, so that no secret gets in, and no link that leads to somewhere else.
"""

from __future__ import annotations

import os
import stat

from haconiwa.build.accounts import system_accounts
from haconiwa.build.job import Job
from haconiwa.errors import BuildError, describe_errno
from haconiwa.host.usr import shared_links, shared_paths

LABEL = "the host's /usr"

_DIRECTORIES = {
    "dev": 0o755, "etc": 0o755, "home": 0o755, "media": 0o755, "mnt": 0o755, "opt": 0o755, "proc": 0o555,
    "root": 0o700, "run": 0o755, "run/lock": 0o1777, "srv": 0o755, "sys": 0o555, "tmp": 0o1777, "usr": 0o755,
    "var": 0o755, "var/cache": 0o755, "var/lib": 0o755, "var/lib/misc": 0o755, "var/local": 0o755, "var/log": 0o755,
    "var/mail": 0o1777, "var/opt": 0o755, "var/spool": 0o755, "var/tmp": 0o1777,
}  # fmt: skip

_LINKS = {"var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "../proc/self/mounts"}

_COPIED = (
    "alternatives", "bash.bashrc", "bashrc", "ca-certificates", "crypto-policies", "debian_version", "ethertypes",
    "fonts", "gai.conf", "host.conf", "inputrc", "issue", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias",
    "locale.conf", "localtime", "login.defs", "magic", "mime.types", "netconfig", "networks", "os-release",
    "pam.conf", "pam.d", "perl", "pki", "profile", "profile.d", "protocols", "python3", "redhat-release", "rpc",
    "security", "services", "shells", "skel", "ssl", "terminfo", "timezone", "vimrc", "vim", "xattr.conf",
)  # fmt: skip
"""Below /etc: what programs need to run, and to look and speak as on the host."""

_NEVER = frozenset({"opasswd", "private"})
"""Names of old passwords and private keys, whatever their modes say."""

_MANUAL_PAGES = ".gz"
"""Most of /etc/alternatives are links to pages; making hundreds of links is what would take the time."""

_NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
    "protocols: files\nservices: files\nethers: files\nrpc: files\n"
)

_FOR_EVERYBODY = stat.S_IROTH | stat.S_IXOTH
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def bootstrap(job: Job) -> None:
    """Make the skeleton. What it lies over is bound at start and provision, not here."""
    for path, mode in _DIRECTORIES.items():
        os.mkdir(os.path.join(job.root, path))
        os.chmod(os.path.join(job.root, path), mode)
    for path, target in _LINKS.items():
        os.symlink(target, os.path.join(job.root, path))
    for path, target in shared_links():
        os.symlink(target, job.root + path)
    shown = (*(job.words("paths") or shared_paths()), *job.words("extra"))
    for path in shown:
        _make_mount_point(job, path)
    _fill_etc(job, shown)


def _make_mount_point(job: Job, path: str) -> None:
    """An empty directory or file like the host's, so that nothing has to be made when it is bound."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise BuildError(f'cannot show "{path}" of the host', why=describe_errno(error.errno or 0)) from None
    target = job.root + os.path.normpath(path)
    if os.path.lexists(target):
        return
    if is_directory:
        os.makedirs(target, 0o755)
    else:
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        os.close(os.open(target, _NEW, 0o644))


def _fill_etc(job: Job, shown: tuple[str, ...]) -> None:
    passwd, group = system_accounts()
    texts = {
        "passwd": passwd,
        "group": group,
        "nsswitch.conf": _NSSWITCH,
        "hostname": f"{job.spec.hostname or job.spec.name}\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        "resolv.conf": "",
    }
    target_fd = os.open(os.path.join(job.root, "etc"), _DIRECTORY)
    source_fd = os.open("/etc", _DIRECTORY)
    try:
        for name, text in texts.items():
            with open(
                os.open(name, _NEW, 0o644, dir_fd=target_fd), "w", encoding="utf-8", errors="surrogateescape"
            ) as file:
                file.write(text)
        copier = _Copier(tuple(path.rstrip("/") + "/" for path in ("/etc", *shown)))
        for name in _COPIED:
            copier.copy("/etc", name, source_fd, target_fd)
    finally:
        os.close(source_fd)
        os.close(target_fd)


class _Copier:
    """Copies what everybody may read.

    Args:
        visible: Host folders that will be there in the container; a link to anywhere else is left out.
    """

    def __init__(self, visible: tuple[str, ...]) -> None:
        self._visible = visible

    def copy(self, folder: str, name: str, source_fd: int, target_fd: int) -> None:
        """Copy one entry of a directory, with all that is below; pass over what is missing or not for everybody.

        Args:
            folder: Host path of the directory.
            name: The entry.
            source_fd: The directory.
            target_fd: Where the copy goes.
        """
        try:
            mode = os.stat(name, dir_fd=source_fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                self._copy_link(folder, name, source_fd, target_fd)
            elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
                _copy_file(name, source_fd, target_fd, mode & 0o755)
            elif stat.S_ISDIR(mode) and mode & _FOR_EVERYBODY == _FOR_EVERYBODY:
                self._copy_directory(os.path.join(folder, name), name, source_fd, target_fd)
        except FileNotFoundError:
            return

    def _copy_link(self, folder: str, name: str, source_fd: int, target_fd: int) -> None:
        target = os.readlink(name, dir_fd=source_fd)
        if os.path.normpath(os.path.join(folder, target)).startswith(self._visible):
            os.symlink(target, name, dir_fd=target_fd)

    def _copy_directory(self, path: str, name: str, source_fd: int, target_fd: int) -> None:
        os.mkdir(name, 0o755, dir_fd=target_fd)
        inner_source_fd = os.open(name, _DIRECTORY, dir_fd=source_fd)
        inner_target_fd = os.open(name, _DIRECTORY, dir_fd=target_fd)
        try:
            for inner in os.listdir(inner_source_fd):
                if inner not in _NEVER and not inner.endswith(_MANUAL_PAGES):
                    self.copy(path, inner, inner_source_fd, inner_target_fd)
        finally:
            os.close(inner_source_fd)
            os.close(inner_target_fd)


def _copy_file(name: str, source_fd: int, target_fd: int, mode: int) -> None:
    reading_fd = os.open(name, _FILE, dir_fd=source_fd)
    try:
        writing_fd = os.open(name, _NEW, mode, dir_fd=target_fd)
        try:
            os.fchmod(writing_fd, mode)
            while os.sendfile(writing_fd, reading_fd, None, 1 << 20):
                pass
        finally:
            os.close(writing_fd)
    finally:
        os.close(reading_fd)

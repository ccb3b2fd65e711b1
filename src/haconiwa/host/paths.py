"""Where things are kept on this machine. ``HACONIWA_*`` environment variables override each, for tests.

An ordinary user has all of it for itself, in the folders of the XDG base directory specification.
"""

from __future__ import annotations

import os
import stat

from haconiwa.errors import HostError, describe_errno

_SET_UP = 'log in anew, run "loginctl enable-linger", or set XDG_RUNTIME_DIR to a folder of yours with mode 0700'


def run_dir() -> str:
    """Folder of the state of running containers, one folder each: /run/haconiwa, or $XDG_RUNTIME_DIR/haconiwa.

    Raises:
        HostError: An ordinary user has no folder for this that is safe.
    """
    if given := os.environ.get("HACONIWA_RUN_DIR"):
        return given
    if os.geteuid() == 0:
        return "/run/haconiwa"
    folder = _runtime_folder()
    _require_private(folder)
    return f"{folder}/haconiwa"


def _runtime_folder() -> str:
    return os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"


def _require_private(folder: str) -> None:
    """Whoever could write there could tell us to end any process of ours, or take the place of a supervisor."""
    why = ""
    try:
        status = os.stat(folder, follow_symlinks=False)
    except OSError as error:
        why = describe_errno(error.errno or 0)
    else:
        if not stat.S_ISDIR(status.st_mode) or not folder.startswith("/"):
            why = "it is no directory with an absolute path"
        elif status.st_uid != os.geteuid():
            why = f"it belongs to user {status.st_uid}"
        elif stat.S_IMODE(status.st_mode) != 0o700:
            why = f"others can look into it (mode {stat.S_IMODE(status.st_mode):04o})"
    if why:
        what = f'user {os.geteuid()} cannot keep the state of containers in "{folder}"'
        raise HostError(what, why=why, hint=_SET_UP)


def absolute(path: str) -> str:
    """A path from the root on, of one that may begin in the working directory.

    Raises:
        HostError: It does, and that directory is gone.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        why, hint = "the current directory does not exist any more", "cd into one that does"
        raise HostError(f'cannot find "{path}"', why=why, hint=hint) from None


def _folder(variable: str, system: str, xdg_variable: str, default: str) -> str:
    """The folder that a variable names, or root's, or an ordinary user's own.

    Raises:
        HostError: An ordinary user's would be somebody else's, or nothing says where it is.
    """
    if given := os.environ.get(variable):
        return given
    if os.geteuid() == 0:
        return system
    above = os.environ.get(xdg_variable, "")
    if not above.startswith("/"):  # to be ignored, says the specification
        home = os.environ.get("HOME", "")
        if not home.startswith("/"):
            what = f"cannot tell where the folder of {variable} is"
            raise HostError(what, why="HOME is not set", hint=f"set it, or {xdg_variable}")
        above = f"{home}/{default}"
    folder = f"{above}/haconiwa"
    try:
        status = os.stat(folder)
    except OSError:
        return folder  # made by whoever needs it, or the reason why not is said then
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        why = f"it belongs to user {status.st_uid}, or others can write to it"
        raise HostError(f'user {os.geteuid()} cannot use "{folder}"', why=why, hint=f"unset {xdg_variable}")
    return folder


_CHOWN = "chown it, or set trusted_uids in the global config"


def folder_fault(folder: str, trusted_uids: tuple[int, ...] = ()) -> tuple[str, str] | None:
    """How others could exchange what is below a folder, and what would mend it; None when nobody could.

    Args:
        folder: Host path without links; each folder above it counts too.
        trusted_uids: Who may do so besides root and the caller.
    """
    while not (fault := fault_of(folder, os.stat(folder), trusted_uids)) and folder != "/":
        folder = os.path.dirname(folder)
    return fault


def fault_of(path: str, status: os.stat_result, trusted_uids: tuple[int, ...] = ()) -> tuple[str, str] | None:
    """As `folder_fault`, of one file or folder alone. The group of root has no member whom root does not trust."""
    mode = status.st_mode
    if status.st_uid not in (0, os.geteuid(), *trusted_uids):
        return f'"{path}" belongs to user {status.st_uid}, not to root or to you', _CHOWN
    sticky_folder = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
    if mode & (stat.S_IWGRP if status.st_gid else 0) | mode & stat.S_IWOTH and not sticky_folder:
        return f'others can write to "{path}" (mode {mode & 0o7777:04o})', "chmod go-w it"
    return None


def network_dir() -> str:
    """Folder of what containers have leased: addresses, bridges, ports. No container can have its name."""
    return os.path.join(run_dir(), ".network")


def lib_dir() -> str:
    """Folder below which root file systems are made by default: /var/lib/haconiwa, or $XDG_DATA_HOME/haconiwa."""
    return _folder("HACONIWA_LIB_DIR", "/var/lib/haconiwa", "XDG_DATA_HOME", ".local/share")


def log_dir() -> str:
    """Folder of the logs of daemon containers and their supervisors: /var/log/haconiwa, or $XDG_STATE_HOME/haconiwa."""
    return _folder("HACONIWA_LOG_DIR", "/var/log/haconiwa", "XDG_STATE_HOME", ".local/state")


def log_file(name: str) -> str:
    """What a daemon container prints: /var/log/haconiwa/NAME.log."""
    return os.path.join(log_dir(), f"{name}.log")


def supervisor_log_file(name: str) -> str:
    """What the supervisor of a daemon container prints, its hooks included."""
    return os.path.join(log_dir(), f"{name}.supervisor.log")


def events_file() -> str:
    """What happened to all containers: /var/log/haconiwa/events.jsonl."""
    return os.path.join(log_dir(), "events.jsonl")


def cache_dir() -> str:
    """Folder of what can be made again: /var/cache/haconiwa, or $XDG_CACHE_HOME/haconiwa."""
    return _folder("HACONIWA_CACHE_DIR", "/var/cache/haconiwa", "XDG_CACHE_HOME", ".cache")


def global_config() -> str:
    """The file executed before each haco file: /etc/haconiwa.conf.py."""
    return os.environ.get("HACONIWA_CONFIG", "/etc/haconiwa.conf.py")


def default_pid_file(name: str) -> str:
    """Where a container's supervisor writes its pid unless told otherwise: /run/haconiwa-NAME.pid.

    Of an ordinary user it is below $XDG_RUNTIME_DIR, which need not be there to look at a haco file.
    """
    given = os.environ.get("HACONIWA_RUN_DIR")
    folder = os.path.dirname(given) if given else _runtime_folder() if os.geteuid() else "/run"
    return os.path.join(folder, f"haconiwa-{name}.pid")


def own_folders() -> dict[str, str]:
    """The caller's folders by their variables, for the environment of a process that becomes somebody else."""
    return {
        "HACONIWA_RUN_DIR": run_dir(),
        "HACONIWA_LIB_DIR": lib_dir(),
        "HACONIWA_LOG_DIR": log_dir(),
        "HACONIWA_CACHE_DIR": cache_dir(),
    }


def journal_socket() -> str:
    """Where journald takes messages: /run/systemd/journal/socket."""
    return os.environ.get("HACONIWA_JOURNAL", "/run/systemd/journal/socket")


def syslog_socket() -> str:
    """Where a syslog daemon takes messages: /dev/log."""
    return os.environ.get("HACONIWA_SYSLOG", "/dev/log")


def subid_file(kind: str) -> str:
    """Who may use which subordinate ids; `kind` is ``uid`` or ``gid``: /etc/subuid, /etc/subgid."""
    return os.environ.get(f"HACONIWA_SUB{kind.upper()}", f"/etc/sub{kind}")

"""Where things are kept on this machine. ``HACONIWA_*`` environment variables override each, for tests."""

from __future__ import annotations

import os


def run_dir() -> str:
    """Folder of the state of running containers, one folder each: /run/haconiwa."""
    return os.environ.get("HACONIWA_RUN_DIR", "/run/haconiwa")


def network_dir() -> str:
    """Folder of what containers have leased: addresses, bridges, ports. No container can have its name."""
    return os.path.join(run_dir(), ".network")


def lib_dir() -> str:
    """Folder below which root file systems are made by default: /var/lib/haconiwa."""
    return os.environ.get("HACONIWA_LIB_DIR", "/var/lib/haconiwa")


def log_dir() -> str:
    """Folder of the logs of daemon containers and their supervisors: /var/log/haconiwa."""
    return os.environ.get("HACONIWA_LOG_DIR", "/var/log/haconiwa")


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
    """Folder of what can be made again: /var/cache/haconiwa."""
    return os.environ.get("HACONIWA_CACHE_DIR", "/var/cache/haconiwa")


def global_config() -> str:
    """The file executed before each haco file: /etc/haconiwa.conf.py."""
    return os.environ.get("HACONIWA_CONFIG", "/etc/haconiwa.conf.py")


def default_pid_file(name: str) -> str:
    """Where a container's supervisor writes its pid unless told otherwise: /run/haconiwa-NAME.pid."""
    return os.path.join(os.path.dirname(run_dir()), f"haconiwa-{name}.pid")


def journal_socket() -> str:
    """Where journald takes messages: /run/systemd/journal/socket."""
    return os.environ.get("HACONIWA_JOURNAL", "/run/systemd/journal/socket")


def syslog_socket() -> str:
    """Where a syslog daemon takes messages: /dev/log."""
    return os.environ.get("HACONIWA_SYSLOG", "/dev/log")


def subid_file(kind: str) -> str:
    """Who may use which subordinate ids; `kind` is ``uid`` or ``gid``: /etc/subuid, /etc/subgid."""
    return os.environ.get(f"HACONIWA_SUB{kind.upper()}", f"/etc/sub{kind}")

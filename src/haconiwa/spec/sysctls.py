"""Names and values of kernel parameters that a container may have for itself. See: sysctl(8), proc_sys(5)."""

from __future__ import annotations

from haconiwa.spec.values import Refused, environ_value, show, text

_IPC = (
    "kernel.auto_msgmni", "kernel.msg_next_id", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.sem_next_id", "kernel.shm_next_id", "kernel.shm_rmid_forced", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni",
)  # fmt: skip
_UTS = {"kernel.hostname": "hostname", "kernel.domainname": "domainname"}
_VALUE_MAX = 4000


def sysctl_name(value: object) -> str:
    """A parameter's name with dots; slashes may be written too, and separate when the first separator is one."""
    plain = text(value, "the name of a kernel parameter")
    if plain.lstrip("abcdefghijklmnopqrstuvwxyz0123456789_-")[:1] == "/":
        plain = plain.translate({ord("."): "/", ord("/"): "."})
    parts = plain.replace("/", ".").split(".")
    if "" in parts or not plain.isascii() or " " in plain:
        raise Refused(f"{show(plain)} is not the name of a kernel parameter such as net.ipv4.ip_forward")
    if plain in _UTS:
        raise Refused(f"{show(plain)} is a setting of its own", f"set {_UTS[plain]}")
    namespace_of(plain)
    return plain


def sysctl_value(value: object) -> str:
    """What is written into it: a number, or text on one line."""
    plain = text(environ_value(value), "text or a number")
    if len(plain) > _VALUE_MAX:
        raise Refused(f"is longer than {_VALUE_MAX} characters")
    return plain


def namespace_of(name: str) -> str:
    """The kind of namespace that a parameter belongs to.

    Raises:
        Refused: It belongs to the whole host.
    """
    if name.startswith("net."):
        return "net"
    if name in _IPC or name.startswith("fs.mqueue."):
        return "ipc"
    raise Refused(
        f"{show(name)} belongs to the whole host", "a container has net.*, fs.mqueue.*, kernel.shm*, kernel.msg*, sem"
    )


def path_of(name: str) -> str:
    """The path below /proc/sys: a slash in the dotted name stands for a dot in the file's."""
    return name.translate({ord("."): "/", ord("/"): "."})

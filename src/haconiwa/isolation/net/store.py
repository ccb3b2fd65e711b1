"""What containers and bridges have taken on this machine, in files below `network_dir`.

::

    lock                      held while anything here is looked at or changed
    bridges/NAME              a bridge of ours
    containers/NAME/lease     what a container has; written before it is made
                    lock      held by its supervisor for life
                    hosts, resolv.conf   shown in its /etc

Lines of words, because JSON would cost a start 5 ms. The folder is there only while something is in it.
"""

from __future__ import annotations

import os
import time

from haconiwa.errors import HostError
from haconiwa.host.descriptors import is_at, write_beside
from haconiwa.host.paths import network_dir
from haconiwa.kernel.locks import lock_until, path_is_locked, try_lock
from haconiwa.spec.network import Interface
from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NOTHING = "-"
_LOCKED_WITHIN_S = 60.0


class Bridge(Record):
    """A bridge that containers connect to.

    Attributes:
        address, address6: Its own, with the length of the network; empty for none.
        mtu: Bytes of the largest packet.
        ours: We made it: false for one that somebody else looks after.
        on_demand: It goes with its last container.
    """

    name: str
    address: str
    address6: str = ""
    mtu: int = 1500
    ours: bool = True
    on_demand: bool = True


class Lease(Record):
    """What one container has taken.

    Attributes:
        names: What it is called by others.
        interfaces: Its interfaces.
        published: Elements of our table, as (map, element).
        namespace: Its name below /run/netns; empty for none.
        cleanup: What was made on the host goes with the container.
        hosts: Further lines of its /etc/hosts, as (address, name).
    """

    name: str
    names: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    published: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    cleanup: bool = True
    hosts: tuple[tuple[str, str], ...] = ()

    def uses(self, bridge: str) -> bool:
        """Whether it has an interface at a bridge."""
        return any(interface.bridge == bridge for interface in self.interfaces)


class Store:
    """The folder, locked until `close`: nobody else changes it, nor the bridges, meanwhile.

    Every other start and end of a container with a network waits: nothing that may take long, such as printing, is
    to be done meanwhile.

    Args:
        timeout_s: How long to wait for others.

    Raises:
        HostError: Another process has it still.
    """

    def __init__(self, timeout_s: float = _LOCKED_WITHIN_S) -> None:
        self.folder = network_dir()
        self._fd = self._lock(timeout_s)

    def _lock(self, timeout_s: float) -> int:
        path = f"{self.folder}/lock"
        deadline = time.monotonic() + timeout_s
        while True:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            try:
                fd = os.open(path, _OPEN_LOCK, 0o600)
            except FileNotFoundError:
                continue  # removed meanwhile
            try:
                if not lock_until(fd, deadline):
                    why = f"another process holds it still after {timeout_s:g} s"
                    raise HostError(f'cannot lock "{path}"', why=why, hint=f"fuser -v {path} shows which")
                if is_at(fd, path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others in; an empty folder goes."""
        for name in ("bridges", "containers"):
            _remove_empty(f"{self.folder}/{name}")
        if os.listdir(self.folder) == ["lock"]:
            os.unlink(f"{self.folder}/lock")
            _remove_empty(self.folder)
        os.close(self._fd)

    def bridges(self) -> list[Bridge]:
        """All bridges of ours, by name."""
        found = (self.bridge(name) for name in _names(f"{self.folder}/bridges"))
        return [bridge for bridge in found if bridge is not None]

    def bridge(self, name: str) -> Bridge | None:
        """One bridge of ours; None also for a damaged record."""
        lines = _read(f"{self.folder}/bridges/{name}")
        words = next((words for kind, *words in lines if kind == "bridge" and len(words) == 4), None)
        if words is None or not words[2].isdigit():
            return None
        return Bridge(name=name, address=words[0], address6=words[1], mtu=int(words[2]), on_demand=words[3] == "1")

    def record_bridge(self, bridge: Bridge) -> None:
        """Remember a bridge of ours."""
        os.makedirs(f"{self.folder}/bridges", mode=0o700, exist_ok=True)
        words = ("bridge", bridge.address, bridge.address6, str(bridge.mtu), "1" if bridge.on_demand else "0")
        write_beside(f"{self.folder}/bridges/{bridge.name}", _line(*words))

    def forget_bridge(self, name: str) -> None:
        """Forget a bridge."""
        _unlink(f"{self.folder}/bridges/{name}")

    def names(self) -> list[str]:
        """The containers of which there are files here."""
        return _names(f"{self.folder}/containers")

    def leases(self) -> list[Lease]:
        """All leases, by the container's name."""
        found = (self.lease(name) for name in self.names())
        return [lease for lease in found if lease is not None]

    def lease(self, name: str) -> Lease | None:
        """What a container has; see `read_lease`."""
        return read_lease(name)

    def container_folder(self, name: str) -> str:
        """The folder of one container's files."""
        return container_folder(name)

    def record(self, lease: Lease) -> None:
        """Remember what a container has, before it is made."""
        os.makedirs(self.container_folder(lease.name), mode=0o700, exist_ok=True)
        text = _line("names", *lease.names)
        text += "".join(_line("interface", *_words(interface)) for interface in lease.interfaces)
        text += "".join(_line("publish", *element) for element in lease.published)
        text += "".join(_line("host", *host) for host in lease.hosts)
        text += _line("set", "namespace", lease.namespace) + _line("set", "cleanup", "1" if lease.cleanup else "0")
        write_beside(f"{self.container_folder(lease.name)}/lease", text)

    def hold(self, name: str) -> int:
        """Hold a container's lease for as long as the descriptor is open.

        Raises:
            BlockingIOError: Another process holds it.
        """
        os.makedirs(self.container_folder(name), mode=0o700, exist_ok=True)
        fd = os.open(f"{self.container_folder(name)}/lock", _OPEN_LOCK, 0o600)
        if not try_lock(fd):
            os.close(fd)
            raise BlockingIOError(name)
        return fd

    def is_held(self, name: str) -> bool:
        """Whether a living supervisor holds a lease."""
        return path_is_locked(f"{self.container_folder(name)}/lock")

    def forget(self, name: str) -> None:
        """Forget what a container had."""
        for file in ("hosts", "resolv.conf", "lease", "lease.new", "lock"):
            _unlink(f"{self.container_folder(name)}/{file}")
        _remove_empty(self.container_folder(name))


def container_folder(name: str) -> str:
    """The folder of one container's files, on the host."""
    return f"{network_dir()}/containers/{name}"


def read_lease(name: str) -> Lease | None:
    """What a container has; None for nothing, and for a damaged record."""
    lines = _read(f"{container_folder(name)}/lease")
    found: dict[str, list[list[str]]] = {}
    for kind, *words in lines:
        found.setdefault(kind, []).append(words)
    interfaces = found.get("interface", [])
    if "names" not in found or not all(_is_interface(words) for words in interfaces):
        return None
    flags = dict(words for words in found.get("set", []) if len(words) == 2)
    return Lease(
        name=name,
        names=tuple(found["names"][0]),
        interfaces=tuple(_interface(words) for words in interfaces),
        published=tuple((words[0], " ".join(words[1:])) for words in found.get("publish", []) if len(words) > 1),
        namespace=flags.get("namespace", ""),
        cleanup=flags.get("cleanup", "1") == "1",
        hosts=tuple((words[0], words[1]) for words in found.get("host", []) if len(words) == 2),
    )


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.endswith(".new"))
    except FileNotFoundError:
        return []


def _read(path: str) -> list[list[str]]:
    """The lines of a file as words; nothing for a file that is missing or damaged."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [["" if word == _NOTHING else word for word in line] for line in lines if line]


def _line(*words: str) -> str:
    return " ".join(word or _NOTHING for word in words) + "\n"


def _words(interface: Interface) -> list[str]:
    return [str(getattr(interface, field)) for field in interface._fields]


def _interface(words: list[str]) -> Interface:
    values: dict[str, Any] = dict(zip(Interface._fields, words, strict=True))
    values["mtu"] = int(values["mtu"])
    return Interface(**values)


def _is_interface(words: list[str]) -> bool:
    return len(words) == len(Interface._fields) and words[-1].isdigit()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        pass  # gone, or in use

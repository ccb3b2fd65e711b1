"""What is known of a container while it exists: one directory below the run directory, ``state.json`` and ``lock``.

The lock is held by the supervisor for life and says who is alive; the file says everything else. It is written beside
and renamed, so that a reader never sees half of it.
"""

from __future__ import annotations

import os
import stat
import time

from haconiwa.errors import ContainerError, HostError, describe_errno
from haconiwa.host.descriptors import is_at, write_beside
from haconiwa.host.paths import run_dir
from haconiwa.isolation.groups import is_populated, kill_groups, remove_groups
from haconiwa.kernel.locks import path_is_locked, try_lock
from haconiwa.lifecycle.identity import NOBODY, Identity, boot_id, is_alive
from haconiwa.lifecycle.json_text import to_json
from haconiwa.spec.record import Record, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LARGEST_STATE = 4 << 20
_OPEN_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class State(Record):
    """A container as its supervisor recorded it.

    Attributes:
        name: The container's.
        haco_file: Real path of the file it was started from.
        status: creating, created, running or stopped, as recorded; see `live_status`.
        init: The container's first process; `NOBODY` before there is one.
        supervisor: The process that looks after it.
        created_at: Seconds since the epoch.
        boot_id: The boot in which all of this was true.
        cgroups: Its groups, absolute paths.
        pid_file: Where the supervisor's pid was written.
        health: ``ready``, ``unhealthy``, or empty while nothing is known.
        config: The effective configuration, as plain values.
    """

    name: str
    haco_file: str
    status: str
    init: Identity = NOBODY
    supervisor: Identity = NOBODY
    created_at: float = 0.0
    boot_id: str = ""
    cgroups: tuple[str, ...] = ()
    pid_file: str = ""
    health: str = ""
    config: Mapping[str, Any]

    @property
    def root(self) -> str:
        """Path of the root file system on the host; "/" without one of its own."""
        rootfs = self.config.get("rootfs")
        return rootfs["path"] if rootfs else "/"


class Claim:
    """The right to be the one supervisor of a name, for as long as this process or one that it has forked holds it.

    Args:
        name: The container's.
        adopts: Whether to go on with what an earlier supervisor has left; otherwise that is cleared away.

    Attributes:
        stale: What that one recorded; None for nothing.

    Raises:
        ContainerError: Another supervisor has it, or processes of an earlier one are still there.
    """

    def __init__(self, name: str, *, adopts: bool = False) -> None:
        self.name = name
        self.folder = os.path.join(run_dir(), name)
        self._config: Mapping[str, Any] = {}
        self._config_text = "{}"
        self._lock_fd = lock_name(self.folder, name, "adopt it" if adopts else "start")
        try:
            self.stale = read_state(name) if adopts else self._take_over()
            if adopts and self.stale is None:
                remove_folder(self.folder)  # the lock has made it
        except BaseException:
            self.leave()
            raise

    def _take_over(self) -> State | None:
        """Clear away what an earlier supervisor of this name could not."""
        try:
            stale = read_state(self.name)
        except ContainerError as error:
            self._refuse_processes(error)
            stale = None
        if stale is None:
            return None
        if stale.boot_id == boot_id() and is_alive(stale.init):
            raise ContainerError(
                "cannot start",
                why=f"its program still runs as pid {stale.init.pid} though its supervisor is gone",
                hint=f"run haconiwa start --adopt {stale.haco_file}, or haconiwa stop {self.name} first",
                subject=self.name,
            )
        clear_leftovers(stale)
        from haconiwa.lifecycle.events import append_event  # which needs this module

        append_event(self.name, "removed", why="its supervisor was killed")
        return stale

    def _refuse_processes(self, unreadable: ContainerError) -> None:
        """Let nobody forget a container whose record cannot be read while something runs in its groups."""
        from haconiwa.lifecycle.damaged import groups_of

        if any(map(is_populated, groups_of(self.name))):
            raise unreadable

    def record(self, state: State) -> None:
        """Write the state for others to read; the configuration, most of the text, is made into one only once.

        Raises:
            ContainerError: It cannot be written; ENOENT when the folder is gone.
        """
        if state.config is not self._config:
            self._config, self._config_text = state.config, to_json(state.config)
        head = to_json({key: to_plain(getattr(state, key)) for key in state._fields if key != "config"})
        path = os.path.join(self.folder, "state.json")
        try:
            write_beside(path, f'{head[:-1]}, "config": {self._config_text}}}')
        except OSError as error:
            why, number = describe_errno(error.errno or 0), error.errno or 0
            what = f'cannot record its state in "{path}"'
            raise ContainerError(what, why=why, subject=self.name, errno=number) from error

    def fileno(self) -> int:
        """The descriptor that holds the lock, for those who fork without handing it on."""
        return self._lock_fd

    def release(self) -> None:
        """Forget the container: its directory goes, and with it the lock, unless it is another one's by now."""
        try:
            if is_at(self._lock_fd, f"{self.folder}/lock"):
                remove_folder(self.folder)
        finally:
            self.leave()

    def leave(self) -> None:
        """Let go of it while a forked process goes on with it."""
        os.close(self._lock_fd)


def lock_name(folder: str, name: str, wanted: str) -> int:
    """Open and lock the lock file of a name, making its folder.

    Args:
        folder: Of that name, below the run directory.
        name: The container's.
        wanted: What cannot be done while another process has the lock.

    Returns:
        The descriptor that holds the lock.

    Raises:
        ContainerError: Another process has it.
    """
    while True:
        fd = _open_lock(folder)
        if not try_lock(fd):
            os.close(fd)
            raise ContainerError(
                f"cannot {wanted}",
                why="it is already running",
                hint=f"see haconiwa ps, or run haconiwa stop {name}",
                subject=name,
            )
        # The former owner may have removed the file between our open and our lock.
        if is_at(fd, f"{folder}/lock"):
            return fd
        os.close(fd)


def _open_lock(folder: str) -> int:
    while True:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        status = os.stat(folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise ContainerError(f'cannot use "{folder}"', why="it is not a directory of ours")
        try:
            return os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | _OPEN_FILE, 0o600)
        except FileNotFoundError:
            continue  # removed by the former owner meanwhile


def remove_folder(folder: str) -> None:
    """Remove the folder of a name, and with it the lock, which the caller holds."""
    for name in ("control", "state.json", "state.json.new", "lock"):
        try:
            os.unlink(os.path.join(folder, name))
        except (FileNotFoundError, IsADirectoryError):
            continue
    try:
        os.rmdir(folder)
    except OSError:
        pass  # gone, or something that is not ours is in it


def read_state(name: str) -> State | None:
    """What was recorded of a container; None when there is nothing.

    Raises:
        ContainerError: The record cannot be read.
    """
    path = os.path.join(run_dir(), name, "state.json")
    try:
        fd = os.open(path, os.O_RDONLY | _OPEN_FILE)
        with open(fd, "rb") as file:
            return _parse(file.read(_LARGEST_STATE))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = f"haconiwa stop {name} ends what runs under that name and removes the record"
        raise ContainerError(f'cannot read "{path}"', why=str(error), hint=hint, subject=name) from None


def _parse(content: bytes) -> State:
    import json  # only readers need it; a start writes alone

    data = json.loads(content)
    for key in ("init", "supervisor"):
        data[key] = Identity(pid=int(data[key]["pid"]), started_at=int(data[key]["started_at"]))
    data["cgroups"] = tuple(str(path) for path in data["cgroups"])
    state = State(**data)
    if not isinstance(state.config, dict) or not isinstance(state.name, str):
        raise TypeError("a field has the wrong type")
    return state


def live_status(state: State) -> str:
    """What is true now.

    Returns:
        Under a living supervisor the recorded status, or ``stopping`` once the first process is gone and hooks still
        run; else ``orphaned`` or ``stopped``.
    """
    if state.boot_id != boot_id():
        return "stopped"
    if is_supervised(state.name):
        return state.status if state.init == NOBODY or is_alive(state.init) else "stopping"
    return "orphaned" if is_alive(state.init) else "stopped"


def is_supervised(name: str) -> bool:
    """Whether a living supervisor has the lock of a name."""
    return path_is_locked(os.path.join(run_dir(), name, "lock"))


def list_states(unreadable: list[ContainerError] | None = None) -> list[State]:
    """All recorded containers, oldest first.

    Args:
        unreadable: Gets the error for each record that cannot be read; it is passed over otherwise.
    """
    try:
        names = os.listdir(run_dir())
    except FileNotFoundError:
        return []
    states = []
    for name in names:
        try:
            state = read_state(name)
        except ContainerError as error:
            if unreadable is not None:
                unreadable.append(error)
            continue
        if state is not None:
            states.append(state)
    return sorted(states, key=lambda state: (state.created_at, state.name))


def find_states(name_or_file: str) -> list[State]:
    """The containers of that name, or else those started from that haco file. The file is not executed.

    Raises:
        ContainerError: There is none, or the record of that name cannot be read.
    """
    states = list_states()
    found = [state for state in states if state.name == name_or_file]
    if not found:
        path = recorded_file(name_or_file)
        found = [state for state in states if state.haco_file == path]
    if not found and "/" not in name_or_file:
        read_state(name_or_file)
    if not found:
        raise ContainerError(f'cannot find a container "{name_or_file}"', hint="haconiwa ps lists those that exist")
    return found


def recorded_file(word: str) -> str:
    """What records call the haco file that a word of a command line means.

    Without a working directory, since it was removed, a word that begins there means no file.
    """
    try:
        return os.path.realpath(word)
    except FileNotFoundError:
        return word


def clear_leftovers(state: State) -> None:
    """Remove what a dead supervisor left of a container that has ended: groups, its pid file, a layer to throw away.

    Without a pid namespace the first process may have left others; they are killed, as at any end.
    """
    if state.boot_id == boot_id() and "pid" not in state.config.get("namespaces", ("pid",)):
        kill_groups(without_those_of_others(state.name, state.cgroups))
    remove_groups(state.cgroups)  # waits for what was killed a moment ago
    if state.status == "created":
        _remove_kept_namespaces(state)
    if state.pid_file:
        remove_pid_file(state.pid_file, state.supervisor.pid)
    if folder := thrown_layer(state):
        _remove_layer(state.name, folder)


def thrown_layer(state: State) -> str:
    """The folder of the layer that does not outlive the container; empty for none."""
    rootfs = state.config.get("rootfs") or {}
    if not rootfs.get("ephemeral"):
        return ""
    from haconiwa.host.layers import layer_folder

    return layer_folder(rootfs["path"], state.name, ephemeral=True)


def _remove_layer(name: str, folder: str) -> None:
    from haconiwa.isolation.overlay import remove_layer

    try:
        remove_layer(folder)
    except OSError as error:
        why = describe_errno(error.errno or 0)
        raise HostError(f'cannot remove its layer "{folder}"', why=why, subject=name) from error


def without_those_of_others(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The groups that no other container has, whose cgroup_name may be the same.

    Args:
        name: The container's.
        groups: Absolute paths.
    """
    others = {path for state in list_states() if state.name != name for path in state.cgroups}
    return tuple(path for path in groups if path not in others)


def _remove_kept_namespaces(state: State) -> None:
    """Those of a start that was not finished: its paths were checked before, so nothing else can be there."""
    kept = state.config.get("persisted_namespaces")
    if not kept:
        return
    from haconiwa.isolation.persistence import remove_kept

    for namespace in kept:
        remove_kept(namespace["path"])


def remove_pid_file(path: str, pid: int) -> None:
    """Remove a pid file if it still holds that pid."""
    try:
        fd = os.open(path, os.O_RDONLY | _OPEN_FILE)
    except OSError:
        return
    try:
        content = os.read(fd, 32)
    except OSError:
        return
    finally:
        os.close(fd)
    if content.strip() == str(pid).encode():
        try:
            os.unlink(path)
        except OSError:
            pass  # it is gone already, or nothing can be removed there: no reason to leave the rest


def now() -> float:
    """Seconds since the epoch, to the millisecond."""
    return round(time.time(), 3)

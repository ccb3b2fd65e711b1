"""Work of an ordinary user on files of its containers: in a user namespace that maps the ids they belong to.

See: user_namespaces(7)
"""

from __future__ import annotations

import errno
import os
import sys

from haconiwa.errors import EXIT_FAILURE, HostError, describe_errno
from haconiwa.host.own_ids import KINDS, is_own_id, own_id, own_mappings
from haconiwa.host.paths import own_folders
from haconiwa.isolation.idmap import is_mapped
from haconiwa.isolation.own_maps import WriteOwnIdMaps
from haconiwa.kernel import signals as signal
from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.process import clone3, set_pdeathsig
from haconiwa.spec.model import IdMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from haconiwa.spec.model import ContainerSpec

    Maps = tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]]

_GO_ON = b"M"
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)


def maps_to_build(container: ContainerSpec) -> Maps:
    """The maps of a container, and the caller's own ids beside them, to whom the folders around its root belong."""
    maps = (container.uid_mappings, container.gid_mappings)
    return tuple(_with_own(kind, mappings) for kind, mappings in zip(KINDS, maps, strict=True))  # type: ignore[return-value]


def _with_own(kind: str, mappings: tuple[IdMapping, ...]) -> tuple[IdMapping, ...]:
    own = own_id(kind)
    if is_mapped(own, mappings):
        return mappings
    free = max(mapping.container_id + mapping.size for mapping in mappings)
    return (*mappings, IdMapping(container_id=free, host_id=own, size=1))


def maps_to_remove() -> Maps:
    """All ids that the caller has: whatever a container has left behind belongs to one of them."""
    return own_mappings("uid"), own_mappings("gid")


def work_as_owner(work: Callable[[], None], container: ContainerSpec | None = None) -> None:
    """Work on files of containers with the rights of whoever owns them: an ordinary user's in a namespace of its own.

    Args:
        work: What is to be done.
        container: Whose map that namespace has; None for all ids of the user.

    Raises:
        HostError: The namespace was refused.
        OSError: The work has failed.
    """
    if os.geteuid() == 0:
        return work()
    maps = maps_to_build(container) if container else maps_to_remove()
    if number := run_in_own_namespace(maps, lambda: _number_of_failure(work)):
        raise OSError(number, os.strerror(number))
    return None


def _number_of_failure(work: Callable[[], None]) -> int:
    try:
        work()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def run_in_own_namespace(maps: Maps, work: Callable[[], int]) -> int:
    """Do some work as root of a new user namespace, with mounts of its own, in a child of this process.

    The caller's folders stay the ones that are used. Signals to end are passed on, and what the work undoes then is
    waited for.

    Args:
        maps: Of user and of group ids.
        work: Runs in the child, which leaves by `os._exit` with its result.

    Returns:
        The result, 128+n when signal n ended the child.

    Raises:
        HostError: The namespace was refused, or its maps.
    """
    folders, keeps_groups = own_folders(), is_own_id("gid", maps[1])
    sys.stdout.flush()
    sys.stderr.flush()
    reading_fd, writing_fd = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    try:
        try:
            pid, pidfd = clone3(CLONE.NEWUSER | CLONE.NEWNS)
        except SyscallError as error:
            why = describe_errno(error.errno or 0)
            hint = "haconiwa check --host says how users may make them"
            raise HostError("cannot make a user namespace", why=why, hint=hint) from None
        if pid == 0:
            os.close(writing_fd)
            _live_as_root(reading_fd, mask, folders, keeps_groups=keeps_groups, work=work)
        _give_maps(pid, pidfd, writing_fd, maps)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return _wait(pidfd)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(reading_fd)
        os.close(writing_fd)


def _give_maps(pid: int, pidfd: int, writing_fd: int, maps: Maps) -> None:
    try:
        WriteOwnIdMaps(*maps).write(pid)
        os.write(writing_fd, _GO_ON)
    except BaseException:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _wait(pidfd)
        raise


def _wait(pidfd: int) -> int:
    """The exit status of the child. What interrupts the wait is passed on, and the child waited for all the same."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    except SystemExit:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except KeyboardInterrupt:
        pass  # the terminal has told the child too
    finally:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
    assert result is not None  # noqa: S101 - only WNOHANG answers None
    return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status


def _live_as_root(
    reading_fd: int, mask: set[int], folders: dict[str, str], *, keeps_groups: bool, work: Callable[[], int]
) -> NoReturn:
    """The child's whole life."""
    status = EXIT_FAILURE
    try:
        set_pdeathsig(signal.SIGKILL)
        if os.read(reading_fd, 1) == _GO_ON:
            os.close(reading_fd)
            os.environ.update(folders)
            if not keeps_groups:
                os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            set_pdeathsig(signal.SIGKILL)  # which changed ids disarm
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            status = work()
    except OSError as error:
        line = f"error: cannot become root of a user namespace: {describe_errno(error.errno or 0)}\n"
        os.write(2, line.encode())
    finally:
        os._exit(status)

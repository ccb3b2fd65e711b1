"""What only root may do, and how an ordinary user does the rest."""

from __future__ import annotations

import os

from haconiwa.errors import EXIT_FAILURE, HaconiwaError, HostError, InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.isolation.own_namespace import Maps
    from haconiwa.spec.model import BarnSpec, ContainerSpec

_NOUNS = frozenset({"events", "gc", "images", "logs", "network", "new --bridge"})


def require_root(command: str) -> None:
    """Refuse before anything is done.

    Raises:
        HostError: The caller is not root.
    """
    if os.geteuid() != 0:
        hint = f"sudo haconiwa {command} …"
        verb = f"use {command}" if command in _NOUNS else command
        raise HostError(f"cannot {verb} as user {os.geteuid()}", why="it needs root", hint=hint)


def as_caller_may(spec: BarnSpec, command: str) -> BarnSpec:
    """A haco file as the caller can use it: an ordinary user only in user namespaces.

    Raises:
        HostError: It takes root.
        ConfigError: Something in it takes root.
    """
    if os.geteuid() == 0:
        return spec
    from haconiwa.lifecycle.ordinary import as_ordinary

    return as_ordinary(spec, command)


def with_files_of(container: ContainerSpec, work: Callable[[], int]) -> int:
    """Work on the files of a container with the rights of whoever owns them: an ordinary user's in its user namespace.

    Args:
        container: As `as_caller_may` gave it.
        work: What is to be done; its result is an exit status.
    """
    if os.geteuid() == 0:
        return work()
    from haconiwa.isolation.own_namespace import maps_to_build

    return _as_owner(maps_to_build(container), work)


def with_files_of_all(work: Callable[[], int]) -> int:
    """Work on whatever the caller's containers have left: an ordinary user with all ids that it has."""
    if os.geteuid() == 0:
        return work()
    from haconiwa.isolation.own_namespace import maps_to_remove

    return _as_owner(maps_to_remove(), work)


def _as_owner(maps: Maps, work: Callable[[], int]) -> int:
    from haconiwa.isolation.own_namespace import run_in_own_namespace

    return run_in_own_namespace(maps, lambda: _told(work))


def _told(work: Callable[[], int]) -> int:
    """The exit status of some work; what goes wrong is said here, because no exception leaves the process."""
    from haconiwa.cli.output import print_error

    try:
        return work()
    except HaconiwaError as error:
        print_error(error)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_FAILURE
    except Exception as error:
        print_error(InternalError("internal error", why=f"{type(error).__name__}: {error}"))
        return EXIT_FAILURE

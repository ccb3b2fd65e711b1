"""A container held by the calling process from its start to its end."""

from __future__ import annotations

from haconiwa.errors import ContainerError
from haconiwa.lifecycle.identity import wait_for_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.lifecycle.container import Container

_KILLED_WITHIN_S = 5.0


def run_to_end(
    container: Container,
    beside: Callable[[], None] = lambda: None,
    *,
    wake_fd: int = -1,
    is_interrupted: Callable[[], bool] | None = None,
) -> int:
    """Start a container, wait for its end, and clean up.

    Args:
        container: Not started yet.
        beside: Called once its program runs.
        wake_fd: As for `Container.start`.
        is_interrupted: As for `Container.start`.

    Returns:
        The exit status, 128+n when signal n ended it.

    Raises:
        HaconiwaError: It could not be started.
        ContainerError: It was to be killed, and others in its container do not let it end.
        BaseException: Whatever passes through, KeyboardInterrupt above all, kills everything inside first.
    """
    try:
        container.start(wake_fd=wake_fd, is_interrupted=is_interrupted)
        beside()
        return container.reap()
    except BaseException:
        if not container.kill() and not wait_for_end(container.pidfd, _KILLED_WITHIN_S):
            container.abandon()
            why = "another process inside holds it by ptrace(2)"
            raise ContainerError("its command does not end by KILL", why=why, subject=container.spec.name) from None
        if container.pidfd >= 0:
            container.reap()
        raise
    finally:
        container.clean_up()

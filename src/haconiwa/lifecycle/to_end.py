"""A container held by the calling process from its start to its end."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.lifecycle.container import Container


def run_to_end(container: Container, beside: Callable[[], None] = lambda: None) -> int:
    """Start a container, wait for its end, and clean up.

    Args:
        container: Not started yet.
        beside: Called once its program runs.

    Returns:
        The exit status, 128+n when signal n ended it.

    Raises:
        HaconiwaError: It could not be started.
        BaseException: Whatever passes through, KeyboardInterrupt above all, kills everything inside first.
    """
    try:
        container.start()
        beside()
        return container.reap()
    except BaseException:
        container.kill()
        if container.pidfd >= 0:
            container.reap()
        raise
    finally:
        container.clean_up()

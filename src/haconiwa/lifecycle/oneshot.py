"""A container run to its end by the calling process: for provisioning, and for programs that want one result."""

from __future__ import annotations

import os

from haconiwa.host.cgroups import hierarchies
from haconiwa.host.descriptors import memory_file
from haconiwa.isolation.step import Site
from haconiwa.lifecycle.container import Container
from haconiwa.lifecycle.plan import plan_start
from haconiwa.lifecycle.program import CallFunction
from haconiwa.lifecycle.to_end import run_to_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from haconiwa.spec.model import ContainerSpec


def run_once(
    spec: ContainerSpec,
    *,
    stdin: bytes = b"",
    output_fd: int,
    function: Callable[[], object] | None = None,
) -> int:
    """Run a container and wait for its end.

    Args:
        spec: The container; its name must not be in use.
        stdin: What its program reads, then the end of file.
        output_fd: Where its stdout and stderr go.
        function: Runs inside instead of the spec's program.

    Returns:
        The exit status, 128+n when signal n ended it.

    Raises:
        HaconiwaError: It could not be started.
        BaseException: Whatever passes through, KeyboardInterrupt above all, kills everything inside first.
    """
    site = Site(spec)
    stdin_fd = memory_file(stdin)
    site.stdio_fds = (stdin_fd, output_fd, output_fd)
    program = CallFunction(function) if function else None
    try:
        return run_to_end(Container(spec, plan_start(spec, hierarchies(), program=program, holds_root=True), site))
    finally:
        os.close(stdin_fd)

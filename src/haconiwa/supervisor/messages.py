"""What barns and supervisors say of themselves."""

from __future__ import annotations

import sys

from haconiwa.errors import HaconiwaError, unexpected
from haconiwa.host.descriptors import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.supervisor.own_log import OwnLog
    from haconiwa.supervisor.syslog import Syslog

ERROR, WARNING, INFO = 3, 4, 6
"""How much a message matters, as in syslog(3)."""

_log: OwnLog | None = None
_syslog: Syslog | None = None


def use_log(log: OwnLog) -> None:
    """Keep the log that this process prints to from growing without end."""
    global _log  # noqa: PLW0603 - like stdout and stderr it belongs to the process
    _log = log


def use_syslog(syslog: Syslog) -> None:
    """Send what this process and those forked from it say to the log of the machine as well."""
    global _syslog  # noqa: PLW0603 - like stdout and stderr it belongs to the process
    _syslog = syslog


def speak_for(name: str) -> None:
    """What is said from now on is said by the supervisor of that container."""
    if _syslog:
        _syslog.take_over(name)


def flush() -> None:
    """Let what hooks have printed come before what is said next, which may begin another log."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        pass  # the disk is full, or a hook has closed it; the container goes on
    if _log:
        _log.renew()


def report(error: HaconiwaError) -> None:
    """An error, where the barn has led stderr."""
    flush()
    lines = error.lines()
    write_all(2, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    if _syslog:
        _syslog.send(ERROR, lines)


def say(text: str, priority: int = INFO) -> None:
    """A line, where the barn has led stdout."""
    flush()
    write_all(1, f"{text}\n".encode("utf-8", "surrogateescape"))
    if _syslog:
        _syslog.send(priority, [text])


def as_failure(error: Exception, subject: str, *, debug: bool = False) -> HaconiwaError:
    """What an exception that ends a barn or a supervisor is to a user.

    Args:
        error: The exception.
        subject: The container or file concerned.
        debug: Print its traceback.

    Returns:
        One of ours as it is; what the machine has refused, in the kernel's words; anything else is a bug.
    """
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, HaconiwaError):
        error.subject = error.subject or subject
        return error
    return unexpected("cannot go on", error, subject)

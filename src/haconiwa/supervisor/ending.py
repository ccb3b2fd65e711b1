"""Why a container has ended, as far as that can be known."""

from __future__ import annotations

from haconiwa.isolation.groups import oom_kills
from haconiwa.kernel import signals as signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.lifecycle.container import Container
    from haconiwa.supervisor.watch import Watch


def describe_end(container: Container, watch: Watch, signalled_by: str | None) -> dict[str, object]:
    """The details of the event ``exited``.

    Args:
        container: Has ended; its groups are still there.
        watch: Over it.
        signalled_by: Who sent the signal that ended it; None when that is not known.

    Returns:
        ``exit_status`` and ``reason``: exit, signal, timeout (it did not heed TERM in time), oom or seccomp; with a
        signal its name, and ``by`` where that is known. Of one that was adopted the reason may be ``unknown``, and
        there is no status.
    """
    if container.end_unknown:
        return {"reason": "unknown", "by": watch.stopped_by or None}
    number = container.exit_signal
    if not number:
        return {"exit_status": container.exit_status, "reason": "exit", "by": watch.stopped_by or None}
    by = signalled_by or watch.stopped_by or None
    reason = "signal"
    if watch.killed_late and number == signal.SIGKILL:
        reason = "timeout"
    elif number == signal.SIGSYS and signalled_by is None:
        reason = "seccomp"
    elif number == signal.SIGKILL and by is None and oom_kills(container.site.cgroup_paths):
        reason = "oom"
    name = signal.signal_name(number)
    return {"exit_status": container.exit_status, "reason": reason, "signal": name, "by": by}

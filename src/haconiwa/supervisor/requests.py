"""What a supervisor answers to those who ask it over its control socket."""

from __future__ import annotations

from haconiwa.errors import ContainerError, HaconiwaError, unexpected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.supervisor.control import Answer, Peer, Request
    from haconiwa.supervisor.supervisor import Supervisor

_LONGEST_S = 366 * 86400.0


def answer(supervisor: Supervisor, request: Request, peer: Peer) -> Answer:
    """Do what a request asks for.

    Returns:
        ``{"ok": true}`` and what was asked, or ``{"ok": false}`` with the lines of the error.
    """
    try:
        found = _ANSWERS.get(str(request.get("do")))
        if found is None:
            raise ContainerError(f'cannot "{request.get("do")}"', why=f"it takes {' '.join(_ANSWERS)}")
        return {"ok": True, **found(supervisor, request, peer)}
    except HaconiwaError as error:
        return {"ok": False, "error": error.lines()}
    except Exception as error:  # a request is no reason to end the container
        return {"ok": False, "error": unexpected("cannot answer", error).lines()}


def _status(supervisor: Supervisor, _request: Request, _peer: Peer) -> Answer:
    state = supervisor.state
    return {
        "name": state.name,
        "status": state.status,
        "pid": state.init.pid or None,
        "supervisor_pid": state.supervisor.pid,
        "created_at": state.created_at,
        "stopping": supervisor.stop_asked,
    }


def _note(supervisor: Supervisor, request: Request, peer: Peer) -> Answer:
    """Somebody is about to send signals by itself.

    With ``final`` the container shall not be started again; with ``late`` it did not heed TERM in time.
    """
    numbers, by = request.get("signals"), request.get("by")
    if not isinstance(numbers, list) or not isinstance(by, str):
        raise ContainerError("the note lacks signals or by")
    for number in numbers:
        if supervisor.watch and isinstance(number, int):
            supervisor.watch.note_signal(number, f"{by} (pid {peer.pid}, uid {peer.uid})")
    if supervisor.watch and request.get("late") is True:
        supervisor.watch.killed_late = True
    if request.get("final") is True:
        supervisor.stop_asked = True
    return {}


def _stop(supervisor: Supervisor, request: Request, peer: Peer) -> Answer:
    timeout_s = request.get("timeout_s")
    if timeout_s is not None and not (type(timeout_s) in (int, float) and 0 <= timeout_s <= _LONGEST_S):
        raise ContainerError(f"timeout_s is no number from 0 to {_LONGEST_S:.0f}")
    supervisor.stop(f"a request of pid {peer.pid}, uid {peer.uid}", timeout_s)
    return {}


def _events(_supervisor: Supervisor, _request: Request, _peer: Peer) -> Answer:
    """The events themselves follow, see `haconiwa.supervisor.control`."""
    return {}


def _reload(supervisor: Supervisor, request: Request, _peer: Peer) -> Answer:
    """Other limits, as the command has read them from the haco file."""
    from haconiwa.supervisor.reload import apply

    return {"changes": apply(supervisor, request.get("data") or {})}


def _stats(supervisor: Supervisor, _request: Request, _peer: Peer) -> Answer:
    """What the container uses now; the processor's share is the average since its start."""
    from haconiwa.lifecycle.measure import describe, measure

    return describe(measure(supervisor.state, supervisor.state.status))


_ANSWERS = {
    "status": _status,
    "stats": _stats,
    "stop": _stop,
    "events": _events,
    "note": _note,
    "reload": _reload,
}

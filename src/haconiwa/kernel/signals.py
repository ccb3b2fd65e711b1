"""The functions and numbers of the standard library's ``signal``, as plain integers.

The module itself only wraps them into enumerations, and importing ``enum`` for that would take a tenth of the time of a
whole start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

SIG_BLOCK = int(_signal.SIG_BLOCK)
SIG_SETMASK = int(_signal.SIG_SETMASK)
SIG_DFL = _signal.SIG_DFL
SIG_IGN = _signal.SIG_IGN
SIGHUP = int(_signal.SIGHUP)
SIGINT = int(_signal.SIGINT)
SIGKILL = int(_signal.SIGKILL)
SIGTERM = int(_signal.SIGTERM)
SIGALRM = int(_signal.SIGALRM)
SIGCHLD = int(_signal.SIGCHLD)
SIGSTOP = int(_signal.SIGSTOP)
SIGSYS = int(_signal.SIGSYS)
SIGTTIN = int(_signal.SIGTTIN)
SIGTTOU = int(_signal.SIGTTOU)
SIGUSR1 = int(_signal.SIGUSR1)
SIGUSR2 = int(_signal.SIGUSR2)
SIGWINCH = int(_signal.SIGWINCH)

ITIMER_REAL = int(_signal.ITIMER_REAL)

signal = _signal.signal
getsignal = _signal.getsignal
setitimer = _signal.setitimer
set_wakeup_fd = _signal.set_wakeup_fd
pthread_sigmask = _signal.pthread_sigmask
pidfd_send_signal = _signal.pidfd_send_signal
valid_signals = _signal.valid_signals


def signal_number(sig: int | str) -> int:
    """A signal's number from its number or name, with or without ``SIG``.

    Raises:
        ValueError: There is no such signal.
    """
    if isinstance(sig, str) and not (sig.isascii() and sig.isdecimal()):
        name = sig.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        number = None if name.startswith("SIG_") else getattr(_signal, name, None)
    else:
        number = int(sig) if int(sig) in valid_signals() else None
    if number is None:
        raise ValueError(f'unknown signal "{sig}"')
    return int(number)


def signal_name(number: int) -> str:
    """The name of a signal, ``SIGTERM``; the number as text for a real-time signal without one."""
    for name in dir(_signal):
        if name.startswith("SIG") and not name.startswith("SIG_") and getattr(_signal, name) == number:
            return name
    return str(number)

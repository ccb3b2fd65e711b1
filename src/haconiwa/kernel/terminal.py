"""Pseudo terminals by descriptor, so that no path of a container's /dev is ever trusted."""

from __future__ import annotations

import os
import struct

from haconiwa.kernel.ioctl import ioctl, ioctl_structure


def unlock_pty(master_fd: int) -> None:
    """Lets the other end of a new pseudo terminal be opened.

    Raises:
        SyscallError: ENOTTY (no pty master), EIO, EBADF.

    See: TIOCSPTLCK(2const)
    """
    ioctl_structure(master_fd, "TIOCSPTLCK", struct.pack("i", 0))


def open_pty_peer(master_fd: int, flags: int = os.O_RDWR | os.O_NOCTTY) -> int:
    """Opens the other end of a pseudo terminal, whatever devpts is mounted where.

    Args:
        master_fd: An open /dev/ptmx, unlocked.
        flags: ``os.O_*``; O_CLOEXEC is added.

    Raises:
        SyscallError: EIO (still locked), ENOTTY (no pty master), EMFILE, EBADF.

    See: TIOCGPTPEER(2const)
    """
    return ioctl(master_fd, "TIOCGPTPEER", flags | os.O_CLOEXEC)


def get_window_size(fd: int) -> tuple[int, int]:
    """(rows, columns) of a terminal; zeros when nobody has set it.

    Raises:
        SyscallError: ENOTTY (no terminal), EIO (hung up), EBADF.

    See: TIOCGWINSZ(2const)
    """
    rows, columns, _, _ = struct.unpack("4H", ioctl_structure(fd, "TIOCGWINSZ", bytes(8)))
    return rows, columns


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Sets it; the foreground process group gets SIGWINCH if it differs. Raises as `get_window_size`.

    See: TIOCSWINSZ(2const)
    """
    ioctl_structure(fd, "TIOCSWINSZ", struct.pack("4H", rows, columns, 0, 0))


def set_controlling_terminal(fd: int) -> None:
    """Makes the terminal that of the calling session, which must have none yet.

    Raises:
        SyscallError: EPERM (not a session leader, or the terminal belongs to another session), ENOTTY, EBADF.

    See: TIOCSCTTY(2const)
    """
    ioctl(fd, "TIOCSCTTY", 0)

"""Reading a log that others append to, and that may be put aside for a new one while it is read."""

from __future__ import annotations

import os
import select

from haconiwa.kernel.inotify import IN, inotify_add_watch, inotify_init1

_CHUNK = 1 << 16


class Follower:
    """A log file and what comes to it.

    Args:
        path: The file; its folder exists, it itself need not yet.
        at: Where in the file to begin.
    """

    def __init__(self, path: str, at: int = 0) -> None:
        self._path = path
        self._fd = -1
        self._rest = b""
        self._inotify_fd = inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        inotify_add_watch(self._inotify_fd, os.path.dirname(path), IN.MODIFY | IN.CREATE | IN.MOVED_TO)
        if self._open():
            os.lseek(self._fd, at, os.SEEK_SET)

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._inotify_fd)
        if self._fd >= 0:
            os.close(self._fd)

    def read(self) -> bytes:
        """What has come since the last call; the rest of a file that was put aside comes before its successor."""
        content = b""
        while True:
            chunk = os.read(self._fd, _CHUNK) if self._fd >= 0 else b""
            content += chunk
            if not chunk and not self._open():
                return content

    def read_lines(self) -> list[bytes]:
        """The whole lines that have come; the beginning of one waits for its end."""
        *lines, self._rest = (self._rest + self.read()).split(b"\n")
        return lines

    def wait(self, other_fd: int = -1, timeout_s: float | None = None) -> None:
        """Wait until something may have come, or another descriptor is readable."""
        fds = [fd for fd in (self._inotify_fd, other_fd) if fd >= 0]
        select.select(fds, [], [], timeout_s)
        try:
            os.read(self._inotify_fd, _CHUNK)
        except BlockingIOError:
            pass

    def _open(self) -> bool:
        """Open the file if it is another one than before, or the first."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        if self._fd >= 0 and os.path.samestat(os.fstat(fd), os.fstat(self._fd)):
            os.close(fd)
            return False
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        return True

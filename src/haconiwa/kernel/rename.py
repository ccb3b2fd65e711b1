"""Renaming with more than rename(2) can."""

from __future__ import annotations

from haconiwa.kernel.foreign import c_char_p, c_int, c_ulong
from haconiwa.kernel.libc import encode, raw_syscall, syscall_error
from haconiwa.kernel.names import KernelFlag


class RENAME(KernelFlag):
    """Flags of renameat2(2)."""

    NOREPLACE = 1
    EXCHANGE = 2


_renameat2 = raw_syscall("renameat2", c_int, c_char_p, c_int, c_char_p, c_ulong)


def renameat2(olddirfd: int, oldpath: str, newdirfd: int, newpath: str, flags: int = 0) -> None:
    """Gives a file another name, or exchanges two with `RENAME.EXCHANGE`.

    Args:
        olddirfd: Where a relative `oldpath` starts.
        oldpath: As seen from there.
        newdirfd: Where a relative `newpath` starts.
        newpath: As seen from there.
        flags: `RENAME`.

    Raises:
        SyscallError: ENOENT, EXDEV (another mount), EBUSY (a mount point), EEXIST (with `RENAME.NOREPLACE`), EINVAL
            (the file system cannot do it).

    See: renameat2(2)
    """
    if _renameat2(olddirfd, encode(oldpath), newdirfd, encode(newpath), flags) < 0:
        raise syscall_error("renameat2", olddirfd, oldpath, newdirfd, newpath, RENAME(flags))

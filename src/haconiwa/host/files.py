"""Small things about files that several parts need."""

from __future__ import annotations

import hashlib
import os

_CHUNK = 1 << 20


def sha256_of(fd: int) -> str:
    """The SHA-256 of an open file, in hexadecimal; its offset is at the beginning afterwards."""
    os.lseek(fd, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    while chunk := os.read(fd, _CHUNK):
        digest.update(chunk)
    os.lseek(fd, 0, os.SEEK_SET)
    return digest.hexdigest()

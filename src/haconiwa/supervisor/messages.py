"""What barns and supervisors print."""

from __future__ import annotations

import os
import sys

from haconiwa.errors import HaconiwaError


def report(error: HaconiwaError) -> None:
    """An error, where the barn has led stderr."""
    sys.stdout.flush()
    os.write(2, "".join(f"{line}\n" for line in error.lines()).encode("utf-8", "surrogateescape"))

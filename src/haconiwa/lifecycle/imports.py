"""No Python is imported once the root is the container's: its files would run with the host's privileges."""

from __future__ import annotations

import os
import sys
import time

from haconiwa.isolation.step import CHILD, INSIDE, Site, Step
from haconiwa.kernel.libc import use_built_in_name_services


class _Refuse:
    """The only finder left: whatever is not loaded yet is not to be had."""

    @staticmethod
    def find_spec(name: str, *_where: object) -> None:
        raise ImportError(f'cannot import "{name}" inside the container: import it at the top of the haco file')


class KeepTimeZone(Step):
    """Read the host's time zone while its root is there; without TZ the C library reads the file again and again."""

    def __init__(self, place: str = CHILD) -> None:
        super().__init__(place)

    def describe(self) -> str:
        return "read the time zone"

    def execute(self, site: Site) -> None:
        os.environ.setdefault("TZ", ":/etc/localtime")
        time.tzset()


class RefuseImports(Step):
    """Let nothing be imported any more; what is loaded stays usable."""

    def __init__(self) -> None:
        super().__init__(INSIDE)

    def describe(self) -> str:
        return "refuse further imports"

    def execute(self, site: Site) -> None:
        use_built_in_name_services()
        sys.dont_write_bytecode = True
        sys.meta_path[:] = [_Refuse]
        sys.path.clear()
        sys.path_hooks.clear()
        sys.path_importer_cache.clear()

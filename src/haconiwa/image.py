"""The modules of a start in one file.

A start loads about a hundred small modules. To find, open and check each of them takes the interpreter longer than to
run them, so what one start has loaded is kept together, as code that the interpreter has compiled, and later starts
load it at once. The file lies beside Python's own ``.pyc`` files, is trusted as they are, and like them is checked
against the size and time of every source: when one has changed, or it was written by another Python, it is passed over
and written anew.
"""

from __future__ import annotations

import marshal  # noqa: TID251 - what Python itself uses for compiled code, under the same trust
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    Entry = tuple[str, bool, int, int, CodeType]  # path of the source, is a package, size, mtime in ns, code

_PACKAGE = "haconiwa"
_PATH = os.path.join(os.path.dirname(__file__), "__pycache__", f"start.{sys.implementation.cache_tag}.image")
_ModuleSpec: Any = type(__spec__)  # importlib.machinery.ModuleSpec, without importing that


class _Finder:
    """Finds and loads modules of the image; what is not in it is left to the other finders."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def find_spec(self, name: str, *_where: object) -> Any:
        """As ``importlib.abc.MetaPathFinder``."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        spec = _ModuleSpec(name, self, origin=entry[0], is_package=entry[1])
        spec.has_location = True
        if entry[1]:
            spec.submodule_search_locations = [os.path.dirname(entry[0])]
        return spec

    def create_module(self, _spec: object) -> None:
        """As ``importlib.abc.Loader``: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """As ``importlib.abc.Loader``."""
        exec(self._entries[module.__name__][4], module.__dict__)


def use_image() -> None:
    """Let modules of this package come from the image, if there is one that fits."""
    if entries := _read():
        sys.meta_path.insert(0, _Finder(entries))


def keep_image() -> None:
    """Write the image of what this process has loaded, unless it already came from one or may not be written."""
    if sys.dont_write_bytecode or any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    entries = {name: _entry(name) for name in list(sys.modules) if name.partition(".")[0] == _PACKAGE}
    temporary = f"{_PATH}.{os.getpid()}"
    try:
        with open(temporary, "xb") as file:
            file.write(marshal.dumps({name: entry for name, entry in entries.items() if entry}))
        os.replace(temporary, _PATH)
    except OSError:
        return  # a folder that may not be written to has no .pyc files either


def _read() -> dict[str, Entry]:
    try:
        with open(_PATH, "rb") as file:
            entries: dict[str, Entry] = marshal.loads(file.read())
        for path, _is_package, size, mtime_ns, _code in entries.values():
            status = os.stat(path)
            if (status.st_size, status.st_mtime_ns) != (size, mtime_ns):
                return {}
    except (OSError, EOFError, ValueError, TypeError):
        return {}
    return entries


def _entry(name: str) -> Entry | None:
    spec = sys.modules[name].__spec__
    loader: Any = spec.loader if spec else None
    if spec is None or spec.origin is None or not hasattr(loader, "get_code"):
        return None
    status = os.stat(spec.origin)
    return (
        spec.origin,
        spec.submodule_search_locations is not None,
        status.st_size,
        status.st_mtime_ns,
        loader.get_code(name),
    )

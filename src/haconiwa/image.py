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

    Source = tuple[str, bool, int, int]  # path, is a package, size, mtime in ns

_PACKAGE = "haconiwa"
_MAGIC = f"haconiwa image 1, Python {sys.version}\n".encode()
_LENGTH_SIZE = 8  # bytes: the length of the table of sources, which is checked before the code is read
_PATH = os.path.join(os.path.dirname(__file__), "__pycache__", f"start.{sys.implementation.cache_tag}.image")
_ModuleSpec: Any = type(__spec__)  # importlib.machinery.ModuleSpec, without importing that


class _Finder:
    """Finds and loads modules of the image; what is not in it is left to the other finders."""

    def __init__(self, sources: dict[str, Source], codes: dict[str, CodeType]) -> None:
        self._sources = sources
        self._codes = codes

    def find_spec(self, name: str, *_where: object) -> Any:
        """As ``importlib.abc.MetaPathFinder``."""
        source = self._sources.get(name)
        if source is None:
            return None
        spec = _ModuleSpec(name, self, origin=source[0], is_package=source[1])
        spec.has_location = True
        if source[1]:
            spec.submodule_search_locations = [os.path.dirname(source[0])]
        return spec

    def create_module(self, _spec: object) -> None:
        """As ``importlib.abc.Loader``: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """As ``importlib.abc.Loader``."""
        exec(self._codes[module.__name__], module.__dict__)


def use_image() -> None:
    """Let modules of this package come from the image, if there is one that fits."""
    try:
        with open(_PATH, "rb") as file:
            content = file.read()
    except OSError:
        return
    try:
        if not content.startswith(_MAGIC):
            return
        start = len(_MAGIC) + _LENGTH_SIZE
        end = start + int.from_bytes(content[len(_MAGIC) : start])
        sources: dict[str, Source] = marshal.loads(content[start:end])
        if all(_is_unchanged(source) for source in sources.values()):
            codes: dict[str, CodeType] = marshal.loads(memoryview(content)[end:])
            sys.meta_path.insert(0, _Finder(sources, codes))
    except (OSError, EOFError, ValueError, TypeError):
        return  # a source is gone, or the file is damaged


def _is_unchanged(source: Source) -> bool:
    status = os.stat(source[0])
    return (status.st_size, status.st_mtime_ns) == source[2:]


def keep_image() -> None:
    """Write the image of what this process has loaded, unless it already came from one or may not be written."""
    if sys.dont_write_bytecode or any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sources, codes = {}, {}
    for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
        spec = sys.modules[name].__spec__
        loader: Any = spec.loader if spec is not None else None
        if spec is not None and spec.origin is not None and hasattr(loader, "get_code"):
            status = os.stat(spec.origin)
            is_package = spec.submodule_search_locations is not None
            sources[name] = (spec.origin, is_package, status.st_size, status.st_mtime_ns)
            codes[name] = loader.get_code(name)
    temporary = f"{_PATH}.{os.getpid()}"
    try:
        with open(temporary, "xb") as file:
            table = marshal.dumps(sources)
            file.write(_MAGIC + len(table).to_bytes(_LENGTH_SIZE) + table + marshal.dumps(codes))
        os.replace(temporary, _PATH)
    except OSError:
        return  # a folder that may not be written to has no .pyc files either

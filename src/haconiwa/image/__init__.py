"""The package's modules in one file.

A start loads about a hundred small modules, a few of them the interpreter's own. To find, open and check each of them
takes longer than to run them, so all are kept together, as compiled code. The file lies beside Python's own ``.pyc``
files and is trusted as they are. Like a ``.pyc`` a module in it is checked against the size and time of its source when
it is loaded: a changed one is passed over, and the start removes the file, for the next one to write it anew.

A supervisor may run for months and load a module then. What has changed since it began, as by an upgrade, is none of
its concern: it goes on with the file that it holds open.

Of the functions of a start's modules half are not called by any start that goes well. Their code is kept as bytes, as
`Deferred`, until somebody calls them: what is never made need not be read, copied by a fork or freed.
"""

from __future__ import annotations

import marshal  # noqa: TID251 - what Python itself uses for compiled code, under the same trust
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from functools import partial
    from types import CodeType, FunctionType, ModuleType
    from typing import Any

    Source = tuple[str, bool, int, int]  # path, is a package, size, mtime in ns
    Segment = tuple[tuple[str, ...], int, int]  # modules that are read together; offset and length of their code
    _Partial = partial[Any]
    Piece = tuple[int, int]  # offset and length
    Place = tuple[int, int, int, int, str]  # of a deferred function: its number, segment, offset, length and module
else:
    from _functools import partial

    _Partial = partial
    FunctionType = type(lambda: None)

FOLDER = os.path.dirname(os.path.dirname(__file__))
"""The package's own."""
PATH = os.path.join(FOLDER, "__pycache__", f"{sys.implementation.cache_tag}.image")
MAGIC = f"haconiwa image 6 of {FOLDER}, Python {sys.version}\n".encode("utf-8", "surrogateescape")
"""It holds for one place: in a tree that was copied or moved with it the sources are others."""
NUMBER_SIZE = 8
"""Bytes of a number before the table: its own length, and that of the whole file."""
PACKAGE = __name__.rpartition(".")[0]
MAIN = "haconiwa.cli.main"
"""The module that every command loads first."""
LAST = "haconiwa.cli.start"
"""The module that every start loads first of all; what it needs itself is loaded when its own loading ends."""
_made: dict[Place, FunctionType] = {}
_stored: list[bytes] = []
_used: Any = None
"""A byte for each deferred function, shared with the processes forked from this one: 1 once it was made.

None where the image says already which functions a start calls.
"""
_BEGAN_NS = time.time_ns()
_ModuleSpec: Any = type(__spec__)  # importlib.machinery.ModuleSpec, without importing that


class Deferred(_Partial):
    """A function that is not made before it is called or asked for anything; as an attribute it is the function.

    A class of Python's own is its base since making one must cost less than making the function.
    """

    if TYPE_CHECKING:
        __qualname__: str

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self._made().__get__(instance, owner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)

    def _made(self) -> FunctionType:
        function = _make(*self.args)
        function.__qualname__ = vars(self).get("__qualname__", function.__qualname__)
        return function


def _make(place: Place) -> FunctionType:
    made = _made.get(place)
    if made is None:
        number, segment, start, length, module = place
        stored = memoryview(_stored[segment])[start : start + length]
        code, defaults, keyword_defaults = marshal.loads(stored)
        made = _made[place] = FunctionType(code, sys.modules[module].__dict__, code.co_name, defaults)
        made.__kwdefaults__ = keyword_defaults
        if _used is not None:
            _used[number] = 1
    return made


def _make_and_call(place: Place, *args: Any, **kwargs: Any) -> Any:
    return _make(place)(*args, **kwargs)


class Finder:
    """Finds and loads modules of the image; what is not in it, or has changed, is left to the other finders.

    It holds the file open, so that a process that loads something later gets what belongs to what it has.

    Args:
        fd: The file.
        start: Where in it the code begins.
        table: What `haconiwa.image.writing` has written there.

    Attributes:
        is_stale: A source has changed: the file is to be made anew.
        deferred: Module and name of each deferred function while nobody knows yet which of them a start calls; else
            empty.
    """

    def __init__(self, fd: int, start: int, table: Any) -> None:
        self._fd = fd
        self._file_id = _file_id(fd)
        self._start = start
        self._segments: dict[str, list[Segment]]
        self._sources: dict[str, Source]
        self._others: Any  # `Piece` of what is read when it is asked for: a dict of source and `Piece` by name
        self.deferred: tuple[tuple[str, str], ...]
        self._segments, self._sources, self._others, self.deferred = table
        self.is_stale = False

    def find_spec(self, name: str, *_where: object) -> Any:
        """As ``importlib.abc.MetaPathFinder``."""
        if not name.startswith(f"{PACKAGE}."):
            return None
        try:
            if isinstance(self._others, tuple):
                self._others = self._read(*self._others)
            if name not in self._others:
                return None
            source, piece = self._others[name]
            if not _is_unchanged_or_gone(source):
                return None
            code: CodeType = self._read(*piece)
        except OSError:
            return None  # somebody has closed the file
        path, is_package = source[:2]
        spec = _ModuleSpec(name, self, origin=path, loader_state=code, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(path)]
        return spec

    def create_module(self, _spec: object) -> None:
        """As ``importlib.abc.Loader``: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """As ``importlib.abc.Loader``."""
        spec: Any = module.__spec__
        code, spec.loader_state = spec.loader_state, None
        exec(code, module.__dict__)

    def load(self, last: str) -> None:
        """Load a module and what it needs, in the order of then, without the import system's work for each.

        Raises:
            OSError: A source is gone.
        """
        for names, offset, length in self._segments[last]:
            codes, stored = self._read(offset, length)
            _stored.append(stored)
            for name, code in zip(names, codes, strict=True):
                if name not in sys.modules:
                    self._run(name, code)

    def called(self) -> frozenset[tuple[str, str]]:
        """Those of `deferred` that this process or one forked from it has called."""
        used = _used[:] if _used is not None else b""
        return frozenset(name for name, is_used in zip(self.deferred, used, strict=True) if is_used)

    def _read(self, offset: int, length: int) -> Any:
        if _file_id(self._fd) != self._file_id:  # closed, and something else has its number
            raise FileNotFoundError(PATH)
        return marshal.loads(os.pread(self._fd, length, self._start + offset))

    def _run(self, name: str, code: CodeType) -> None:
        source = self._sources[name]
        if not _is_unchanged(source):
            self.is_stale = True
            __import__(name)
            return
        module: Any = type(sys)(name)  # without a __spec__, which takes as long to make as all the rest here
        parent, _, child = name.rpartition(".")
        path, is_package = source[:2]
        module.__file__, module.__loader__, module.__package__ = path, self, name if is_package else parent
        if is_package:
            module.__path__ = [os.path.dirname(path)]
        module.__deferred__ = partial(Deferred, _make_and_call)
        sys.modules[name] = module
        try:
            exec(code, module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        if parent:
            setattr(sys.modules[parent], child, module)


def _file_id(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _is_unchanged(source: Source) -> bool:
    """Whether it was, when this process began, the one that the image was made from."""
    path, _, size, mtime_ns = source
    status = os.stat(path)
    return (status.st_size == size and status.st_mtime_ns == mtime_ns) or status.st_ctime_ns > _BEGAN_NS


def _is_unchanged_or_gone(source: Source) -> bool:
    """An upgrade may have taken it away; nobody asks for one that was never there."""
    try:
        return _is_unchanged(source)
    except FileNotFoundError:
        return True


def use_image() -> None:
    """Let modules come from the image, if this Python wrote a whole one."""
    try:
        fd = _open_beside_streams()
    except OSError:
        return
    try:
        finder = _opened(fd)
    except (OSError, EOFError, ValueError, TypeError):
        os.close(fd)  # the file is damaged, or another's
        return
    sys.meta_path.insert(0, finder)
    if finder.deferred:
        from mmap import mmap

        global _used  # noqa: PLW0603 - read by functions that know no finder
        _used = mmap(-1, len(finder.deferred))


def _open_beside_streams() -> int:
    """The file, with a number above those of the standard streams, which may be closed."""
    fd = os.open(PATH, os.O_RDONLY | os.O_CLOEXEC)
    if fd > 2:
        return fd
    try:
        return _open_beside_streams()
    finally:
        os.close(fd)


def _opened(fd: int) -> Finder:
    head_size = len(MAGIC) + 2 * NUMBER_SIZE
    head = os.pread(fd, head_size, 0)
    if not head.startswith(MAGIC):
        raise ValueError("written by another version")
    sizes = head[len(MAGIC) :]
    start = head_size + int.from_bytes(sizes[:NUMBER_SIZE])
    status = os.fstat(fd)
    if status.st_size != int.from_bytes(sizes[NUMBER_SIZE:]):
        raise ValueError("cut off")
    if status.st_mode & 0o022 or status.st_uid not in (0, os.stat(FOLDER).st_uid):
        raise ValueError("others could write to it")
    return Finder(fd, start, marshal.loads(os.pread(fd, start - head_size, head_size)))


def load(last: str) -> None:
    """Load `MAIN` or `LAST` with what it needs, if there is an image: what a start loaded before it, in that order."""
    finder = sys.meta_path[0]
    if isinstance(finder, Finder):
        try:
            finder.load(last)
        except OSError:
            return  # a source is gone; what is needed is imported


def is_held() -> bool:
    """Whether all that this process will load comes from the image, whatever becomes of the files."""
    finder = sys.meta_path[0]
    return isinstance(finder, Finder) and not finder.is_stale


def keep_image() -> None:
    """Write the image, unless what every start needs came from one, or none may be written.

    The second start writes it once more, now that it is known which functions a start calls. One that is stale is
    removed: the next start loads what it needs by itself, and nothing that only an older version needed stays.
    """
    found = sys.meta_path[0]
    finder = found if isinstance(found, Finder) else None
    if sys.dont_write_bytecode or (finder and not (finder.is_stale or finder.deferred)):
        return
    if finder and finder.is_stale:
        try:
            os.unlink(PATH)
        except OSError:
            pass  # it is gone, or not ours
        return
    from haconiwa.image.writing import write_image

    write_image(finder)

"""The package's modules in one file.

A start loads about a hundred small modules, a few of them the interpreter's own. To find, open and check each of them
takes longer than to run them, so all are kept together, as compiled code. The file lies beside Python's own ``.pyc``
files and is trusted as they are. Like a ``.pyc`` a module in it is checked against the size and time of its source when
it is loaded: a changed one is passed over, and the next start writes the file anew.
"""

from __future__ import annotations

import marshal  # noqa: TID251 - what Python itself uses for compiled code, under the same trust
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, ModuleType
    from typing import Any

    Entry = tuple[str, bool, int, int, int, int]  # path, is a package, size, mtime in ns; offset and length of its code
    Segment = tuple[tuple[str, ...], int, int]  # modules that are read together; offset and length of their code

_FOLDER = os.path.dirname(__file__)
_PATH = os.path.join(_FOLDER, "__pycache__", f"{sys.implementation.cache_tag}.image")
_MAGIC = f"haconiwa image 5, Python {sys.version}\n".encode()
_LENGTH_SIZE = 8  # bytes: the length of the table, which comes before the code
_PACKAGE = __name__.rpartition(".")[0]
MAIN = "haconiwa.cli.main"
"""The module that every command loads first."""
LAST = "haconiwa.cli.start"
"""The module that every start loads first of all; what it needs itself is loaded when its own loading ends."""
_TOGETHER = 12
"""How many modules are read at once: each read costs 10 µs, and one of all would be of memory never used again."""
_ModuleSpec: Any = type(__spec__)  # importlib.machinery.ModuleSpec, without importing that


class _Finder:
    """Finds and loads modules of the image; what is not in it, or has changed, is left to the other finders."""

    def __init__(
        self, file_id: tuple[int, int], start: int, segments: dict[str, list[Segment]], entries: dict[str, Entry]
    ) -> None:
        self._file_id = file_id
        self._start = start
        self._segments = segments
        self._entries = entries
        self.is_stale = False

    def find_spec(self, name: str, *_where: object) -> Any:
        """As ``importlib.abc.MetaPathFinder``."""
        if name not in self._entries:
            return None
        try:
            fd = self._open()
        except OSError:
            return None
        try:
            path, is_package, _, _, offset, length = self._entries[name]
            if not self._is_unchanged(name):
                return None
            code: CodeType = self._read(fd, offset, length)
        except OSError:
            return None  # its source is gone
        finally:
            os.close(fd)
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
        """Load a module and what it needs, in the order of then, without the import system's work for each."""
        fd = self._open()
        try:
            for names, offset, length in self._segments[last]:
                codes: tuple[CodeType, ...] = self._read(fd, offset, length)
                for name, code in zip(names, codes, strict=True):
                    if name not in sys.modules:
                        self._run(name, code)
        finally:
            os.close(fd)

    def _open(self) -> int:
        """The file of the table that was read; a later one has its code elsewhere."""
        fd = os.open(_PATH, os.O_RDONLY | os.O_CLOEXEC)
        if _file_id(fd) == self._file_id:
            return fd
        os.close(fd)
        raise FileNotFoundError(_PATH)

    def _read(self, fd: int, offset: int, length: int) -> Any:
        return marshal.loads(os.pread(fd, length, self._start + offset))

    def _is_unchanged(self, name: str) -> bool:
        path, _, size, mtime_ns = self._entries[name][:4]
        status = os.stat(path)
        return status.st_size == size and status.st_mtime_ns == mtime_ns

    def _run(self, name: str, code: CodeType) -> None:
        if not self._is_unchanged(name):
            self.is_stale = True
            __import__(name)
            return
        module: Any = type(sys)(name)  # without a __spec__, which takes as long to make as all the rest here
        parent, _, child = name.rpartition(".")
        path, is_package = self._entries[name][:2]
        module.__file__, module.__loader__, module.__package__ = path, self, name if is_package else parent
        if is_package:
            module.__path__ = [os.path.dirname(path)]
        sys.modules[name] = module
        try:
            exec(code, module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        if parent:
            setattr(sys.modules[parent], child, module)


def use_image() -> None:
    """Let modules come from the image, if this Python wrote a whole one."""
    try:
        fd = os.open(_PATH, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        head_size = len(_MAGIC) + _LENGTH_SIZE
        head = os.pread(fd, head_size, 0)
        start = head_size + int.from_bytes(head[len(_MAGIC) :])
        if head.startswith(_MAGIC):
            size, segments, entries = marshal.loads(os.pread(fd, start - head_size, head_size))
            if os.fstat(fd).st_size == start + size:
                sys.meta_path.insert(0, _Finder(_file_id(fd), start, segments, entries))
    except (OSError, EOFError, ValueError, TypeError):
        return  # the file is damaged
    finally:
        os.close(fd)


def load(last: str) -> None:
    """Load `MAIN` or `LAST` with what it needs, if there is an image: what a start loaded before it, in that order."""
    finder = sys.meta_path[0]
    if isinstance(finder, _Finder):
        try:
            finder.load(last)
        except OSError:
            return  # replaced meanwhile, or a source is gone; what is needed is imported


def keep_image() -> None:
    """Write the image, unless what every start needs came from one, or none may be written."""
    finder = sys.meta_path[0]
    if sys.dont_write_bytecode or (isinstance(finder, _Finder) and not finder.is_stale):
        return
    names = list(sys.modules)
    order = [name for name in names[names.index(__name__) + 1 : names.index(LAST) + 1] if _origin(name).endswith(".py")]
    content = bytearray()

    def add(code: Any) -> tuple[int, int]:
        data = marshal.dumps(code)
        content.extend(data)
        return len(content) - len(data), len(data)

    entries: dict[str, Entry] = {}
    codes: dict[str, CodeType] = {}
    for name, path in {**{name: _origin(name) for name in order}, **dict(_sources_of_package())}.items():
        status = os.stat(path)
        codes[name] = compile_bare(path)
        is_package = os.path.basename(path) == "__init__.py"
        entries[name] = (path, is_package, status.st_size, status.st_mtime_ns, *add(codes[name]))
    cut = order.index(MAIN) + 1
    segments: dict[str, list[Segment]] = {
        last: [
            (tuple(names[at : at + _TOGETHER]), *add(tuple(codes[name] for name in names[at : at + _TOGETHER])))
            for at in range(0, len(names), _TOGETHER)
        ]
        for last, names in ((MAIN, order[:cut]), (LAST, order[cut:]))
    }
    table = marshal.dumps((len(content), segments, entries))
    temporary = f"{_PATH}.{os.getpid()}"
    try:
        with open(temporary, "xb") as file:
            file.write(_MAGIC + len(table).to_bytes(_LENGTH_SIZE) + table + content)
        os.replace(temporary, _PATH)
    except OSError:
        return  # a folder that may not be written to has no .pyc files either


def _file_id(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_ino, status.st_mtime_ns


def _origin(name: str) -> str:
    return getattr(sys.modules[name], "__file__", None) or ""


def _sources_of_package() -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(_FOLDER):
        folders[:] = [name for name in folders if name.isidentifier()]
        package = _PACKAGE + folder.removeprefix(_FOLDER).replace(os.sep, ".")
        for file in files:
            stem, suffix = os.path.splitext(file)
            if suffix == ".py":
                yield package if stem == "__init__" else f"{package}.{stem}", os.path.join(folder, file)


def compile_bare(path: str) -> CodeType:
    """The code of a source file without docstrings, assertions and annotations of functions: a third less to load.

    Args:
        path: Of a module whose annotations of functions nobody looks at; those of classes are what records are made of.
    """
    import __future__

    import ast

    with open(path, "rb") as file:
        tree = ast.parse(file.read(), path)
    tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")]
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    flags = __future__.annotations.compiler_flag
    code: CodeType = compile(tree, path, "exec", flags, dont_inherit=True, optimize=2)
    return code

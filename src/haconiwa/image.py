"""The modules of a start in one file.

A start loads about a hundred small modules, a few of them the interpreter's own. To find, open and check each of them
takes longer than to run them, so what one start has loaded is kept together, as compiled code, and later starts load
it at once. The file lies beside Python's own ``.pyc`` files, is trusted as they are, and like them is checked against
the size and time of every source: when one has changed, or it was written by another Python, it is passed over and
written anew.
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

    Source = tuple[str, bool, int, int]  # path, is a package, size, mtime in ns

_PACKAGE = "haconiwa"
_MAGIC = f"haconiwa image 2, Python {sys.version}\n".encode()
_LENGTH_SIZE = 8  # bytes: the length of the table of sources, which is checked before the code is read
_PATH = os.path.join(os.path.dirname(__file__), "__pycache__", f"start.{sys.implementation.cache_tag}.image")
_FIRST = "haconiwa.cli"  # looks for the image
LAST = "haconiwa.cli.start"
"""The module that every start loads first of all; what it needs itself is loaded when its own loading ends."""
_COMPILER = ("bpf", "compile", "default", "docker", "policy")
_ONLY_ONCE = {"haconiwa.kernel.syscall_tables", *(f"haconiwa.isolation.seccomp.{name}" for name in _COMPILER)}
"""What the first start of a machine loads to compile its seccomp filters; the later ones read them from the cache."""
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

    def load_start(self) -> None:
        """Load `LAST` and what it needs, in the order of then, without the import system's work for each."""
        for name in self._sources:
            if name not in sys.modules:
                self._load(name)
            if name == LAST:
                return

    def _load(self, name: str) -> None:
        module: Any = type(sys)(name)
        spec = module.__spec__ = self.find_spec(name)
        module.__file__, module.__loader__, module.__package__ = spec.origin, self, spec.parent
        if spec.submodule_search_locations is not None:
            module.__path__ = spec.submodule_search_locations
        sys.modules[name] = module
        try:
            exec(self._codes[name], module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


def use_image() -> None:
    """Let modules come from the image, if there is one that fits."""
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


def load_start() -> None:
    """Load what every start needs, if there is an image."""
    finder = sys.meta_path[0]
    if isinstance(finder, _Finder):
        finder.load_start()


def _is_unchanged(source: Source) -> bool:
    status = os.stat(source[0])
    return (status.st_size, status.st_mtime_ns) == source[2:]


def keep_image() -> None:
    """Write the image of what this process has loaded, unless it already came from one or may not be written."""
    if sys.dont_write_bytecode or any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sources = dict(_sources_of_loaded())
    codes = {name: compile_bare(source[0]) for name, source in sources.items()}
    temporary = f"{_PATH}.{os.getpid()}"
    try:
        with open(temporary, "xb") as file:
            table = marshal.dumps(sources)
            file.write(_MAGIC + len(table).to_bytes(_LENGTH_SIZE) + table + marshal.dumps(codes))
        os.replace(temporary, _PATH)
    except OSError:
        return  # a folder that may not be written to has no .pyc files either


def _sources_of_loaded() -> Iterator[tuple[str, Source]]:
    """The modules that came from files since the image was looked for, in the order in which their loading ended.

    Of those that are not ours only what `LAST` needs: others may be what a haco file imports. Of ours not what hardly
    any later start needs.
    """
    names = list(sys.modules)
    first, last = names.index(_FIRST), names.index(LAST)
    own = (name for name in names[last:] if name.partition(".")[0] == _PACKAGE and name not in _ONLY_ONCE)
    for name in (*names[first:last], *own):
        module = sys.modules[name]
        origin = module.__spec__.origin if module.__spec__ is not None else None
        if origin is not None and origin.endswith(".py"):
            status = os.stat(origin)
            yield name, (origin, hasattr(module, "__path__"), status.st_size, status.st_mtime_ns)


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

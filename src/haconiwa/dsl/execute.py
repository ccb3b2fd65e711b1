"""Running a haco file: as a module of its own, with its folder importable while it runs."""

from __future__ import annotations

import os
import sys

from haconiwa.dsl import loading
from haconiwa.dsl.place import module_of, of_traceback
from haconiwa.dsl.source import Source, check_trusted
from haconiwa.errors import ConfigError, InternalError, Problem, Where
from haconiwa.spec.values import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, TracebackType
    from typing import Any

    from haconiwa.dsl.loading import Loading

_RUBY = (b"Haconiwa.define", b"Haconiwa::")


def compile_source(source: Source) -> CodeType:
    """Compile the bytes under the file's own path.

    Raises:
        ConfigError: The syntax is wrong, with its line; or it is a haco file in Ruby.
    """
    try:
        return compile(source.data, source.file, "exec", dont_inherit=True)
    except SyntaxError as error:
        code = [line.partition(b"#")[0] for line in source.data.splitlines()]  # a comment may speak of Ruby
        if any(word in line for line in code for word in _RUBY):
            what = "this is a haco file in Ruby, for the haconiwa written in mruby; this one reads Python"
            raise ConfigError(
                Problem(what, Where(source.file, 1), '"haconiwa new FILE" writes one to start from')
            ) from None
        raise ConfigError(_syntax_problem(error, source.file)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f'"{source.file}" cannot be compiled: {describe(error)}') from None


def execute(source: Source, load: Loading, module_name: str) -> bool:
    """Run a file; what it sets ends in the load, and so does what is wrong with it.

    Args:
        source: The file.
        load: Its load.
        module_name: Under which it is found in ``sys.modules``.

    Returns:
        Whether the file came to its end.
    """
    code = compile_source(source)
    module: Any = type(sys)(module_name)
    module.__file__ = source.real_file
    sys.modules[module_name] = module
    outer = loading.enter(load)
    undo = _prepare_imports(load)
    try:
        exec(code, module.__dict__)
        return True
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _record(load, error)
        _tell_rest(load, source, error.__traceback__)
        return False
    finally:
        undo()
        loading.enter(outer)
        load.frozen = True


def _prepare_imports(load: Loading) -> Any:
    """Let the file import from its folder, leaving no bytecode there; returns what undoes it."""
    finder, folder, before = FolderFinder(load), load.folder, sys.dont_write_bytecode
    sys.meta_path.insert(0, finder)
    sys.path.append(folder)
    sys.dont_write_bytecode = True

    def undo() -> None:
        sys.dont_write_bytecode = before
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        if folder in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]

    return undo


class FolderFinder:
    """Checks the owner of each module that a haco file imports from its own folder, before it runs."""

    def __init__(self, load: Loading) -> None:
        self.load = load

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Let Python's own finder look, and refuse what others could have written.

        Raises:
            ConfigError: Others can write to the module's file or its compiled form.
        """
        for finder in sys.meta_path:
            if finder is self:
                continue
            found = finder.find_spec(name, path, target)
            if found is not None:
                for file in filter(None, (found.origin, found.cached)):
                    self._check(file)
                return found
        return None

    def _check(self, file: str) -> None:
        if file.startswith(self.load.folder.rstrip("/") + "/") and os.path.exists(file):
            check_trusted(os.path.realpath(file), self.load.defaults.trusted_uids)


def _record(load: Loading, error: BaseException) -> None:
    """Turn what the file raised into problems, with the user's lines only."""
    trace = error.__traceback__
    if load.left_by is not None and load.left_by[0] is error:
        load.problems.remove(load.left_by[1])
    if isinstance(error, ConfigError):
        where = of_traceback(trace)
        load.problems.extend(p if p.where else Problem(p.what, where, p.hint) for p in error.problems)
    elif type(error) in (SyntaxError, IndentationError, TabError):
        load.problems.append(_syntax_problem(error, load.file))  # type: ignore[arg-type]
    elif isinstance(error, SystemExit):
        text = f": {error.code}" if type(error.code) is str else ""
        load.refuse(f"the file called sys.exit(){text}", of_traceback(trace))
    elif _is_ours(error):
        raise InternalError(f"cannot load the haco file: {describe(error)}") from error
    else:
        from haconiwa.dsl.unknown import explain_error

        what, hint = explain_error(error)
        load.refuse(what, of_traceback(trace), hint)


def _tell_rest(load: Loading, source: Source, trace: TracebackType | None) -> None:
    """Say where the load stopped, if there are lines after it: what is wrong with them is not known."""
    while trace is not None and trace.tb_frame.f_code.co_filename != source.file:
        trace = trace.tb_next
    rest = source.data.splitlines()[trace.tb_lineno :] if trace is not None else []
    if trace is not None and any(line.partition(b"#")[0].strip() for line in rest):
        what = f'the load of "{source.file}" stopped at line {trace.tb_lineno}'
        load.refuse(f"{what}; the lines after it were not looked at", None)


def _syntax_problem(error: SyntaxError, file: str) -> Problem:
    return Problem(f"invalid Python: {error.msg}", Where(error.filename or file, error.lineno or 1))


def _is_ours(error: BaseException) -> bool:
    """Whether the innermost frame is ours: then it is a bug, except where a list does what lists do."""
    trace: TracebackType | None = error.__traceback__
    name = None
    while trace is not None:
        name = module_of(trace.tb_frame)
        trace = trace.tb_next
    return name not in (None, "haconiwa.dsl.live", "haconiwa") and not isinstance(error, (RecursionError, MemoryError))

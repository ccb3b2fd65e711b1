"""The load that is going on: which file, what is wrong with it so far, and whether it has ended."""

from __future__ import annotations

import binascii
import os

from haconiwa.errors import ConfigError, Problem, Where
from haconiwa.spec.model import Defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.dsl.builder import Definition
    from haconiwa.dsl.defaults import Configuration


class Loading:
    """One execution of a haco file or of the global config.

    Attributes:
        file: Path as the user named it, for messages.
        real_file: The path without links.
        defaults: What the global config says.
        is_global: It is the global config that is loaded.
        barn: What `define()` made.
        configuration: What `configure()` made.
        left_by: The last exception that left a with block, and what was recorded of it.
        frozen: The file has ended; nothing can be set any more.
    """

    __slots__ = ("barn", "configuration", "defaults", "file", "frozen", "is_global", "left_by", "problems", "real_file")

    def __init__(self, file: str, real_file: str, defaults: Defaults, *, is_global: bool = False) -> None:
        self.file = file
        self.real_file = real_file
        self.defaults = defaults
        self.is_global = is_global
        self.barn: Definition | None = None
        self.configuration: Configuration | None = None
        self.problems: list[Problem] = []
        self.left_by: tuple[BaseException, Problem] | None = None
        self.frozen = False

    @property
    def folder(self) -> str:
        """The folder that relative paths start from."""
        return os.path.dirname(self.real_file)

    @property
    def default_name(self) -> str:
        """``haconiwa-`` and eight hexadecimal digits made from the file's path, so that they stay the same."""
        return f"haconiwa-{binascii.crc32(os.fsencode(self.real_file)):08x}"

    def refuse(self, what: str, where: Where | None, hint: str = "") -> None:
        """Record a problem; it is reported with all others when the file has ended."""
        self.problems.append(Problem(what, where, hint))

    def error(self) -> ConfigError:
        """All problems, each once, in the order of the file's lines."""
        unique = {(problem.what, str(problem.where)): problem for problem in self.problems}
        return ConfigError(sorted(unique.values(), key=self._line))

    def _line(self, problem: Problem) -> tuple[bool, int]:
        if problem.where is None:
            return (True, 0)
        places = [(problem.where.file, problem.where.line), *problem.where.called_from]
        lines = [line for file, line in places if file == self.file]
        return (not lines, lines[0] if lines else problem.where.line)


_current: Loading | None = None


def current() -> Loading:
    """The load that is going on.

    Raises:
        ConfigError: Nothing is being loaded.
    """
    if _current is None:
        raise ConfigError(Problem("define() and configure() work only in a file that haconiwa loads"))
    return _current


def enter(load: Loading | None) -> Loading | None:
    """Make a load the current one and return the one before."""
    global _current
    before, _current = _current, load
    return before

"""``haconiwa check``: everything that is wrong with a haco file."""

from __future__ import annotations

from haconiwa.cli.plan import plan_all
from haconiwa.dsl.lint import lint_file
from haconiwa.dsl.load import load_file
from haconiwa.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.errors import Problem

DESCRIPTION = """\
Load a haco file and check all it says, without root and without making anything. All problems are shown at once with
their lines, also what does nothing or probably something else than was meant: a method without its parentheses, a
comparison in place of an assignment, a hook that sees the last value of a loop.

The file is executed, as by start. The exit status is 0 when all is well, else 2."""
EPILOG = """\
examples:
  haconiwa check web.haco"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Load, look, plan."""
    found = problems(arguments.file)
    if found:
        raise ConfigError(found)
    output.result(f"{arguments.file}: ok")
    return 0


def problems(path: str) -> list[Problem]:
    """All that is wrong with a file, in the order of its lines; of a line that is wrong not what looks odd besides.

    Args:
        path: Host path of the haco file.
    """
    found: list[Problem] = []
    try:
        plan_all(load_file(path))
    except ConfigError as error:
        found += error.problems
    wrong = {str(problem.where) for problem in found}
    try:
        found += [problem for problem in lint_file(path) if str(problem.where) not in wrong]
    except ConfigError as error:
        found += [problem for problem in error.problems if str(problem) not in map(str, found)]
    return sorted(found, key=_line)


def _line(problem: Problem) -> tuple[bool, int]:
    return (problem.where is None, problem.where.line if problem.where else 0)

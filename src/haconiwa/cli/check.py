"""``haconiwa check``: everything that is wrong with a haco file, or what this machine can and cannot do."""

from __future__ import annotations

from haconiwa.cli.plan import plan_all
from haconiwa.dsl.lint import lint
from haconiwa.dsl.load import load_defaults, load_source
from haconiwa.dsl.source import read_source
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

The file is executed, as by start. The exit status is 0 when all is well, else 2.

With --host it is the machine that is looked at: what it offers to containers and what to change where something is
missing. Most is found out by trying it, so the answer is that of the user who asks. The exit status is 0 when all is
there that every container needs, else 125; what only some containers need does not matter for it."""
EPILOG = """\
examples:
  haconiwa check web.haco
  haconiwa check --host
  haconiwa check --host --json | jq '.[] | select(.ok | not)'"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", nargs="?", help="the haco file")
    parser.add_argument("--host", action="store_true", help="look at this machine instead of a file")
    parser.add_argument("--json", action="store_true", help="with --host: print a list of objects")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Load, look, plan."""
    if arguments.host == (arguments.file is not None):
        raise ConfigError("check takes a FILE or --host")
    if arguments.json and not arguments.host:
        raise ConfigError("check takes --json with --host only")
    if arguments.host:
        from haconiwa.cli.host_report import report

        return report(output, in_json=arguments.json)
    found = problems(arguments.file)
    if found:
        raise ConfigError(found)
    output.result(f"{arguments.file}: ok")
    return 0


def problems(path: str) -> list[Problem]:
    """All that is wrong with a file, in the order of its lines; of a line that is wrong not what looks odd besides.

    Args:
        path: Host path of the haco file.

    Raises:
        ConfigError: It cannot be read, or the global config is wrong.
    """
    defaults = load_defaults()
    source = read_source(path, defaults.trusted_uids)
    found: list[Problem] = []
    try:
        plan_all(load_source(source, defaults))
    except ConfigError as error:
        found += error.problems
    wrong = {str(problem.where) for problem in found}
    try:
        found += [problem for problem in lint(source) if str(problem.where) not in wrong]
    except ConfigError as error:
        found += [problem for problem in error.problems if str(problem) not in map(str, found)]
    return sorted(found, key=_line)


def _line(problem: Problem) -> tuple[bool, int]:
    return (problem.where is None, problem.where.line if problem.where else 0)

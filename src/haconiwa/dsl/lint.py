"""What in a haco file does nothing, or probably something else than its author meant. Only `haconiwa check` asks."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from haconiwa.dsl.builder import Definition
from haconiwa.dsl.execute import compile_source
from haconiwa.dsl.sections import SECTIONS
from haconiwa.dsl.source import Source
from haconiwa.errors import Problem, Where

DECORATORS = {
    "add_async_hook": 0,
    "add_cgroup_hook": 0,
    "add_general_hook": 1,
    "add_handler": 1,
    "add_signal_handler": 1,
    "after_spawn": 0,
}
"""The settings that do nothing without a function, and how many positional arguments they have before it."""

FUNCTIONS = {*DECORATORS, "add_readiness_hook", "healthcheck", "validate_real_id"}
"""The settings of a container whose functions are called after the file has ended."""

_BARE_DECORATORS = ("function", "run_python", "validate_real_id")
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def lint(source: Source) -> list[Problem]:
    """Look at a haco file without executing it.

    Args:
        source: The file.

    Returns:
        What looks wrong, in the order of the lines.

    Raises:
        ConfigError: The file is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the load has shown them
        compile_source(source)
        tree = ast.parse(source.data)
    builders = _builders(tree)
    found = [
        *_idle_statements(tree, builders), *_captured_loop_variables(tree, builders), *_names_of_barns(tree, builders),
    ]  # fmt: skip
    return [Problem(what, Where(source.file, line), hint) for line, what, hint in sorted(found)]


def _builders(tree: ast.AST) -> set[str]:
    """The names that stand for a container, a barn or a section: bound by ``with … as name`` or ``name = define()``."""
    names: set[str] = set()
    bindings = [*_bindings(tree)]
    while True:
        more = {name for name, value in bindings if _makes_builder(value, names)} - names
        if not more:
            return names
        names |= more


def _bindings(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            yield node.optional_vars.id, node.context_expr
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _makes_builder(value: ast.expr, builders: set[str]) -> bool:
    if isinstance(value, ast.Call):
        return _dotted(value.func).rpartition(".")[2] == "define"
    root, _, section = _dotted(value).partition(".")
    return root in builders and isinstance(getattr(Definition, section or " ", None), property)


def _dotted(node: ast.AST) -> str:
    """``config.namespace.unshare`` of a chain of names; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def _is_setting(node: ast.AST, builders: set[str]) -> bool:
    return isinstance(node, ast.Attribute) and _dotted(node).partition(".")[0] in builders


def _idle_statements(tree: ast.AST, builders: set[str]) -> Iterator[tuple[int, str, str]]:
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign) and _is_setting(statement.value, builders):
            name = _dotted(statement.value)
            if hint := _call_hint(statement.value, name):
                yield statement.lineno, f"{name}: is named and not called", hint
        if isinstance(statement, ast.AnnAssign) and _is_setting(_without_index(statement.target), builders):
            name = ast.unparse(statement.target)
            if statement.value is None:
                yield statement.lineno, f"{name}: is only annotated", f"write {name} = …"
        if not isinstance(statement, ast.Expr):
            continue
        value = statement.value
        if _is_setting(value, builders):
            name = _dotted(value)
            yield statement.lineno, f"{name}: does nothing like this", _call_hint(value, name)
        elif isinstance(value, ast.Compare) and _is_setting(_without_index(value.left), builders):
            name = ast.unparse(value.left)
            yield statement.lineno, f"{name}: is compared, and nothing done with the result", "one = sets it"
        elif isinstance(value, ast.Call) and _lacks_function(value, builders):
            name = _dotted(value.func)
            yield statement.lineno, f"{name}: has no function", f"put @{name}(…) above one"


def _without_index(value: ast.expr) -> ast.expr:
    """``c.environ`` of ``c.environ["A"]``."""
    return value.value if isinstance(value, ast.Subscript) else value


def _call_hint(value: ast.expr, name: str) -> str:
    wanted = value.attr if isinstance(value, ast.Attribute) else ""
    if wanted in DECORATORS or wanted in _BARE_DECORATORS:
        return f"put @{name}{'(…)' * (wanted in DECORATORS)} above a function"
    owners = [Definition, *SECTIONS]
    return f"write {name}() to call it" if any(callable(getattr(owner, wanted, None)) for owner in owners) else ""


def _lacks_function(call: ast.Call, builders: set[str]) -> bool:
    """Whether a hook setting is called as a statement, without the function that would be its last argument."""
    before = DECORATORS.get(_dotted(call.func).rpartition(".")[2])
    if before is None or not _is_setting(call.func, builders):
        return False
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return False
    return len(call.args) <= before and not any(keyword.arg in (None, "function") for keyword in call.keywords)


def _names_of_barns(tree: ast.AST, builders: set[str]) -> Iterator[tuple[int, str, str]]:
    """Where a barn of several containers gets a name, as if it were theirs."""
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    barns = {barn for barn, _, method in (_dotted(func).partition(".") for func in called) if method == "define"}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign):
            for name in {f"{barn}.name" for barn in barns & builders} & {_dotted(t) for t in statement.targets}:
                yield statement.lineno, f"{name}: is the name of none of its containers", "set it in each child"


def _captured_loop_variables(tree: ast.AST, builders: set[str]) -> Iterator[tuple[int, str, str]]:
    seen: set[tuple[int, str]] = set()
    for loop in ast.walk(tree):
        if not isinstance(loop, _LOOPS):
            continue
        changing = {node.id for node in ast.walk(loop) if isinstance(node, ast.Name) and _is_stored(node)}
        for scope in _hooks(loop, builders):
            for name in sorted(changing & _free_names(scope)):
                if (scope.lineno, name) not in seen:
                    seen.add((scope.lineno, name))
                    what = f'a hook uses "{name}", which the loop changes: every hook will see its last value'
                    yield scope.lineno, what, f"keep it as a default: {name}={name}"


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _hooks(loop: ast.AST, builders: set[str]) -> Iterator[_Scope]:
    """The functions in a loop that are registered as hooks: decorated, named or written as an argument."""
    defined = {n.name: n for n in ast.walk(loop) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for function in defined.values():
        if any(_registers(getattr(d, "func", d), builders) for d in function.decorator_list):
            yield function
    for call in ast.walk(loop):
        if isinstance(call, ast.Call) and _registers(call.func, builders):
            for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                if isinstance(argument, ast.Lambda):
                    yield argument
                elif isinstance(argument, ast.Name) and argument.id in defined:
                    yield defined[argument.id]


def _registers(function: ast.AST, builders: set[str]) -> bool:
    return _is_setting(function, builders) and _dotted(function).rpartition(".")[2] in FUNCTIONS


def _free_names(scope: _Scope) -> set[str]:
    """The names a function takes from outside: read in its body, and neither parameters nor assigned there."""
    arguments = scope.args
    own = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    own |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
    body = scope.body if isinstance(scope.body, list) else [scope.body]
    names = [node for part in body for node in ast.walk(part) if isinstance(node, ast.Name)]
    own |= {node.id for node in names if _is_stored(node)}
    return {node.id for node in names} - own

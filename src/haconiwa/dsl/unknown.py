"""What is said about names that do not exist, exist only later, or are used the wrong way."""

from __future__ import annotations

import sys

from haconiwa.dsl.functions import FunctionType
from haconiwa.dsl.node import Node, UnknownName
from haconiwa.dsl.place import here, of_traceback
from haconiwa.errors import ConfigError, Problem
from haconiwa.spec.values import describe, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

LATER = {
    "checkpoint",
    'add_general_hook("after_restore")', 'add_general_hook("before_restore")',
}  # fmt: skip
"""What the language has, but not yet in this version."""

BARNS_OWN = ("cancel_daemonize", "daemonize", "define", "validate_real_id")
"""What a child of a barn does not have."""

NOT_YET = "this version of haconiwa does not have it yet"


def refuse_keywords(node: Node, method: str, keywords: Mapping[str, object]) -> None:
    """Record keyword arguments that a method does not take."""
    for keyword in keywords:
        what, hint = _unknown_keyword(getattr(type(node), method), keyword)
        node._load.refuse(what, here(), hint)


def _unknown_keyword(function: FunctionType, keyword: str) -> tuple[str, str]:
    name = f"{function.__qualname__}({keyword}=)"
    if name in LATER:
        return f"{name}: {NOT_YET}", ""
    known = [*_arguments(function)[0], *_arguments(function)[1]]
    takes = f"it takes {', '.join(f'{each}=' for each in known)}" if known else "it takes none"
    return f"{name}: unknown argument", suggestion(keyword, known) or takes


def _arguments(function: FunctionType) -> tuple[list[str], list[str]]:
    """The arguments of a method: those that need no name, and those that need one."""
    from inspect import Parameter, signature

    named = [each for each in signature(function).parameters.values() if each.name != "self"]
    return (
        [each.name for each in named if each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)],
        [each.name for each in named if each.kind is Parameter.KEYWORD_ONLY],
    )


def explain_error(error: BaseException) -> tuple[str, str]:
    """What an exception of Python's says, and a hint, where it is about the use of what is ours."""
    what, hint = describe(error), ""
    package = sys.modules["haconiwa"]  # to import it is left to haco files
    if isinstance(error, TypeError):
        if "context manager protocol" in what and "'function'" in what:
            hint = "a function has parentheses: with define() as config"
        return _explain_call(what.partition(": ")[2]) or (what, hint)
    if isinstance(error, AttributeError) and type(error.obj) is tuple and hasattr(list, error.name or " "):
        what = f"what a setting has cannot be changed in place by {error.name}()"
        return what, "assign a whole list: c.NAME = [*c.NAME, …]"
    if isinstance(error, AttributeError) and error.obj is package:
        hint = suggestion(error.name or "", dir(package))
    elif isinstance(error, ImportError) and error.name == "haconiwa" and "cannot import name" in what:
        hint = suggestion(what.split("'")[1], dir(package))
    elif isinstance(error, NameError) and error.name in dir(package):
        hint = f"from haconiwa import {error.name}"
    return what, hint


def _explain_call(text: str) -> tuple[str, str] | None:
    """What is wrong with the arguments of a call of ours; None when the text of a TypeError is about something else."""
    name, parentheses, why = text.partition("() ")
    function = _method(name)
    if not parentheses or function is None:
        return None
    quoted = why.split("'")[1::2]
    if "unexpected keyword argument" in why:
        return _unknown_keyword(function, quoted[0])
    unnamed, named = _arguments(function)
    form = f"{name}({', '.join((*unnamed, *(f'{each}=' for each in named)))})"
    if "missing" in why:
        return f"{name}: lacks {', '.join(each + '=' * (each in named) for each in quoted)}", form
    if "positional argument" in why:
        return f"{name}: takes {len(unnamed) or 'no'} unnamed argument{'s' * (len(unnamed) != 1)}", form
    return None


def _method(name: str) -> FunctionType | None:
    """The method of a builder that a haco file calls by that dotted name."""
    kinds = [Node]
    for kind in kinds:
        found = vars(kind).get(name.rpartition(".")[2])
        if isinstance(found, FunctionType) and found.__qualname__ == name:
            return found
        kinds += kind.__subclasses__()
    return None


def unknown_name(node: Node, name: str) -> ConfigError:
    """The error for a name that was read."""
    what, hint = _explain(node, name)
    return UnknownName(Problem(what, here(), hint))


def refuse_assignment(node: Node, name: str, found: object) -> None:
    """Record an assignment to something that is no setting."""
    dotted = node._dotted(name)
    if node._load.frozen:
        raise ConfigError(Problem(f"{dotted}: cannot be set any more, the haco file has ended", here()))
    if found is None or name.startswith("_"):
        what, hint = _explain(node, name)
        node._load.refuse(what, here(), hint)
    elif isinstance(found, property):
        node._load.refuse(f"{dotted}: is a section and cannot be assigned", here(), "set what is in it")
    else:
        node._load.refuse(f"{dotted}: is called, not assigned", here(), f"write {dotted}(…)")


def refuse_left_block(node: Node, error: BaseException, trace: TracebackType | None) -> None:
    """Record that a ``with`` block ended early, for the case that somebody further out catches the exception."""
    load = node._load
    if load.frozen or (load.left_by is not None and load.left_by[0] is error):
        return
    problem = Problem(f"a with block was left by {describe(error)}", of_traceback(trace))
    load.left_by = (error, problem)
    load.problems.append(problem)


def _explain(node: Node, name: str) -> tuple[str, str]:
    dotted = node._dotted(name)
    if node._owner is node and name in BARNS_OWN:
        return f"{dotted}: belongs to the barn, a child has none", ""
    if dotted in LATER:
        return f"{dotted}: {NOT_YET}", ""
    elsewhere = _in_sections(node._owner, name)
    hint = f'did you mean "{elsewhere[0]}"?' if elsewhere else suggestion(name, _public(type(node)))
    return f'unknown name "{dotted}"', hint


def _in_sections(owner: Node, name: str) -> list[str]:
    kinds = {section: getattr(type(owner), section) for section in _public(type(owner))}
    sections = {section: found.__get__(owner) for section, found in kinds.items() if isinstance(found, property)}
    return [f"{section}.{name}" for section, node in sections.items() if name in _public(type(node))]


def _public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]

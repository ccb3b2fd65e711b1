"""Containers that you program: a haco file is Python, and its hooks are functions.

The names of this package are loaded when they are used: a haco file pays only for what it imports.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.dsl.builder import Container, define
    from haconiwa.dsl.defaults import configure
    from haconiwa.dsl.seccomp import arg
    from haconiwa.errors import (
        BuildError,
        ConfigError,
        ContainerError,
        HaconiwaError,
        HookError,
        HostError,
        InternalError,
    )
    from haconiwa.lifecycle.notify import Call
    from haconiwa.supervisor.base import Barn, Base

__all__ = [
    "Barn", "Base", "BuildError", "Call", "ConfigError", "Container", "ContainerError", "HaconiwaError", "HookError",
    "HostError", "InternalError", "__version__", "arg", "configure", "define",
]  # fmt: skip

_MODULES = {
    "Barn": "haconiwa.supervisor.base",
    "Base": "haconiwa.supervisor.base",
    "Call": "haconiwa.lifecycle.notify",
    "Container": "haconiwa.dsl.builder",
    "arg": "haconiwa.dsl.seccomp",
    "configure": "haconiwa.dsl.defaults",
    "define": "haconiwa.dsl.builder",
}


if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = __import__(_MODULES.get(name, "haconiwa.errors"), fromlist=[name])
        globals()[name] = getattr(module, name)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)

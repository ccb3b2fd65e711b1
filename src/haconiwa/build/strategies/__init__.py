"""The strategies: each has a LABEL for messages and a `bootstrap` that fills the directory of a `Job`."""

from __future__ import annotations

import importlib

from haconiwa.build.job import Job
from haconiwa.errors import ConfigError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from haconiwa.spec.image import ImageSpec

    class Strategy(Protocol):
        """A module of this package."""

        LABEL: str

        def bootstrap(self, job: Job) -> ImageSpec | None:
            """Fill the job's root; what is returned was said by an image about running it."""


NAMES = ("lxc", "debootstrap", "git", "tarball", "oci", "shell", "python", "host")


def load_strategy(name: str) -> Strategy:
    """The module of a strategy, by its canonical name.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in NAMES:
        raise ConfigError(Problem(f'bootstrap: no strategy "{name}"', hint=f"there are {', '.join(NAMES)}"))
    module: Any = importlib.import_module(f"haconiwa.build.strategies.{name}")
    strategy: Strategy = module
    return strategy

"""The ``argparse`` parser of command lines that are not simply right: its mistakes are told as all others are."""

from __future__ import annotations

import argparse

from haconiwa.errors import ConfigError, Problem
from haconiwa.spec.values import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class FullParser(argparse.ArgumentParser):
    """Tells wrong values by what they should be, which is the name of the function that converts them."""

    def add_argument(self, *names: Any, **settings: Any) -> Any:
        """As of ``argparse.ArgumentParser``."""
        if "type" in settings:
            settings["type"] = _telling(settings["type"])
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(Problem(message.removeprefix("argument "), hint=f"{self.prog} --help explains it"))


def _telling(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def told(text: str) -> Any:
        try:
            return convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{show(text)} is not {convert.__name__}") from None

    return told

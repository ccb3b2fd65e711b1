"""One bootstrap at work: what a strategy is given."""

from __future__ import annotations

from haconiwa.build.report import Report
from haconiwa.errors import ConfigError, Problem
from haconiwa.spec.build import BootstrapSpec
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import Record


class Job(Record):
    """What a strategy works on.

    Attributes:
        spec: The container.
        bootstrap: Its strategy and options.
        root: Absolute host path of the empty directory to fill.
        scratch: A private folder beside it that is removed afterwards.
        final: Where the root will be once it is complete.
        report: Who is told.
    """

    spec: ContainerSpec
    bootstrap: BootstrapSpec
    root: str
    scratch: str
    final: str
    report: Report

    def line(self, text: str) -> None:
        """Report a line of output of the strategy."""
        self.report.line(f"bootstrap.{self.bootstrap.strategy}", text)

    def text(self, name: str, default: str | None = None) -> str:
        """An option that is text.

        Raises:
            ConfigError: It is not set and has no default.
        """
        value = self.bootstrap.options.get(name) or default
        if value is None:
            raise self.refuse(f'{name} is not set, the strategy "{self.bootstrap.strategy}" needs it')
        return str(value)

    def words(self, name: str) -> tuple[str, ...]:
        """An option that is a list of text; empty when not set."""
        return tuple(self.bootstrap.options.get(name) or ())

    def refuse(self, what: str, hint: str = "") -> ConfigError:
        """The error for an option that cannot be used, with the line of the haco file."""
        return ConfigError(Problem(f"bootstrap: {what}", self.bootstrap.where, hint))

"""A procfs of our own, attached nowhere, so that no container can do anything to it."""

from __future__ import annotations

from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.step import SUPERVISOR, Site, Step
from haconiwa.isolation.trees import make_filesystem

KEY = "procfs"
"""Where in `Site.trees` its root is."""
_OPTIONS = parse_options("nosuid,nodev,noexec")


class OpenProcfs(Step):
    """Make it, once for all steps that need it."""

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "open a procfs of its own"

    def execute(self, site: Site) -> None:
        if KEY not in site.trees:
            site.trees[KEY] = make_filesystem("proc", "proc", _OPTIONS)

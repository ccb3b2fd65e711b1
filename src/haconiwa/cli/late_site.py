"""Installed packages for haco files that want them, without a cost for those that do not.

Started with ``-S`` the interpreter does not look for installed packages, which takes a tenth of a whole start. They are
looked for when an import finds nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _LateSite:
    """The last finder: makes up for ``-S`` and asks the others again."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As ``importlib.abc.MetaPathFinder``."""
        sys.meta_path.remove(self)
        import site

        site.main()
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        return next((spec for spec in found if spec is not None), None)


def use_site_when_needed() -> None:
    """Let imports that find nothing look into the installed packages, if the interpreter was told not to."""
    if sys.flags.no_site:
        sys.meta_path.append(_LateSite())

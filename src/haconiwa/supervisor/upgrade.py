"""A process of ours goes on with the code that it began with, whatever an upgrade does to the files.

What it loads later comes from the image, which it holds open: see `haconiwa.image`. Where there is none, as at the
first start after an installation, all that it may need is loaded while the container is already running.
"""

from __future__ import annotations

import sys

from haconiwa.errors import HostError
from haconiwa.image.sources import sources_of_package
from haconiwa.supervisor.messages import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from haconiwa.host.loop import Loop

_SETTLED_S = 1.0
"""What runs no longer than that need not know all."""

_HINT = "haconiwa is being replaced: what needs them fails until the container is started anew"

_NEVER_NEEDED = ("haconiwa.build", "haconiwa.cli", "haconiwa.image", "haconiwa.primitives", "haconiwa.__main__")


def load_the_rest(loop: Loop) -> None:
    """Load the package soon, one module at a time, so that nothing waits for it."""
    names = [name for name, _ in sources_of_package() if name not in sys.modules and not name.startswith(_NEVER_NEEDED)]
    failed: dict[str, str] = {}

    def load_next() -> None:
        if not names:
            _report(failed)
            return
        name = names.pop()
        try:
            __import__(name)
        except Exception as error:  # half of an upgrade is there; this may never be needed
            failed[name] = f"{type(error).__name__}: {error}"
        loop.call_after(0, load_next)

    loop.call_after(_SETTLED_S, load_next)


def _report(failed: Mapping[str, str]) -> None:
    if failed:
        name = next(iter(failed))
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        report(HostError(f'cannot load "{name}"{others}', why=failed[name], hint=_HINT))

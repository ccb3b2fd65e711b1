"""The sources of the package, as its files are now."""

from __future__ import annotations

import os

from haconiwa.image import FOLDER, PACKAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def sources_of_package() -> Iterator[tuple[str, str]]:
    """The name and the path of each module."""
    for folder, folders, files in os.walk(FOLDER):
        folders[:] = [name for name in folders if name.isidentifier()]
        package = PACKAGE + folder.removeprefix(FOLDER).replace(os.sep, ".")
        for file in files:
            stem, suffix = os.path.splitext(file)
            if suffix == ".py":
                yield package if stem == "__init__" else f"{package}.{stem}", os.path.join(folder, file)

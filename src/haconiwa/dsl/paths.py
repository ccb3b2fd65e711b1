"""Paths in a haco file: on the host, or as seen inside the container."""

from __future__ import annotations

import os

from haconiwa.dsl import loading
from haconiwa.dsl.place import here
from haconiwa.errors import ConfigError, Problem
from haconiwa.spec.values import Refused, inside, path_text, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    StrPath: TypeAlias = str | os.PathLike[str]


class RootPath:
    """A path inside the root file system that `chroot_to` was given; ``os.fspath`` is its path on the host.

    ``root / "tmp"`` and ``root / "/tmp"`` are both ``/tmp`` inside the root.
    """

    __slots__ = ("_inside", "_root")

    def __init__(self, root: str, inside_path: str = "/") -> None:
        self._root = root
        self._inside = inside_path

    @property
    def inside(self) -> str:
        """The path as seen inside the container."""
        return self._inside

    def __truediv__(self, part: StrPath) -> RootPath:
        try:
            return RootPath(self._root, inside(f"{self._inside.rstrip('/')}/{path_text(part)}"))
        except Refused as error:
            raise ConfigError(Problem(f"path below the root: {error}", here())) from None

    def __fspath__(self) -> str:
        return self._root + (self._inside if self._inside != "/" else "")

    def __str__(self) -> str:
        return self.__fspath__()

    def __repr__(self) -> str:
        return f"RootPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RootPath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def container_path(value: object) -> str:
    """An absolute path as seen inside the container."""
    return value.inside if type(value) is RootPath else inside(value)


def host_path(value: object) -> str:
    """An absolute path on the host; a relative one starts from the haco file's folder.

    ``..`` stays: behind a symbolic link it leads elsewhere than its text says.
    """
    return os.path.join(loading.current().folder, path_text(value))


def root_directory(value: object) -> str:
    """The host path of a root file system, without trailing slashes; not the host's own root."""
    path = host_path(value).rstrip("/")
    if os.path.normpath(path or "/") in ("/", "//"):
        raise Refused(f"{show(path or '/')} is the host's own root", "leave chroot_to out to keep it")
    return path

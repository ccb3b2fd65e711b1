"""The sections of the root file system and the daemon's streams: ``rootfs``, ``filesystem``, ``command``."""

from __future__ import annotations

from haconiwa.dsl.live import ListSetting
from haconiwa.dsl.node import Recording, Section, Setting
from haconiwa.dsl.paths import container_path, host_path
from haconiwa.spec.model import DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, StdioSpec
from haconiwa.spec.values import Refused, boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.dsl.paths import StrPath


class Rootfs(Section):
    """The root file system itself."""

    __slots__ = ()
    _section = "rootfs"

    readonly: Setting[bool, bool] = Setting(boolean, False)
    """Mount it read-only, with everything below."""

    idmap: Setting[bool, bool | None] = Setting(boolean, None)
    """In a user namespace, show its files with the container's ids; unless set, when its owner is not mapped."""

    overlay: Setting[bool, bool] = Setting(boolean, False)
    """Write to a layer of the container's own; containers may share a root that none of them changes."""


class Filesystem(Section):
    """What is hidden or protected inside the root, and how it becomes the root."""

    __slots__ = ()
    _section = "filesystem"

    use_legacy_chroot: Setting[bool, bool] = Setting(boolean, False)
    """chroot(2) instead of pivot_root(2)."""

    masked_paths: ListSetting = ListSetting(container_path, DEFAULT_MASKED_PATHS)
    """Paths inside that show nothing; a list to change, empty or replace."""

    readonly_paths: ListSetting = ListSetting(container_path, DEFAULT_READONLY_PATHS)
    """Paths inside that cannot be written; a list to change, empty or replace."""

    def add_masked_path(self, path: StrPath) -> None:
        """Let a path show nothing: a file is empty, a directory too."""
        with Recording(self, "add_masked_path"):
            self.masked_paths.add(container_path(path))

    def add_readonly_path(self, path: StrPath) -> None:
        """Make a path inside the container read-only."""
        with Recording(self, "add_readonly_path"):
            self.readonly_paths.add(container_path(path))


class Command(Section):
    """Where the streams of a container in the background lead; otherwise to its log."""

    __slots__ = ()
    _section = "command"

    def set_stdin(self, *, file: StrPath | None = None, host_file: StrPath | None = None) -> None:
        """Read stdin from a file: a path inside the container, or one on the host."""
        self._set_stream("stdin", file, host_file)

    def set_stdout(self, *, file: StrPath | None = None, host_file: StrPath | None = None) -> None:
        """Append stdout to a file: a path inside the container, or one on the host."""
        self._set_stream("stdout", file, host_file)

    def set_stderr(self, *, file: StrPath | None = None, host_file: StrPath | None = None) -> None:
        """Append stderr to a file: a path inside the container, or one on the host."""
        self._set_stream("stderr", file, host_file)

    def _set_stream(self, stream: str, file: object, host_file: object) -> None:
        with Recording(self, f"set_{stream}") as where:
            if (file is None) == (host_file is None):
                raise Refused("takes file= (inside the container) or host_file=")
            self._values[stream] = StdioSpec(
                file=None if file is None else container_path(file),
                host_file=None if host_file is None else host_path(host_file),
                where=where,
            )

"""What the image says that a root file system was made from: defaults for the container that runs in it."""

from __future__ import annotations

from haconiwa.spec.model import UserSpec
from haconiwa.spec.record import Record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from haconiwa.spec.model import ContainerSpec


class ImageSpec(Record):
    """The part of an OCI image's configuration that matters for running it.

    Attributes:
        command: Entry point and command in one; empty when it names none.
        environ: Variables for the program.
        user: ``user``, or ``user:group``, names or numbers; empty for root.
        workdir: Absolute, as seen inside; empty for the root.
    """

    command: tuple[str, ...] = ()
    environ: Mapping[str, str]
    user: str = ""
    workdir: str = ""


def with_image(spec: ContainerSpec, image: ImageSpec) -> ContainerSpec:
    """The container with the image's values where the haco file sets none; its environment adds to the image's."""
    changes: dict[str, object] = {"environ": {**image.environ, **spec.environ}}
    if image.command and "init_command" not in spec.sources:
        changes["init_command"] = image.command
    if image.workdir and "workdir" not in spec.sources:
        changes["workdir"] = image.workdir
    if image.user and "uid" not in spec.sources:
        user, _, group = image.user.partition(":")
        gid = spec.user.gid if "gid" in spec.sources else _number_or_name(group)
        changes["user"] = UserSpec(uid=_number_or_name(user), gid=gid, groups=spec.user.groups, where=spec.user.where)
    return replace(spec, **changes)


def _number_or_name(text: str) -> int | str | None:
    return int(text) if text.isascii() and text.isdigit() else text or None

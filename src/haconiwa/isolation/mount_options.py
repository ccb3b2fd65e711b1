"""Mount options as mount(8) -o takes them, split into the kernel's flags and a file system's own parameters."""

from __future__ import annotations

from haconiwa.kernel.mount import MOUNT_ATTR, MS
from haconiwa.spec.record import Record

_SETS = {
    "ro": MOUNT_ATTR.RDONLY,
    "nosuid": MOUNT_ATTR.NOSUID,
    "nodev": MOUNT_ATTR.NODEV,
    "noexec": MOUNT_ATTR.NOEXEC,
    "noatime": MOUNT_ATTR.NOATIME,
    "strictatime": MOUNT_ATTR.STRICTATIME,
    "nodiratime": MOUNT_ATTR.NODIRATIME,
    "nosymfollow": MOUNT_ATTR.NOSYMFOLLOW,
}
_CLEARS = {
    "rw": "ro",
    "suid": "nosuid",
    "dev": "nodev",
    "exec": "noexec",
    "diratime": "nodiratime",
    "symfollow": "nosymfollow",
}
_PROPAGATIONS = {
    "private": MS.PRIVATE,
    "rprivate": MS.PRIVATE,
    "slave": MS.SLAVE,
    "rslave": MS.SLAVE,
    "unbindable": MS.UNBINDABLE,
    "runbindable": MS.UNBINDABLE,
}
_IGNORED = frozenset({"", "defaults", "bind", "rbind", "relatime"})


class MountOptions(Record):
    """Options taken apart.

    Attributes:
        attributes: Flags of the mount itself.
        propagation: How mounts travel; private unless said otherwise.
        parameters: The file system's own, in order; a value of None is a word alone.
    """

    attributes: int
    propagation: int
    parameters: tuple[tuple[str, str | None], ...]


def parse_options(options: str, preset: int = 0) -> MountOptions:
    """Take a comma-separated option string apart. Later words win over earlier ones and over `preset`.

    See: mount(8), FILESYSTEM-INDEPENDENT MOUNT OPTIONS.
    """
    attributes, propagation = preset, MS.PRIVATE
    parameters: list[tuple[str, str | None]] = []
    for word in options.split(","):
        if word in _SETS:
            attributes |= _SETS[word]
        elif word in _CLEARS:
            attributes &= ~_SETS[_CLEARS[word]]
        elif word in _PROPAGATIONS:
            propagation = _PROPAGATIONS[word]
        elif word not in _IGNORED:
            key, equals, value = word.partition("=")
            parameters.append((key, value if equals else None))
    return MountOptions(attributes=attributes, propagation=propagation, parameters=tuple(parameters))

"""Mount options as mount(8) -o takes them, split into the kernel's flags and a file system's own parameters."""

from __future__ import annotations

from haconiwa.kernel.mount import MOUNT_ATTR, MS
from haconiwa.spec.mount_words import Extras, is_extra, parse_extras, plain_word, split_options
from haconiwa.spec.record import Record

_SETS = {
    "ro": MOUNT_ATTR.RDONLY,
    "ro=vfs": MOUNT_ATTR.RDONLY,
    "nosuid": MOUNT_ATTR.NOSUID,
    "nodev": MOUNT_ATTR.NODEV,
    "noexec": MOUNT_ATTR.NOEXEC,
    "nodiratime": MOUNT_ATTR.NODIRATIME,
    "nosymfollow": MOUNT_ATTR.NOSYMFOLLOW,
    "user": MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC,
    "users": MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC,
    "owner": MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV,
    "group": MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV,
}
_CLEARS = {
    "rw": MOUNT_ATTR.RDONLY,
    "suid": MOUNT_ATTR.NOSUID,
    "dev": MOUNT_ATTR.NODEV,
    "exec": MOUNT_ATTR.NOEXEC,
    "diratime": MOUNT_ATTR.NODIRATIME,
    "symfollow": MOUNT_ATTR.NOSYMFOLLOW,
}
_ACCESS_TIMES = {
    "noatime": MOUNT_ATTR.NOATIME,
    "strictatime": MOUNT_ATTR.STRICTATIME,
    "relatime": MOUNT_ATTR(0),
    "atime": MOUNT_ATTR(0),
    "norelatime": MOUNT_ATTR(0),
    "nostrictatime": MOUNT_ATTR(0),
}
_PROPAGATIONS = {
    "private": MS.PRIVATE,
    "slave": MS.SLAVE,
    "shared": MS.SHARED,
    "unbindable": MS.UNBINDABLE,
}
_IGNORED = frozenset(
    ("", *"defaults bind rbind auto noauto nofail _netdev nouser nousers noowner nogroup silent loud".split())
)


class MountOptions(Record):
    """Options taken apart.

    Attributes:
        attributes: Flags of the mount itself.
        cleared: Flags that a bind mount takes away from its source's.
        propagation: How mounts travel; private unless said otherwise.
        parameters: The file system's own, in order; a value of None is a word alone.
        extras: What mount(8) does beside mounting; None for nothing.
    """

    attributes: int
    cleared: int
    propagation: int
    parameters: tuple[tuple[str, str | None], ...]
    extras: Extras | None = None


def parse_options(options: str, preset: int = 0) -> MountOptions:
    """Take an option string apart. Later words win over earlier ones and over `preset`.

    See: mount(8), FILESYSTEM-INDEPENDENT MOUNT OPTIONS.
    """
    if not options:
        return MountOptions(attributes=preset, cleared=0, propagation=MS.PRIVATE, parameters=())
    attributes, cleared, propagation = preset, 0, MS.PRIVATE
    parameters: list[tuple[str, str | None]] = []
    extras = []
    for given in split_options(options):
        word = plain_word(given)
        if word in _SETS:
            attributes |= _SETS[word]
            cleared &= ~_SETS[word]
        elif word in _CLEARS:
            attributes &= ~_CLEARS[word]
            cleared |= _CLEARS[word]
        elif word in _ACCESS_TIMES:
            attributes = attributes & ~MOUNT_ATTR._ATIME | _ACCESS_TIMES[word]
            cleared |= MOUNT_ATTR._ATIME  # the kernel wants all of it cleared to set one
        elif word.removeprefix("r") in _PROPAGATIONS:
            propagation = _PROPAGATIONS[word.removeprefix("r")]
        elif is_extra(word):
            extras.append(word)
        elif word not in _IGNORED:
            key, equals, value = ("ro", "", "") if word == "ro=fs" else word.partition("=")
            parameters.append((key, value if equals else None))
    return MountOptions(
        attributes=attributes,
        cleared=cleared,
        propagation=propagation,
        parameters=tuple(parameters),
        extras=parse_extras(extras) if extras else None,
    )

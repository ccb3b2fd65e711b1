"""Mount options as mount(8) -o takes them: which words there are, and which exclude each other.

What is not here is an option of a file system's own, and left to it.
"""

from __future__ import annotations

from haconiwa.spec.record import Record
from haconiwa.spec.values import ID_MAX, Refused, show

OPPOSITES = {
    "ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec", "nodiratime": "diratime",
    "nosymfollow": "symfollow",
}  # fmt: skip
"""Attributes of a mount, and the word that takes each away."""

ACCESS_TIMES = ("noatime", "relatime", "strictatime")
DEFAULT_ACCESS_TIME = ("atime", "norelatime", "nostrictatime")
PROPAGATIONS = ("private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable")
FSTAB_WORDS = (
    "defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "nousers", "owner", "noowner",
    "group", "nogroup",
)  # fmt: skip
"""Words about who mounts and when; of these ``user users owner group`` also take privileges away from the mount."""

ALTERNATIVES = (
    *OPPOSITES.items(),
    ACCESS_TIMES,
    PROPAGATIONS,
    ("noatime", "atime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
    ("sync", "async"),
    ("lazytime", "nolazytime"),
    ("mand", "nomand"),
    ("silent", "loud"),
    ("bind", "rbind"),
)
"""Of each of these an option string may have one."""

BIND_WORDS = (
    *OPPOSITES, *OPPOSITES.values(), *ACCESS_TIMES, *DEFAULT_ACCESS_TIME, *PROPAGATIONS, *FSTAB_WORDS, "bind", "rbind",
    "silent", "loud", "ro=vfs", "idmap", "ridmap",
)  # fmt: skip
"""Everything that a bind mount takes, but for `EXTRAS` and ``WORD=recursive``."""

NOT_FOR_A_START = ("remount", "move", "bind", "rbind")
"""What changes or moves a mount that exists; no option of a new file system."""

VALUE_MAX = 255
"""Longest value of one option in bytes, see fsconfig(2)."""


class Extras(Record):
    """The options of mount(8)'s own that begin with ``X-mount.``.

    Attributes:
        folder_mode: Of directories made for the mount point.
        uid, gid, mode: Of the mounted directory; -1 leaves it.
        idmap: Lines of an id map as ``u:DISK:SHOWN:COUNT``, ``g:…``, ``b:…``; empty for the container's own, None for
            no map.
    """

    folder_mode: int = 0o755
    uid: int = -1
    gid: int = -1
    mode: int = -1
    idmap: str | None = None


def split_options(options: str) -> list[str]:
    """The words of an option string; commas between double quotes do not count, and the quotes go."""
    if '"' not in options:
        return options.split(",")
    words, quoted = [""], False
    for character in options:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            words.append("")
        else:
            words[-1] += character
    return words


def plain_word(word: str) -> str:
    """A word without ``=recursive``, which every attribute of a bind mount is anyway."""
    base = word.removesuffix("=recursive")
    return base if base in OPPOSITES or base in OPPOSITES.values() or base in ACCESS_TIMES else word


def is_extra(word: str) -> bool:
    """Whether mount(8) keeps the word to itself: comments, and what begins with ``x-`` or ``X-``.

    The id maps of the OCI runtime specification are such words as well.
    """
    return word.startswith(("x-", "X-", "comment=")) or word in ("idmap", "ridmap")


def parse_extras(words: list[str]) -> Extras:
    """Read the words that `is_extra` knows; unknown ones are comments, as for mount(8).

    Raises:
        Refused: A value that makes no sense.
    """
    found: dict[str, int | str] = {"idmap": ""} if "idmap" in words or "ridmap" in words else {}
    for word in words:
        key, _, value = word.partition("=")
        if key == "X-mount.mkdir":
            found["folder_mode"] = _number(word, value, 8, 0o7777) if value else 0o755
        elif key in ("X-mount.owner", "X-mount.group"):
            found["uid" if key == "X-mount.owner" else "gid"] = _number(word, value, 10, ID_MAX)
        elif key == "X-mount.mode":
            found["mode"] = _number(word, value, 8, 0o7777)
        elif key == "X-mount.idmap":
            found["idmap"] = _idmap(word, value)
        elif key.startswith("X-mount."):
            raise Refused(f"{show(word)} is nothing that haconiwa does")
    return Extras(**found)  # type: ignore[arg-type]


def _idmap(word: str, value: str) -> str:
    for line in value.split():
        kind, *numbers = line.split(":")
        if kind not in ("u", "g", "b") or len(numbers) != 3:
            break
        for number in numbers:
            _number(word, number, 10, ID_MAX)
    else:
        if value.strip():
            return value
    raise Refused(f"{show(word)} is no list of u:DISK:SHOWN:COUNT, g:… or b:…, separated by blanks")


def _number(word: str, value: str, base: int, highest: int) -> int:
    digits = "01234567" if base == 8 else "0123456789"
    if 0 < len(value) <= 10 and not value.strip(digits) and int(value, base) <= highest:
        return int(value, base)
    raise Refused(f"{show(word)} needs {'an octal mode' if base == 8 else f'a number up to {highest}'}")


def contradiction(words: list[str]) -> tuple[str, str] | None:
    """Two words that exclude each other, if there are any."""
    plain = {plain_word(word) for word in words}
    for group in ALTERNATIVES:
        found = [word for word in group if word in plain]
        if len(found) > 1:
            return found[0], found[1]
    return None

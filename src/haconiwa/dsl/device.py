"""The check of `add_device`; loaded only by files that call it."""

from __future__ import annotations

import os
import stat

from haconiwa.spec.devices import DeviceSpec
from haconiwa.spec.values import Refused, inside, number, one_of, show, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.errors import Where

_MAJOR_MAX = 2**12 - 1  # as the kernel counts, see makedev(3)
_MINOR_MAX = 2**20 - 1


def device(path: object, type_: object, major: object, minor: object, access: object, where: Where) -> DeviceSpec:
    """A device by its numbers, which the host's node says unless they are given."""
    place = inside(path)
    if place == "/":
        raise Refused('"/" is no device')
    given = [value is not None for value in (type_, major, minor)]
    if any(given) != all(given):
        raise Refused("takes type=, major= and minor= together, or none of them")
    if all(given):
        kind = one_of(type_, ("c", "b"), '"c" or "b"')
        numbers = number(major, 0, _MAJOR_MAX, "major= as a number"), number(minor, 0, _MINOR_MAX, "minor= as a number")
    else:
        kind, *numbers = _of_the_host(place)  # type: ignore[assignment]
    return DeviceSpec(
        path=place,
        type=kind,  # type: ignore[arg-type]
        major=numbers[0],
        minor=numbers[1],
        access=_access(access),
        where=where,
    )


def _of_the_host(path: str) -> tuple[str, int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        hint = "give type=, major= and minor=, if a container can do without the host's"
        raise Refused(f"cannot look at {show(path)}: {error.strerror}", hint) from None
    if not stat.S_ISCHR(status.st_mode) and not stat.S_ISBLK(status.st_mode):
        raise Refused(f"{show(path)} is no device")
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b"
    return kind, os.major(status.st_rdev), os.minor(status.st_rdev)


def _access(value: object) -> str:
    plain = string(value, "access= as text")
    if not plain or set(plain) - set("rwm") or len(set(plain)) != len(plain):
        raise Refused(f'access= {show(plain)} is not made of "r", "w" and "m"')
    return "".join(letter for letter in "rwm" if letter in plain)

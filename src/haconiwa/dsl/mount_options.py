"""The check of ``options=`` of `add_mount_point`; loaded only by files that give some."""

from __future__ import annotations

import os

from haconiwa.dsl import loading
from haconiwa.spec.mount_words import (
    BIND_WORDS,
    NOT_FOR_A_START,
    VALUE_MAX,
    is_extra,
    parse_extras,
    plain_word,
    split_options,
)
from haconiwa.spec.values import Refused, show, string, suggestion

_LAYERS = ("lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir")


def mount_options(value: object, fstype: str) -> str:
    """An option string.

    Args:
        value: As for ``mount -o``.
        fstype: The file system; empty for a bind mount.

    Returns:
        The same, an overlay's directories as absolute paths.
    """
    plain = string(value, "options as for mount -o")
    if not plain.isprintable():
        raise Refused(f"options= {show(plain)} has a control character")
    words = [word for word in split_options(plain) if word]
    extras = parse_extras([word for word in words if is_extra(word)])
    if fstype and extras.idmap is not None:
        raise Refused("an id map is for a bind mount")
    check = _check_own if fstype else _check_bind
    for word in words:
        if not is_extra(word):
            check(word)
    return _absolute(words) if fstype == "overlay" else plain


def _check_bind(word: str) -> None:
    if plain_word(word) not in BIND_WORDS:
        raise Refused(f"{show(word)} is no option of a bind mount", suggestion(word, BIND_WORDS))


def _check_own(word: str) -> None:
    if word in NOT_FOR_A_START:
        hint = "leave out fs= for a bind mount" if word in ("bind", "rbind") else ""
        raise Refused(f"{show(word)} is no option of a new file system", hint)
    key, _, value = word.partition("=")
    for part in (key, *(_layers(value) if key == "lowerdir" else [value])):
        if len(os.fsencode(part)) > VALUE_MAX:
            raise Refused(f"the value of {show(key)} is longer than the {VALUE_MAX} bytes that the kernel takes")


def _layers(lowerdir: str) -> list[str]:
    """What is between the colons that no backslash precedes; backslashes stay."""
    return [part.replace("\0", "\\:") for part in lowerdir.replace("\\:", "\0").split(":")]


def _absolute(words: list[str]) -> str:
    """The options of an overlay with its relative directories below the haco file's folder."""
    shown = []
    for word in words:
        key, equals, value = word.partition("=")
        if key in _LAYERS and equals:
            parts = _layers(value) if key == "lowerdir" else [value]
            value = ":".join(_below_folder(part) for part in parts)
        whole = key + equals + value
        shown.append(f'"{whole}"' if "," in whole else whole)
    return ",".join(shown)


def _below_folder(path: str) -> str:
    """A relative path below the haco file's folder; empty stays empty, it separates layers."""
    return os.path.join(loading.current().folder, path) if path else path

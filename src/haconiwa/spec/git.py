"""What the strategy ``git`` may be told: harmless transports and options, for git has many ways to run commands."""

from __future__ import annotations

import re

from haconiwa.spec.values import Refused, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOLS = ("file", "git", "http", "https", "ssh")

_FLAGS = frozenset(
    "--single-branch --no-single-branch --no-tags --no-local --no-hardlinks --quiet -q --verbose -v --progress".split()
)
_WITH_VALUE = frozenset("--depth --branch -b --origin -o --filter --shallow-since --shallow-exclude --jobs -j".split())

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/@]*@)?(.*)", re.DOTALL)
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!:).+", re.DOTALL)


def git_url(url: str) -> str:
    """A url, or an absolute path, through which git runs no command.

    Raises:
        Refused: It is something else.
    """
    if url.startswith("-") or not url.isprintable():
        raise Refused(f"{show(url)} is not a url")
    if scheme := _SCHEME.fullmatch(url):
        if scheme[1] not in PROTOCOLS or scheme[2].startswith("-"):
            raise Refused(f"{show(url)} is not allowed", f"use {', '.join(PROTOCOLS)}, or a path")
    elif "::" in url.partition("/")[0]:  # ext::, fd:: and the like start programs
        raise Refused(f"{show(url)} names a helper program", "use a url or a path")
    elif not url.startswith("/") and not _SCP_LIKE.fullmatch(url):
        raise Refused(f"{show(url)} is neither a url nor an absolute path")
    return url


def git_options(options: Iterable[str]) -> tuple[str, ...]:
    """Options of ``git clone``, each known to be harmless; git would also take beginnings of names.

    Raises:
        Refused: One is not, or lacks its value.
    """
    words = list(options)
    accepted: list[str] = []
    while words:
        option = words.pop(0)
        name, _, value = option.partition("=")
        if name in _WITH_VALUE and not value:
            if not words or words[0].startswith("-"):
                raise Refused(f"{show(option)} needs a value")
            accepted += [option, words.pop(0)]
        elif option in _FLAGS or (value and name in _WITH_VALUE and name.startswith("--")):
            accepted.append(option)
        else:
            raise Refused(f"{show(option)} is not allowed", f"there are {', '.join(sorted(_FLAGS | _WITH_VALUE))}")
    return tuple(accepted)

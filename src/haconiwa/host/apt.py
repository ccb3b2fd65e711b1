"""Where this machine gets its own Debian or Ubuntu packages from."""

from __future__ import annotations

import os
from collections.abc import Iterator

_SCRIPTS = "/usr/share/debootstrap/scripts"
_SECURITY = "security"


def host_mirror(release: str, etc: str = "/etc", scripts: str = _SCRIPTS) -> str:
    """The mirror that this machine uses, where it is one of the distribution that the release belongs to.

    Args:
        release: Such as ``bookworm``.
        etc: Host folder with ``apt`` and ``os-release``.
        scripts: Host folder of debootstrap's scripts, which tells one distribution's releases from another's.

    Returns:
        Its url; empty when this machine is of another distribution, or does not say.
    """
    entries = list(_entries(os.path.join(etc, "apt")))
    same = [url for url, suites in entries if release in suites]
    if same:
        return same[0]
    codename = _codename(os.path.join(etc, "os-release"))
    if not codename or _family(scripts, codename) != _family(scripts, release):
        return ""
    return next((url for url, suites in entries if codename in suites), "")


def _family(scripts: str, release: str) -> str:
    """Debootstrap's script for a release; those of one distribution are links to the same."""
    path = os.path.realpath(os.path.join(scripts, os.path.basename(release)))
    return path if os.path.exists(path) else release


def _codename(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            pairs = [line.rstrip("\n").partition("=") for line in file]
    except OSError:
        return ""
    return next((value.strip("\"'") for key, _, value in pairs if key == "VERSION_CODENAME"), "")


def _entries(folder: str) -> Iterator[tuple[str, list[str]]]:
    """The sources of binary packages: a url and its suites; without those that hold security updates only."""
    paths = [os.path.join(folder, "sources.list")]
    parts = os.path.join(folder, "sources.list.d")
    if os.path.isdir(parts):
        paths += sorted(os.path.join(parts, name) for name in os.listdir(parts))
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        found = _deb822(text) if path.endswith(".sources") else _one_line(text)
        yield from ((url, suites) for url, suites in found if _usable(url))


def _usable(url: str) -> bool:
    return url.startswith(("http://", "https://", "file:/")) and _SECURITY not in url


def _one_line(text: str) -> Iterator[tuple[str, list[str]]]:
    """As ``deb [arch=amd64 signed-by=…] http://mirror.example/debian bookworm main``, see sources.list(5)."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] != ["deb"]:
            continue
        if len(words) > 1 and words[1].startswith("["):
            end = next((number for number, word in enumerate(words) if word.endswith("]")), len(words))
            words = words[end:]
        if len(words) > 2:
            yield words[1], [words[2]]


def _deb822(text: str) -> Iterator[tuple[str, list[str]]]:
    """Paragraphs of ``Types:``, ``URIs:`` and ``Suites:``."""
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        fields = {key.strip().lower(): value.split() for key, _, value in (line.partition(":") for line in lines)}
        if "deb" in fields.get("types", ()) and "no" not in fields.get("enabled", ()):
            yield from ((url, fields.get("suites", [])) for url in fields.get("uris", ()))

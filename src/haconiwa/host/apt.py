"""Where this machine gets its own Debian or Ubuntu packages from, and what it checks them with."""

from __future__ import annotations

import os
from collections.abc import Iterator

from haconiwa.spec.record import Record

_SCRIPTS = "/usr/share/debootstrap/scripts"
_SECURITY = "security"


class _Source(Record):
    """One source of packages: where it is, what it has, and the file or keys that apt checks it with."""

    url: str
    suites: list[str]
    signed_by: str


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
    same = [source.url for source in entries if release in source.suites]
    if same:
        return same[0]
    codename = _codename(os.path.join(etc, "os-release"))
    if not codename or _family(scripts, codename) != _family(scripts, release):
        return ""
    return next((source.url for source in entries if codename in source.suites), "")


def host_keyring(release: str, etc: str = "/etc") -> str:
    """The keyring that this machine trusts for a release, where that is a file; it may be a mirror's own.

    Args:
        release: Such as ``bookworm``.
        etc: Host folder with ``apt``.

    Returns:
        Its host path; empty when this machine does not say, or in another form than gpgv(1) reads.
    """
    source = next((source for source in _entries(os.path.join(etc, "apt")) if release in source.suites), None)
    if source and source.signed_by.endswith((".gpg", ".kbx")) and os.path.isfile(source.signed_by):
        return source.signed_by
    return ""


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


def _entries(folder: str) -> Iterator[_Source]:
    """The sources of binary packages, without those that hold security updates only."""
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
        yield from (source for source in found if _usable(source.url))


def _usable(url: str) -> bool:
    return url.startswith(("http://", "https://", "file:/")) and _SECURITY not in url


def _one_line(text: str) -> Iterator[_Source]:
    """As ``deb [arch=amd64 signed-by=…] http://mirror.example/debian bookworm main``, see sources.list(5)."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] != ["deb"]:
            continue
        options: list[str] = []
        if len(words) > 1 and words[1].startswith("["):
            end = next((number for number, word in enumerate(words) if word.endswith("]")), len(words))
            options, words = words[1 : end + 1], words[end:]
        if len(words) > 2:
            signed_by = [word.strip("[]").partition("=")[2] for word in options if "signed-by=" in word]
            yield _Source(url=words[1], suites=[words[2]], signed_by="".join(signed_by))


def _deb822(text: str) -> Iterator[_Source]:
    """Paragraphs of ``Types:``, ``URIs:``, ``Suites:`` and ``Signed-By:``."""
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        fields = {key.strip().lower(): value.split() for key, _, value in (line.partition(":") for line in lines)}
        if "deb" in fields.get("types", ()) and "no" not in fields.get("enabled", ()):
            signed_by = " ".join(fields.get("signed-by", ()))
            suites = fields.get("suites", [])
            yield from (_Source(url=url, suites=suites, signed_by=signed_by) for url in fields.get("uris", ()))

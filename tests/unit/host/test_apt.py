from __future__ import annotations

from pathlib import Path

import pytest

from haconiwa.host.apt import host_keyring, host_mirror

DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security

Types: deb-src
URIs: http://sources.example/debian
Suites: trixie

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A Debian 12, with debootstrap's scripts beside it."""
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n', encoding="ascii")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("sid", "gutsy"):
        (scripts / name).touch()
    for name, family in {"bookworm": "sid", "trixie": "sid", "stable": "sid", "jammy": "gutsy"}.items():
        (scripts / name).symlink_to(family)
    return tmp_path / "etc"


def mirror(etc: Path, release: str) -> str:
    return host_mirror(release, str(etc), str(etc.parent / "scripts"))


@pytest.mark.parametrize("release", ["bookworm", "trixie", "stable"])
def test_deb822(etc: Path, release: str) -> None:
    (etc / "apt/sources.list.d/debian.sources").write_text(DEB822, encoding="ascii")
    assert mirror(etc, release) == "http://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb http://mirror.example/debian bookworm main contrib # comment",
        "deb [arch=amd64] http://mirror.example/debian bookworm main",
        "deb [ arch=amd64 signed-by=/k.gpg ] http://mirror.example/debian bookworm main",
    ],
)
def test_one_line(etc: Path, line: str) -> None:
    text = f"# deb http://no.example/debian bookworm main\ndeb-src http://no.example/x bookworm main\n{line}\n"
    (etc / "apt/sources.list").write_text(text, encoding="ascii")
    assert mirror(etc, "trixie") == "http://mirror.example/debian"


@pytest.mark.parametrize("release", ["jammy", "no-such"])
def test_a_release_of_another_distribution(etc: Path, release: str) -> None:
    (etc / "apt/sources.list.d/debian.sources").write_text(DEB822, encoding="ascii")
    assert mirror(etc, release) == ""


@pytest.mark.parametrize("text", ["", "deb", "deb [x", "deb cdrom:[x]/ bookworm main", "\0\xff"])
def test_what_says_nothing(etc: Path, text: str) -> None:
    (etc / "apt/sources.list").write_text(text, encoding="latin-1")
    assert mirror(etc, "trixie") == ""


def test_a_machine_without_apt(tmp_path: Path) -> None:
    assert host_mirror("bookworm", str(tmp_path), str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.sources", "Types: deb\nURIs: http://m.example/d\nSuites: bookworm\nSigned-By: {}\n"),
        ("a.list", "deb [arch=amd64 signed-by={}] http://m.example/d bookworm main\n"),
        ("b.list", "deb [ signed-by={} arch=amd64 ] http://m.example/d bookworm main\n"),
    ],
)
def test_the_keyring_of_a_release(etc: Path, tmp_path: Path, name: str, text: str) -> None:
    keyring = tmp_path / "own.gpg"
    (etc / "apt/sources.list.d" / name).write_text(text.format(keyring), encoding="ascii")
    assert host_keyring("bookworm", str(etc)) == "", "it is missing"
    keyring.touch()
    assert host_keyring("bookworm", str(etc)) == str(keyring)
    assert host_keyring("trixie", str(etc)) == ""


@pytest.mark.parametrize("value", ["/k.asc", "/a.gpg /b.gpg", "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .", ""])
def test_a_keyring_in_another_form_is_left_to_the_tool(etc: Path, value: str) -> None:
    text = f"Types: deb\nURIs: http://m.example/d\nSuites: bookworm\nSigned-By: {value}\n"
    (etc / "apt/sources.list.d/a.sources").write_text(text, encoding="ascii")
    assert host_keyring("bookworm", str(etc)) == ""
    assert mirror(etc, "bookworm") == "http://m.example/d"

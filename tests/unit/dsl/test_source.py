"""Which files are read at all: their kind, their size, their owner and who else can write them or their folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.dsl.load import load_file
from haconiwa.dsl.source import SIZE_MAX, check_trusted, read_source
from haconiwa.errors import ConfigError

Write = Callable[[str], Path]

OTHER_UID = OTHER_GID = 65533
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")


def refusal(path: Path, trusted_uids: tuple[int, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        read_source(str(path), trusted_uids)
    return str(caught.value)


def test_a_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(b"x = 1\r\n")
    source = read_source(str(path))
    assert (source.file, source.real_file, source.data) == (str(path), str(path), b"x = 1\r\n")


def test_a_link_is_followed_and_its_end_is_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(b"x = 1\n")
    link = tmp_path / "link.haco"
    link.symlink_to("a.haco")
    assert (read_source(str(link)).file, read_source(str(link)).real_file) == (str(link), str(path))
    path.chmod(0o666)
    assert refusal(link) == f'others can write to "{path}" (mode 0666); chmod go-w it'


def test_a_missing_file(tmp_path: Path) -> None:
    expected = f'cannot open "{tmp_path}/no.haco": No such file or directory (ENOENT); "haconiwa new FILE" writes one'
    assert refusal(tmp_path / "no.haco") == expected


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    assert refusal(tmp_path / "a") == f'cannot open "{tmp_path}/a": Too many levels of symbolic links (ELOOP)'


def test_a_name_with_a_nul() -> None:
    assert refusal(Path("a\0b")) == 'cannot open "a\\x00b": it has a NUL character'


def test_an_escape_in_a_name_is_shown_escaped(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a\x1b[2J").startswith(f'cannot open "{tmp_path}/a\\x1b[2J": No such file')


def test_a_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f'"{tmp_path}" is not a regular file'


def test_a_fifo_without_a_writer_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert refusal(tmp_path / "fifo") == f'"{tmp_path}/fifo" is not a regular file'


def test_a_device() -> None:
    assert refusal(Path("/dev/zero")) == '"/dev/zero" is not a regular file'


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.haco"
    with open(path, "wb") as file:
        file.truncate(100 * SIZE_MAX)
    assert refusal(path) == f'"{path}" is larger than {SIZE_MAX} bytes'


def test_the_largest_file(tmp_path: Path) -> None:
    path = tmp_path / "large.haco"
    path.write_bytes(b"#" * SIZE_MAX)
    assert len(read_source(str(path)).data) == SIZE_MAX


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("x = 1".encode("utf-16"), "is in UTF-16, write it in UTF-8"),
        (b"x = 1\n\0\n", "has a NUL byte: it is not a text"),
        (b"# a\n# \xe4\n", "is not in UTF-8 (line 2)"),
        (b"\x7fELF\x02\x01\x01\x00", "has a NUL byte: it is not a text"),
    ],
)
def test_what_is_no_text(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(data)
    assert refusal(path) == f'"{path}" {expected}'


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n"])
def test_an_empty_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_file(str(path))
    assert str(caught.value) == f'"{path}" is empty; "haconiwa new FILE" writes a haco file'


@pytest.mark.parametrize("beginning", [b"\xef\xbb\xbf", b"#!/usr/bin/env haconiwa\r\n", "# 箱庭\n".encode()])
def test_byte_order_mark_line_ends_and_other_scripts(tmp_path: Path, beginning: bytes) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(beginning + b"from haconiwa import define\r\ndefine().name = 'web'\r\n")
    assert load_file(str(path)).containers[0].name == "web"


@as_root
@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602, 0o777])
def test_a_file_others_can_write(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(b"x = 1\n")
    os.chown(path, -1, OTHER_GID)
    path.chmod(mode)
    assert refusal(path) == f'others can write to "{path}" (mode {mode:04o}); chmod go-w it'


@as_root
def test_a_file_of_roots_own_group_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(b"x = 1\n")
    path.chmod(0o664)
    assert read_source(str(path)).data == b"x = 1\n"


def test_a_folder_others_can_write(tmp_path: Path) -> None:
    path = tmp_path / "open" / "inner" / "a.haco"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x = 1\n")
    (tmp_path / "open").chmod(0o777)
    assert refusal(path) == f'others can write to "{tmp_path}/open" (mode 0777); chmod go-w it'
    (tmp_path / "open").chmod(0o1777)
    assert read_source(str(path)).data == b"x = 1\n"


@as_root
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(b"x = 1\n")
    os.chown(path, OTHER_UID, OTHER_UID)
    assert refusal(path) == (
        f'"{path}" belongs to user {OTHER_UID}, not to root or to you; '
        "chown it, or set trusted_uids in the global config"
    )
    assert read_source(str(path), (OTHER_UID,)).data == b"x = 1\n"


@as_root
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "theirs" / "a.haco"
    path.parent.mkdir()
    path.write_bytes(b"x = 1\n")
    os.chown(path.parent, OTHER_UID, -1)
    assert refusal(path).startswith(f'"{path.parent}" belongs to user {OTHER_UID}, ')
    assert read_source(str(path), (OTHER_UID,)).data == b"x = 1\n"


@as_root
def test_a_link_to_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "a.haco"
    path.write_bytes(b"x = 1\n")
    os.chown(path, OTHER_UID, OTHER_UID)
    (tmp_path / "mine.haco").symlink_to(path)
    assert refusal(tmp_path / "mine.haco").startswith(f'"{path}" belongs to user {OTHER_UID}, ')


@as_root
def test_another_user_may_load_their_own_file_and_roots(tmp_path: Path) -> None:
    mine = tmp_path / "mine.haco"
    roots = tmp_path / "roots.haco"
    for path in (mine, roots):
        path.write_bytes(b"x = 1\n")
    os.chown(mine, OTHER_UID, OTHER_UID)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    before = os.geteuid()
    os.seteuid(OTHER_UID)
    try:
        data = [read_source(str(path)).data for path in (mine, roots)]
    finally:
        os.seteuid(before)
    assert data == [b"x = 1\n"] * 2


def test_trusted_uids_of_the_global_config(write: Write, own_config: Path) -> None:
    own_config.write_text("from haconiwa import configure\nconfigure().trusted_uids = [65533]\n")
    path = write("from haconiwa import define\ndefine().name = 'theirs'\n")
    if os.geteuid() == 0:
        os.chown(path, OTHER_UID, OTHER_UID)
    assert load_file(str(path)).containers[0].name == "theirs"


def test_a_global_config_others_can_write(write: Write, own_config: Path) -> None:
    own_config.write_text("x = 1\n")
    own_config.chmod(0o666)
    with pytest.raises(ConfigError, match="others can write to"):
        load_file(str(write("from haconiwa import define\ndefine()\n")))


@pytest.mark.parametrize("what", ["module", "package", "bytecode"])
def test_an_imported_module_that_others_can_write(
    write: Write, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    name = f"haco_test_open_{what}"
    ran = tmp_path / "ran"
    module = tmp_path / f"{name}.py" if what != "package" else tmp_path / name / "__init__.py"
    module.parent.mkdir(exist_ok=True)
    module.write_text(f"open({str(ran)!r}, 'w')\n")
    loose = module
    if what == "bytecode":
        loose = tmp_path / "__pycache__" / f"{name}.{sys.implementation.cache_tag}.pyc"
        loose.parent.mkdir()
        loose.write_bytes(b"")
    loose.chmod(0o666)
    path = write(f"import {name}\nfrom haconiwa import define\ndefine()\n")
    with pytest.raises(ConfigError) as caught:
        load_file(str(path))
    first = caught.value.problems[0]
    assert str(first) == f'{path}:1: others can write to "{loose}" (mode 0666); chmod go-w it'
    assert not ran.exists()


def test_a_module_elsewhere_is_not_looked_at(write: Write) -> None:
    path = write("import json.tool\nfrom haconiwa import define\ndefine().name = 'web'\n")
    assert load_file(str(path)).name == "web"


def test_check_trusted_of_a_program_of_the_system() -> None:
    check_trusted(os.path.realpath("/bin/sh"))

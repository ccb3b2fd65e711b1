from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haconiwa.build.accounts import system_accounts

PASSWD = """\
root:$6$secret:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
alice:x:1000:1000:Alice:/home/alice:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
broken:x:2
+::::::
"""
GROUP = "root:x:0:\nadm:x:4:alice,daemon\nalice:x:1000:\nnogroup:x:65534:\n"


def accounts(tmp_path: Path, passwd: str | bytes, group: str | bytes) -> tuple[str, str]:
    for name, text in (("passwd", passwd), ("group", group)):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return system_accounts(str(tmp_path / "passwd"), str(tmp_path / "group"))


def test_only_accounts_of_the_system_and_no_password(tmp_path: Path) -> None:
    passwd, group = accounts(tmp_path, PASSWD, GROUP)
    assert passwd.splitlines() == [
        "root:*:0:0:root:/root:/bin/bash",
        "daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
        "nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    ]
    assert group.splitlines() == ["root:*:0:", "adm:*:4:daemon", "nogroup:*:65534:"]


def test_a_machine_without_these_files_still_has_root(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert system_accounts(missing, missing) == ("root:*:0:0:root:/root:/bin/sh\n", "root:*:0:\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_file_gives_well_formed_lines(tmp_path: Path, content: bytes) -> None:
    passwd, group = accounts(tmp_path, content, content)
    assert all(line.count(":") == 6 for line in passwd.rstrip("\n").split("\n"))
    assert all(line.count(":") == 3 for line in group.rstrip("\n").split("\n"))

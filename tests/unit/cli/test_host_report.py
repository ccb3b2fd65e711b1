"""``haconiwa check --host``: its words, its JSON and its exit status, as root and as anybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from haconiwa.cli.host_report import report
from haconiwa.cli.output import Output
from tests.support.program import Program

KEYS = {"group", "name", "ok", "needed", "detail", "change"}


def test_json_and_words_say_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    status = report(Output(), in_json=True)
    found = json.loads(capfd.readouterr().out)
    assert all(set(finding) == KEYS for finding in found)
    assert status == (125 if any(finding["needed"] and not finding["ok"] for finding in found) else 0)
    assert report(Output(), in_json=False) == status
    lines = capfd.readouterr().out.splitlines()
    assert [line[:-1] for line in lines if not line.startswith(" ")] == list(dict.fromkeys(f["group"] for f in found))
    words = [line.split()[0] for line in lines if line.startswith("  ") and not line.lstrip().startswith("->")]
    expected = ["ok" if f["ok"] else "missing" if f["needed"] else "no" for f in found]
    assert words == expected


def test_takes_a_file_or_the_host(haconiwa: Program) -> None:
    for arguments in ([], ["--host", "web.haco"]):
        assert "check takes a FILE or --host" in haconiwa("check", *arguments, expect=2).stderr


@pytest.mark.requires("root")
def test_an_ordinary_user_is_told_what_it_needs() -> None:
    source = Path(sys.modules["haconiwa"].__file__ or "").parents[1]
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); os.setgroups([]); "
        "from haconiwa.cli import host_report, output; import haconiwa.host.findings; "
        "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534); "
        "sys.exit(host_report.report(output.Output(), in_json=False))"
    )
    argv = [sys.executable, "-I", "-c", code, str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.defpath})
    assert done.returncode == 125, done.stderr
    assert "  no       root                         uid 65534\n" in done.stdout
    assert "-> as it is, containers need a user namespace" in done.stdout
    assert "  missing  folder for the state         No such file or directory (ENOENT)\n" in done.stdout

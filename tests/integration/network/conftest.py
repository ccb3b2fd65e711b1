"""Containers on a host of the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunDirs
from tests.integration.box import Box, wait_until
from tests.integration.conftest import _numbers
from tests.support.net_host import NetHost
from tests.support.program import Program

CGI = '#!/bin/sh\necho\necho "$(hostname) answers $REMOTE_ADDR"\n'

MakeBox = Callable[..., Box]


@pytest.fixture
def host(haconiwa: Program, run_dirs: RunDirs) -> Iterator[NetHost]:
    """The host. What containers had on it must be gone at the end, but for what the test made itself."""
    machine = NetHost(haconiwa, run_dirs.base)
    before = machine.links()
    try:
        yield machine
        wait_until(lambda: not (run_dirs.run / ".network").exists(), "something is still leased")
        wait_until(lambda: machine.links() <= before, f"links that stay: {machine.links() - before}")
        assert "haconiwa" not in machine.rules()
    finally:
        machine.close()


@pytest.fixture
def make_box(host: NetHost, run_dirs: RunDirs, busybox_root: Path) -> Iterator[MakeBox]:
    """Makes containers on the host, over one root that has a web server: ``make_box("web", settings, rest)``."""
    www = busybox_root / "www/cgi-bin"
    www.mkdir(parents=True)
    (www / "who").write_text(CGI, encoding="ascii")
    (www / "who").chmod(0o755)
    made: list[Box] = []

    def make(word: str, settings: str = "", rest: str = "", **options: object) -> Box:
        one = Box(host.haconiwa, run_dirs.base, busybox_root, f"{word}-{os.getpid()}-{next(_numbers)}")
        one.write(settings or "config.network.container_ip = 'auto'", rest, **options)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield make
    for one in made:
        host.haconiwa("stop", "-T", "0", one.name, expect=None)
        one.nothing_left()

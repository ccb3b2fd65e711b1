"""Settings that change what the supervisor does, and nothing in the container."""

from __future__ import annotations

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.mark.parametrize("level", ["warning", "error"])
def test_a_quiet_supervisor_tells_only_what_went_wrong(box: Box, level: str) -> None:
    box.write(f'config.log_level = "{level}"')
    assert box.run("true").stderr == ""
    assert box.run("/no/such/program", expect=127).stderr.count("\n") == 1


@pytest.mark.setting("log_level")
def test_a_debugging_supervisor_tells_every_step(box: Box) -> None:
    box.write('config.log_level = "debug"')
    shown = box.run("true").stderr
    assert "inside      pivot into the root file system" in shown
    assert "Container fork success" in shown


@pytest.mark.setting("container_pid_file", "define")
def test_a_barn_of_several_writes_its_own_pid(box: Box) -> None:
    pid_file = box.folder / "barn.pid"
    box.file.write_text(f"""
from haconiwa import define

with define() as barn:
    barn.container_pid_file = {str(pid_file)!r}
    barn.chroot_to({str(box.root)!r})
    for name in ("one", "two"):
        with barn.define() as config:
            config.name = f"{box.name}-{{name}}"
            config.init_command = ["/bin/true"]


@barn.add_general_hook("teardown")
def tell(barn):
    import os

    print("barn", os.getpid(), open({str(pid_file)!r}).read().strip())
""")
    result = box.haconiwa("start", str(box.file))
    words = next(line for line in result.stderr.splitlines() if line.startswith("barn ")).split()
    assert words[1] == words[2]
    assert not pid_file.exists()

"""``haconiwa generate systemd``: units that systemd takes, whatever is in the paths."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from haconiwa.cli.generate import unit
from haconiwa.spec.model import BarnSpec, ContainerSpec, RootfsSpec
from tests.support.program import Program


def barn(path: str) -> BarnSpec:
    rootfs = RootfsSpec(path=f"{path}/root")
    container = ContainerSpec(name="web", environ={}, stdio={}, metadata={}, sources={}, rootfs=rootfs)
    return BarnSpec(file=f"{path}/web.haco", name="web", containers=(container,))


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_a_plain_one() -> None:
    found = lines(unit(barn("/srv"), "/usr/bin/haconiwa"))
    assert found["ExecStart"] == "/usr/bin/haconiwa start --no-daemon /srv/web.haco"
    assert found["ExecReload"] == "/usr/bin/haconiwa reload /srv/web.haco"
    assert found["RequiresMountsFor"] == "/srv/web.haco /srv/root"
    assert (found["Type"], found["KillMode"], found["Delegate"]) == ("notify", "mixed", "yes")


def test_a_users_service_manager_knows_other_targets() -> None:
    roots, own = (lines(unit(barn("/srv"), "/usr/bin/haconiwa", of_user=of_user)) for of_user in (False, True))
    assert (roots["WantedBy"], own["WantedBy"]) == ("multi-user.target", "default.target")
    assert set(roots) - set(own) == {"After", "Wants"}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/a b", '"/a b/web.haco"'),
        ("/50%", "/50%%/web.haco"),
        ("/$HOME", "/$$HOME/web.haco"),
        ('/say "hi"\n', r'"/say \x22hi\x22\x0a/web.haco"'),
        ("/back\\slash", r'"/back\x5cslash/web.haco"'),
        ("/箱庭", "/箱庭/web.haco"),
    ],
)
def test_odd_paths(path: str, shown: str) -> None:
    assert lines(unit(barn(path), "/usr/bin/haconiwa"))["ExecStart"].endswith(f"--no-daemon {shown}")


@pytest.mark.requires("systemd-analyze")
@pytest.mark.parametrize("path", ["/srv", "/a b/50% $HOME", '/say "hi"', "/箱庭"])
def test_systemd_takes_it(tmp_path: Path, path: str) -> None:
    file = tmp_path / "web.service"
    file.write_text(unit(barn(path), "/bin/true"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "web.service" in line]) == (0, [])


def test_the_command(haconiwa: Program, tmp_path: Path) -> None:
    file = tmp_path / "web.haco"
    file.write_text("from haconiwa import define\ndefine().name = 'web'\n", encoding="ascii")
    found = lines(haconiwa("generate", "systemd", file).stdout)
    assert found["Description"] == "haconiwa: web"
    assert found["ExecStart"] == f"{haconiwa.path} start --no-daemon {file}"

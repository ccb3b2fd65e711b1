"""Which steps run when, going on after a failure, copying, environment and shared caches."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.build.marker import State, own_marker
from haconiwa.build.place import Place
from haconiwa.build.provision import packages_dir, provision
from haconiwa.errors import BuildError
from haconiwa.spec.build import ProvisionSpec, ProvisionStep
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container, shell_step

pytestmark = pytest.mark.requires("root")

Make = Callable[..., ContainerSpec]


@pytest.fixture
def make(run_dirs: RunDirs) -> Make:
    """A container on the strategy host with the given steps; its root is below the test's directories."""

    def spec(*steps: ProvisionStep, **more: object) -> ContainerSpec:
        plain = container(run_dirs.base / "web", "host")
        return replace(plain, provision=ProvisionSpec(steps=steps, **more))  # type: ignore[arg-type]

    return spec


@pytest.fixture
def web(run_dirs: RunDirs) -> Path:
    return run_dirs.base / "web"


def step(name: str, run: str = "always", more: str = "") -> ProvisionStep:
    return replace(shell_step(f"echo {name} >> /log\n{more}", name), run=run)


def ran(web: Path) -> list[str]:
    """What has run since the last question."""
    log = web / "log"
    words = log.read_text(encoding="ascii").split() if log.exists() else []
    log.unlink(missing_ok=True)
    return words


def test_once_changed_and_always(make: Make, web: Path) -> None:
    steps = [step("once", "once"), step("changed", "changed"), step("always")]
    create(make(*steps), Recorder())
    assert ran(web) == ["once", "changed", "always"]
    report = Recorder()
    provision(make(*steps), report)
    assert ran(web) == ["always"]
    assert "Provisioning step once is done already" in report.told
    steps = [step("once", "once", ": other"), step("changed", "changed", ": other"), step("always")]
    provision(make(*steps), Recorder())
    assert ran(web) == ["changed", "always"]
    provision(make(*steps), Recorder(), only=["once", "changed"])
    assert ran(web) == ["once", "changed"]


@pytest.mark.setting("provision.environ")
def test_a_changed_environment_is_a_change(make: Make, web: Path) -> None:
    one = step("changed", "changed", 'echo "$COLOUR" >> /log')
    create(make(one, environ=(("COLOUR", "red"),)), Recorder())
    assert ran(web) == ["changed", "red"]
    provision(make(one, environ=(("COLOUR", "red"),)), Recorder())
    assert ran(web) == []
    provision(make(one, environ=(("COLOUR", "blue"),)), Recorder())
    assert ran(web) == ["changed", "blue"]


def test_functions_are_told_apart_by_what_they_do(make: Make, web: Path) -> None:
    def note(word: str) -> ProvisionStep:
        code = compile(f"def write():\n    with open('/log', 'a') as log:\n        log.write('{word} ')", "x", "exec")
        names: dict[str, Callable[[], None]] = {}
        exec(code, names)
        return ProvisionStep(name="note", kind="python", code=names["write"], run="changed")

    create(make(note("a")), Recorder())
    provision(make(note("a")), Recorder())
    assert ran(web) == ["a"]
    provision(make(note("b")), Recorder())
    assert ran(web) == ["b"]


@pytest.mark.parametrize("again", [create, provision])
def test_a_failed_run_is_gone_on_with(make: Make, web: Path, again: Callable[..., None]) -> None:
    steps = [step("first"), step("second", more="test -e /mended"), step("third")]
    with pytest.raises(BuildError, match='the provisioning step "second" failed'):
        create(make(*steps), Recorder())
    assert ran(web) == ["first", "second"]
    marker = own_marker(Place(str(web)))
    assert marker is not None
    assert (marker.state, list(marker.steps)) == (State.BOOTSTRAPPED, ["first"])
    (web / "mended").touch()
    again(make(*steps), Recorder())
    assert ran(web) == ["second", "third"]
    provision(make(*steps), Recorder())
    assert ran(web) == ["first", "second", "third"]


def test_an_interrupted_step_is_killed_and_runs_again(make: Make, web: Path) -> None:
    steps = [step("first"), step("second", more="(trap '' TERM; sleep 1000) & echo ready; test -e /mended || wait")]

    def interrupt(text: str) -> None:
        if text == "ready":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create(make(*steps), Recorder(interrupt))
    (web / "mended").touch()
    create(make(*steps), Recorder())
    assert ran(web) == ["first", "second", "second"]


def copying(source: Path, to: str, run: str = "always") -> ProvisionStep:
    return ProvisionStep(name="copy-1", kind="copy", source=str(source), destination=to, run=run)  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "sub").mkdir(parents=True)
    (tree / "file").write_text("content", encoding="ascii")
    os.chown(tree / "file", 1234, 1234)
    (tree / "file").chmod(0o4751)
    (tree / "sub/link").symlink_to("/etc/passwd")
    return tree


@pytest.mark.setting("provision.copy")
def test_a_directory_is_copied_into_what_is_there(make: Make, web: Path, source: Path) -> None:
    report = Recorder()
    create(make(copying(source, "/etc")), report)
    assert (web / "etc/passwd").exists()
    status = os.stat(web / "etc/file")
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o4751)
    assert os.readlink(web / "etc/sub/link") == "/etc/passwd"
    assert report.texts() == [f"{source} -> /etc"]
    assert report.told[-3:] == [
        "Running provisioning with files of the host...",
        "Command success: copy-1 copied",
        "Success!",
    ]
    assert os.listdir(web / "tmp") == []


@pytest.mark.parametrize(
    ("to", "made"), [("/new/name", "new/name"), ("/new/dir/", "new/dir/file"), ("/srv", "srv/file")]
)
def test_a_file_is_copied_to_a_path_or_into_a_directory(
    make: Make, web: Path, source: Path, to: str, made: str
) -> None:
    create(make(copying(source / "file", to)), Recorder())
    assert (web / made).read_text(encoding="ascii") == "content"


def test_a_copy_never_leaves_the_root(make: Make, web: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("untouched", encoding="ascii")
    create(make(), Recorder())
    (web / "trap").symlink_to(tmp_path / "outside")
    (web / "name").symlink_to(tmp_path / "outside/file")
    with pytest.raises(BuildError):
        provision(make(copying(source / "file", "/trap/file")), Recorder())
    provision(make(copying(source / "file", "/name")), Recorder())
    assert (tmp_path / "outside/file").read_text(encoding="ascii") == "untouched"
    assert not (web / "name").is_symlink()


def test_a_copy_runs_again_when_the_files_have_changed(make: Make, web: Path, source: Path) -> None:
    spec = make(copying(source, "/srv", "changed"))
    create(spec, Recorder())
    (web / "srv/file").unlink()
    provision(spec, Recorder())
    assert not (web / "srv/file").exists()
    (source / "file").write_text("other", encoding="ascii")
    provision(spec, Recorder())
    assert (web / "srv/file").read_text(encoding="ascii") == "other"


def test_a_source_that_is_missing_or_odd(make: Make, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r'web: cannot make ".*/no": No such file'):
        create(make(copying(tmp_path / "no", "/srv")), Recorder())
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BuildError, match="it is neither a file nor a directory"):
        create(make(copying(tmp_path / "fifo", "/srv")), Recorder())


@pytest.mark.setting("provision.share_cache")
def test_downloads_are_shared(make: Make, web: Path) -> None:
    one = shell_step("test -e /var/cache/apt/archives/seen.deb || touch /var/cache/apt/archives/new.deb")
    create(make(one, shared_caches=("apt",)), Recorder())
    kept = Path(packages_dir()) / "apt"
    assert os.listdir(kept) == ["new.deb"]
    assert os.listdir(web / "var/cache/apt/archives") == []
    (kept / "new.deb").rename(kept / "seen.deb")
    provision(make(one, shared_caches=("apt",)), Recorder())
    assert os.listdir(kept) == ["seen.deb"]

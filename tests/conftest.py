"""Fixtures for all tests, the marker ``requires``, and the check that nothing is left behind."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pexpect
import pytest

from tests.support import leftovers, requirements, settings
from tests.support.leftovers import OwnDirs, RunLock
from tests.support.program import TREE, Program, find_program, foreign_package
from tests.support.rootfs import make_busybox_root

_numbers = itertools.count(1)

# No test asserts how long something takes, a property of a busy machine.
hypothesis.settings.register_profile("haconiwa", deadline=None)
hypothesis.settings.load_profile("haconiwa")


def pytest_sessionstart() -> None:
    """Refuse to test another tree than this one, as with the environment of another checkout.

    What the tests start hears a hang-up, also where somebody has had it ignored by nohup(1).
    """
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)  # of which an exec makes the default
    if found := foreign_package(sys.executable):
        raise pytest.UsageError(
            f'"{sys.executable}" runs "{found}", not "{TREE}": use .venv/bin/python, or scripts/test'
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that lacks something; in CI that is a failure, since it would go unnoticed."""
    for marker in item.iter_markers("requires"):
        for word in marker.args:
            if word not in requirements.PROGRAMS and word not in requirements.FEATURES:
                raise pytest.UsageError(f'{item.nodeid}: requires("{word}") is not a known word')
            if not requirements.has(word):
                _lacks(word)


def _lacks(word: str) -> None:
    if os.environ.get("HACONIWA_MUST_RUN") and word not in requirements.HOST_WORDS:
        pytest.fail(f'this machine lacks "{word}", and HACONIWA_MUST_RUN is set', pytrace=False)
    pytest.skip(f'lacks "{word}"')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what every layout of cgroups has to run: the tests of the wrappers, and the proofs of settings.

    What takes many minutes is left out unless it is asked for.
    """
    if "soak" not in str(config.getoption("markexpr")):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("soak")])
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    here = settings.layout()
    for item in items:
        proof = settings.proved_by(item) and here in settings.layouts_of(item)
        if proof or "/tests/kernel/" in str(item.path):
            item.add_marker("layouts")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a proof of a setting that is skipped, where the table of settings names it, is a failure."""
    report = yield
    here = settings.layout()
    proof = settings.proved_by(item) and here in settings.layouts_of(item)
    if report.skipped and proof and os.environ.get("HACONIWA_MUST_RUN"):
        report.outcome = "failed"
        report.longrepr = f"docs/settings-tested.md names this test for {here}, and it was skipped"
    return report


@pytest.fixture(scope="session")
def session_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for the whole run, with a short path and open to other users; what is left behind is found here."""
    lock = RunLock(tempfile.gettempdir())
    before = leftovers.machine()
    path = tempfile.mkdtemp(prefix="haconiwa-tests-")
    os.chmod(path, 0o755)
    own = OwnDirs([path, str(tmp_path_factory.getbasetemp())])
    yield Path(path)
    found = leftovers.end_processes(own) + leftovers.detach_mounts(own)
    shutil.rmtree(path)
    if lock.alone():
        found += leftovers.new_since(before)
    if found:
        pytest.fail("the tests left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def no_mounts_left(session_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails a test that leaves a mount below our directories, and takes the mount away before they are removed."""
    yield
    own = OwnDirs([str(session_dir), str(tmp_path_factory.getbasetemp())])
    if found := leftovers.detach_mounts(own):
        pytest.fail("the test left behind:\n  " + "\n  ".join(found), pytrace=False)


class RunDirs:
    """The directories that the program uses during one test, instead of those of the machine.

    The sockets of journald and syslog, `base` / "journal" and "syslog", exist only where a test makes them.

    Attributes:
        base: The directory that holds them and is removed after the test.
        run: State of running containers.
        lib: Root file systems.
        log: Logs.
        cache: What can be made again.
        config: The global config; does not exist unless the test writes it.
        environ: The variables that tell the program so.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.run, self.lib, self.log, self.cache = (base / name / "haconiwa" for name in ("run", "lib", "log", "cache"))
        self.config = base / "haconiwa.conf.py"
        self.environ = {
            "HACONIWA_RUN_DIR": str(self.run),
            "HACONIWA_LIB_DIR": str(self.lib),
            "HACONIWA_LOG_DIR": str(self.log),
            "HACONIWA_CACHE_DIR": str(self.cache),
            "HACONIWA_CONFIG": str(self.config),
            "HACONIWA_JOURNAL": str(base / "journal"),
            "HACONIWA_SYSLOG": str(base / "syslog"),
        }

    def runtime_files(self) -> list[str]:
        """What is left of running containers."""
        return sorted(str(path) for path in self.run.parent.rglob("*") if path != self.run)


@pytest.fixture
def run_dirs(session_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDirs]:
    """Directories of the test's own, set for this process and for the programs it starts.

    The test fails when runtime files are there at its end.
    """
    dirs = RunDirs(session_dir / str(next(_numbers)))
    for path in (dirs.run, dirs.lib, dirs.log, dirs.cache):
        path.parent.mkdir(parents=True)
    for key, value in dirs.environ.items():
        monkeypatch.setenv(key, value)
    yield dirs
    stayed = leftovers.end_processes(OwnDirs([str(dirs.base)])) + leftovers.detach_mounts(OwnDirs([str(dirs.base)]))
    stayed += [f"file {path}" for path in dirs.runtime_files()]
    shutil.rmtree(dirs.base)
    if stayed:
        pytest.fail("the test left behind:\n  " + "\n  ".join(stayed), pytrace=False)


@pytest.fixture(scope="session")
def busybox_template(session_dir: Path) -> Path:
    """A root file system of busybox that tests copy and never change."""
    return Path(make_busybox_root(str(session_dir / "busybox")))


@pytest.fixture
def busybox_root(busybox_template: Path, run_dirs: RunDirs) -> Path:
    """A root file system of busybox for one test. The test says requires("busybox")."""
    return Path(shutil.copytree(busybox_template, run_dirs.base / "root", symlinks=True))


@pytest.fixture
def haco_file(run_dirs: RunDirs) -> Callable[..., Path]:
    """Writes a haco file: ``haco_file(text, name="test.haco")`` returns its path."""

    def write(text: str, name: str = "test.haco") -> Path:
        path = run_dirs.base / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def haconiwa(session_dir: Path, run_dirs: RunDirs) -> Program:
    """Runs haconiwa to its end: ``haconiwa("start", file, expect=7).stdout``. See `Program`."""
    return Program(find_program("haconiwa", "main", str(session_dir)), run_dirs.environ)


@pytest.fixture
def hacopy(session_dir: Path, run_dirs: RunDirs) -> Program:
    """Runs hacopy to its end, as `haconiwa` does."""
    return Program(find_program("hacopy", "hacopy", str(session_dir)), run_dirs.environ)


@pytest.fixture
def haconiwa_pty(haconiwa: Program) -> Iterator[Callable[..., pexpect.spawn[str]]]:
    """Starts haconiwa on a terminal: ``haconiwa_pty("start", file).expect("#")``. Closed after the test."""
    with_terminal: list[pexpect.spawn[str]] = []

    def start(*args: str | os.PathLike[str], timeout_s: float = 20.0) -> pexpect.spawn[str]:
        with_terminal.append(haconiwa.on_terminal(*args, timeout_s=timeout_s))
        return with_terminal[-1]

    yield start
    for child in with_terminal:
        child.close(force=True)

"""The place where a root lies: nobody else leads root elsewhere, and nobody starts what is being changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haconiwa.build.place import Place, locked
from tests.integration.box import Box
from tests.support.program import Program
from tests.support.rootfs import make_busybox_root

pytestmark = pytest.mark.requires("root", "busybox")

OTHER_UID = 65533
OVERLAY = "config.rootfs.overlay = True"


@pytest.fixture
def theirs(box: Box) -> Iterator[Path]:
    """A root in a folder of somebody else's."""
    folder = box.folder / "theirs"
    folder.mkdir()
    root = Path(make_busybox_root(str(folder / "web")))
    os.chown(folder, OTHER_UID, OTHER_UID)
    yield root
    os.chown(folder, 0, 0)


@pytest.mark.parametrize("settings", ["", OVERLAY])
def test_a_start_below_a_folder_of_others(box: Box, theirs: Path, settings: str) -> None:
    box.write(settings, root=str(theirs))
    error = box.fails("true")
    assert (
        f'"{theirs.parent}" belongs to user {OTHER_UID}, not to root or to you, who could lead this elsewhere' in error
    )
    assert "set trusted_uids in the global config" in error
    assert not (theirs.parent / ".web.layers").exists()


def test_whom_the_administrator_trusts(box: Box, theirs: Path) -> None:
    config = box.folder / "global.py"
    config.write_text(f"from haconiwa import configure\nwith configure() as g:\n    g.trusted_uids = [{OTHER_UID}]\n")
    box.write(OVERLAY, root=str(theirs))
    box.run("true", environ={"HACONIWA_CONFIG": str(config)})


@pytest.mark.parametrize("command", ["create", "start", "archive", "rm", "provision", "commit"])
def test_a_link_of_somebody_elses_is_not_followed(box: Box, theirs: Path, command: str, haconiwa: Program) -> None:
    precious = Path(make_busybox_root(str(box.folder / "precious")))
    link = theirs.parent / "link"
    link.symlink_to(precious)
    rest = 'config.bootstrap.strategy = "host"; config.provision.run_shell("true")'
    box.write(OVERLAY, rest, root=str(link))
    options = {"archive": ("-d", str(box.folder / "x.tar")), "rm": ("--force",)}.get(command, ())
    error = haconiwa(command, *options, box.file, expect=125).stderr
    assert f'"{theirs.parent}" belongs to user {OTHER_UID}' in error
    assert not (box.folder / "x.tar").exists()
    assert (precious / "bin/sh").exists()


@pytest.fixture
def shared(box: Box) -> Path:
    """A root in a folder where everybody may make files."""
    folder = box.folder / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return Path(make_busybox_root(str(folder / "web")))


def test_layers_that_somebody_else_was_the_first_to_make(box: Box, shared: Path) -> None:
    box.write(OVERLAY, root=str(shared))
    box.run("true")
    layers = shared.parent / ".web.layers"
    layers.rename(box.folder / "away")
    layers.mkdir()
    (layers / "base").symlink_to("/etc")
    os.chown(layers, OTHER_UID, OTHER_UID)
    assert f'"{layers}" belongs to user {OTHER_UID}' in box.fails("true")


def test_a_record_that_somebody_else_was_the_first_to_make(box: Box, shared: Path, haconiwa: Program) -> None:
    box.write(root=str(shared))
    status = os.stat(shared)
    record = shared.parent / ".web.haconiwa.json"
    record.write_text(f'{{"state": "complete", "strategy": "host", "filesystem": 0, "inode": {status.st_ino}}}')
    os.chown(record, OTHER_UID, OTHER_UID)
    assert f'"{record}" belongs to user {OTHER_UID}' in haconiwa("rm", box.file, expect=125).stderr
    assert (shared / "bin/sh").exists()


def test_a_root_that_is_being_changed_is_not_started(box: Box, root_lock: Callable[..., None]) -> None:
    root_lock()
    error = box.fails("true")
    assert "another haconiwa is making, changing or removing it" in error
    assert "start it once that has come to its end" in error


def test_a_root_that_is_only_read_is_started(box: Box, root_lock: Callable[..., None]) -> None:
    root_lock(shared=True)
    box.run("true")


@pytest.fixture
def root_lock(box: Box) -> Iterator[Callable[..., None]]:
    """Takes the lock of the box's root, as who works on it."""
    held = []

    def take(*, shared: bool = False) -> None:
        held.append(locked(Place(str(box.root)), shared=shared))
        held[0].__enter__()

    yield take
    held[0].__exit__(None, None, None)

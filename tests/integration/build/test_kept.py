"""Root file systems that are made from a recipe once and taken from there the next time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.build.archive import archive
from haconiwa.build.cache import cached, remove_cached, unused
from haconiwa.build.create import create
from haconiwa.build.kept import roots_dir
from haconiwa.build.layer import changes
from haconiwa.build.marker import State, own_marker
from haconiwa.build.place import Place
from haconiwa.build.provision import provision
from haconiwa.build.remove import remove
from haconiwa.host.layers import lower_of
from haconiwa.kernel.mount import mount, umount2
from haconiwa.spec.build import PostprocessSpec, ProvisionSpec, ProvisionStep
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container

pytestmark = [pytest.mark.requires("root"), pytest.mark.usefixtures("run_dirs")]

CODE = """
echo $$ $(date +%N) > made
mkdir dir; ln made dir/link; chown 12:34 dir; chmod 4711 made; truncate -s 1M dir/sparse
"""
STEP = ProvisionStep(name="copy", kind="copy")


@pytest.fixture(autouse=True)
def place_of_builds(run_dirs: RunDirs) -> RunDirs:
    return run_dirs


def recipe(path: Path, code: str = CODE, *, overlay: bool = False, source: Path | None = None) -> ContainerSpec:
    """A container, with a step that copies a file where one is given."""
    spec = container(path, "shell", name=path.name, code=code, cache=True)
    assert spec.rootfs
    steps = (replace(STEP, source=str(source), destination="/dir/"),) if source else ()
    return replace(spec, rootfs=replace(spec.rootfs, overlay=overlay), provision=ProvisionSpec(steps=steps))


def made(spec: ContainerSpec, **options: bool) -> tuple[str, list[str]]:
    """What tells the root's making from another one, and what was told."""
    report = Recorder()
    create(spec, report, **options)
    assert spec.rootfs
    return (Path(lower_of(spec.rootfs.path)) / "made").read_text(encoding="ascii"), report.told


def entries() -> list[str]:
    return sorted(os.listdir(roots_dir()))


@pytest.mark.setting("bootstrap.cache")
def test_a_second_container_of_the_recipe_is_a_copy(tmp_path: Path) -> None:
    first, told = made(recipe(tmp_path / "one"))
    assert "Keeping a copy for the next container of this recipe..." in told
    second, told = made(recipe(tmp_path / "two"))
    assert first == second
    assert told == ["Creating rootfs of two from what was made for one...", "Success!"]
    copy = tmp_path / "two"
    assert (copy / "made").stat().st_mode & 0o7777 == 0o4711
    assert (copy / "made").samefile(copy / "dir/link")
    assert ((copy / "dir").stat().st_uid, (copy / "dir").stat().st_gid) == (12, 34)
    assert (copy / "dir/sparse").stat().st_blocks == 0
    assert not (copy / "made").samefile(tmp_path / "one/made")
    marker = own_marker(Place(str(copy)))
    assert marker
    assert (marker.state, marker.strategy) == (State.COMPLETE, "shell")


def test_another_recipe_is_made_anew(tmp_path: Path) -> None:
    first, _ = made(recipe(tmp_path / "one"))
    spec = recipe(tmp_path / "two")
    assert spec.bootstrap
    post = (PostprocessSpec(kind="shell", code="true"),)
    others = [
        recipe(tmp_path / "two", CODE + "\n"),
        replace(spec, bootstrap=replace(spec.bootstrap, postprocess=post)),
        replace(spec, rootfs=replace(spec.rootfs, owner=(1, 1))),
    ]
    for other in others:
        assert made(other)[0] != first
        remove(str(tmp_path / "two"), force=False)
    assert len(entries()) == 1 + len(others)


def test_what_is_not_asked_for_is_not_kept(tmp_path: Path) -> None:
    create(container(tmp_path / "one", "shell", code=CODE), Recorder())
    assert not os.path.exists(roots_dir())


def test_force_makes_it_anew_and_keeps_that(tmp_path: Path) -> None:
    first, _ = made(recipe(tmp_path / "one"))
    second, _ = made(recipe(tmp_path / "one"), force=True)
    third, _ = made(recipe(tmp_path / "two"))
    assert first != second == third
    assert len(entries()) == 1


@pytest.mark.requires("busybox")
def test_provisioning_is_kept_too(tmp_path: Path, busybox_root: Path) -> None:
    source = tmp_path / "file"
    source.write_text("1", encoding="ascii")
    code = f"cp -a {busybox_root}/. .\n{CODE}"

    def spec(name: str) -> ContainerSpec:
        return recipe(tmp_path / name, code, source=source)

    first, _ = made(spec("one"))
    second, told = made(spec("two"))
    assert first == second
    assert "Start provisioning..." not in told
    assert (tmp_path / "two/dir/file").read_text(encoding="ascii") == "1"
    marker = own_marker(Place(str(tmp_path / "two")))
    assert marker
    assert list(marker.steps) == ["copy"]
    source.write_text("2", encoding="ascii")
    third, told = made(spec("three"))
    assert first == third, "the bootstrap is not made again"
    assert "Start provisioning..." in told
    assert (tmp_path / "three/dir/file").read_text(encoding="ascii") == "2"
    made(spec("four"), provision=False)
    assert not (tmp_path / "four/dir/file").exists()


def test_with_a_layer_nothing_is_copied(tmp_path: Path) -> None:
    first, _ = made(recipe(tmp_path / "one"))
    spec = recipe(tmp_path / "two", overlay=True)
    second, _ = made(spec)
    assert first == second
    assert os.listdir(tmp_path / "two") == []
    assert list(changes(spec)) == []
    (entry,) = cached()
    assert entry.users == (str(tmp_path / "two"),)
    assert unused() == [], "it is in use"
    archive(spec, str(tmp_path / "two.tar"), "none", Recorder())
    archive(recipe(tmp_path / "one"), str(tmp_path / "one.tar"), "none", Recorder())
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


@pytest.mark.parametrize("how", ["create", "provision"])
def test_a_root_without_a_layer_gets_its_own_files(tmp_path: Path, how: str) -> None:
    made(recipe(tmp_path / "one"))
    made(recipe(tmp_path / "two", overlay=True))
    plain = recipe(tmp_path / "two")
    create(plain, Recorder()) if how == "create" else provision(plain, Recorder())
    assert sorted(os.listdir(tmp_path / "two")) == ["dir", "made"]
    assert lower_of(str(tmp_path / "two")) == str(tmp_path / "two")
    assert own_marker(Place(str(tmp_path / "two")))
    assert [entry.kind for entry in unused()] == ["root"]


def test_removing_a_root_that_lies_over_another(tmp_path: Path) -> None:
    made(recipe(tmp_path / "one"))
    made(recipe(tmp_path / "two", overlay=True))
    remove(str(tmp_path / "two"), force=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".one.haconiwa.json", "one"]
    (entry,) = cached()
    assert entry.users == ()
    assert (Path(entry.path) / "rootfs/made").exists()


def test_collecting(tmp_path: Path, run_dirs: RunDirs) -> None:
    made(recipe(tmp_path / "one"))
    for path in ("downloads/abc", "blobs/sha256/def", "packages/apt/x.deb", f"roots/.new-{'0' * 64}-1/rootfs/file"):
        file = run_dirs.cache / path
        file.parent.mkdir(parents=True)
        file.write_text("content", encoding="ascii")
    assert sorted(entry.kind for entry in cached()) == ["download", "layer", "packages", "root"]
    assert [remove_cached(entry) for entry in unused()] == [True] * 4
    assert cached() == []
    assert entries() == []


def test_a_copy_that_cannot_be_kept_is_no_failure(tmp_path: Path, run_dirs: RunDirs) -> None:
    run_dirs.cache.mkdir()
    mount("tmpfs", str(run_dirs.cache), "tmpfs", 0, "size=256k")
    try:
        _, told = made(recipe(tmp_path / "one", CODE + "head -c 1M /dev/urandom > large"))
        assert any(text.startswith("It is not kept: ") for text in told)
        assert told[-1] == "Success!"
        assert entries() == []
    finally:
        umount2(str(run_dirs.cache), 0)

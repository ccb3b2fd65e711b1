"""Containers over a root that none of them changes: layers, ephemeral starts, diff and commit."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.layer import changes
from haconiwa.dsl.load import load_file
from haconiwa.errors import BuildError
from haconiwa.host.layers import layers_folder
from haconiwa.host.tree import remove_tree
from tests.integration.box import Box, Watched, finish, wait_until
from tests.support.program import Program
from tests.support.rootfs import make_deep

pytestmark = pytest.mark.requires("root", "busybox")

OVERLAY = "config.rootfs.overlay = True"
CHANGES = """
echo changed >> /etc/passwd
rm /etc/group
mkdir -p /new/deep; echo new > /new/deep/file
rm -r /opt/old; mkdir /opt/old; touch /opt/old/other
chmod 700 /opt/mode
mv /opt/moved /opt/renamed
ln -s /etc/passwd /link
"""
EXPECTED = [
    "A /link", "A /new", "A /new/deep", "A /new/deep/file", "A /opt/old/other", "A /opt/renamed",
    "A /opt/renamed/in", "C /etc/passwd", "C /opt/mode", "D /etc/group", "D /opt/moved", "D /opt/old/gone",
]  # fmt: skip


@pytest.fixture
def root(box: Box) -> Path:
    """The root with something to change."""
    for path in ("opt/old", "opt/mode", "opt/moved"):
        (box.root / path).mkdir(parents=True)
    for path in ("opt/old/gone", "opt/moved/in", "etc/group"):
        (box.root / path).touch()
    return box.root


def listing(root: Path) -> str:
    command = ["find", ".", "-printf", "%P %M %U %T@ %s\\n"]
    return "".join(
        sorted(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines(True))
    )


def layers(root: Path) -> list[str]:
    folder = layers_folder(str(root))
    kinds = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(f"{kind}/{name}" for kind in kinds for name in os.listdir(os.path.join(folder, kind)))


@pytest.mark.setting("rootfs.overlay")
def test_changes_stay_in_a_layer_and_are_told(box: Box, root: Path, haconiwa: Program) -> None:
    (box.root / "etc").chmod(0o750)
    box.write(settings=OVERLAY, command=("/bin/sh", "-ec", CHANGES))
    before = listing(root)
    assert haconiwa("diff", box.file).stdout == ""
    haconiwa("start", box.file)
    assert listing(root) == before
    assert layers(root) == [f"kept/{box.name}"]
    assert os.stat(layers_folder(str(root))).st_mode & 0o777 == 0o700
    assert sorted(haconiwa("diff", box.file).stdout.splitlines()) == EXPECTED
    box.write(settings=OVERLAY, command=("/bin/sh", "-c", "cat /new/deep/file; ls -d /opt/moved; stat -c %a / /etc"))
    again = haconiwa("start", box.file)
    assert again.stdout.splitlines() == ["new", f"{root.stat().st_mode & 0o7777:o}", "750"]
    assert "/opt/moved: No such file" in again.stderr


def test_a_commit_makes_it_the_root_of_all(box: Box, root: Path, haconiwa: Program) -> None:
    os.link(root / "opt/moved/in", root / "opt/moved/hard")
    box.write(settings=OVERLAY, command=("/bin/sh", "-ec", CHANGES))
    haconiwa("start", box.file)
    haconiwa("commit", box.file)
    assert layers(root) == []
    assert haconiwa("diff", box.file).stdout == ""
    assert (root / "new/deep/file").read_text(encoding="ascii") == "new\n"
    assert not (root / "etc/group").exists()
    assert os.listdir(root / "opt/old") == ["other"]
    assert stat.S_IMODE((root / "opt/mode").stat().st_mode) == 0o700
    assert os.path.samefile(root / "opt/renamed/in", root / "opt/renamed/hard")
    assert "there is nothing to commit" in haconiwa("commit", box.file, expect=125).stderr
    assert [name for name in os.listdir(root.parent) if name.startswith(".root")] in ([], [".root.layers"])


def test_a_root_that_is_ours_stays_ours_by_a_commit(
    haconiwa: Program, box: Box, haco_file: Callable[..., Path]
) -> None:
    text = (
        "from haconiwa import define\n"
        "with define() as config:\n"
        f"    config.name = {box.name!r}\n"
        f"    config.chroot_to({str(box.folder / 'made')!r})\n"
        "    config.bootstrap.strategy = 'shell'\n"
        f"    config.bootstrap.code = 'cp -a {box.root}/. .'\n"
        "    config.rootfs.overlay = True\n"
        "    config.init_command = ['/bin/touch', '/made']\n"
    )
    file = haco_file(text)
    haconiwa("start", "-b", file)
    haconiwa("commit", file)
    assert (box.folder / "made/made").exists()
    assert "is already there" in haconiwa("create", file).stderr
    haconiwa("start", file)
    haconiwa("rm", file)
    assert [name for name in os.listdir(box.folder) if "made" in name] == []


@pytest.mark.parametrize("settings", ["", OVERLAY])
def test_an_ephemeral_start_keeps_nothing(box: Box, root: Path, haconiwa: Program, settings: str) -> None:
    before = listing(root)
    box.write(settings=settings, command=("/bin/sh", "-ec", CHANGES + "cat /new/deep/file"))
    assert haconiwa("start", "--ephemeral", box.file).stdout == "new\n"
    assert haconiwa("start", "--ephemeral", box.file).stdout == "new\n"
    assert listing(root) == before
    assert layers(root) == []


def test_an_ephemeral_layer_goes_with_an_orphan(
    box: Box, root: Path, haconiwa: Program, watched: Callable[[int], Watched]
) -> None:
    box.write(settings=OVERLAY, command=("/bin/sh", "-c", "touch /seen; exec sleep 1000"))
    haconiwa("start", "--ephemeral", "-D", box.file)
    supervisor = watched(box.state()["supervisor"]["pid"])
    supervisor.kill(signal.SIGKILL)
    assert supervisor.ended()
    assert layers(root) == [f"thrown/{box.name}"]
    box.stop()
    assert layers(root) == []


def test_an_ephemeral_layer_goes_with_a_killed_supervisor(box: Box, root: Path, haconiwa: Program) -> None:
    """Of one in the foreground the barn clears up."""
    box.write(settings=OVERLAY, command=("/bin/sh", "-c", "touch /seen; exec sleep 1000"))
    with haconiwa.start("start", "--ephemeral", box.file) as process:
        wait_until(lambda: (box.run_dir / "state.json").exists() and box.state()["status"] == "running", "it runs")
        os.kill(box.state()["supervisor"]["pid"], signal.SIGKILL)
        finish(process, expect=125)
    assert layers(root) == []


def test_a_read_only_overlay_cannot_be_written(box: Box, root: Path, haconiwa: Program) -> None:
    settings = f"{OVERLAY}; config.rootfs.readonly = True"
    box.write(settings=settings, command=("/bin/sh", "-c", "touch /x || echo refused"))
    assert haconiwa("start", box.file).stdout == "refused\n"


@pytest.mark.parametrize(("depth", "name"), [(3000, "d"), (100, "\u732b" * 85)], ids=["deep", "long"])
@pytest.mark.parametrize("both", [False, True], ids=["new", "changed"])
def test_a_deep_tree_is_compared_and_not_committed(
    box: Box, root: Path, haconiwa: Program, *, depth: int, name: str, both: bool
) -> None:
    box.write(settings=OVERLAY, command=("/bin/mkdir", "/deep"))
    haconiwa("start", box.file)
    upper = f"{layers_folder(str(root))}/kept/{box.name}/upper"
    try:
        make_deep(f"{upper}/deep", depth, name)
        if both:
            (root / "deep").mkdir(mode=0o755)
            make_deep(str(root / "deep"), depth, name)
        told = haconiwa("diff", box.file).stdout.splitlines()
        last = f"/deep/{f'{name}/' * depth}last"
        assert told == [f"C {last}"] if both else [len(told), told[-1]] == [depth + 2, f"A {last}"]
        if name != "d":  # it takes long to walk a deep overlay
            assert "File name too long" in haconiwa("commit", box.file, expect=125).stderr
            assert os.listdir(upper) == ["deep"]
    finally:  # the fixtures cannot
        remove_tree(str(root / "deep"))
        remove_tree(upper)


def test_descriptors_that_run_out_are_told(box: Box, root: Path, haconiwa: Program) -> None:
    box.write(settings=OVERLAY, command=("/bin/mkdir", "-p", "/new/deep"))
    haconiwa("start", box.file)
    spec = load_file(str(box.file)).containers[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(free_fd := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free_fd + 1, hard))
    try:
        with pytest.raises(BuildError, match=r"cannot tell what is changed in .*: Too many open files \(EMFILE\)"):
            list(changes(spec))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_paths_with_odd_characters(box: Box, root: Path, haconiwa: Program) -> None:
    odd = root.with_name("odd, : \\ name" + "x" * 200)
    root.rename(odd)
    box.root = odd
    box.write(settings=OVERLAY, command=("/bin/sh", "-c", "touch /x; echo written"))
    assert haconiwa("start", box.file).stdout == "written\n"
    assert haconiwa("diff", box.file).stdout == "A /x\n"


def test_a_user_namespace_writes_to_its_layer(box: Box, root: Path, haconiwa: Program) -> None:
    maps = "config.namespace.set_uid_mapping(min=0, max=1000, offset=100000); " * 2
    settings = f"{OVERLAY}; {maps.replace('uid', 'gid', 1)}"
    os.chmod(root / "opt", 0o777)
    box.write(settings=settings, command=("/bin/sh", "-c", "touch /opt/x; stat -c %u /opt/x"))
    assert haconiwa("start", box.file).stdout == "0\n"
    assert os.stat(f"{layers_folder(str(root))}/kept/{box.name}/upper/opt/x").st_uid == 100000


def test_owners_that_mean_nothing_inside(box: Box, root: Path, haconiwa: Program) -> None:
    mapped = f"{OVERLAY}; config.namespace.map_ids([(0, 100000, 1000)])"
    box.write(settings=mapped, command=("/bin/stat", "-c", "%u", "/opt"))
    strange = haconiwa("start", box.file)
    assert strange.stdout == "65534\n"
    assert f'the files of "{root}" belong to nobody in the container' in strange.stderr
    box.write(settings=f"{mapped}; config.rootfs.idmap = True")
    assert "rootfs.idmap: not possible below a layer" in haconiwa("start", box.file, expect=2).stderr


def test_refusals(box: Box, root: Path, haconiwa: Program) -> None:
    assert "has no layer of its own" in haconiwa("diff", box.file, expect=2).stderr
    assert "rootfs.overlay = True gives it one" in haconiwa("commit", box.file, expect=2).stderr
    box.write(settings=OVERLAY, command=("/bin/sleep", "1000"))
    haconiwa("start", "-D", box.file)
    assert "runs in it" in haconiwa("commit", box.file, expect=125).stderr
    box.stop()
    root.rename(root.with_name("elsewhere"))
    assert "it does not exist" in haconiwa("start", box.file, expect=125).stderr
    root.with_name("elsewhere").rename(root)


def test_a_root_that_lies_over_one_that_is_kept(box: Box, haconiwa: Program) -> None:
    settings = f"""
    config.rootfs.overlay = True
    with config.bootstrap as b:
        b.strategy = "shell"
        b.cache = True
        b.code = "cp -a {box.root}/. ."
    """
    first, second = (box.root.with_name(name) for name in ("first", "second"))
    haconiwa("create", box.write(settings, root=first))
    haconiwa("create", box.write(settings, root=second))
    assert os.listdir(first) != os.listdir(second) == []
    assert box.sh("echo changed > /mine; cat /mine") == "changed\n"
    assert haconiwa("diff", box.file).stdout == "A /mine\n"
    rows = [line.split() for line in haconiwa("images").stdout.splitlines()]
    assert [(row[0], row[1], row[-2]) for row in rows[1:]] == [("root", box.name, "1")]
    haconiwa("gc", "--all")
    haconiwa("commit", box.file)
    assert sorted(os.listdir(second)) == sorted([*os.listdir(first), "mine"])
    assert box.sh("cat /mine") == "changed\n"
    assert [entry["users"] for entry in json.loads(haconiwa("images", "--json").stdout)] == [[]]
    assert "Removed root " in haconiwa("gc", "--all").stdout


def test_a_kept_root_that_is_gone_is_told(box: Box, haconiwa: Program) -> None:
    settings = f"""
    config.rootfs.overlay = True
    with config.bootstrap as b:
        b.strategy = "shell"
        b.cache = True
        b.code = "cp -a {box.root}/. ."
    """
    for name in ("first", "second"):
        haconiwa("create", box.write(settings, root=box.root.with_name(name)))
    shutil.rmtree(os.environ["HACONIWA_CACHE_DIR"])
    message = box.fails("/bin/true")
    assert "and that is gone" in message
    assert "haconiwa create --force" in message
    haconiwa("create", "--force", box.file)
    box.run("/bin/true")

"""Id maps of user namespaces, and files that show with the container's ids though nothing was changed on disk."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")


@pytest.fixture
def subids(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges for root, as an administrator writes them."""
    for kind in ("uid", "gid"):
        path = box.folder / f"sub{kind}"
        path.write_text("haconiwa:3000000:200000\n")
        monkeypatch.setenv(f"HACONIWA_SUB{kind.upper()}", str(path))


@pytest.mark.setting("namespace.map_ids")
@pytest.mark.requires("idmapped_tmpfs")
@pytest.mark.usefixtures("subids")
def test_free_range_and_a_root_that_is_not_changed(box: Box) -> None:
    """Root inside makes a file in a root that belongs to root on the host, and it belongs to root on both sides."""
    box.write('config.namespace.map_ids("auto")\nconfig.namespace.unshare("net")')
    script = "cat /proc/self/uid_map /proc/self/gid_map; touch /made; chown 7:8 /made; stat -c '%u %g' / /made; id -u"
    output = box.sh(script).split()
    assert output == ["0", "3000000", "65536", "0", "3000000", "65536", "0", "0", "7", "8", "0"]
    status = (box.root / "made").stat()
    assert (status.st_uid, status.st_gid) == (7, 8)
    assert "map the user ids 0-65535 to 3000000-3065535" in box.haconiwa("plan", box.file).stdout
    state_of_the_host = Path("/proc/self/uid_map").read_text()
    assert "3000000" not in state_of_the_host


@pytest.mark.usefixtures("subids")
def test_containers_that_run_have_ranges_of_their_own(box: Box) -> None:
    box.write('config.namespace.map_ids("auto")\nconfig.rootfs.readonly = True')
    other = Box(box.haconiwa, box.folder, box.root, f"{box.name}-2")
    other.write('config.namespace.map_ids("auto")\nconfig.rootfs.readonly = True')
    first = box.daemon()["config"]["uid_mappings"]
    assert other.sh("cat /proc/self/uid_map").split() == ["0", "3065536", "65536"]
    assert first == [{"container_id": 0, "host_id": 3000000, "size": 65536}]
    shown = json.loads(box.haconiwa("inspect", box.name).stdout)[0]["config"]
    assert shown["uid_mappings"] == first
    assert box.attach("cat", "/proc/self/uid_map").stdout.split() == ["0", "3000000", "65536"]
    box.stop()
    assert box.sh("cat /proc/self/uid_map").split() == ["0", "3000000", "65536"]


def test_no_range_names_the_line_to_add(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_SUBUID", str(box.folder / "none"))
    box.write('config.namespace.map_ids("auto")')
    lines = box.fails("true").splitlines()
    assert lines[0].endswith(f'cannot find ids for map_ids: "{box.folder}/none" has no range for root or haconiwa')
    assert lines[1:3] == [
        f"  at: {box.file}:{box.settings_line}",
        '  hint: add the line "haconiwa:100000:1048576" to it',
    ]


@pytest.mark.setting("namespace.map_ids")
def test_maps_by_list(box: Box) -> None:
    box.write("""
        config.namespace.map_ids([(0, 100000, 10), (20, 200000, 5)], gids=[(0, 300000, 30)])
        config.uid = 21
    """)
    output = box.sh("cat /proc/self/uid_map /proc/self/gid_map; id -u").split()
    assert output == ["0", "100000", "10", "20", "200000", "5", "0", "300000", "30", "21"]


def test_root_of_the_mapped_ids_is_taken_as_it_is(box: Box) -> None:
    subprocess.run(["chown", "-Rh", "100000:100000", str(box.root)], check=True)
    box.write("config.namespace.map_ids([(0, 100000, 65536)])")
    assert box.sh("touch /made; stat -c %u / /made").split() == ["0", "0"]
    assert (box.root / "made").stat().st_uid == 100000


@pytest.mark.setting("rootfs.idmap")
def test_root_that_must_not_be_mapped_belongs_to_nobody(box: Box) -> None:
    box.write("config.namespace.map_ids([(0, 100000, 65534)])\nconfig.rootfs.idmap = False")
    assert box.sh("stat -c %u /").split() == ["65534"]


@pytest.mark.parametrize(("wanted", "status"), [("True", 125), ("None", 0)])
def test_file_system_that_cannot_map_ids(box: Box, wanted: str, status: int) -> None:
    """ramfs has no id-mapped mounts: an error if they were asked for, else a word about it."""
    root = box.folder / "ramfs"
    root.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "x", str(root)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{box.root}/.", str(root)], check=True)
        (root / "proc").mkdir(exist_ok=True)
        setting = "" if wanted == "None" else f"\nconfig.rootfs.idmap = {wanted}"
        box.write(f"config.namespace.map_ids([(0, 100000, 65536)]){setting}", root=root, independent=("procfs",))
        result = box.run("true", expect=status)
    finally:
        subprocess.run(["umount", str(root)], check=True)
    text = result.stdout + result.stderr
    assert f'cannot show the files of "{root}" with the container\'s ids: Invalid argument (EINVAL)' in text
    assert "hint: its file system cannot do that: give the files to the mapped ids" in text


def test_id_mapped_bind_mounts(box: Box) -> None:
    source = box.folder / "source"
    source.mkdir()
    (source / "of-five").write_text("")
    os.chown(source / "of-five", 5, 6)
    box.write(f"""
        config.namespace.map_ids([(0, 100000, 65536)])
        for number, words in enumerate(("idmap", "X-mount.idmap=u:5:100001:1 g:6:100002:1", "rw")):
            config.add_mount_point({str(source)!r}, to=f"/m/{{number}}", options=words)
    """)
    output = box.sh("for i in 0 1 2; do stat -c '%u %g' /m/$i/of-five; done")
    assert output.splitlines() == ["5 6", "1 2", "65534 65534"]

"""How much room a tree takes."""

from __future__ import annotations

from pathlib import Path

from haconiwa.build.kept import disk_usage
from haconiwa.host.tree import remove_tree
from tests.support.rootfs import make_deep


def test_names_too_deep_for_the_kernel_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(1 << 16))
    make_deep(str(folder), 40, "n" * 255)
    try:
        assert disk_usage(str(folder)) >= 1 << 16
    finally:
        remove_tree(str(folder))

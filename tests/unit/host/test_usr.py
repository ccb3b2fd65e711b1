from __future__ import annotations

import os

from haconiwa.host.usr import SYSTEM_DIRECTORIES, shared_links, shared_paths


def test_every_system_directory_of_this_machine_is_either_shared_or_linked() -> None:
    shared, linked = shared_paths(), dict(shared_links())
    assert shared[0] == "/usr"
    assert all(os.path.isdir(path) and not os.path.islink(path) for path in shared)
    assert all(os.readlink(path) == target for path, target in linked.items())
    there = {path for path in SYSTEM_DIRECTORIES if os.path.lexists(path)}
    assert {*shared, *linked} == there | {"/usr"}

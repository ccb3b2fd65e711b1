from __future__ import annotations

import pytest

from haconiwa.build.report import prefixed


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        ("bootstrap.lxc", "[bootstrap.lxc]:    text"),
        ("provision.shell-1", "[provision.shell-1]: text"),
        ("bootstrap.debootstrap", "[bootstrap.debootstrap]: text"),
    ],
)
def test_lines_look_as_in_the_walk_through(prefix: str, line: str) -> None:
    assert prefixed(prefix, "text") == line

"""The execution domain of a process."""

from __future__ import annotations

import os

from haconiwa.kernel.personality import PER, personality
from tests.support.child import in_child


def test_personality() -> None:
    def check() -> None:
        before = personality()
        assert personality(PER.LINUX32) == before
        assert personality() == PER.LINUX32
        assert in_child(lambda: os.uname().machine) != ""
        personality(PER.LINUX)
        assert personality() == PER.LINUX

    in_child(check)
    assert str(PER.LINUX32) == "PER_LINUX32"

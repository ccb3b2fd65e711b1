"""Which test proves which setting of a haco file, and on which layouts of cgroups.

A test says so by ``@pytest.mark.setting("hostname", "cgroup.memory.max")``: the name of the setting as the file writes
it, or that of a part of it. The layouts follow from what else the test requires. docs/settings-tested.md is written
from that; what keeps it true is that such a test, where it claims to prove something, must not be skipped
(tests/conftest.py), and that scripts/test runs all of them on every layout.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from haconiwa.dsl.builder import Definition
from haconiwa.dsl.sections import SECTIONS
from tests.support.requirements import HOST_WORDS

LAYOUTS = ("v1", "hybrid", "v2")
"""Only v1 hierarchies; these and an empty v2 one; nothing but v2."""

_ONLY_ON = {
    "cgroup1": ("v1", "hybrid"),
    "cgroup2": ("v2",),
    "landlock": LAYOUTS,
    "landlock_ports": ("v1", "hybrid"),  # the virtual machine's Linux 6.1 knows neither these
    "idmapped_tmpfs": ("v1", "hybrid"),  # nor this
    "apparmor": ("v2",),  # the virtual machine has it, see tests/support/vm
    "debootstrap": ("hybrid",),  # these two download what they need, which the virtual machine cannot
    "lxc": ("hybrid",),
}


UNPROVED = {"selinux_context": "no machine that runs the tests has SELinux; only the refusal without it is tested"}
"""Settings without a test that proves them, and why."""


def layout() -> str:
    """The layout of this machine, as seen from here."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "v2"
    return "hybrid" if os.path.exists("/sys/fs/cgroup/unified/cgroup.controllers") else "v1"


def proved_by(item: pytest.Item) -> tuple[str, ...]:
    """The settings that a test proves."""
    return tuple(name for marker in item.iter_markers("setting") for name in marker.args)


def layouts_of(item: pytest.Item) -> tuple[str, ...]:
    """Where a test can run, by what it requires."""
    words = {word for marker in item.iter_markers("requires") for word in marker.args}
    found: Iterable[str] = LAYOUTS
    for word in words & (_ONLY_ON.keys() | HOST_WORDS):
        found = [layout for layout in found if layout in _ONLY_ON.get(word, ())]
    for marker in item.iter_markers("setting"):
        found = [layout for layout in found if layout not in marker.kwargs.get("not_on", ())]
    return tuple(found)


def known() -> list[str]:
    """Every name that a haco file may set or call, as it is written there."""
    names = [name for name in _public(Definition) if not isinstance(getattr(Definition, name), property)]
    for section in SECTIONS:
        names += [f"{section._section}.{name}" for name in _public(section)]
        if hasattr(section, "__setitem__"):
            names.append(section._section)
    return sorted(names)


def _public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


class Table:
    """What is proved where, filled from a collection of tests."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, tuple[str, ...]]] = {}

    def add(self, item: pytest.Item) -> None:
        """Take a test in."""
        test = item.nodeid.partition("[")[0]
        for name in proved_by(item):
            self.rows.setdefault(name, {})[test] = layouts_of(item)

    def problems(self) -> list[str]:
        """Settings without a proof, and proofs of what is no setting."""
        names = known()
        proved = [name for name in names if any(self._belongs(row, name) for row in self.rows)]
        unproved = [name for name in names if name not in proved and name not in UNPROVED]
        excused = [name for name in UNPROVED if name in proved or name not in names]
        unknown = [row for row in sorted(self.rows) if not any(self._belongs(row, name) for name in names)]
        return (
            [f'no test is marked setting("{name}")' for name in unproved]
            + [f'setting("{row}"): a haco file knows no such name' for row in unknown]
            + [f'UNPROVED has "{name}", which is proved or no setting' for name in excused]
        )

    @staticmethod
    def _belongs(row: str, name: str) -> bool:
        return row == name or row.startswith(f"{name}.")

    def text(self) -> str:
        """The table as a page of the documentation."""
        lines = [_HEAD]
        for name in sorted(self.rows.keys() | UNPROVED.keys()):
            if name in UNPROVED:
                lines.append(f"| `{name}` | - | - | - | {UNPROVED[name]} |")
                continue
            tests = self.rows[name]
            marks = ["✓" if any(layout in found for found in tests.values()) else "-" for layout in LAYOUTS]
            proofs = ", ".join(_proof(test, tests[test]) for test in sorted(tests))
            lines.append(f"| `{name}` | {' | '.join(marks)} | {proofs} |")
        return "\n".join(lines) + "\n"


def _proof(test: str, layouts: tuple[str, ...]) -> str:
    path, _, function = test.partition("::")
    shown = f"[{function.removeprefix('test_')}](../{path})"
    return shown if layouts == LAYOUTS else f"{shown} ({' '.join(layouts) or 'not in the lanes'})"


_HEAD = """\
# Which test proves which setting

Written by `scripts/settings-table` from the tests' markers; do not edit. On every layout of cgroups (v1, hybrid, v2)
`scripts/test --all` runs every test that is named here, and a test that is skipped where it is named fails the run.
A dash stands for a layout where the setting means nothing, or where no test shows it.

| setting | v1 | hybrid | v2 | tests |
| --- | --- | --- | --- | --- |"""

"""Lists and dicts that a haco file changes in place: they behave as Python's own, and check what comes in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from haconiwa.spec.model import BarnSpec, ContainerSpec

Load = Callable[[str], BarnSpec]
Settings = Callable[[str], ContainerSpec]
Refused = Callable[[str], list[str]]

LIST_CHANGES = [
    "l.append('/d')",
    "l.extend(['/d', '/e'])",
    "l.extend(('/d',))",
    "l.insert(1, '/d')",
    "l[0] = '/d'",
    "l[1:] = ['/d', '/e', '/f']",
    "l[::2] = ['/d', '/e']",
    "l += ['/d']",
    "l *= 2",
    "del l[0]",
    "del l[1:]",
    "l.pop()",
    "l.pop(0)",
    "l.remove('/b')",
    "l.clear()",
    "l.reverse()",
    "l.sort(reverse=True)",
    "l.sort(key=len)",
]


@pytest.mark.parametrize("change", LIST_CHANGES)
def test_a_list_changes_as_python_lists_do(settings: Settings, change: str) -> None:
    plain = {"l": ["/a", "/b", "/c"]}
    exec(change, {}, plain)
    spec = settings(
        f"c.chroot_to('/r')\nc.filesystem.masked_paths = ['/a', '/b', '/c']\nl = c.filesystem.masked_paths\n{change}\n"
    )
    assert spec.masked_paths == tuple(plain["l"])


BAD_LIST_CHANGES = ["l.append('x')", "l.extend(['x'])", "l.insert(0, 'x')", "l[0] = 'x'", "l[:1] = ['x']", "l += ['x']"]


@pytest.mark.parametrize("change", BAD_LIST_CHANGES)
def test_each_new_item_is_checked(refused: Refused, change: str) -> None:
    assert refused(f"c.chroot_to('/r')\nl = c.filesystem.masked_paths\n{change}\nassert 'x' not in l\n") == [
        'test.haco:5: filesystem.masked_paths: "x" is relative: give the path as seen inside the container'
    ]


def test_an_item_that_is_not_there(refused: Refused) -> None:
    assert refused("c.filesystem.masked_paths.remove('/nothing')") == [
        "test.haco:3: ValueError: list.remove(x): x not in list"
    ]
    assert refused("c.filesystem.masked_paths.clear()\nc.filesystem.masked_paths.pop()") == [
        "test.haco:4: IndexError: pop from empty list"
    ]
    assert refused("del c.environ['A']") == ["test.haco:3: KeyError: 'A'"]


def test_an_older_reference_sees_a_new_value(settings: Settings) -> None:
    spec = settings(
        """
        c.chroot_to("/r")
        paths = c.filesystem.masked_paths
        c.filesystem.masked_paths = ["/a"]
        assert paths == ["/a"]
        paths.append("/b")
        c.filesystem.masked_paths = paths
        c.filesystem.masked_paths = [*paths, "/c"]
        """
    )
    assert spec.masked_paths == ("/a", "/b", "/c")


DICT_CHANGES = [
    "d['C'] = 'x'",
    "d['A'] = 'x'",
    "d.update({'A': 'x', 'D': 'y'})",
    "d.update(A='x', D='y')",
    "d.update()",
    "d |= {'A': 'x'}",
    "d.setdefault('A', 'x')",
    "d.setdefault('C', 'x')",
    "d.pop('A')",
    "d.pop('C', None)",
    "d.popitem()",
    "d.clear()",
    "del d['A']",
]


@pytest.mark.parametrize("change", DICT_CHANGES)
def test_a_dict_changes_as_python_dicts_do(settings: Settings, change: str) -> None:
    plain = {"d": {"A": "1", "B": "2"}}
    exec(change, {}, plain)
    assert settings(f"c.environ = {{'A': '1', 'B': '2'}}\nd = c.environ\n{change}\n").environ == plain["d"]


BAD_DICT_CHANGES = ["d['A'] = None", "d.update(A=None)", "d.update({'A': None})", "d |= {'A': None}", "d.setdefault('A', None)"]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("change", BAD_DICT_CHANGES)
def test_each_new_value_is_checked(refused: Refused, change: str) -> None:
    assert refused(f"d = c.environ\n{change}\nassert 'A' not in d\n") == [
        "test.haco:4: environ: expected text or a number, not None"
    ]


def test_a_change_leaves_nothing_half_done(refused: Refused) -> None:
    lines = "c.environ = {'A': '1'}\nc.environ = {'B': '2', 'C': None}\nassert c.environ == {'A': '1'}\n"
    assert len(refused(lines)) == 1

"""Ranges of ids for names: each its own, the same again, nobody's who runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.errors import HostError
from haconiwa.lifecycle.id_ranges import _first_free, take_id_ranges
from haconiwa.spec.model import BarnSpec, ContainerSpec

OWN = "0"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("UID", "GID"):
        monkeypatch.setenv(f"HACONIWA_SUB{kind}", str(tmp_path / f"sub{kind.lower()}"))
    monkeypatch.setenv("HACONIWA_LIB_DIR", str(tmp_path / "lib"))
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path / "run"))
    (tmp_path / "subuid").write_text(f"{OWN}:100000:300\n")
    (tmp_path / "subgid").write_text(f"{OWN}:500000:100\n{OWN}:700000:1000\n")
    return tmp_path


def barn(*names: str, size: int = 100) -> BarnSpec:
    more: dict[str, Any] = {"environ": {}, "stdio": {}, "metadata": {}, "sources": {}, "namespaces": ("user",)}
    containers = tuple(ContainerSpec(name=name, auto_ids=size, **more) for name in names)
    return BarnSpec(file="/x.haco", name="x", containers=containers)


def starts(spec: BarnSpec) -> list[tuple[int, int]]:
    """First user and group id of each container."""
    return [(c.uid_mappings[-1].host_id, c.gid_mappings[-1].host_id) for c in spec.containers]


def test_every_name_has_its_own_and_keeps_it() -> None:
    assert starts(take_id_ranges(barn("a", "b"))) == [(100000, 500000), (100100, 700000)]
    assert starts(take_id_ranges(barn("c", "b", "a"))) == [(100200, 700100), (100100, 700000), (100000, 500000)]


def test_another_size_is_another_range() -> None:
    take_id_ranges(barn("a"))
    (spec,) = take_id_ranges(barn("a", size=200)).containers
    assert sum(mapping.size for mapping in spec.uid_mappings) == 200
    assert starts(take_id_ranges(barn("a", size=200))) == [(100000, 700000)]


def test_a_look_takes_nothing(files: Path) -> None:
    assert starts(take_id_ranges(barn("a"), keep=False)) == [(100000, 500000)]
    assert not (files / "lib").exists()


def test_what_does_not_run_makes_room() -> None:
    take_id_ranges(barn("a", "b", "c"))
    assert starts(take_id_ranges(barn("d"))) == [(100000, 500000)]


def test_a_range_taken_back_by_the_administrator_is_given_up(files: Path) -> None:
    take_id_ranges(barn("a"))
    (files / "subuid").write_text(f"{OWN}:100050:200\n")
    assert starts(take_id_ranges(barn("a")))[0][0] == 100050


def test_damaged_records_count_as_none(files: Path) -> None:
    (files / "lib").mkdir()
    (files / "lib/id-ranges").write_bytes(b"a 1 2\n\xff 1 1 1 1\nb x 1 1\n")
    assert starts(take_id_ranges(barn("a"))) == [(100000, 500000)]


def test_no_range_at_all_names_the_line_to_add(files: Path) -> None:
    (files / "subgid").write_text("")
    with pytest.raises(HostError) as caught:
        take_id_ranges(barn("a"))
    assert f'"{files}/subgid" has no range for ' in str(caught.value)
    assert caught.value.hint.startswith('add the line "')
    assert caught.value.hint.endswith(':100000:1048576" to it')


def test_too_few_ids(files: Path) -> None:
    with pytest.raises(HostError, match=f'"{files}/subuid" has no 301 ids in a row that no running container uses'):
        take_id_ranges(barn("a", size=301))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 30)), max_size=4),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6),
    st.integers(1, 30),
)
def test_the_first_free_is_allowed_unused_and_found_if_there_is_one(
    ranges: list[tuple[int, int]], used: list[tuple[int, int]], size: int
) -> None:
    taken = {number for first, count in used for number in range(first, first + count)}

    def fits(start: int) -> bool:
        inside = any(first <= start and start + size <= first + count for first, count in ranges)
        return inside and not taken & set(range(start, start + size))

    found = _first_free(ranges, used, size)
    assert fits(found) if found is not None else not any(fits(start) for start in range(120))

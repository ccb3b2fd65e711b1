from __future__ import annotations

import os
from pathlib import Path

import pytest

from haconiwa.errors import HostError
from haconiwa.host.own_ids import KINDS, is_own_id, own_id, own_mappings, require_own
from haconiwa.host.subids import has_one_id
from haconiwa.spec.model import IdMapping

ME = os.geteuid()


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "subuid").write_text(f"{ME}:300000:100\n{ME}:300100:50\n999999:400000:65536\n{ME}:500000:10\n")
    monkeypatch.setenv("HACONIWA_SUBUID", str(tmp_path / "subuid"))
    monkeypatch.setenv("HACONIWA_SUBGID", str(tmp_path / "missing"))


def one(inside: int, host: int, size: int) -> IdMapping:
    return IdMapping(container_id=inside, host_id=host, size=size)


def test_the_caller_is_root_and_all_its_ranges_follow() -> None:
    assert own_mappings("uid") == (one(0, ME, 1), one(1, 300000, 100), one(101, 300100, 50), one(151, 500000, 10))
    assert own_mappings("gid") == (one(0, os.getegid(), 1),)


@pytest.mark.parametrize(("size", "ends"), [(1, []), (2, [1]), (101, [100]), (102, [100, 1]), (9999, [100, 50, 10])])
def test_no_more_than_asked_for(size: int, ends: list[int]) -> None:
    assert [mapping.size for mapping in own_mappings("uid", size)] == [1, *ends]


def test_own_id_alone() -> None:
    for kind in KINDS:
        assert is_own_id(kind, (one(7, own_id(kind), 1),))
        assert not is_own_id(kind, (one(0, own_id(kind), 2),))
        assert not is_own_id(kind, (one(0, own_id(kind) + 1, 1),))
        assert not is_own_id(kind, ())


@pytest.mark.parametrize("mapping", [one(0, 300000, 150), one(0, 300099, 2), one(0, 500009, 1)])
@pytest.mark.requires("uidmap")
def test_what_is_in_the_ranges_may_be_mapped(mapping: IdMapping) -> None:
    require_own("uid", (one(1000, ME, 1), mapping), None)


@pytest.mark.parametrize("mapping", [one(0, 299999, 2), one(0, 300149, 2), one(0, 400000, 1), one(0, 500000, 11)])
def test_what_is_not_is_refused(mapping: IdMapping) -> None:
    with pytest.raises(HostError) as caught:
        require_own("uid", (mapping,), None)
    assert f"may not map the uids {mapping.host_id}-" in caught.value.what
    assert caught.value.why.endswith("gives it only 300000-300099, 300100-300149, 500000-500009")


def test_without_any_range() -> None:
    with pytest.raises(HostError) as caught:
        require_own("gid", (one(0, 1, 10),), None)
    assert "has no range for it" in caught.value.why


def test_this_process_has_more_ids_than_one() -> None:
    assert not has_one_id()

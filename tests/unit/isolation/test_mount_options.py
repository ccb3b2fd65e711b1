from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.isolation.mount_options import parse_options
from haconiwa.kernel.mount import MOUNT_ATTR, MS


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ("", MOUNT_ATTR(0)),
        ("defaults", MOUNT_ATTR(0)),
        ("ro", MOUNT_ATTR.RDONLY),
        ("ro,nosuid,nodev,noexec", MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC),
        ("noatime,nodiratime,nosymfollow", MOUNT_ATTR.NOATIME | MOUNT_ATTR.NODIRATIME | MOUNT_ATTR.NOSYMFOLLOW),
        ("strictatime", MOUNT_ATTR.STRICTATIME),
        ("ro,rw", MOUNT_ATTR(0)),
        ("rw,ro", MOUNT_ATTR.RDONLY),
        ("bind,rbind,relatime", MOUNT_ATTR(0)),
    ],
)
def test_flags(options: str, attributes: MOUNT_ATTR) -> None:
    parsed = parse_options(options)
    assert parsed.attributes == attributes
    assert parsed.parameters == ()


@pytest.mark.parametrize(
    ("word", "flag"),
    [("suid", "NOSUID"), ("dev", "NODEV"), ("exec", "NOEXEC"), ("symfollow", "NOSYMFOLLOW"), ("rw", "RDONLY")],
)
def test_a_word_takes_away_what_is_preset(word: str, flag: str) -> None:
    preset = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC | MOUNT_ATTR.NOSYMFOLLOW | MOUNT_ATTR.RDONLY
    assert parse_options(word, preset).attributes == preset & ~MOUNT_ATTR[flag]
    assert parse_options("", preset).attributes == preset


def test_parameters_of_the_file_system_keep_their_order() -> None:
    parsed = parse_options("size=64k,ro,mode=755,huge,,empty=,a=b=c")
    assert parsed.parameters == (("size", "64k"), ("mode", "755"), ("huge", None), ("empty", ""), ("a", "b=c"))
    assert parsed.attributes == MOUNT_ATTR.RDONLY


@pytest.mark.parametrize(
    ("word", "propagation"),
    [
        ("", MS.PRIVATE),
        ("rslave", MS.SLAVE),
        ("slave", MS.SLAVE),
        ("private", MS.PRIVATE),
        ("unbindable", MS.UNBINDABLE),
    ],
)
def test_propagation(word: str, propagation: MS) -> None:
    assert parse_options(word).propagation == propagation


def test_a_shared_mount_is_not_to_be_had() -> None:
    assert parse_options("shared").propagation == MS.PRIVATE
    assert parse_options("rshared").propagation == MS.PRIVATE


@given(st.lists(st.sampled_from(["ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec"]), max_size=12))
def test_the_last_word_of_each_pair_wins(words: list[str]) -> None:
    attributes = parse_options(",".join(words)).attributes
    for on, off, flag in (
        ("ro", "rw", MOUNT_ATTR.RDONLY),
        ("nosuid", "suid", MOUNT_ATTR.NOSUID),
        ("nodev", "dev", MOUNT_ATTR.NODEV),
        ("noexec", "exec", MOUNT_ATTR.NOEXEC),
    ):
        last = next((word for word in reversed(words) if word in (on, off)), off)
        assert bool(attributes & flag) == (last == on)


@given(st.text())
def test_any_text_is_taken_apart_without_loss(text: str) -> None:
    parsed = parse_options(text)
    for key, value in parsed.parameters:
        assert (key if value is None else f"{key}={value}") in text.split(",")

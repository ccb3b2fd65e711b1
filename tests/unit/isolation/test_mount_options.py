from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from haconiwa.isolation.mount_options import parse_options
from haconiwa.isolation.trees import split_layers
from haconiwa.kernel.mount import MOUNT_ATTR, MS
from haconiwa.spec.mount_words import BIND_WORDS, Extras
from haconiwa.spec.values import Refused


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
        ("shared", MS.SHARED),
        ("rshared", MS.SHARED),
        ("private", MS.PRIVATE),
        ("unbindable", MS.UNBINDABLE),
    ],
)
def test_propagation(word: str, propagation: MS) -> None:
    assert parse_options(word).propagation == propagation


@pytest.mark.parametrize("word", [*BIND_WORDS, "ro=recursive", "x-systemd.automount", "X-mount.mkdir", "comment=a"])
def test_words_of_a_bind_mount_are_not_passed_to_a_file_system(word: str) -> None:
    assert parse_options(word).parameters == ()


@pytest.mark.parametrize("word", ["noatime", "strictatime", "relatime", "atime"])
def test_an_access_time_is_set_only_when_the_old_one_is_cleared(word: str) -> None:
    parsed = parse_options(word, MOUNT_ATTR.NOATIME | MOUNT_ATTR.NODEV)
    assert parsed.cleared == MOUNT_ATTR._ATIME
    wanted = {"noatime": MOUNT_ATTR.NOATIME, "strictatime": MOUNT_ATTR.STRICTATIME}.get(word, MOUNT_ATTR(0))
    assert parsed.attributes == wanted | MOUNT_ATTR.NODEV


def test_what_is_taken_away_is_cleared_on_the_source_too() -> None:
    parsed = parse_options("exec,dev,noexec", MOUNT_ATTR.NODEV)
    assert (parsed.attributes, parsed.cleared) == (MOUNT_ATTR.NOEXEC, MOUNT_ATTR.NODEV)


@pytest.mark.parametrize(("word", "kept"), [("user", "exec"), ("users", "exec"), ("owner", "suid"), ("group", "suid")])
def test_words_of_fstab_take_privileges_away(word: str, kept: str) -> None:
    most = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | (MOUNT_ATTR.NOEXEC if word.startswith("user") else 0)
    assert parse_options(word).attributes == most
    assert parse_options(f"{word},{kept}").attributes == most & ~parse_options(f"no{kept}").attributes


def test_extras() -> None:
    assert parse_options("ro").extras is None
    extras = parse_options("X-mount.mkdir=700,X-mount.owner=5,X-mount.group=6,X-mount.mode=1750").extras
    assert extras == Extras(folder_mode=0o700, uid=5, gid=6, mode=0o1750)
    with pytest.raises(Refused):
        parse_options("X-mount.mode=abc")


def test_quoted_commas_belong_to_a_value() -> None:
    parsed = parse_options('context="a:b:s0,c1",size=1m,"x=1,2"')
    assert parsed.parameters == (("context", "a:b:s0,c1"), ("size", "1m"), ("x", "1,2"))


def test_layers_of_an_overlay() -> None:
    assert split_layers("/a:/b\\:c::/d:/e") == [
        ("lowerdir+", "/a"), ("lowerdir+", "/b:c"), ("datadir+", "/d"), ("datadir+", "/e"),
    ]  # fmt: skip


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


@given(st.text(st.characters(exclude_characters='"')))
def test_any_text_is_taken_apart_without_loss(text: str) -> None:
    assume("X-mount." not in text)
    parsed = parse_options(text)
    for key, value in parsed.parameters:
        assert (key if value is None else f"{key}={value}") in [*text.split(","), "ro"]

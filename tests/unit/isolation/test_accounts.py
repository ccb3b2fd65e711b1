from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.isolation.accounts import LARGEST_ID, Account, parse_group, parse_passwd

ids = st.integers(0, LARGEST_ID)
words = st.binary(min_size=1, max_size=20).filter(lambda word: not set(word) & set(b":\n"))


def test_passwd() -> None:
    content = (
        b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001:Alice,,:/home/alice:/bin/sh\nnobody:*:65534:65534::/:\n"
    )
    assert parse_passwd(content) == [
        Account(name=b"root", uid=0, gid=0, home=b"/root"),
        Account(name=b"alice", uid=1000, gid=1001, home=b"/home/alice"),
        Account(name=b"nobody", uid=65534, gid=65534, home=b"/"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"#root:x:x:0::/:", b"root", b"root:x:0", b"root:x:0:0:root", b":x:0:0:root:/root:", b"+::::::",
        b"root:x:-1:0:root:/root:", b"root:x: 0:0:root:/root:", b"root:x:0x0:0::/:", b"root:x:4294967295:0::/:",
        b"root:x:4294967296:0::/:", b"root:x:1_0:0::/:", b"root:x:\xef\xbc\x91:0::/:", b"root:x::0::/:",
        b"root:x:" + b"9" * 5000 + b":0::/:", b"root:x:0:\xb2::/:",
    ],
)  # fmt: skip
def test_malformed_lines_of_passwd_name_nobody(line: bytes) -> None:
    good = b"alice:x:1:2::/home:"
    assert [account.name for account in parse_passwd(line + b"\n" + good)] == [b"alice"]


def test_largest_id() -> None:
    assert parse_passwd(b"a:x:4294967294:0::/:")[0].uid == LARGEST_ID


def test_group_and_the_first_line_of_a_name_counts() -> None:
    assert parse_group(b"root:x:0:\naudio:x:29:alice,bob\naudio:x:0:\n") == {b"root": 0, b"audio": 29}


@pytest.mark.parametrize("line", [b"", b"root", b"root:x", b":x:0:", b"root:x::", b"root:x:-1:", b"root:x:4294967295:"])
def test_malformed_lines_of_group_name_nothing(line: bytes) -> None:
    assert parse_group(line + b"\naudio:x:29:") == {b"audio": 29}


@given(st.lists(st.tuples(words, ids, ids, words)))
def test_what_was_written_is_read(lines: list[tuple[bytes, int, int, bytes]]) -> None:
    content = b"".join(b"%s:x:%d:%d::%s:/bin/sh\n" % line for line in lines)
    assert [(a.name, a.uid, a.gid, a.home) for a in parse_passwd(content)] == lines


@given(st.binary())
def test_any_bytes_are_read_without_an_error_into_ids_in_range(content: bytes) -> None:
    for account in parse_passwd(content):
        assert account.name
        assert 0 <= account.uid <= LARGEST_ID
        assert 0 <= account.gid <= LARGEST_ID
    assert all(0 <= gid <= LARGEST_ID for gid in parse_group(content).values())

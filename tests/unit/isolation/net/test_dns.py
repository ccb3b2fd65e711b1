"""DNS messages, also those that mean no good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.isolation.net import dns

HEADER = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
QUERY = HEADER + b"\x02Ok\x07example\x00\x00\x01\x00\x01"
A = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x02"
AAAA = b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10" + bytes(15) + b"\x01"
CNAME = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0f"


def answer(*records: bytes, question: bytes = QUERY) -> bytes:
    return (
        question[:2]
        + b"\x81\x80\x00\x01"
        + len(records).to_bytes(2, "big")
        + bytes(4)
        + question[12:]
        + b"".join(records)
    )


def test_a_question() -> None:
    question = dns.Question(QUERY)
    assert (question.id, question.name, question.type, question.end) == (0x1234, "ok.example", 1, len(QUERY))
    assert not dns.is_response(QUERY)


def test_addresses_of_an_answer() -> None:
    message = answer(CNAME, A, AAAA)
    assert dns.is_response(message)
    assert dns.addresses(message) == [(4, 0xC0000202, 60), (6, 1, 60)]


def test_refusal_and_failure_repeat_the_question() -> None:
    for message, code in ((dns.refusal(QUERY), 5), (dns.failure(QUERY), 2)):
        assert message[:2] == QUERY[:2]
        assert message[3] & 15 == code
        assert dns.is_response(message)
        assert message[12:] == QUERY[12:]
        assert dns.addresses(message) == []


def test_another_id() -> None:
    assert dns.Question(dns.with_id(QUERY, 7)).id == 7


@pytest.mark.parametrize("label", [b"a.b", b"a\\", b"a b", b"a\0", b"a*", b"\xe4", b"a\n", b"a/b"])
def test_a_label_that_no_host_has(label: bytes) -> None:
    name = bytes((len(label),)) + label + b"\x04good\x07example\x00"
    with pytest.raises(ValueError, match="a label with"):
        dns.Question(HEADER + name + b"\x00\x01\x00\x01")


def test_a_dot_within_a_label_matches_no_wildcard() -> None:
    """As text these two labels would be a name of ``*.good.example``."""
    with pytest.raises(ValueError, match="a label with"):
        dns.Question(HEADER + b"\x06x.good\x07example\x00\x00\x01\x00\x01")


def test_labels_as_hosts_have_them() -> None:
    question = dns.Question(HEADER + b"\x05_a-Z9\x07example\x00\x00\x01\x00\x01")
    assert question.name == "_a-z9.example"


def test_the_owner_of_a_record_may_have_any_name() -> None:
    """As the targets of aliases in classless reverse zones have them. See: RFC 2317."""
    assert dns.addresses(answer(CNAME, b"\x040/25" + A)) == [(4, 0xC0000202, 60)]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        HEADER,
        QUERY[:-1],
        HEADER.replace(b"\x00\x01", b"\x00\x02", 1) + QUERY[12:],
        HEADER + b"\xc0\x0c\x00\x01\x00\x01",  # a name that points to itself
        HEADER + b"\x80\x00\x00\x01\x00\x01",
        HEADER + (b"\x3f" + b"a" * 63) * 5 + b"\x00\x00\x01\x00\x01",
    ],
)
def test_what_is_no_question(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"a |one"):
        dns.Question(message)


@pytest.mark.parametrize("record", [A[:-1], A[:8], b"\xff", CNAME[:-1]])
def test_records_that_end_too_early(record: bytes) -> None:
    with pytest.raises(ValueError, match="a "):
        dns.addresses(answer(record))


@given(st.binary(max_size=300))
def test_anything_is_an_answer_or_an_error(data: bytes) -> None:
    for message in (data, answer(data), QUERY[:12] + data):
        try:
            found = dns.addresses(message)
        except ValueError:
            continue
        assert all(version in (4, 6) for version, _, _ in found)

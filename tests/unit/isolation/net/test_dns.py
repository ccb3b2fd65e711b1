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


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=4), st.data())
def test_messages_over_tcp_are_parted_wherever_they_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = framed(*messages)
    cut = data.draw(st.integers(0, len(stream)))
    first, rest = dns.parted(stream[:cut])
    second, end = dns.parted(rest + stream[cut:])
    assert (first + second, end) == (messages, b"")
    assert framed(*first) + rest == stream[:cut]


def test_a_message_of_no_length_is_none() -> None:
    with pytest.raises(ValueError, match="of no length"):
        dns.parted(framed(QUERY, b""))


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


def opt(size: int = 4096, more: int = 0, data: bytes = b"") -> bytes:
    return b"\0\0\x29" + size.to_bytes(2, "big") + more.to_bytes(4, "big") + len(data).to_bytes(2, "big") + data


def query(
    flags: int = 0x0100,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
    kind: int = 1,
    class_: int = 1,
    rest: bytes = b"",
    name: bytes = QUERY[12:-4],
) -> bytes:
    numbers = (0x1234, flags, *counts)
    header = b"".join(number.to_bytes(2, "big") for number in numbers)
    return header + name + kind.to_bytes(2, "big") + class_.to_bytes(2, "big") + rest


def refused(message: bytes) -> bytes:
    with pytest.raises(dns.NoQueryError) as caught:
        dns.passed_on(message)
    return caught.value.answer


WITH_OPT = (1, 0, 0, 1)
COOKIE = b"\0\x0a\0\x08secretly"
SIGNATURE = b"\0\0\xfa\0\xff\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (QUERY, QUERY),
        (query(kind=255), query(kind=255)),
        (query(kind=65), query(kind=65)),
        (query(flags=0x0030), query(flags=0x0030)),  # AD, CD, and no RD
        (query(flags=0x07FF), query(flags=0x0130)),  # AA, TC, RA, Z and a code, which are for answers
        (query(counts=WITH_OPT, rest=opt()), query(counts=WITH_OPT, rest=opt(1232))),
        (query(counts=WITH_OPT, rest=opt(800)), query(counts=WITH_OPT, rest=opt(800))),
        (query(counts=WITH_OPT, rest=opt(0)), query(counts=WITH_OPT, rest=opt(512))),
        (query(counts=WITH_OPT, rest=opt(1232, 0x0101FFFF)), query(counts=WITH_OPT, rest=opt(1232, 0x8000))),
        (query(counts=WITH_OPT, rest=opt(1232, 0x8000, COOKIE)), query(counts=WITH_OPT, rest=opt(1232, 0x8000))),
        (query(name=b"\0", kind=2), query(name=b"\0", kind=2)),
    ],
)
def test_what_is_passed_on(message: bytes, expected: bytes) -> None:
    assert dns.passed_on(message) == expected


def test_a_name_put_together_is_passed_on_whole() -> None:
    """Here from the OPT record's data: what was looked at must be what is sent."""
    message = query(counts=WITH_OPT, name=b"\xc0\x1d", rest=opt(1232, 0, QUERY[12:-4]))
    assert message[0x1D:] == QUERY[12:-4]
    assert dns.passed_on(message) == query(counts=WITH_OPT, rest=opt(1232))


@pytest.mark.parametrize("opcode", range(1, 16))
def test_other_operations_are_not_implemented(opcode: int) -> None:
    update = query(flags=opcode << 11 | 0x0100, counts=(1, 0, 1, 0), kind=6, rest=A)
    assert refused(update) == b"\x12\x34" + (opcode << 11 | 0x8184).to_bytes(2, "big") + bytes(8)


@pytest.mark.parametrize(
    "message",
    [
        HEADER,
        QUERY + b"\0",
        QUERY + bytes(60000),
        query(counts=(0, 0, 0, 0)),
        query(counts=(2, 0, 0, 0), rest=QUERY[12:]),
        query(counts=(1, 1, 0, 0), rest=A),
        query(counts=(1, 0, 1, 0), rest=A),
        query(counts=WITH_OPT, rest=A),
        query(counts=WITH_OPT, rest=SIGNATURE),
        query(counts=(1, 0, 0, 2), rest=opt() + opt()),
        query(counts=(1, 0, 0, 2), rest=opt() + SIGNATURE),
        query(counts=WITH_OPT, rest=opt()[:-1]),
        query(counts=WITH_OPT, rest=opt(data=COOKIE)[:-1]),
        query(counts=WITH_OPT, rest=opt() + b"\0"),
        query(counts=WITH_OPT, rest=b"\x01a" + opt()),
        query(counts=WITH_OPT),
        query(name=b"\x03a.b\0"),
    ],
)
def test_what_is_malformed(message: bytes) -> None:
    assert refused(message) == b"\x12\x34\x81\x81" + bytes(8)


@pytest.mark.parametrize("kind", [0, 41, 249, 250, 251, 252, 253, 254])
def test_types_that_are_not_looked_up(kind: int) -> None:
    assert refused(query(kind=kind)) == dns.refusal(query(kind=kind))


@pytest.mark.parametrize("class_", [0, 3, 254, 255])
def test_other_classes(class_: int) -> None:
    """Servers tell of themselves in CHAOS."""
    assert refused(query(class_=class_)) == dns.refusal(query(class_=class_))


@pytest.mark.parametrize("message", [b"", QUERY[:11], answer(A), query(flags=0xA900)])
def test_what_gets_no_answer(message: bytes) -> None:
    assert refused(message) == b""


@given(st.binary(max_size=300))
def test_anything_is_passed_on_clean_or_not(data: bytes) -> None:
    for message in (data, QUERY[:12] + data, QUERY[:10] + b"\0\1" + QUERY[12:] + data):
        try:
            sent = dns.passed_on(message)
        except dns.NoQueryError as error:
            assert not error.answer or dns.is_response(error.answer)  # noqa: PT017 - most are
            continue
        assert dns.passed_on(sent) == sent
        assert dns.Question(sent).name == dns.Question(message).name


@given(st.binary(max_size=300))
def test_anything_is_an_answer_or_an_error(data: bytes) -> None:
    for message in (data, answer(data), QUERY[:12] + data):
        try:
            found = dns.addresses(message)
        except ValueError:
            continue
        assert all(version in (4, 6) for version, _, _ in found)

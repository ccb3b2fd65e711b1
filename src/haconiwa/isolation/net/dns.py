"""As much of DNS messages as our resolver needs: what is asked, and which addresses are answered.

Both come from elsewhere: every length is checked, and what cannot be understood raises `ValueError`. See: RFC 1035.
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_RESPONSE = 0x8000
_OPCODE = 0x7800
_RECURSION_WANTED, _RECURSION_MADE = 0x0100, 0x0080
_PASSED_ON = _RECURSION_WANTED | 0x0030  # and of DNSSEC: AD, CD
_FORMAT_ERROR, _SERVER_FAILURE, _NOT_IMPLEMENTED, _REFUSED = 1, 2, 4, 5
_A, _AAAA, _OPT, _INTERNET = 1, 28, 41, 1
_NOT_ASKED_FOR = frozenset((0, _OPT, *range(128, 255)))  # IXFR, AXFR, TSIG and the like; see RFC 6895, 3.1
_DNSSEC_WANTED = 0x8000
_SMALLEST_ANSWER, _LARGEST_ANSWER = 512, 1232
_MOST_POINTERS = 32
_MOST_RECORDS = 256
_LONGEST_NAME = 255
_IN_LABELS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class NoQueryError(ValueError):
    """A message that is not passed on.

    Attributes:
        answer: What the client gets; empty for nothing.
    """

    def __init__(self, answer: bytes = b"") -> None:
        super().__init__("a message that is not passed on")
        self.answer = answer


class Question:
    """What a message asks.

    Attributes:
        id: Of the message.
        name: In lower case, without the final dot; its labels are of letters, digits, ``_`` and ``-`` only, so that
            no dot within one makes another name of it.
        end: Where in the message the question ends.
        wire: The question as a message has it, with the upper case letters it came with.
    """

    __slots__ = ("class_", "end", "id", "name", "type", "wire")

    def __init__(self, message: bytes) -> None:
        if len(message) < _HEADER.size:
            raise ValueError("a message without a header")
        self.id, _flags, questions, *_ = _HEADER.unpack_from(message)
        if questions != 1:
            raise ValueError("not one question")
        labels, at = read_name(message, _HEADER.size)
        self.name = ".".join(map(_label, labels))
        if at + 4 > len(message):
            raise ValueError("a question that ends too early")
        self.type = int.from_bytes(message[at : at + 2], "big")
        self.class_ = int.from_bytes(message[at + 2 : at + 4], "big")
        self.end = at + 4
        self.wire = b"".join(bytes((len(label),)) + label for label in (*labels, b"")) + message[at : self.end]


def parted(received: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages that came over TCP, each behind its length, and the beginning of the next one.

    Raises:
        ValueError: A message without a byte: what follows is none of this kind either.
    """
    messages: list[bytes] = []
    at = 0
    while at + 2 <= len(received):
        begin = at + 2
        length = int.from_bytes(received[at:begin], "big")
        if not length:
            raise ValueError("a message of no length")
        if begin + length > len(received):
            break
        at = begin + length
        messages.append(received[begin:at])
    return messages, received[at:]


def is_response(message: bytes) -> bool:
    """Whether a message answers something."""
    return len(message) >= _HEADER.size and bool(_HEADER.unpack_from(message)[1] & _RESPONSE)


def passed_on(message: bytes) -> bytes:
    """The query that name servers get in the place of a client's.

    They see it come from the host, to which they may grant more than to others: to change and to copy zones. So it is
    made anew and says nothing but what is looked up.

    Raises:
        NoQueryError: The message asks for something else.
    """
    if len(message) < _HEADER.size or is_response(message):
        raise NoQueryError
    id_, flags, _questions, *others, additional = _HEADER.unpack_from(message)
    if flags & _OPCODE:
        raise NoQueryError(_header_only(message, _NOT_IMPLEMENTED))
    try:
        question = Question(message)
        if any(others):
            raise ValueError("records in a query")
        options = _options(message, question.end, additional)
    except ValueError:
        raise NoQueryError(_header_only(message, _FORMAT_ERROR)) from None
    if question.class_ != _INTERNET or question.type in _NOT_ASKED_FOR:
        raise NoQueryError(refusal(message))
    return _HEADER.pack(id_, flags & _PASSED_ON, 1, 0, 0, 1 if options else 0) + question.wire + options


def _options(message: bytes, at: int, count: int) -> bytes:
    """Our OPT record for the client's, which must be all that is left; empty where it has none. See: RFC 6891."""
    options = b""
    if count:
        labels, at = read_name(message, at)
        if count > 1 or labels or at + _RECORD.size > len(message):
            raise ValueError("an additional record in a query")
        kind, size, more, length = _RECORD.unpack_from(message, at)
        if kind != _OPT:
            raise ValueError("an additional record in a query")
        at += _RECORD.size + length
        size = min(max(size, _SMALLEST_ANSWER), _LARGEST_ANSWER)
        options = b"\0" + _RECORD.pack(_OPT, size, more & _DNSSEC_WANTED, 0)
    if at != len(message):
        raise ValueError("a query that ends too early or too late")
    return options


def read_name(message: bytes, at: int) -> tuple[list[bytes], int]:
    """The labels of a name in a message, and where what follows it begins."""
    labels: list[bytes] = []
    end, pointers, size = -1, 0, 0
    while True:
        length = _byte(message, at)
        if length & 0xC0 == 0xC0:
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | _byte(message, at + 1)
            pointers += 1
            if pointers > _MOST_POINTERS:
                raise ValueError("a name without end")
            continue
        if length & 0xC0:
            raise ValueError("a label of an unknown kind")
        at += 1
        if length == 0:
            return labels, at if end < 0 else end
        size += length + 1
        if at + length > len(message) or size > _LONGEST_NAME:
            raise ValueError("a name that is too long")
        labels.append(message[at : at + length])
        at += length


def _label(data: bytes) -> str:
    if not _IN_LABELS.issuperset(data):
        raise ValueError("a label with a character that no name of a host has")
    return data.decode("ascii").lower()


def _byte(message: bytes, at: int) -> int:
    if at >= len(message):
        raise ValueError("a name that ends too early")
    return message[at]


def addresses(message: bytes) -> list[tuple[int, int, int]]:
    """The addresses that a message answers, as (version, number, seconds they may be kept)."""
    question = Question(message)
    count = min(_HEADER.unpack_from(message)[3], _MOST_RECORDS)
    at = question.end
    found = []
    for _ in range(count):
        _name, at = read_name(message, at)
        if at + _RECORD.size > len(message):
            raise ValueError("a record that ends too early")
        kind, class_, ttl_s, length = _RECORD.unpack_from(message, at)
        at += _RECORD.size
        data = message[at : at + length]
        if len(data) != length:
            raise ValueError("a record that ends too early")
        if class_ == _INTERNET and (kind, length) in ((_A, 4), (_AAAA, 16)):
            found.append((4 if kind == _A else 6, int.from_bytes(data, "big"), ttl_s))
        at += length
    return found


def with_id(message: bytes, number: int) -> bytes:
    """The same message under another id."""
    return number.to_bytes(2, "big") + message[2:]


def refusal(query: bytes) -> bytes:
    """The answer that we do not answer this."""
    return _without_records(query, _REFUSED)


def failure(query: bytes) -> bytes:
    """The answer that no server could be asked."""
    return _without_records(query, _SERVER_FAILURE)


def _without_records(query: bytes, code: int) -> bytes:
    question = Question(query)
    flags = _HEADER.unpack_from(query)[1] & _RECURSION_WANTED | _RESPONSE | _RECURSION_MADE | code
    return _HEADER.pack(question.id, flags, 1, 0, 0, 0) + question.wire


def _header_only(message: bytes, code: int) -> bytes:
    id_, flags, *_ = _HEADER.unpack_from(message)
    return _HEADER.pack(id_, flags & (_OPCODE | _RECURSION_WANTED) | _RESPONSE | _RECURSION_MADE | code, 0, 0, 0, 0)

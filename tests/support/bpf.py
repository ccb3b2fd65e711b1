"""What the kernel would do with a seccomp program: an interpreter of the instructions that filters are made of."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_WORD = 0xFFFFFFFF


def run_filter(program: bytes, audit: int, number: int, arguments: Sequence[int] = ()) -> int:
    """The answer of a filter to a call.

    Args:
        program: As the kernel takes it.
        audit: The ``AUDIT_ARCH_*`` value of the ABI.
        number: Of the call.
        arguments: Up to six, as 64-bit registers.

    Raises:
        AssertionError: The kernel would not have taken this program.
    """
    instructions = list(struct.iter_unpack("=HBBI", program))
    assert 0 < len(instructions) <= 4096
    data = struct.pack("=IIQ6Q", number, audit, 0, *[*arguments, *[0] * 6][:6])
    accumulator = at = 0
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        if code == 0x20:
            assert k % 4 == 0
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif code == 0x54:
            accumulator &= k
        elif code == 0x05:
            at += k
        elif code == 0x06:
            return int(k)
        else:
            taken = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[code]
            at += yes if taken else no

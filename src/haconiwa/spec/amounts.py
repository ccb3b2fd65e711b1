"""Amounts of bytes in a haco file."""

from __future__ import annotations

from haconiwa.spec.values import Refused, number, show, string

_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_LARGEST = 2**63 - 1


def size_bytes(value: object) -> int:
    """A number of bytes: a number, or text with the unit K, M, G or T, powers of 1024."""
    expected = "a number of bytes, or text such as 512M"
    if not issubclass(type(value), str):
        return number(value, 1, _LARGEST, expected)
    text = string(value, expected)
    digits, shift = (text[:-1], _UNITS[text[-1:].upper()]) if text[-1:].upper() in _UNITS else (text, 0)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise Refused(f"expected {expected}, not {show(text)}")
    return number(int(digits) << shift, 1, _LARGEST)

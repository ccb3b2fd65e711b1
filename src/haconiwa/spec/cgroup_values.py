"""Values of control group files: checked, and written in one form.

In that form a size is in bytes, no limit is ``max``, and what a file takes for several devices is one line each.
"""

from __future__ import annotations

from haconiwa.spec.values import Refused, items, number, show, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Lines = tuple[str, ...]
    Parser = Callable[[object], Lines]

MAX = "max"
LARGEST = 2**63 - 1
DEFAULT_PERIOD_US = 100_000
IO_LIMITS = ("rbps", "wbps", "riops", "wiops")
"""The words of io.max, in the order in which they are written."""

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_UNLIMITED = 'a number or "max"'
_SIZE = 'a number of bytes, text such as "256M" with K, M, G or T, or "max"'


def _is_text(value: object) -> bool:
    return issubclass(type(value), str)


def _digits(plain: str, low: int, high: int, expected: str) -> int:
    """A number written in ASCII digits; twenty are enough for every file."""
    if not plain.isascii() or not plain.isdigit() or len(plain) > 20:
        raise Refused(f"{show(plain)} is not {expected}")
    return number(int(plain), low, high)


def count(low: int, high: int = LARGEST, *, unlimited: bool = False) -> Parser:
    """A whole number, as number or text; with `unlimited` also ``max`` and -1."""
    expected = _UNLIMITED if unlimited else f"a number between {low} and {high}"

    def parse(value: object) -> Lines:
        if _is_text(value):
            plain = text(value, expected)
            if unlimited and plain in (MAX, "-1"):
                return (MAX,)
            negative = plain.startswith("-") and low < 0
            return (str(-_digits(plain[1:], 0, -low, expected) if negative else _digits(plain, low, high, expected)),)
        plain_number = number(value, -1 if unlimited else low, high, expected)
        if unlimited and plain_number == -1:
            return (MAX,)
        return (str(number(plain_number, low, high, expected)),)

    return parse


def size_in_bytes(plain: str) -> int:
    """A size with or without a unit, in powers of 1024 as the kernel counts.

    Raises:
        Refused: It is none.
    """
    factor = _UNITS.get(plain[-1:].lower(), 1)
    digits = plain if factor == 1 else plain[:-1]
    if not digits.isascii() or not digits.isdigit():
        raise Refused(f"{show(plain)} is not {_SIZE}")
    return number(_digits(digits, 0, LARGEST, _SIZE) * factor, 0, LARGEST)


def size(value: object) -> Lines:
    """A number of bytes, text with a unit, or no limit."""
    if not _is_text(value):
        return count(0, unlimited=True)(value)
    plain = text(value, _SIZE)
    return (MAX,) if plain in (MAX, "-1") else (str(size_in_bytes(plain)),)


def flag(value: object) -> Lines:
    """0 or 1; True and False stand for them."""
    if value is True or value is False:
        return ("1" if value else "0",)
    return count(0, 1)(value)


def cpu_max(value: object) -> Lines:
    """``QUOTA PERIOD`` in microseconds; the period is 100000 unless given, and a quota of ``max`` is no limit."""
    expected = 'a quota and a period in microseconds, such as "50000 100000", or "max"'
    words = text(value, expected).split() if _is_text(value) else [str(number(value, -1, LARGEST, expected))]
    if not 1 <= len(words) <= 2:
        raise Refused(f"{show(value)} is not {expected}")
    (quota,) = count(1000, unlimited=True)(words[0])
    (period,) = count(1000, 1_000_000)(words[1]) if len(words) == 2 else (str(DEFAULT_PERIOD_US),)
    return (f"{quota} {period}",)


def id_list(value: object) -> Lines:
    """Numbers of processors or memory nodes, such as ``0-3,7``."""
    expected = 'a list such as "0-3,7"'
    plain = text(value, expected) if _is_text(value) else str(number(value, 0, 65535, expected))
    for part in plain.split(","):
        first, dash, last = part.partition("-")
        low = _digits(first, 0, 65535, expected)
        if dash and _digits(last, 0, 65535, expected) < low:
            raise Refused(f"{show(part)} ends before it begins")
    return (plain,)


def device_number(plain: str) -> str:
    """A device as ``MAJOR:MINOR``, or as the path of its node, which is looked up on the host."""
    if plain.startswith("/"):
        return plain
    expected = 'a device such as "8:0" or "/dev/sda"'
    major, colon, minor = plain.partition(":")
    if not colon:
        raise Refused(f"{show(plain)} is not {expected}")
    return f"{_digits(major, 0, 4095, expected)}:{_digits(minor, 0, 1048575, expected)}"


def _line(value: object, expected: str) -> str:
    line = text(value, expected)
    if not line.strip():
        raise Refused(f"{show(line)} is not {expected}")
    return line


def _lines(value: object, parse: Callable[[str], str], expected: str) -> Lines:
    """One line, or a list of lines, no two for one device."""
    given = [value] if _is_text(value) else items(value, lambda item: item, f"{expected}, or a list of such")
    lines = tuple(parse(_line(line, expected)) for line in given)
    subjects = [line.split()[0] for line in lines]
    if not lines or len(set(subjects)) < len(subjects):
        raise Refused("names a device twice" if lines else "is an empty list")
    return lines


def io_max(value: object) -> Lines:
    """``8:0 rbps=1M wiops=max``, or a list of such lines."""
    expected = 'a device and its limits, such as "8:0 rbps=1M wiops=120"'

    def parse(line: str) -> str:
        device, *pairs = line.split()
        limits = dict(pair.split("=", 1) for pair in pairs if pair.count("=") == 1)
        if not pairs or len(limits) < len(pairs) or not set(limits) <= set(IO_LIMITS):
            raise Refused(f"{show(line)} is not {expected}", f"the limits are {' '.join(IO_LIMITS)}")
        shown = " ".join(f"{name}={size(limits[name])[0]}" for name in IO_LIMITS if name in limits)
        return f"{device_number(device)} {shown}"

    return _lines(value, parse, expected)


def io_weight(value: object) -> Lines:
    """A weight for all devices, a line for one such as ``8:0 50``, or a list of such lines."""
    weight = count(1, 10_000)

    def parse(line: str) -> str:
        subject, *rest = line.split()
        if not rest:
            return f"default {weight(subject)[0]}"
        shown = subject if subject == "default" else device_number(subject)
        return f"{shown} {weight(' '.join(rest))[0]}"

    if not _is_text(value) and issubclass(type(value), int):
        return (f"default {weight(value)[0]}",)
    return _lines(value, parse, 'a weight, or a device and its weight, such as "8:0 50"')


def throttle(value: object) -> Lines:
    """``8:0 1M``, or a list of such lines; 0 is no limit, as the file takes it."""
    expected = 'a device and its limit, such as "8:0 1M"'

    def parse(line: str) -> str:
        device, *rest = line.split()
        limit = size(" ".join(rest) or line)[0]
        return f"{device_number(device)} {MAX if limit == '0' else limit}"

    return _lines(value, parse, expected)


def weight_device(value: object) -> Lines:
    """``8:0 500``, or a list of such lines."""

    def parse(line: str) -> str:
        device, *rest = line.split()
        return f"{device_number(device)} {count(10, 1000)(' '.join(rest) or line)[0]}"

    return _lines(value, parse, 'a device and its weight, such as "8:0 500"')


def device_rule(value: object) -> Lines:
    """``a`` for all devices, or ``c 10:229 rwm``, or a list of such lines."""
    expected = 'a device rule such as "c 10:229 rwm"'

    def parse(line: str) -> str:
        kind, *rest = line.split()
        if kind == "a" and rest in ([], ["*:*"], ["*:*", "rwm"]):
            return "a"
        if kind not in ("b", "c") or len(rest) != 2 or not set(rest[1]) <= set("rwm"):
            raise Refused(f"{show(line)} is not {expected}")
        major, colon, minor = rest[0].partition(":")
        if not colon:
            raise Refused(f"{show(line)} is not {expected}")
        numbers = ["*" if part == "*" else str(_digits(part, 0, 1048575, expected)) for part in (major, minor)]
        return f"{kind} {':'.join(numbers)} {''.join(letter for letter in 'rwm' if letter in rest[1])}"

    given = [value] if _is_text(value) else items(value, lambda item: item, f"{expected}, or a list of such")
    if not given:
        raise Refused("is an empty list")
    return tuple(parse(_line(line, expected)) for line in given)


def words(*allowed: str) -> Parser:
    """One of some words."""

    def parse(value: object) -> Lines:
        plain = text(value, f"one of {' '.join(allowed)}")
        if plain not in allowed:
            raise Refused(f"{show(plain)} is not one of {' '.join(allowed)}")
        return (plain,)

    return parse


def anything(value: object) -> Lines:
    """A number, a line of text, or a list of lines."""
    expected = "a number or text"
    if not _is_text(value) and issubclass(type(value), int):
        return (str(number(value, -LARGEST, LARGEST, expected)),)
    given = [value] if _is_text(value) else items(value, lambda item: item, f"{expected}, or a list of text")
    if not given:
        raise Refused("is an empty list")
    return tuple(text(line, expected) for line in given)

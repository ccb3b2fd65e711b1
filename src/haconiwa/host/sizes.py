"""Amounts of bytes and time as people read them."""

from __future__ import annotations

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


def show_size(size: float) -> str:
    """``512 B``, ``1.5 KiB``, ``20 GiB``: three digits at least where there are that many."""
    if size < _STEP:
        return f"{size:.0f} B"
    unit = ""
    for unit in _UNITS:
        size /= _STEP
        if size < _STEP or unit == _UNITS[-1]:
            break
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


def show_duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``5 d 3 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for larger, smaller, names in ((_DAY_S, _HOUR_S, "d h"), (_HOUR_S, _MINUTE_S, "h min"), (_MINUTE_S, 1, "min s")):
        if seconds >= larger:
            first, second = names.split()
            return f"{int(seconds // larger)} {first} {int(seconds % larger // smaller)} {second}"
    return f"{seconds:.0f} s"

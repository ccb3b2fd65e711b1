"""What this package uses of ``ctypes``, made of what ``ctypes`` itself is made of.

Importing ``ctypes`` makes thirty types and a callback that nobody here needs and takes 2 ms, a twelfth of a start. The
types below are defined as it defines them, and work together with its own.
"""

from __future__ import annotations

from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, FUNCFLAG_USE_ERRNO, CFuncPtr, dlopen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import (
        Array,
        Structure,
        addressof,
        byref,
        c_char_p,
        c_int,
        c_long,
        c_uint32,
        c_uint64,
        c_ulong,
        c_void_p,
        get_errno,
        sizeof,
    )
    from typing import Any
else:
    from _ctypes import Array, Structure, _SimpleCData, addressof, byref, get_errno, sizeof

    def _simple(name, code):
        return type(_SimpleCData)(name, (_SimpleCData,), {"_type_": code})

    c_char_p, c_int, c_long = _simple("c_char_p", "z"), _simple("c_int", "i"), _simple("c_long", "l")
    c_uint32, c_ulong, c_void_p = _simple("c_uint32", "I"), _simple("c_ulong", "L"), _simple("c_void_p", "P")
    c_uint64 = c_ulong

c_size_t = c_ulong

__all__ = [
    "Array", "Structure", "addressof", "byref", "c_char_p", "c_int", "c_long", "c_size_t", "c_uint32", "c_uint64",
    "c_ulong", "c_void_p", "function", "get_errno", "sizeof",
]  # fmt: skip


class _Function(CFuncPtr):
    """A function that keeps the interpreter's lock during the call, as those of ``ctypes.PyDLL`` do.

    Between clone and the interpreter's own clean-up in the child nothing may wait for that lock.
    """

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI | FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class _Process:
    """The running program with the libraries it was linked with; nothing is looked up by file name."""

    _handle = dlopen(None, 0)  # type: ignore[arg-type]


_process: Any = _Process()


def function(name: str, restype: Any, argtypes: tuple[Any, ...]) -> Any:
    """A function of the C library or of the interpreter, a new object each time.

    Raises:
        AttributeError: There is none of that name.
    """
    found = _Function((name, _process))
    found.argtypes = argtypes
    found.restype = restype
    return found

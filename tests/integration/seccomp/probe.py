"""Runs inside: makes system calls by number and prints the error number of each, 0 for none.

Each argument is a call, ``NUMBER,ARGUMENT,…``.
"""

from __future__ import annotations

import ctypes
import sys

syscall = ctypes.CDLL(None, use_errno=True).syscall
for call in sys.argv[1:]:
    ctypes.set_errno(0)
    result = syscall(*[ctypes.c_long(int(number, 0)) for number in call.split(",")])
    print(ctypes.get_errno() if result < 0 else 0)

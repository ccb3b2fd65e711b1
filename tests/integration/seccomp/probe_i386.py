"""Runs inside, on x86_64: makes system calls as a program for i386 would, and prints what each returns.

Each argument is a call, ``NUMBER,ARGUMENT,…`` with up to three arguments.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

# push rbx; mov eax, edi; mov ebx, esi; xchg ecx, edx; int 0x80; pop rbx; ret
CODE = bytes.fromhex("53 89f8 89f3 87d1 cd80 5b c3")

memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(CODE)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
call_i386 = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_uint] * 4)(address)
for call in sys.argv[1:]:
    numbers = [int(number, 0) for number in call.split(",")]
    print(call_i386(*[*numbers, 0, 0, 0][:4]))

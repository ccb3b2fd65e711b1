"""Device rules as a program for the kernel, which the v2 hierarchy has in place of a devices controller.

The kernel calls it for each open and mknod of a device with a ``struct bpf_cgroup_dev_ctx``: what is done and to which
kind of device in the first word, then the major and the minor number. Its answer 0 means EPERM.
See: bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from haconiwa.isolation.device_rules import Rule

_TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
_ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_MKNOD, _READ, _WRITE

_LOAD_WORD = 0x61  # BPF_LDX | BPF_MEM | BPF_W
_AND = 0x57  # BPF_ALU64 | BPF_AND | BPF_K
_SHIFT_RIGHT = 0x77  # BPF_ALU64 | BPF_RSH | BPF_K
_MOVE = 0xB7  # BPF_ALU64 | BPF_MOV | BPF_K
_COPY = 0xBF  # BPF_ALU64 | BPF_MOV | BPF_X
_JUMP_UNLESS_EQUAL = 0x55  # BPF_JMP | BPF_JNE | BPF_K
_EXIT = 0x95  # BPF_JMP | BPF_EXIT

_ANSWER, _CONTEXT, _TYPE, _WANTED, _MAJOR, _MINOR, _REST = 0, 1, 2, 3, 4, 5, 6


def _instruction(code: int, to: int = 0, of: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", code, of << 4 | to, offset, immediate)


_TAKE_APART = (
    _instruction(_LOAD_WORD, _TYPE, _CONTEXT, 0),
    _instruction(_COPY, _WANTED, _TYPE),
    _instruction(_AND, _TYPE, immediate=0xFFFF),
    _instruction(_SHIFT_RIGHT, _WANTED, immediate=16),
    _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
    _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
)
_ALLOW = (_instruction(_MOVE, _ANSWER, immediate=1), _instruction(_EXIT))
_DENY = (_instruction(_MOVE, _ANSWER, immediate=0), _instruction(_EXIT))


def device_program(rules: Iterable[Rule]) -> bytes:
    """A program that allows what one of the rules allows, and nothing else.

    Args:
        rules: See `device_rules.Rule`; without any the program refuses everything.

    Returns:
        Its instructions.
    """
    return b"".join([*_TAKE_APART, *(part for rule in rules for part in _rule(rule)), *_DENY])


def _rule(rule: Rule) -> list[bytes]:
    """Allow if the kind and the numbers are the rule's and nothing is wanted that it does not allow."""
    kind, major, minor, access = rule
    others = sum(bit for letter, bit in _ACCESS.items() if letter not in access)
    tests = [(_REST, 0), (_TYPE, _TYPES[kind])]
    tests += [(register, number) for register, number in ((_MAJOR, major), (_MINOR, minor)) if number is not None]
    code = [_instruction(_COPY, _REST, _WANTED), _instruction(_AND, _REST, immediate=others)]
    for left, (register, value) in zip(range(len(tests) - 1, -1, -1), tests, strict=True):
        code.append(_instruction(_JUMP_UNLESS_EQUAL, register, offset=left + len(_ALLOW), immediate=value))
    return [*code, *_ALLOW]

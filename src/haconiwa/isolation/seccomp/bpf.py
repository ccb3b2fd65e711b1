"""From a policy to the program that the kernel runs at each system call.

A filter is a program of classic BPF that jumps forward only. It is put together from its end, so that the distance of
every jump is known when it is made: first what answers, then the comparisons of arguments that lead there, then for
each ABI a binary search over the numbers of its calls, and at last what tells the ABIs apart.
See: seccomp(2), the kernel's Documentation/networking/filter.rst.
"""

from __future__ import annotations

import struct

from haconiwa.isolation.seccomp.policy import Decision, Policy, numbered
from haconiwa.kernel.seccomp import INSTRUCTIONS_MAX, RET
from haconiwa.kernel.syscall_tables import ABIS, X32_BIT
from haconiwa.spec.seccomp import Condition

TYPE_CHECKING = False
if TYPE_CHECKING:
    Chain = tuple[Decision, ...]

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP = 0x05  # BPF_JMP | BPF_JA
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_IF_NOT_LESS = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_NUMBER, _ABI, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_WORD = 0xFFFFFFFF
_NEAR = 253  # an offset has 8 bits, and two jumps may still come in between


class TooLarge(Exception):
    """A program longer than the kernel takes.

    Attributes:
        size: Its instructions.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} instructions, and the kernel takes {INSTRUCTIONS_MAX}")
        self.size = size


class _Code:
    """A program, from its end. A place in it is the number of instructions from there to the end."""

    def __init__(self) -> None:
        self.instructions: list[tuple[int, int, int, int]] = []
        self._chains: dict[Chain, int] = {}

    def put(self, code: int, k: int, yes: int = 0, no: int = 0) -> int:
        """Put an instruction in front and return its place."""
        self.instructions.append((code, yes, no, k))
        return len(self.instructions)

    def branch(self, code: int, k: int, yes: int, no: int) -> int:
        """Put a comparison in front that goes on at one of two places."""
        if yes == no:
            return yes
        yes, no = (self._within_reach(place) for place in (yes, no))
        here = len(self.instructions)
        return self.put(code, k, here - yes, here - no)

    def _within_reach(self, place: int) -> int:
        distance = len(self.instructions) - place
        return place if distance <= _NEAR else self.put(_JUMP, distance)

    def chain(self, chain: Chain) -> int:
        """Put the decisions about a call in front, once for all calls that share them."""
        if chain not in self._chains:
            *conditional, last = chain
            place = self._answer(last.action)
            for decision in reversed(conditional):
                place = self._decision(decision, place)
            self._chains[chain] = place
        return self._chains[chain]

    def _answer(self, action: int) -> int:
        chain = (Decision(action=action),)
        if chain not in self._chains:
            self._chains[chain] = self.put(_RETURN, action)
        return self._chains[chain]

    def _decision(self, decision: Decision, otherwise: int) -> int:
        place = self._answer(decision.action)
        for condition in reversed(decision.when):
            place = self._condition(condition, place, otherwise)
        return place

    def _condition(self, condition: Condition, yes: int, no: int) -> int:
        """A comparison of 64 bits, made of two of 32: the upper halves first, where they do not decide the lower."""
        code, swapped = {
            "==": (_IF_EQUAL, False),
            "!=": (_IF_EQUAL, True),
            ">": (_IF_GREATER, False),
            "<=": (_IF_GREATER, True),
            ">=": (_IF_NOT_LESS, False),
            "<": (_IF_NOT_LESS, True),
        }[condition.operator]
        if swapped:
            yes, no = no, yes
        offset = _ARGUMENTS + 8 * condition.index
        value, mask = condition.value, condition.mask
        place = self._masked_load(offset, mask & _WORD, self.branch(code, value & _WORD, yes, no))
        if not mask >> 32 and not value >> 32:
            return place
        place = self.branch(_IF_EQUAL, value >> 32, place, no)
        if code != _IF_EQUAL:
            place = self.branch(_IF_GREATER, value >> 32, yes, place)
        return self._masked_load(offset + 4, mask >> 32, place)

    def _masked_load(self, offset: int, mask: int, place: int) -> int:
        if place != len(self.instructions):
            place = self.put(_JUMP, len(self.instructions) - place)
        if mask != _WORD:
            self.put(_AND, mask)
        return self.put(_LOAD, offset)

    def search(self, starts: list[tuple[int, int]]) -> int:
        """Put a search for the number of the call in front.

        Args:
            starts: (first number, place) of each range, in order; the first is searched without looking.
        """
        if len(starts) == 1:
            return starts[0][1]
        middle = len(starts) // 2
        upper = self.search(starts[middle:])
        lower = self.search(starts[:middle])
        return self.branch(_IF_NOT_LESS, starts[middle][0], upper, lower)

    def load(self, offset: int, place: int) -> int:
        """Put a load in front of a place, wherever that is."""
        return self._masked_load(offset, _WORD, place)


def assemble(policy: Policy) -> bytes:
    """The program of a policy, as the kernel takes it.

    Raises:
        TooLarge: It has more instructions than the kernel takes.
    """
    code = _Code()
    place = code.chain((Decision(action=RET.KILL_PROCESS),))
    searches = {abi: code.search(_ranges(code, table, policy.unknown)) for abi, table in numbered(policy).items()}
    if "x86_64" in searches:
        searches["x86_64"] = code.branch(_IF_NOT_LESS, X32_BIT, searches.pop("x32", place), searches["x86_64"])
    entries = [(ABIS[abi].audit, code.load(_NUMBER, search)) for abi, search in searches.items()]
    for audit, entry in reversed(entries):
        place = code.branch(_IF_EQUAL, audit, entry, place)
    code.load(_ABI, place)
    if len(code.instructions) > INSTRUCTIONS_MAX:
        raise TooLarge(len(code.instructions))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in reversed(code.instructions))


def _ranges(code: _Code, table: dict[int, Chain], unknown: int) -> list[tuple[int, int]]:
    """Where each range of numbers begins that are decided alike, and the place of the decision."""
    otherwise = code.chain((Decision(action=unknown),))
    ranges = [(0, otherwise)]
    following = 0
    for number in sorted(table):
        if number != following:
            ranges.append((following, otherwise))
        ranges.append((number, code.chain(table[number])))
        following = number + 1
    ranges.append((following, otherwise))
    return [entry for before, entry in zip([(0, -1), *ranges], ranges, strict=False) if entry[1] != before[1]]

"""System calls that a function of the haco file decides, in the supervisor.

The calling thread waits meanwhile. What the function sees of it is what it was at that moment: another thread of the
container can change memory behind its back, so a decision by what a pointer leads to is no protection when the answer
is to continue. See: seccomp_unotify(2)
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import HookError
from haconiwa.kernel.seccomp_notify import Notification, notif_id_valid, notif_recv, notif_send
from haconiwa.kernel.syscall_tables import ABIS
from haconiwa.lifecycle.hooks import call_function, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from haconiwa.errors import HaconiwaError
    from haconiwa.kernel.syscall_tables import Abi
    from haconiwa.spec.seccomp import FilterSpec, RuleSpec, SeccompSpec

CONTINUE = "continue"
_STRING_MAX = 4096
_PAGE = 4096
_LARGEST_ANSWER = 2**63 - 1


class Call:
    """A system call that waits for a decision.

    Attributes:
        name: Of the call.
        number: As its ABI numbers it.
        abi: How it was made: x86_64, x32, i386, aarch64 or arm.
        args: The six arguments, as they are in the registers: numbers and pointers, without signs.
        pid: The calling thread as the host sees it.
    """

    def __init__(self, listener_fd: int, notification: Notification, name: str, abi: str) -> None:
        self.name = name
        self.number = notification.number
        self.abi = abi
        self.args = notification.arguments
        self.pid = notification.pid
        self._listener_fd = listener_fd
        self._id = notification.id

    def read_memory(self, address: int, size: int) -> bytes:
        """What is in the caller's memory, as far as it can be read: less than `size` where its memory ends.

        Raises:
            ProcessLookupError: The caller has gone.
            OSError: Nothing can be read there.
        """
        try:
            fd = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None
        try:
            found = os.pread(fd, size, address)
        except OverflowError:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from None
        finally:
            os.close(fd)
        # Its number may have become another's by now. If it still waits, it was its own when the memory was opened.
        if not notif_id_valid(self._listener_fd, self._id):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return found

    def read_string(self, address: int, limit: int = _STRING_MAX) -> str:
        """Text that ends in a NUL, such as a path; bytes that are not UTF-8 become surrogates, as in file names.

        Raises:
            ValueError: There is no NUL within `limit` bytes.
            ProcessLookupError: The caller has gone.
            OSError: Nothing can be read there.
        """
        found = b""
        while len(found) < limit:
            # Never over the end of a page, behind which there may be nothing.
            size = min(_PAGE - (address + len(found)) % _PAGE, limit - len(found))
            text, nul, _rest = self.read_memory(address + len(found), size).partition(b"\0")
            found += text
            if nul:
                return os.fsdecode(found)
        raise ValueError(f"no end of the text within {limit} bytes")


class Decider:
    """Answers calls by the functions of a container.

    Args:
        listener_fd: Tells of the calls.
        seccomp: Whose rules say which function decides.
        report: Called with what went wrong, as often as a program inside likes; the call fails with EPERM then.
    """

    def __init__(self, listener_fd: int, seccomp: SeccompSpec, report: Callable[[HaconiwaError], None]) -> None:
        self._listener_fd = listener_fd
        self._report = report
        self._rules = next(each.rules for each in seccomp.filters if _tells(each))
        self._names = {abi.audit: _by_number(abi) for abi in ABIS.values() if abi.name != "x32"}
        self._names[ABIS["x32"].audit] |= _by_number(ABIS["x32"])

    def decide(self) -> None:
        """Take the next call, have it decided, and answer. Nothing happens when its caller has gone."""
        try:
            notification = notif_recv(self._listener_fd)
        except (FileNotFoundError, InterruptedError):
            return
        try:
            self._answer(notification.id, self._decision(notification))
        except HookError as error:
            self._report(error)
            self._answer(notification.id, "EPERM")

    def _decision(self, notification: Notification) -> object:
        name, abi = self._names[notification.audit][notification.number]
        call = Call(self._listener_fd, notification, name, abi)
        rule = next(rule for rule in self._rules if _fits(rule, call))
        function: Any = rule.handler
        what = f'the handler "{function_name(function)}" of the system call "{name}"'
        answer = call_function(function, call, what, rule.where)
        if not _is_answer(answer):
            words = f"it returned {answer!r:.80}, not the name of an error, a value, or {CONTINUE!r}"
            raise HookError(f"{what} failed", why=words, where=rule.where)
        return answer

    def _answer(self, id: int, answer: object) -> None:
        try:
            if answer == CONTINUE:
                notif_send(self._listener_fd, id, continues=True)
            elif isinstance(answer, int):
                notif_send(self._listener_fd, id, value=answer)
            else:
                notif_send(self._listener_fd, id, error=getattr(errno, str(answer)))
        except FileNotFoundError:
            return  # the caller was killed meanwhile


def _tells(each: FilterSpec) -> bool:
    return any(rule.action == "notify" for rule in each.rules)


def _by_number(abi: Abi) -> dict[int, tuple[str, str]]:
    return {number: (name, abi.name) for name, number in abi.numbers().items()}


def _fits(rule: RuleSpec, call: Call) -> bool:
    return call.name in rule.names and all(condition.holds(call.args) for condition in rule.when)


def _is_answer(answer: object) -> bool:
    if type(answer) is int:
        return 0 <= answer <= _LARGEST_ANSWER
    return type(answer) is str and (answer == CONTINUE or (answer[:1] == "E" and hasattr(errno, answer)))

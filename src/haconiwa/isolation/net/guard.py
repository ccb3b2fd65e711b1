"""The process beside a container that watches over its outgoing connections and answers its questions for names.

It is a process of its own, because hooks may keep the supervisor's one thread for long. It tells the supervisor over a
pipe what was refused, and ends with it.
"""

from __future__ import annotations

import errno
import os
import select
import time
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socketpair

from haconiwa.errors import ContainerError, HostError, describe_errno, printable
from haconiwa.host.descriptors import close_all_but, write_all
from haconiwa.host.loop import Loop
from haconiwa.host.rate import Rate
from haconiwa.host.tools import in_network_namespace, open_network_namespace, run_tool
from haconiwa.isolation.net import egress, etc
from haconiwa.isolation.net.resolver import Listeners, Resolver
from haconiwa.isolation.step import PARENT, Site, Step
from haconiwa.kernel import signals as signal
from haconiwa.kernel.nflog import PacketLog
from haconiwa.kernel.process import clone3, reset_library_signals, set_pdeathsig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import NoReturn, TypeVar

    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.network import EgressSpec, NetworkSpec

    T = TypeVar("T")

EVENT = "egress_denied"
"""The event of a connection, or of a question for a name, that was refused."""

_SAID_AGAIN_AFTER_S = 60.0
_MOST_REMEMBERED = 1000
_COUNTED_FOR_S = 60.0
_LARGEST = 1 << 16
_LAST_WORDS_WITHIN_MS = 1000
_ENDED_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.02


class StartGuard(Step):
    """Refuse what the container may not connect to, and give it a resolver."""

    __slots__ = ("_channel", "_pidfd", "_rest", "network", "servers")

    def __init__(self, spec: ContainerSpec, network: NetworkSpec) -> None:
        where = spec.sources.get("network.allow_egress") or network.where
        super().__init__(PARENT, where)
        self.network = network
        self.servers = etc.name_servers(spec, network)
        self._pidfd = -1
        self._channel: socket | None = None
        self._rest = b""

    def describe(self) -> str:
        if self.network.egress is None:
            return f"resolve names through {' '.join(self.servers)}"
        return f"let it connect to {', '.join(map(_shown, self.network.egress)) or 'nothing'} only"

    def execute(self, site: Site) -> None:
        namespace_fd = open_network_namespace(site.child_pid)
        try:
            log, listeners = in_network_namespace(namespace_fd, self._prepare)
            guard = Guard(self.network.egress, self.servers, namespace_fd)
            self._pidfd, self._channel = _fork(guard, log, listeners)
            if listeners:
                listeners.close()
            if log:
                log.close()
        finally:
            os.close(namespace_fd)
        site.watched[self._channel.fileno()] = lambda: self._take(site)
        if listeners is None:
            why = "a program in it listens at the address of its resolver"
            hint = "what it may connect to stays as it is; end that program and start the container again"
            site.report(ContainerError("its names are not answered", why=why, hint=hint, subject=site.spec.name))

    def _prepare(self) -> tuple[PacketLog | None, Listeners | None]:
        """Everything that must be made in the container's network namespace."""
        if self.network.egress is None:
            return None, self._listen()
        log = self._open_log()
        self._set_rules(self.network.egress)
        return log, self._listen()

    def _listen(self) -> Listeners | None:
        return Listeners()

    def _open_log(self) -> PacketLog:
        try:
            return PacketLog(egress.LOG_GROUP)
        except OSError as error:
            why = describe_errno(error.errno or 0)
            raise HostError("cannot watch for refused connections", why=why,
                            hint="the kernel needs nfnetlink_log: modprobe nfnetlink_log") from None  # fmt: skip

    def _set_rules(self, allowed: tuple[EgressSpec, ...]) -> None:
        run_tool("set the container's rules of nftables", "nft", "-f", "-", text=egress.rules(allowed))

    def _take(self, site: Site) -> bool:
        """Record what was refused; false when there will be no more."""
        if self._read(site):
            return True
        hint = "what is refused stays refused, but names are not answered any more"
        site.report(ContainerError("the guard of its network has died", subject=site.spec.name, hint=hint))
        return False

    def _read(self, site: Site) -> bool:
        assert self._channel is not None  # noqa: S101 - made before
        data = self._channel.recv(_LARGEST)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            site.tell(EVENT, target=line.decode("ascii", "backslashreplace"))
        return bool(data)

    def undo(self, site: Site) -> None:
        """End the guard, once it has said what was still refused."""
        if self._channel is None:
            return
        self._channel.shutdown(SHUT_WR)
        while _is_readable(self._channel, _LAST_WORDS_WITHIN_MS) and self._read(site):
            pass
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)
        self._channel.close()
        self._channel, self._pidfd = None, -1


class ResumeGuard(StartGuard):
    """A guard in the place of one that ended with its supervisor; the rules are there still."""

    __slots__ = ()

    def describe(self) -> str:
        return f"guard its network again: {super().describe()}"

    def _open_log(self) -> PacketLog:
        return _once_it_has_ended(super()._open_log)

    def _listen(self) -> Listeners | None:
        """None where the container has taken the address meanwhile: it cannot keep itself from being adopted so."""
        try:
            return _once_it_has_ended(Listeners)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return None

    def _set_rules(self, allowed: tuple[EgressSpec, ...]) -> None:
        """Made again they would be there twice."""


def _once_it_has_ended(make: Callable[[], T]) -> T:
    """Make what the guard before this one may have still: it is killed when its supervisor has been."""
    deadline = time.monotonic() + _ENDED_WITHIN_S
    while True:
        try:
            return make()
        except (OSError, HostError):
            if time.monotonic() > deadline:
                raise
        select.select([], [], [], _LOOK_EVERY_S)  # nothing tells when a stranger's child has ended


class Guard:
    """What the process does.

    Args:
        allowed: What the container may connect to; None for everything.
        servers: Name servers to ask.
        namespace_fd: The container's network namespace.
    """

    def __init__(self, allowed: tuple[EgressSpec, ...] | None, servers: tuple[str, ...], namespace_fd: int) -> None:
        self._allowed = allowed
        self._servers = servers
        self.namespace_fd = namespace_fd
        self._loop = Loop()
        self._report_fd = -1
        self._told: dict[str, float] = {}
        self._rate = Rate()

    def run(self, report_fd: int, log: PacketLog | None, listeners: Listeners | None) -> None:
        """Work until the supervisor is gone."""
        self._report_fd = report_fd
        gone: list[int] = []
        self._loop.watch(report_fd, gone.append)  # nothing is ever sent here: this is the end
        if log is not None:
            self._loop.watch(log.fd, lambda _events: self._take_packets(log))
        if listeners is not None:
            Resolver(self._loop, listeners, self._servers, is_allowed=self._is_allowed, let_in=self._let_in)
        self._loop.run_until(lambda: bool(gone))
        if log is not None:
            self._take_packets(log)
        self._tell_passed_over()

    def _take_packets(self, log: PacketLog) -> None:
        for packet in log.read():
            self._tell(egress.describe_packet(packet))

    def _is_allowed(self, name: str) -> bool:
        if self._allowed is None or egress.matching(self._allowed, name):
            return True
        self._tell(f"name {name}")
        return False

    def _let_in(self, name: str, addresses: list[tuple[int, int, int]]) -> None:
        if self._allowed is None or not addresses:
            return
        text = egress.answered(egress.matching(self._allowed, name), addresses)
        try:
            in_network_namespace(
                self.namespace_fd, lambda: run_tool("let a name's addresses in", "nft", "-f", "-", text=text)
            )
        except HostError as error:
            self._tell(f"name {name} ({error})")
            raise OSError(str(error)) from None

    def _tell(self, target: str) -> None:
        """Report what was refused, once a minute each: a program that tries on and on is one piece of news.

        A program that tries ever new things is bounded, or its events would push out those of other containers.
        """
        now = time.monotonic()
        if not target or now < self._told.get(target, now):
            return
        if not self._rate.take():
            if self._rate.passed_over == 1:
                self._loop.call_after(_COUNTED_FOR_S, self._tell_passed_over)
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[target] = now + _SAID_AGAIN_AFTER_S
        self._write(target)

    def _tell_passed_over(self) -> None:
        count, self._rate.passed_over = self._rate.passed_over, 0
        if count:
            self._write(f"{count} more, not recorded one by one")

    def _write(self, target: str) -> None:
        write_all(self._report_fd, f"{printable(target)}\n".encode("ascii", "backslashreplace"))


def _fork(guard: Guard, log: PacketLog | None, listeners: Listeners | None) -> tuple[int, socket]:
    """Begin the process; its pidfd and our end of the connection to it."""
    ours, its = socketpair(AF_UNIX, SOCK_STREAM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid, pidfd = clone3(0)
        if pid == 0:
            _live(guard, its.fileno(), log, listeners)
        return pidfd, ours
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        its.close()


def _live(guard: Guard, report_fd: int, log: PacketLog | None, listeners: Listeners | None) -> NoReturn:
    try:
        set_pdeathsig(signal.SIGKILL)
        _forget_signals()
        needed = {0, 1, 2, report_fd, guard.namespace_fd}
        needed.update([log.fd] if log else [], listeners.fds() if listeners else [])
        close_all_but(needed)
        guard.run(report_fd, log, listeners)
    finally:
        os._exit(0)


def _is_readable(channel: socket, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    return bool(poll.poll(timeout_ms))


def _forget_signals() -> None:
    """Handlers of the supervisor's are not for this process, nor what is typed on its terminal."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    reset_library_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _shown(one: EgressSpec) -> str:
    ports = f":{one.first}" if one.first == one.last else f":{one.first}-{one.last}" if one.first else ""
    return f"{one.target}{ports}" + (f" ({one.proto})" if one.proto else "")

"""``haconiwa attach``: run a command in a running container."""

from __future__ import annotations

import os
from types import SimpleNamespace

from haconiwa.cli.targets import find, pid
from haconiwa.errors import ConfigError, Problem, printable
from haconiwa.host.loop import Loop
from haconiwa.isolation.step import Site
from haconiwa.kernel import signals as signal
from haconiwa.lifecycle.attach import AttachRequest, plan_attach
from haconiwa.lifecycle.container import SIGNAL_BASE, Container, StartInterrupted
from haconiwa.lifecycle.identity import signal_process
from haconiwa.lifecycle.relay import Relay
from haconiwa.lifecycle.to_end import run_to_end
from haconiwa.spec.values import Refused, capability, environ_key, environ_value, owner_id, path_text
from haconiwa.supervisor.link import make_link, receive
from haconiwa.supervisor.signals import STOP_SIGNALS, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.lifecycle.state import State

DESCRIPTION = """\
Run a command in a running container, joined to all of its namespaces and groups, with the same privileges, limits and
environment as its first process. Without a command it is the shell that the container has: /bin/bash, else /bin/sh.
The haco file is not executed. The exit status is the command's, 128+n when signal n ended it. TERM, INT and HUP are
passed on to it, and a second one kills it, as does Ctrl-] typed three times within a second on a terminal."""
EPILOG = """\
examples:
  haconiwa attach web                      a shell in the container "web"
  haconiwa attach web.haco -- ps           by the file it was started from
  haconiwa attach -u nobody web -- id      as another user of the container's"""
TAKES_COMMAND = True


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("container", metavar="FILE|NAME", help="the container, or the haco file it was started from")
    parser.add_argument("-t", "--target", type=pid, metavar="PID", help="join this process of the container's instead")
    parser.add_argument("-n", "--name", help="which container of a file that has several")
    parser.add_argument("-A", "--allow", metavar="CAPS", help="capabilities to give in addition, with commas; or all")
    parser.add_argument(
        "-D", "--drop", metavar="CAPS", help="capabilities to take away, with commas; or all but those of -A"
    )
    parser.add_argument("-u", "--uid", metavar="USER", help="number, or a name of the container's passwd")
    parser.add_argument("-g", "--gid", metavar="GROUP", help="number, or a name of the container's group")
    parser.add_argument("-w", "--workdir", metavar="DIR", help="working directory in the container")
    parser.add_argument("-e", "--env", metavar="NAME=VALUE", action="append", help="set a variable; may be repeated")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Attach, and wait for the command's end."""
    terminal = os.isatty(0) and os.isatty(1)
    request = AttachRequest(
        command=tuple(arguments.command),
        target_pid=arguments.target,
        allow=_capabilities("--allow", arguments.allow),
        drop=_capabilities("--drop", arguments.drop),
        uid=_checked("--uid", owner_id, arguments.uid) if arguments.uid is not None else None,
        gid=_checked("--gid", owner_id, arguments.gid) if arguments.gid is not None else None,
        workdir=_checked("--workdir", path_text, arguments.workdir) if arguments.workdir is not None else None,
        environ=_environ(arguments.env or []),
        term=os.environ.get("TERM") if terminal else None,
    )
    state = choose(find(arguments.container), arguments.container, arguments.name)
    if {"net_admin", "all"} & request.allow and not _has_own_network(state):
        output.say(f"warning: {state.name}: it shares the host's network, and with net_admin the command rules that")
    spec, steps = plan_attach(state, request)
    return _run(Container(spec, steps, Site(spec), 2 if arguments.debug else -1), terminal)


def _has_own_network(state: State) -> bool:
    joined = [namespace["type"] for namespace in state.config.get("joined_namespaces", ())]
    return "net" in (*state.config.get("namespaces", ()), *joined)


def choose(states: list[State], word: str, name: str | None) -> State:
    """The one container that is meant.

    Raises:
        ConfigError: There are several, or none of that name; it says which there are.
    """
    names = ", ".join(sorted(printable(state.name) for state in states))
    chosen = [state for state in states if name in (None, state.name)]
    if not chosen:
        raise ConfigError(Problem(f'"{word}" has no container "{name}"', hint=f"there are {names}"))
    if len(chosen) > 1:
        raise ConfigError(Problem(f"several containers run from that file: {names}", hint="choose one with -n"))
    return chosen[0]


def _run(container: Container, terminal: bool) -> int:
    ours, theirs = make_link()
    if terminal:
        container.site.terminal_socket = theirs

    attached = Attached(container)

    def wait() -> None:
        theirs.close()
        attached.wait(receive(ours)[2] if terminal else -1)

    signals = attached.signals
    try:
        return run_to_end(container, wait, wake_fd=signals.fd, is_interrupted=signals.ask_to_stop)
    except StartInterrupted:
        return SIGNAL_BASE + next(number for number in signals.take() if number in signals.stops)


class Attached:
    """A command in the container, and its caller's signals: the first one to end is passed on, the second one kills.

    Args:
        container: Not started yet.

    Attributes:
        signals: Those that are heard of from now on.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self.signals = Signals((*STOP_SIGNALS, signal.SIGWINCH))
        self._relay: Relay | None = None
        self._told = False

    def wait(self, master_fd: int) -> None:
        """Wait until the command has ended.

        Args:
            master_fd: Of its terminal, to be joined with the caller's; -1 for none.
        """
        loop = Loop()
        ended: list[bool] = []
        loop.watch(self._container.pidfd, lambda _events: ended.append(True))
        loop.watch(self.signals.fd, lambda _events: self._take_signals())
        if master_fd >= 0:
            self._relay = Relay(loop, master_fd, self._kill, self._kill)
        try:
            self._take_signals()  # those of the start
            loop.run_until(lambda: bool(ended))
        finally:
            if self._relay:
                self._relay.close()
            self.signals.close()

    def _take_signals(self) -> None:
        for number in self.signals.take():
            if number == signal.SIGWINCH:
                if self._relay:
                    self._relay.resize()
            elif self._told:
                self._kill()
            else:
                self._told = True
                signal_process(self._container.pidfd, number)

    def _kill(self) -> None:
        if not self._container.kill():
            raise KeyboardInterrupt  # `run_to_end` waits a while longer, and says why that was not enough


def _checked(option: str, parse: Callable[[object], T], word: str) -> T:
    try:
        return parse(word)
    except Refused as error:
        raise ConfigError(Problem(f"{option}: {error}", hint=error.hint)) from None


def _capabilities(option: str, words: str | None) -> frozenset[str]:
    return frozenset(_checked(option, capability, word) for word in ([] if words is None else words.split(",")))


def _environ(pairs: list[str]) -> dict[str, str]:
    environ = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(Problem(f'--env: "{pair}" is not NAME=VALUE'))
        environ[_checked("--env", environ_key, name)] = _checked("--env", environ_value, value)
    return environ

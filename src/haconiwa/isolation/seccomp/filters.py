"""The step that loads a container's seccomp filters, which are compiled once and then read from the cache."""

from __future__ import annotations

import errno
import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket

from haconiwa.isolation.seccomp.cache import read_cached, write_cached
from haconiwa.isolation.step import INSIDE, Site, Step
from haconiwa.kernel.names import CAPABILITIES
from haconiwa.kernel.seccomp import FILTER_FLAG, set_mode_filter
from haconiwa.kernel.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec
    from haconiwa.spec.seccomp import RuleSpec, SeccompSpec

    Programs = tuple[tuple[int, bytes], ...]

LISTENER = b"L"
"""The message that carries the descriptor by which calls are told to the supervisor."""

_REVISION = 1  # of the compiled programs: one more for every change of what this package makes


class LoadFilters(Step):
    """Load the filters: the last step before the program, since from then on they hold for this process too.

    Without no_new_privs it takes CAP_SYS_ADMIN, which `capabilities` keeps until the exec takes it away.
    """

    __slots__ = ("programs", "shown")

    def __init__(self, programs: Programs, seccomp: SeccompSpec) -> None:
        super().__init__(INSIDE, seccomp.where or next((spec.where for spec in seccomp.filters), None))
        self.programs = programs
        self.shown = _describe(seccomp)

    def describe(self) -> str:
        return f"load the seccomp filters: {self.shown}"

    def hint(self, number: int) -> str:
        if number in (errno.EACCES, errno.EPERM):
            return "it takes CAP_SYS_ADMIN, or no_new_privs = True"
        if number in (errno.EINVAL, errno.ENOSYS):
            return 'this kernel may lack what they need; seccomp.profile = "unconfined" does without'
        return ""

    def execute(self, site: Site) -> None:
        from_here = _channel(site.channel_fd) if self._tells() else None
        for flags, program in self.programs:
            listener_fd = set_mode_filter(program, flags)
            if flags & FILTER_FLAG.NEW_LISTENER and from_here is not None:
                fd_bytes = listener_fd.to_bytes(4, sys.byteorder)
                from_here.sendmsg([LISTENER], [(SOL_SOCKET, SCM_RIGHTS, fd_bytes)])
        if from_here is not None:
            from_here.detach()

    def _tells(self) -> bool:
        return any(flags & FILTER_FLAG.NEW_LISTENER for flags, _program in self.programs)


def plan(spec: ContainerSpec) -> list[Step]:
    """The step right before the program is executed; none where nothing is filtered.

    Raises:
        ConfigError: A profile or a filter cannot be used.
        HostError: The machine's calls are not known.
    """
    if not spec.seccomp.filters_calls:
        return []
    return [LoadFilters(_programs(spec), spec.seccomp)]


def _describe(seccomp: SeccompSpec) -> str:
    parts = {"default": ["the default profile"], "unconfined": []}.get(seccomp.profile, [f'"{seccomp.profile}"'])
    for spec in seccomp.filters:
        count = len(spec.rules)
        parts.append(f"{count} rule{'' if count == 1 else 's'}, else {spec.default}")
    return "; ".join(parts)


def _channel(fd: int) -> socket:
    """The connection to the supervisor as an object, made before a filter may forbid what that takes."""
    return socket(AF_UNIX, SOCK_SEQPACKET, 0, fd)


def _programs(spec: ContainerSpec) -> Programs:
    bounding = spec.capabilities.bounding
    capabilities = frozenset(CAPABILITIES) if bounding is None else bounding
    kernel = _version(os.uname().release)
    key = _key(spec.seccomp, machine(), kernel, capabilities)
    programs = read_cached(key)
    if programs is None:
        from haconiwa.isolation.seccomp.compile import compile_filters

        programs = compile_filters(spec.seccomp, machine(), kernel, capabilities)
        write_cached(key, programs)
    return programs


def _version(release: str) -> tuple[int, int]:
    """The kernel's version as (major, minor), of "6.1.0-13-amd64" or "7.0-rc1"."""
    major, minor = release.replace("-", ".").split(".")[:2]
    return (int(major), int(minor))


def _key(seccomp: SeccompSpec, own_machine: str, kernel: tuple[int, int], capabilities: frozenset[str]) -> bytes:
    """Everything that what is compiled depends on."""
    filters = [(spec.default, spec.code, [_rule_key(rule) for rule in spec.rules]) for spec in seccomp.filters]
    profile = seccomp.text or seccomp.profile
    return repr((_REVISION, own_machine, kernel, sorted(capabilities), profile, filters)).encode(
        "utf-8", "surrogateescape"
    )


def _rule_key(rule: RuleSpec) -> tuple[object, ...]:
    when = [(condition.index, condition.operator, condition.value, condition.mask) for condition in rule.when]
    return (rule.action, rule.names, rule.code, when)

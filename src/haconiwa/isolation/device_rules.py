"""Which devices the container's processes may use, whatever nodes they find or make.

By default only those that do no harm. The rules are kept by the devices controller where the host has it on v1, else by
a program attached to the v2 group.
See: admin-guide/cgroup-v1/devices of the kernel's documentation.
"""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ConfigError, ContainerError, HostError, Problem, describe_errno
from haconiwa.isolation.devices import NODES
from haconiwa.isolation.step import SUPERVISOR, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from haconiwa.host.cgroups import Hierarchy
    from haconiwa.spec.cgroups import CgroupSetting
    from haconiwa.spec.model import ContainerSpec

    Rule: TypeAlias = tuple[str, int | None, int | None, str]
    """``b`` or ``c``, major and minor number (None for any), and of ``rwm`` what is allowed."""

NODE_RULES: tuple[Rule, ...] = (("c", None, None, "m"), ("b", None, None, "m"))
"""A node alone does nothing: what it is opened for counts. The container's own /dev is made under the rules too."""

DEFAULT_RULES: tuple[Rule, ...] = (
    *NODE_RULES,
    *(("c", major, minor, "rwm") for _name, major, minor in NODES),
    ("c", 5, 2, "rwm"),  # ptmx
    ("c", 136, None, "rwm"),  # terminals of devpts
)
_REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS, errno.EINVAL, errno.ENOSYS)


def device_rules(spec: ContainerSpec) -> tuple[Rule, ...] | None:
    """What the container may use; None for every device.

    Every device is for containers that see the host's own /dev, because they have no root of theirs or asked for it.
    """
    asked = _asked(spec)
    devs = [mount for mount in spec.mounts if mount.kind == "devtmpfs"]
    sees_host = any(mount.host for mount in devs) or not (spec.rootfs or devs)
    if sees_host and not asked:
        return None
    rules: list[Rule] | None = list(DEFAULT_RULES)
    for setting, line in asked:
        rules = _apply(rules, setting, line)
    if rules is None:
        return None
    return (*rules, *((device.type, device.major, device.minor, device.access) for device in spec.devices))


def _asked(spec: ContainerSpec) -> list[tuple[CgroupSetting, str]]:
    """The settings devices.allow and devices.deny, line by line; those meant literally are written as they are."""
    settings = spec.cgroup.settings if spec.cgroup else ()
    return [
        (setting, line)
        for setting in settings
        if setting.version is None and setting.key.startswith("devices.")
        for line in setting.lines
    ]


def _apply(rules: list[Rule] | None, setting: CgroupSetting, line: str) -> list[Rule] | None:
    """Rules after one line more, as the devices controller takes it: ``a`` stands for all devices."""
    allows = setting.key == "devices.allow"
    if line == "a":
        return None if allows else list(NODE_RULES)
    kind, numbers, access = line.split()
    major, minor = (None if part == "*" else int(part) for part in numbers.split(":"))
    if allows:
        return None if rules is None else [*rules, (kind, major, minor, access)]
    denied = [rule for rule in rules or () if rule[:3] == (kind, major, minor)]
    if not denied:
        what = f'{setting.named()}: no rule allows just "{kind} {numbers}", so it cannot be denied alone'
        raise ConfigError(Problem(what, setting.where, 'deny "a" first, then allow'))
    left = [(kind, major, minor, "".join(letter for letter in rule[3] if letter not in access)) for rule in denied]
    return [rule for rule in rules or () if rule not in denied] + [rule for rule in left if rule[3]]


def rule_line(rule: Rule) -> str:
    """A rule as devices.allow takes it."""
    kind, major, minor, access = rule
    return f"{kind} {'*' if major is None else major}:{'*' if minor is None else minor} {access}"


class RestrictDevices(Step):
    """Let the container use some devices and no others.

    Args:
        rules: Those it may use.
        group: Of the devices controller; empty where the rules are a program of the v2 group.
        required: The haco file asks for rules: a host that cannot have them is refused instead of told about.
    """

    __slots__ = ("group", "required", "rules")

    def __init__(self, rules: tuple[Rule, ...], group: str, *, required: bool) -> None:
        super().__init__(SUPERVISOR)
        self.rules = rules
        self.group = group
        self.required = required

    def describe(self) -> str:
        return f"restrict the devices to {', '.join(map(rule_line, self.rules)) or 'none'}"

    def execute(self, site: Site) -> None:
        try:
            if self.group:
                _write_rules(self.group, self.rules)
            else:
                _attach_program(site.cgroup_fd, self.rules)
        except OSError as error:
            if self.required or error.errno not in _REFUSED:
                raise
            site.report(_Unrestricted(describe_errno(error.errno)))


class TellUnrestricted(Step):
    """Say that this host has nothing that could restrict devices."""

    def __init__(self) -> None:
        super().__init__(SUPERVISOR)

    def describe(self) -> str:
        return "go on without rules for devices"

    def warning(self) -> str:
        return "this host has no cgroup that could restrict the devices: the container starts without that"

    def execute(self, site: Site) -> None:
        pass


class _Unrestricted(HostError):
    """A warning: the start goes on."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "cannot restrict the devices, the container starts without that",
            why=why,
            hint="capabilities and its private /dev still keep it from them",
        )

    def lines(self) -> list[str]:
        return [super().lines()[0].replace("error:", "warning:", 1), *super().lines()[1:]]


def _write_rules(group: str, rules: tuple[Rule, ...]) -> None:
    """Deny everything and allow again: the controller takes one rule with each write."""
    deny_fd = os.open(f"{group}/devices.deny", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(deny_fd, b"a")
    finally:
        os.close(deny_fd)
    allow_fd = os.open(f"{group}/devices.allow", os.O_WRONLY | os.O_CLOEXEC)
    try:
        for rule in rules:
            _allow(allow_fd, rule)
    finally:
        os.close(allow_fd)


def _allow(allow_fd: int, rule: Rule) -> None:
    try:
        os.write(allow_fd, rule_line(rule).encode())
    except PermissionError:
        if rule not in DEFAULT_RULES:
            raise ContainerError(
                f'cannot allow the device "{rule_line(rule)}"', why="the cgroup that we are in ourselves does not"
            ) from None


def _attach_program(group_fd: int, rules: tuple[Rule, ...]) -> None:
    from haconiwa.isolation.device_program import device_program
    from haconiwa.kernel.bpf import BPF_CGROUP, BPF_F, BPF_PROG_TYPE, bpf_prog_attach, bpf_prog_load

    program_fd = bpf_prog_load(BPF_PROG_TYPE.CGROUP_DEVICE, device_program(rules), "Apache-2.0")
    try:
        bpf_prog_attach(group_fd, program_fd, BPF_CGROUP.DEVICE, BPF_F.ALLOW_MULTI)
    finally:
        os.close(program_fd)


def plan(
    spec: ContainerSpec, name: str, hierarchies: tuple[Hierarchy, ...], needed: dict[Hierarchy, set[str]]
) -> list[Step]:
    """The step that restricts devices; none for a container that sees the host's own.

    Args:
        spec: The container.
        name: Of its groups.
        hierarchies: The host's.
        needed: Gets the hierarchy in which a group is needed.

    Raises:
        ConfigError: An ordinary user asks for rules: it makes no nodes, and may use those of the host that it may use.
    """
    if spec.unprivileged:
        if asked := _asked(spec):
            what = f"{asked[0][0].named()}: only root may restrict devices"
            hint = "a user namespace makes no nodes, and binds those of the host that add_device names"
            raise ConfigError(Problem(what, asked[0][0].where, hint))
        return []
    rules = device_rules(spec)
    if rules is None:
        return []
    required = bool(_asked(spec))
    for hierarchy in hierarchies:
        if "devices" in hierarchy.controllers and hierarchy.version == 1:
            needed.setdefault(hierarchy, set())
            return [RestrictDevices(rules, hierarchy.group(name), required=required)]
    if any(hierarchy.version == 2 for hierarchy in hierarchies):
        return [RestrictDevices(rules, "", required=required)]
    return [TellUnrestricted()]

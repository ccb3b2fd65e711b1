"""Profiles in Docker's form: JSON that says which calls are allowed, on which machine and with which capabilities.

What several rules say about one call is taken as libseccomp takes it: a rule without comparisons goes before those with
some, a rule that says the same as the default says nothing, and comparisons of one argument with several values are
alternatives. Names of calls that this machine does not have are passed over, since one profile serves many.
See: the OCI runtime specification, config-linux.md, "Seccomp"; Docker's "Seccomp security profiles".
"""

from __future__ import annotations

import errno
import json

from haconiwa.isolation.seccomp.policy import ENOSYS, EPERM, Policy, PolicyRule, errno_action
from haconiwa.kernel.seccomp import FILTER_FLAG, RET
from haconiwa.kernel.syscall_tables import MACHINES
from haconiwa.spec.record import Record
from haconiwa.spec.seccomp import ARGUMENT_MAX, Condition
from haconiwa.spec.values import show, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from haconiwa.spec.seccomp import Comparison

_ACTIONS = {
    "SCMP_ACT_ALLOW": RET.ALLOW,
    "SCMP_ACT_ERRNO": RET.ERRNO,
    "SCMP_ACT_KILL": RET.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": RET.KILL_PROCESS,
    "SCMP_ACT_KILL_THREAD": RET.KILL_THREAD,
    "SCMP_ACT_LOG": RET.LOG,
    "SCMP_ACT_TRACE": RET.TRACE,
    "SCMP_ACT_TRAP": RET.TRAP,
}
_WITH_DATA = (RET.ERRNO, RET.TRACE)
_ABIS = {
    "SCMP_ARCH_X86_64": "x86_64",
    "SCMP_ARCH_X32": "x32",
    "SCMP_ARCH_X86": "i386",
    "SCMP_ARCH_AARCH64": "aarch64",
    "SCMP_ARCH_ARM": "arm",
}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What ``arches`` of a rule calls a machine."""

_OPERATORS: dict[str, Comparison] = {
    "SCMP_CMP_EQ": "==",
    "SCMP_CMP_GE": ">=",
    "SCMP_CMP_GT": ">",
    "SCMP_CMP_LE": "<=",
    "SCMP_CMP_LT": "<",
    "SCMP_CMP_MASKED_EQ": "==",
    "SCMP_CMP_NE": "!=",
}
_FLAGS = {
    "SECCOMP_FILTER_FLAG_LOG": FILTER_FLAG.LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": FILTER_FLAG.SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # there is one thread
}
_PROFILE_KEYS = "architectures archMap comment defaultAction defaultErrno defaultErrnoRet flags syscalls".split()
_RULE_KEYS = "action args comment errno errnoRet excludes includes name names".split()
_FILTER_KEYS = "arches caps minKernel".split()
_ARGUMENT_KEYS = "index op value valueTwo".split()
_ACTION = 0xFFFF0000  # SECCOMP_RET_ACTION_FULL
_MOST_PROBLEMS = 20


class Setting(Record):
    """Where a profile is to be used.

    Attributes:
        machine: As in `MACHINES`.
        kernel: Version as (major, minor).
        capabilities: Names that the container may have.
    """

    machine: str
    kernel: tuple[int, int]
    capabilities: frozenset[str]


class ProfileError(ValueError):
    """A profile that cannot be used.

    Attributes:
        problems: Everything that is wrong with it.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_profile(text: str, setting: Setting) -> Policy:
    """A profile as a policy.

    Raises:
        ProfileError: With all that is wrong with it.
    """
    reader = _Reader(setting)
    try:
        profile = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise ProfileError(["is nested too deeply"]) from None
    except ValueError as error:
        raise ProfileError([f"is not JSON: {error}"]) from None
    policy = reader.profile(profile)
    if reader.problems:
        raise ProfileError(reader.problems[:_MOST_PROBLEMS])
    return policy


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{show(twice)} is there twice in one object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


class _Reader:
    """Takes a profile apart and remembers what is wrong, each with its place in the file."""

    def __init__(self, setting: Setting) -> None:
        self.problems: list[str] = []
        self._setting = setting

    def profile(self, value: object) -> Policy:
        profile = self._keys(value, "the profile", _PROFILE_KEYS)
        default = self._action(profile, "defaultAction", "default")
        rules = [
            rule
            for number, given in enumerate(self._list(profile, "syscalls", ""))
            for rule in self._rule(given, f"syscalls[{number}]")
            if rule.action != default
        ]
        rules.sort(key=lambda rule: bool(rule.when))
        # As runc does: a number that the profile's author cannot have meant is a call that does not exist.
        unknown = errno_action(ENOSYS) if default & _ACTION == RET.ERRNO else default
        return Policy(
            abis=self._abis(profile), rules=tuple(rules), default=default, unknown=unknown, flags=self._flags(profile)
        )

    def _refuse(self, place: str, what: str) -> None:
        self.problems.append(f"{place}: {what}" if place else what)

    def _keys(self, value: object, place: str, known: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(place, f"expected an object, not {show(value)}")
            return {}
        for key in value:
            if key not in known:
                hint = suggestion(key, known)
                self._refuse(place, f"unknown field {show(key)}{'; ' + hint if hint else ''}")
        return value

    def _list(self, fields: dict[str, Any], key: str, place: str) -> list[Any]:
        value = fields.get(key)
        if value is None or isinstance(value, list):
            return value or []
        self._refuse(place, f"{key}: expected a list, not {show(value)}")
        return []

    def _words(self, fields: dict[str, Any], key: str, place: str) -> list[str]:
        words = self._list(fields, key, place)
        for word in words:
            if not isinstance(word, str):
                self._refuse(place, f"{key}: expected text, not {show(word)}")
        return [word for word in words if isinstance(word, str)]

    def _number(self, fields: dict[str, Any], key: str, place: str, high: int) -> int:
        value = fields.get(key, 0)
        if type(value) is not int or not 0 <= value <= high:
            self._refuse(place, f"{key}: expected a number from 0 to {high}, not {show(value)}")
            return 0
        return value

    def _action(self, fields: dict[str, Any], key: str, prefix: str, place: str = "") -> int:
        word = fields.get(key)
        if word == "SCMP_ACT_NOTIFY":
            self._refuse(place, f"{key}: SCMP_ACT_NOTIFY needs a function, see rule.notify of the haco file")
        if not isinstance(word, str) or word not in _ACTIONS:
            hint = suggestion(word, _ACTIONS) if isinstance(word, str) else ""
            self._refuse(place, f"{key}: {show(word)} is no action{'; ' + hint if hint else ''}")
            return RET.KILL_PROCESS
        action = _ACTIONS[word]
        return int(action) | (self._error(fields, prefix, place) if action in _WITH_DATA else 0)

    def _error(self, fields: dict[str, Any], prefix: str, place: str) -> int:
        """The error number of an action: as a number, or by name as podman writes it."""
        number, name = ("defaultErrnoRet", "defaultErrno") if prefix else ("errnoRet", "errno")
        if fields.get(name):
            code = getattr(errno, fields[name], None) if isinstance(fields[name], str) else None
            if not isinstance(code, int):
                self._refuse(place, f"{name}: {show(fields[name])} is no error")
                return EPERM
            return code
        return EPERM if fields.get(number) is None else self._number(fields, number, place, 4095)

    def _abis(self, profile: dict[str, Any]) -> tuple[str, ...]:
        own, *others = MACHINES[self._setting.machine]
        named = self._words(profile, "architectures", "")
        for number, given in enumerate(self._list(profile, "archMap", "")):
            entry = self._keys(given, f"archMap[{number}]", ["architecture", "subArchitectures"])
            if _ABIS.get(str(entry.get("architecture"))) == own:
                named += self._words(entry, "subArchitectures", f"archMap[{number}]")
        if profile.get("architectures") and profile.get("archMap"):
            self._refuse("", "has both architectures and archMap")
        for name in named:
            if not name.startswith("SCMP_ARCH_"):
                self._refuse("", f"architectures: {show(name)} is none")
        asked = {_ABIS[name] for name in named if name in _ABIS}
        return (own, *[abi for abi in others if abi in asked])

    def _flags(self, profile: dict[str, Any]) -> int:
        flags = 0
        for word in self._words(profile, "flags", ""):
            if word not in _FLAGS:
                self._refuse("", f"flags: {show(word)} is not supported")
            flags |= _FLAGS.get(word, 0)
        return flags

    def _rule(self, value: object, place: str) -> Iterator[PolicyRule]:
        fields = self._keys(value, place, _RULE_KEYS)
        names = self._words(fields, "names", place)
        if "name" in fields:
            if names or not isinstance(fields["name"], str):
                self._refuse(place, "takes either name, as text, or names")
            names = [str(fields["name"])]
        if not names:
            self._refuse(place, "names no system call")
        action = self._action(fields, "action", "", place)
        alternatives = self._alternatives(self._list(fields, "args", place), place)
        included = self._applies(fields.get("includes"), f"{place}.includes", wanted=True)
        excluded = self._applies(fields.get("excludes"), f"{place}.excludes", wanted=False)
        if included and not excluded:
            for when in alternatives:
                yield PolicyRule(names=tuple(names), action=action, when=when)

    def _alternatives(self, arguments: list[Any], place: str) -> list[tuple[Condition, ...]]:
        conditions = [self._condition(value, f"{place}.args[{number}]") for number, value in enumerate(arguments)]
        indexes = [condition.index for condition in conditions]
        if len(set(indexes)) < len(indexes):
            return [(condition,) for condition in conditions]
        return [tuple(conditions)]

    def _condition(self, value: object, place: str) -> Condition:
        fields = self._keys(value, place, _ARGUMENT_KEYS)
        word = fields.get("op")
        if not isinstance(word, str) or word not in _OPERATORS:
            self._refuse(place, f"op: {show(word)} is no comparison")
            word = "SCMP_CMP_EQ"
        index = self._number(fields, "index", place, 5)
        first = self._number(fields, "value", place, ARGUMENT_MAX)
        second = self._number(fields, "valueTwo", place, ARGUMENT_MAX)
        if word == "SCMP_CMP_MASKED_EQ":
            return Condition(index=index, operator="==", value=second, mask=first)
        return Condition(index=index, operator=_OPERATORS[word], value=first)

    def _applies(self, value: object, place: str, *, wanted: bool) -> bool:
        """Whether ``includes`` is met in all it says, or ``excludes`` in anything."""
        fields = {} if value is None else self._keys(value, place, _FILTER_KEYS)
        tests = []
        if machines := self._words(fields, "arches", place):
            tests.append(_MACHINES[self._setting.machine] in machines)
        names = [name.lower().removeprefix("cap_") for name in self._words(fields, "caps", place)]
        tests += [name in self._setting.capabilities for name in names]
        if fields.get("minKernel"):
            tests.append(self._setting.kernel >= self._version(fields["minKernel"], place))
        return all(tests) if wanted else any(tests)

    def _version(self, value: object, place: str) -> tuple[int, int]:
        parts = value.split(".") if isinstance(value, str) else []
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
            self._refuse(place, f'minKernel: expected a version like "4.8", not {show(value)}')
            return (0, 0)
        return (int(parts[0]), int(parts[1]))

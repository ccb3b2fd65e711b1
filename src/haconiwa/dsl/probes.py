"""Checks of what the settings for the supervisor are given; loaded by those who use them."""

from __future__ import annotations

from haconiwa.dsl.functions import function as check_function
from haconiwa.dsl.paths import container_path
from haconiwa.spec.record import replace
from haconiwa.spec.supervision import (
    CGROUP_EVENTS,
    HEALTH_ACTIONS,
    PRESSURE_LEVELS,
    RESTART_WORDS,
    CgroupHookSpec,
    HealthcheckSpec,
    ProbeSpec,
    ReadinessSpec,
    RestartSpec,
)
from haconiwa.spec.values import Refused, command_line, number, one_of, show, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from haconiwa.errors import Where

    Checked = TypeVar("Checked", ReadinessSpec, HealthcheckSpec)

_DAY_S = 24 * 3600
_KINDS = ("port", "http", "exec", "file")
_LEAVE_OUT = "leave one out"


def readiness(
    function: object, words: dict[str, object], timeout: object, interval_msec: object, where: Where
) -> ReadinessSpec:
    """The record of a readiness hook."""
    probe = _probe(words, "add another hook")
    usual_msec = 1000 if probe.exec else 100 if probe.http else 10
    chosen = usual_msec if interval_msec is None else interval_msec
    return ReadinessSpec(
        probe=probe,
        function=None if function is None else check_function(function, 2),
        timeout_s=number(timeout, 1, 366 * _DAY_S, "timeout= as a whole number of seconds"),
        interval_s=number(chosen, 1, _DAY_S * 1000, "interval_msec= as a whole number") / 1000,
        where=where,
    )


def healthcheck(
    function: object, words: dict[str, object], times: dict[str, object], retries: object, action: object, where: Where
) -> HealthcheckSpec:
    """The record of a health check."""
    checked: dict[str, Any] = {}
    for name, value in times.items():
        low = 0 if name == "start_period_s" else 1
        checked[name] = number(value, low, _DAY_S, f"{name.removesuffix('_s')}_sec= as a whole number")
    chosen: Any = (
        check_function(action, 1) if callable(action) else one_of(action, HEALTH_ACTIONS, "an action or a function")
    )
    spec = HealthcheckSpec(
        probe=_probe(words, _LEAVE_OUT),
        retries=number(retries, 1, 1000, "retries= as a whole number"),
        action=chosen,
        where=where,
        **checked,
    )
    return spec if function is None else with_function(spec, function, 1)


def with_function(spec: Checked, function: object, arguments: int) -> Checked:
    """The same with its function, which a health check has instead of something to look at."""
    if isinstance(spec, HealthcheckSpec):
        _refuse_both(spec.probe)
    return replace(spec, function=check_function(function, arguments))


def _refuse_both(probe: ProbeSpec) -> None:
    for name in _KINDS:
        if getattr(probe, name):
            raise Refused(f"a function and {name}= are given, and the function would never be called", _LEAVE_OUT)


def restart(policy: object, max_retries: object, backoff_sec: object, where: Where) -> RestartSpec:
    """The record of a restart policy."""
    word: Any = one_of(policy, RESTART_WORDS, '"no", "on-failure" or "always"')
    return RestartSpec(
        policy=word,
        max_retries=None if max_retries is None else number(max_retries, 1, 1_000_000, "max_retries="),
        backoff_s=number(backoff_sec, 0, 3600, "backoff_sec= as a whole number"),
        where=where,
    )


def _probe(words: dict[str, object], hint: str) -> ProbeSpec:
    """The record of what is looked at; `hint` says what to do with a second one."""
    unknown = sorted(set(words).difference(_KINDS))
    given = {name: value for name, value in words.items() if value is not None}
    if unknown:
        raise Refused(f"{unknown[0]}= is unknown", f"it takes one of {' '.join(_KINDS)}")
    if len(given) > 1:
        raise Refused(f"{' and '.join(given)} are given; it looks at one thing", hint)
    checked: dict[str, Any] = {}
    for name, value in given.items():
        checked[name] = _CHECKS[name](value)
    return ProbeSpec(**checked)


def _url(value: object) -> str:
    """A URL of the container's: ``http://HOST[:PORT]/PATH``, where HOST is localhost or an address."""
    url = text(value, "a URL")
    authority = url.removeprefix("http://").partition("/")[0]
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
    else:
        host, colon, port = authority.partition(":")
        port = colon + port
    number_ok = not port or (port[0] == ":" and port[1:].isdecimal() and 0 < int(port[1:]) < 65536)
    if not url.startswith("http://") or not url.isprintable() or not url.isascii() or " " in url or not number_ok:
        raise Refused(f"{show(url)} is no URL", "as http://localhost:8080/health")
    if host != "localhost" and not _is_address(host):
        raise Refused(f"{show(host)} is neither localhost nor an address: no name is looked up")
    return url


def _is_address(host: str) -> bool:
    from _socket import AF_INET, AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except OSError:
        return False
    return True


_CHECKS = {
    "port": lambda value: number(value, 1, 65535, "a port"),
    "http": _url,
    "exec": command_line,
    "file": container_path,
}


def cgroup_hook(function: object, type_: object, level: object, timeout_sec: object, where: Where) -> CgroupHookSpec:
    """The record of a cgroup hook."""
    kind: Any = one_of(type_, CGROUP_EVENTS, '"memory_pressure", "oom" or "pids_max"')
    if level is not None and kind != "memory_pressure":
        raise Refused(f'level= goes with type="memory_pressure", not with {show(kind)}')
    default = "medium" if kind == "memory_pressure" else ""
    return CgroupHookSpec(
        type=kind,
        function=check_function(function, 1),
        level=default if level is None else one_of(level, PRESSURE_LEVELS, '"low", "medium" or "critical"'),
        timeout_s=None if timeout_sec is None else number(timeout_sec, 1, _DAY_S, "timeout_sec= as a whole number"),
        where=where,
    )

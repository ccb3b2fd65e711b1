# ruff: noqa: E501 - tables are easier to read with one row a line
from __future__ import annotations

from collections.abc import Callable

import pytest

from haconiwa.spec.model import BarnSpec, ContainerSpec
from haconiwa.spec.supervision import HealthcheckSpec, ProbeSpec, ReadinessSpec, RestartSpec
from haconiwa.supervisor.restarts import Restarts

Settings = Callable[[str], ContainerSpec]
Refused = Callable[[str], list[str]]


def test_readiness(settings: Settings) -> None:
    spec = settings("""
        c.add_readiness_hook(port=80)
        c.add_readiness_hook(http="http://[::1]:8080/x", timeout=5)
        c.add_readiness_hook(exec="/bin/true")
        c.add_readiness_hook(file="/run/up", interval_msec=20)
        @c.add_readiness_hook
        def alone(base, ok): ...
        @c.add_readiness_hook(port=81)
        async def decorated(base, ok): ...
        c.add_readiness_hook(alone, port=82)
    """)
    probes = [hook.probe for hook in spec.readiness]
    assert probes == [
        ProbeSpec(port=80), ProbeSpec(http="http://[::1]:8080/x"), ProbeSpec(exec=("/bin/true",)),
        ProbeSpec(file="/run/up"), ProbeSpec(), ProbeSpec(port=81), ProbeSpec(port=82),
    ]  # fmt: skip
    assert [hook.interval_s for hook in spec.readiness] == [0.01, 0.1, 1.0, 0.02, 0.01, 0.01, 0.01]
    assert spec.readiness[1].timeout_s == 5.0
    names = [getattr(hook.function, "__name__", None) for hook in spec.readiness]
    assert names == [None, None, None, None, "alone", "decorated", "alone"]


def test_cgroup_hooks(settings: Settings) -> None:
    spec = settings("""
        c.add_cgroup_hook(print, type="oom", timeout_sec=3)
        @c.add_cgroup_hook(type="memory_pressure")
        def pressed(base): ...
        c.add_cgroup_hook(pressed, type="memory_pressure", level="critical")
    """)
    found = [(hook.type, hook.level, hook.timeout_s) for hook in spec.cgroup_hooks]
    assert found == [("oom", "", 3), ("memory_pressure", "medium", None), ("memory_pressure", "critical", None)]


def test_health_and_restarts(settings: Settings) -> None:
    spec = settings("""
        c.healthcheck(exec=["/bin/true"], interval_sec=1, timeout_sec=2, retries=4, start_period_sec=5, action="stop")
        c.restart_policy("always", max_retries=2, backoff_sec=0)
    """)
    assert spec.healthcheck is not None
    assert spec.healthcheck.probe == ProbeSpec(exec=("/bin/true",))
    assert (spec.healthcheck.interval_s, spec.healthcheck.timeout_s, spec.healthcheck.retries) == (1, 2, 4)
    assert (spec.healthcheck.start_period_s, spec.healthcheck.action) == (5, "stop")
    assert spec.restart is not None
    assert (spec.restart.policy, spec.restart.max_retries, spec.restart.backoff_s) == ("always", 2, 0)
    plain = settings("")
    assert (plain.healthcheck, plain.restart, plain.readiness, plain.after) == (None, None, (), ())


def test_time_limits(settings: Settings) -> None:
    spec = settings("""
        c.add_general_hook("before_fork", print, timeout_sec=3)
        c.add_async_hook(print, sec=1, timeout_sec=4)
        c.add_signal_handler("USR1", print, timeout_sec=5)
        c.add_general_hook("before_fork", print)
    """)
    limits = [spec.hooks[0].timeout_s, spec.timers[0].timeout_s, spec.signal_handlers[0].timeout_s]
    assert limits == [3.0, 4.0, 5.0]
    assert spec.hooks[1].timeout_s is None


def test_order(load: Callable[[str], BarnSpec]) -> None:
    barn = load("""
        from haconiwa import define
        with define() as barn:
            with barn.define() as db:
                db.name = "db"
            with barn.define(after="db", condition="started") as web:
                web.name = "web"
            with barn.define() as proxy:
                proxy.name = "proxy"
                proxy.after = ["db", "web"]
    """)
    assert [(c.after, c.after_condition) for c in barn.containers] == [
        ((), "ready"), (("db",), "started"), (("db", "web"), "ready"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("c.add_readiness_hook()", "add_readiness_hook: there is nothing to look at; give port=, http=, exec=, file= or a function"),
        ("c.healthcheck(action='stop')", "healthcheck: there is nothing to look at; give port=, http=, exec=, file= or a function"),
        ("c.add_cgroup_hook(print, type='oops')", 'add_cgroup_hook: "oops" is not "memory_pressure", "oom" or "pids_max"'),
        ("c.add_cgroup_hook(print, type='oom', level='low')", 'add_cgroup_hook: level= goes with type="memory_pressure", not with "oom"'),
        ("c.add_readiness_hook(port=0)", "add_readiness_hook: 0 is not between 1 and 65535"),
        ("c.add_readiness_hook(port=80, file='/x')", "add_readiness_hook: port and file are given; it looks at one thing; add another hook"),
        ("c.add_readiness_hook(udp=80)", "add_readiness_hook: udp= is unknown; it takes one of port http exec file"),
        ("c.add_readiness_hook(print, port=80, timeout=0)", "add_readiness_hook: 0 is not between 1 and 31622400"),
        ("c.add_readiness_hook(lambda base: 1)", 'add_readiness_hook: "<lambda>" is called with 2 arguments, which it does not take'),
        ("c.add_readiness_hook(http='https://localhost/')", 'add_readiness_hook: "https://localhost/" is no URL; as http://localhost:8080/health'),
        ("c.add_readiness_hook(http='http://localhost:99999/')", 'add_readiness_hook: "http://localhost:99999/" is no URL; as http://localhost:8080/health'),
        ("c.add_readiness_hook(http='http://example.org/')", 'add_readiness_hook: "example.org" is neither localhost nor an address: no name is looked up'),
        ("c.healthcheck(file='/x', action='dance')", 'healthcheck: "dance" is not an action or a function'),
        ("c.healthcheck(file='/x', retries=0)", "healthcheck: 0 is not between 1 and 1000"),
        ("c.restart_policy('sometimes')", 'restart_policy: "sometimes" is not "no", "on-failure" or "always"'),
        ("c.restart_policy('always', max_retries=0)", "restart_policy: 0 is not between 1 and 1000000"),
        ("c.after = 'nobody'", 'after: the file has no container "nobody"; it has x'),
        ("c.condition = 'later'", 'condition: "later" is not "ready" or "started"'),
        ("c.add_general_hook('setup', print, timeout_sec=0)", "add_general_hook: 0 is not between 1 and 31622400"),
    ],
)  # fmt: skip
def test_what_is_refused(refused: Refused, line: str, expected: str) -> None:
    (found,) = refused(f"c.name = 'x'\n{line}")
    assert found.partition(": ")[2] == expected


def test_a_circle(problems: Refused) -> None:
    (found,) = problems("""
from haconiwa import define
barn = define()
for name, after in (("a", "b"), ("b", "c"), ("c", "b"), ("d", [])):
    with barn.define(after=after) as c:
        c.name = name
""")
    assert found.partition(": ")[2] == "after: none of these can be started first: a b c"


def test_pauses_double_and_end() -> None:
    restarts = Restarts(RestartSpec(policy="on-failure", max_retries=8, backoff_s=1))
    assert restarts.delay_s(0, 1, asked=False) is None
    assert [restarts.delay_s(1, 1, asked=False) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, None]
    assert restarts.delay_s(1, 61, asked=False) == 1
    never = Restarts(None)
    assert never.delay_s(1, 1, asked=False) is None
    assert never.delay_s(1, 1, asked=True) == 1


def test_records_say_what_looks_at_nothing() -> None:
    assert ReadinessSpec(probe=ProbeSpec()).probe.is_empty
    assert not HealthcheckSpec(probe=ProbeSpec(port=1)).probe.is_empty

"""What is asked of a supervisor: whatever it is, the container goes on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from haconiwa.supervisor.control import Peer
from haconiwa.supervisor.requests import answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from haconiwa.supervisor.control import Answer


class Asked:
    """As much of a supervisor as is asked here."""

    def __init__(self) -> None:
        self.spec = SimpleNamespace(name="web")
        self.state = None
        self.stops: list[float | None] = []
        self.told: list[str] = []

    def stop(self, _by: str, timeout_s: float | None) -> None:
        self.stops.append(timeout_s)

    def tell(self, event: str, **_details: object) -> None:
        self.told.append(event)


def ask(supervisor: Asked, **request: Any) -> Answer:
    return answer(supervisor, request, Peer(pid=1, uid=0))  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout_s", [None, 0, 0.5, 86400])
def test_stop_within_some_time(timeout_s: float | None) -> None:
    supervisor = Asked()
    assert ask(supervisor, do="stop", timeout_s=timeout_s) == {"ok": True}
    assert supervisor.stops == [timeout_s]


@pytest.mark.parametrize("timeout_s", [True, -1, -0.5, float("inf"), float("nan"), 1e9, 10**40, "5", [5]])
def test_what_is_no_time_is_refused(timeout_s: object) -> None:
    supervisor = Asked()
    refused = {"ok": False, "error": ["error: timeout_s is no number from 0 to 31622400"]}
    assert ask(supervisor, do="stop", timeout_s=timeout_s) == refused
    assert supervisor.stops == []


@pytest.mark.parametrize(
    "data",
    [
        None, [], "x", 5, {"rlimits": []}, {"rlimits": {}, "cgroup": None},
        {"rlimits": [{"name": "NOFILE"}], "cgroup": None}, {"rlimits": [], "cgroup": [5]},
    ],
)  # fmt: skip
def test_a_reload_that_is_none_is_refused(data: object) -> None:
    supervisor = Asked()
    refused = ask(supervisor, do="reload", data=data)
    assert refused["ok"] is False
    assert "the reload is not understood" in str(refused["error"])
    assert supervisor.told == ["reload_failed"]


def test_what_nobody_has_foreseen_is_an_answer() -> None:
    refused = ask(Asked(), do="status")
    assert refused["ok"] is False
    assert "internal error: AttributeError" in str(refused["error"])

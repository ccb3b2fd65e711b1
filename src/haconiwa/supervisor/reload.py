"""Reloading: new limits for a container that goes on running. Hooks, timers and counters stay as they are."""

from __future__ import annotations

import time

from haconiwa.errors import ContainerError, HaconiwaError, unexpected
from haconiwa.isolation.groups import member_pids
from haconiwa.lifecycle.hooks import run_hooks
from haconiwa.lifecycle.json_reading import from_json
from haconiwa.lifecycle.json_text import to_json
from haconiwa.lifecycle.reload import FEATURES, apply_rlimits, differences, reload_data, rlimit_specs
from haconiwa.lifecycle.reload_cgroup import cgroup_spec, make_changes, plan_changes, take_back
from haconiwa.spec.record import replace
from haconiwa.supervisor.errand import Errand
from haconiwa.supervisor.messages import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from haconiwa.spec.cgroups import CgroupSpec
    from haconiwa.supervisor.supervisor import Supervisor

_LOAD_WITHIN_S = 30.0


def apply(supervisor: Supervisor, data: dict[str, Any]) -> list[str]:
    """Give a running container other limits, all of them or none.

    Args:
        supervisor: The container's.
        data: As from `reload_data`.

    Returns:
        What has changed, in words; empty when nothing differs.

    Raises:
        ContainerError: The file does not allow it, or the kernel; nothing has changed.
        HookError: An after_reload hook failed that is not to; everything has changed.
    """
    try:
        lines = _change(supervisor, data)
    except Exception as error:
        supervisor.tell("reload_failed", error=str(error))
        raise
    supervisor.tell("reloaded", changes=lines)
    run_hooks(supervisor.spec.hooks_at("after_reload"), supervisor.base, supervisor.report)
    return lines


def _change(supervisor: Supervisor, data: dict[str, Any]) -> list[str]:
    try:
        specs = rlimit_specs(data["rlimits"])
        cgroup = cgroup_spec(data["cgroup"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ContainerError("the reload is not understood", why=str(error), subject=supervisor.spec.name) from None
    if supervisor.container.pidfd < 0:
        raise ContainerError("is not running", subject=supervisor.spec.name)
    config = supervisor.state.config
    changes = differences(config, data)
    refused = [word for word in changes if word not in supervisor.spec.reloadable]
    if refused:
        raise ContainerError(
            f"cannot change {' and '.join(refused)} by a reload",
            why=f"its support_reload allows {' '.join(supervisor.spec.reloadable) or 'nothing'}",
            subject=supervisor.spec.name,
        )
    if changes:
        _apply_all(supervisor, cgroup, data["rlimits"])
        supervisor.use_spec(replace(supervisor.spec, rlimits=specs, cgroup=cgroup))
        fields = {field: data[field] for field in FEATURES.values()}
        supervisor.note(config={**config, **fields})
    return [line for found in changes.values() for line in found]


def _apply_all(supervisor: Supervisor, cgroup: CgroupSpec, rlimits: list[dict[str, Any]]) -> None:
    """The groups first: what is written there can always be taken back."""
    config = supervisor.state.config
    old = cgroup_spec(config["cgroup"])
    changes = plan_changes(old, cgroup, supervisor.spec.name, supervisor.base.cgroup.paths)
    make_changes(changes)
    try:
        apply_rlimits(config["rlimits"], rlimits, lambda: _pids(supervisor))
    except ContainerError:
        take_back(changes)
        raise


def _pids(supervisor: Supervisor) -> list[int]:
    """Every process of the container; the first is one even where groups do not exist."""
    groups = supervisor.base.cgroup.paths
    return list(dict.fromkeys([supervisor.container.pid, *(pid for path in groups for pid in member_pids(path))]))


class Reloader:
    """Reloads on SIGHUP: the haco file is executed by a child. Whatever comes meanwhile makes for one more round."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._errand: Errand | None = None
        self._again = False
        self._began = 0.0

    def ask(self) -> None:
        """Reload, now or once the reload that is going on has ended."""
        if self._errand is not None:
            self._again = True
            return
        self._again = False
        if self._supervisor.container.pidfd < 0:
            why = f"it is {self._supervisor.base.status}"
            self._refuse(ContainerError("cannot reload", why=why, subject=self._supervisor.spec.name))
            return
        self._began = time.monotonic()
        try:
            self._errand = Errand(self._supervisor.loop, self._load, self._loaded, _LOAD_WITHIN_S)
        except OSError as error:
            self._refuse(_as_ours(error, self._supervisor.spec.name))

    def cancel(self) -> None:
        """Reload no more; the container has ended."""
        self._again = False
        if self._errand is not None:
            self._errand.abandon()
            self._errand = None
            self._supervisor.tell("reload_failed", error=str(self._failure("it has ended")))

    def _load(self) -> bytes:
        """In the child: what the file says now, or why that cannot be told."""
        load = self._supervisor.options.load
        assert load is not None  # noqa: S101 - else nobody asks
        name = self._supervisor.spec.name
        try:
            found = [spec for spec in load().containers if spec.name == name]
            if not found:
                raise self._failure("the file does not describe it any more")
            return to_json({"data": reload_data(found[0])}).encode()
        except Exception as error:
            failure = _as_ours(error, name)
            report(failure)
            return to_json({"error": str(failure)}).encode()

    def _loaded(self, answer: bytes | None) -> None:
        self._errand = None
        found = _as_data(answer)
        if found is None:
            self._refuse(self._failure(self._why_unanswered(died=answer is None)))
        else:
            self._take(found)
        if self._again:
            self.ask()

    def _refuse(self, failure: HaconiwaError) -> None:
        self._supervisor.report(failure)
        self._supervisor.tell("reload_failed", error=str(failure))

    def _take(self, answer: dict[str, Any]) -> None:
        if "error" in answer:  # the child has reported it
            self._supervisor.tell("reload_failed", error=answer["error"])
            return
        try:
            apply(self._supervisor, answer["data"])
        except Exception as error:
            self._supervisor.report(_as_ours(error, self._supervisor.spec.name))

    def _why_unanswered(self, *, died: bool) -> str:
        if time.monotonic() - self._began >= _LOAD_WITHIN_S:
            return f"its haco file took more than {_LOAD_WITHIN_S:g} s"
        return f"the process that executed its haco file {'has died' if died else 'gave no answer'}"

    def _failure(self, why: str) -> ContainerError:
        hint = f"try haconiwa check {self._supervisor.options.haco_file}"
        return ContainerError("cannot reload", why=why, hint=hint, subject=self._supervisor.spec.name)


def _as_data(answer: bytes | None) -> dict[str, Any] | None:
    """What the child has told; None for nothing, as when the file has ended the process by itself, or forked it."""
    try:
        found = from_json(answer.decode()) if answer is not None else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _as_ours(error: Exception, name: str) -> HaconiwaError:
    return error if isinstance(error, HaconiwaError) else unexpected("cannot reload", error, name)

"""Taking over a container in the background whose supervisor has died.

What it is made of comes from the record, whatever the haco file says by now: its groups, its network, its namespaces.
What its supervisor does comes from the file.
"""

from __future__ import annotations

from haconiwa.errors import ContainerError
from haconiwa.host.cgroups import hierarchies
from haconiwa.isolation.cgroups import TakeGroup, group_name
from haconiwa.isolation.groups import member_pids
from haconiwa.isolation.step import Step
from haconiwa.lifecycle.identity import NOBODY, boot_id, is_alive, open_pidfd
from haconiwa.lifecycle.reload import differences, other_differences, reload_data
from haconiwa.lifecycle.reload_cgroup import cgroup_spec
from haconiwa.lifecycle.state import thrown_layer
from haconiwa.spec.network import EgressSpec, NetworkSpec
from haconiwa.spec.record import replace, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from haconiwa.isolation.cgroup_events import WatchGroup
    from haconiwa.lifecycle.state import State
    from haconiwa.spec.model import ContainerSpec

FROM_THE_FILE = (
    "hooks", "timers", "signal_handlers", "readiness", "healthcheck", "restart", "cgroup_hooks", "metadata",
    "wait_interval", "log_level", "reloadable", "after", "after_condition", "container_pid_file",
)  # fmt: skip
"""The fields of a container's configuration that are its supervisor's."""

_BEFORE_A_START = ("bootstrap", "provision")


def open_orphan(state: State | None, name: str, haco_file: str) -> int:
    """A pidfd of the first process of a container that nobody looks after.

    Args:
        state: What is recorded under a name that is locked by us; None for nothing.
        name: The container's.
        haco_file: Real path of the file that is to be its own.

    Raises:
        ContainerError: It is not there, or is not what was recorded.
    """
    if state is None or state.init == NOBODY or state.boot_id != boot_id() or not is_alive(state.init):
        raise _refusal(name, "its program does not run", f"run haconiwa start -n {name} {haco_file}")
    if state.haco_file != haco_file:
        raise _refusal(name, f'it was started from "{state.haco_file}"', "adopt it with that file, or stop it")
    pidfd = open_pidfd(state.init)
    # Looked at behind the opening: the number is still that of this process.
    if pidfd < 0 or not _is_in_its_groups(state):
        raise _refusal(name, f"the process {state.init.pid} is none of its groups' any more", f"haconiwa stop {name}")
    return pidfd


def _refusal(name: str, why: str, hint: str) -> ContainerError:
    return ContainerError("cannot adopt it", why=why, hint=hint, subject=name)


def _is_in_its_groups(state: State) -> bool:
    return not state.cgroups or any(state.init.pid in member_pids(path) for path in state.cgroups)


def running_spec(spec: ContainerSpec, state: State) -> ContainerSpec:
    """The container as it runs, with the hooks of the file; without those that would need another group.

    Args:
        spec: As the file says.
        state: As it was recorded.
    """
    config = state.config
    spec = replace(
        spec,
        namespaces=tuple(config["namespaces"]),
        cgroup=cgroup_spec(config["cgroup"]),
        network=_network(config["network"]),
        network_etc=config["network_etc"],
    )
    return replace(spec, cgroup_hooks=tuple(step.hook for step in _watching(spec)))


def _network(plain: Mapping[str, Any] | None) -> NetworkSpec | None:
    """As much of a recorded network as a supervisor needs."""
    if plain is None:
        return None
    allowed = plain["egress"]
    egress = None if allowed is None else tuple(EgressSpec(**{**one, "where": None}) for one in allowed)
    return NetworkSpec(mode=plain["mode"], share=plain["share"], egress=egress, dns=tuple(plain["dns"]), hosts={})


def _watching(spec: ContainerSpec) -> list[WatchGroup]:
    if not spec.cgroup_hooks:
        return []
    from haconiwa.isolation import cgroup_events

    return cgroup_events.plan_again(spec.cgroup_hooks, group_name(spec), hierarchies())


def plan_adoption(spec: ContainerSpec, state: State) -> list[Step]:
    """Steps that take over what a supervisor has to clear away, and begin again what ended with the one before.

    Args:
        spec: What `running_spec` returned.
        state: As it was recorded.
    """
    steps: list[Step] = [*map(TakeGroup, state.cgroups), *_watching(spec)]
    if spec.network is not None and spec.network.mode == "bridge":
        from haconiwa.isolation.net import steps as network

        steps += network.plan_again(spec, spec.network)
    elif spec.network is not None:
        from haconiwa.isolation.net.steps import NameNetwork

        steps.append(NameNetwork(spec.network))
    if folder := thrown_layer(state):
        from haconiwa.isolation.overlay import TakeLayer

        steps.append(TakeLayer(folder))
    return steps


def as_started(spec: ContainerSpec, state: State) -> ContainerSpec:
    """The file's container with what the command line of its start has changed: a restart shall start the same."""
    rootfs = spec.rootfs
    if rootfs is not None and state.config["rootfs"] and state.config["rootfs"]["ephemeral"]:
        rootfs = replace(rootfs, overlay=True, ephemeral=True)
    return replace(spec, init_command=tuple(state.config["init_command"]), rootfs=rootfs)


def what_stays(spec: ContainerSpec, state: State) -> dict[str, Any]:
    """The fields of the new record that are as they were, and the configuration that is true from now on.

    Args:
        spec: As the file says.
        state: As it was recorded.
    """
    stays = {field: getattr(state, field) for field in ("init", "created_at", "cgroups", "health")}
    fresh = {field: to_plain(getattr(spec, field)) for field in FROM_THE_FILE}
    return {**stays, "config": {**state.config, **fresh}}


def notices(spec: ContainerSpec, state: State) -> list[str]:
    """What the user should know: where the file says something else than runs, and what cannot be taken back.

    Args:
        spec: What `as_started` returned.
        state: As it was recorded.
    """
    lines = []
    limits = [line for found in differences(state.config, reload_data(spec)).values() for line in found]
    if limits:
        lines.append(f"its limits stay as they are until haconiwa reload: {'; '.join(limits)}")
    ignored = other_differences(state.config, spec, (*FROM_THE_FILE, *_BEFORE_A_START))
    if ignored:
        lines.append(f"only a start takes over what has changed in {', '.join(ignored)}")
    dropped = len(spec.cgroup_hooks) - len(running_spec(spec, state).cgroup_hooks)
    if dropped:
        lines.append(f"{dropped} of its cgroup hooks will not be called: it has no group for them")
    if any(rule["action"] == "notify" for each in state.config["seccomp"]["filters"] for rule in each["rules"]):
        lines.append("system calls that a function decides fail with ENOSYS: who was told of them has died")
    return lines

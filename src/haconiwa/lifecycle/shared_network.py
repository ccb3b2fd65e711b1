"""``network.share``: entering the network namespace of another container that runs."""

from __future__ import annotations

import os
import select
import time

from haconiwa.errors import ContainerError
from haconiwa.host.tools import open_network_namespace
from haconiwa.isolation.namespaces import EnterNamespace
from haconiwa.isolation.step import SUPERVISOR, Site, Step
from haconiwa.lifecycle.identity import open_pidfd
from haconiwa.lifecycle.state import State, is_supervised, live_status, read_state
from haconiwa.spec.model import JoinedNamespace
from haconiwa.spec.network import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.network import NetworkSpec

_UP_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.02


class OpenSharedNetwork(Step):
    """Open the network namespace of a running container; one that is just starting is waited for."""

    __slots__ = ("network",)

    def __init__(self, network: NetworkSpec) -> None:
        super().__init__(SUPERVISOR, network.where)
        self.network = network

    def describe(self) -> str:
        return f'share the network of the container "{self.network.share}"'

    def execute(self, site: Site) -> None:
        state = self._running()
        pidfd = open_pidfd(state.init)
        if pidfd < 0:
            raise self._not_running()
        try:
            site.trees["net"] = open_network_namespace(state.init.pid)
        finally:
            os.close(pidfd)
        if site.base is not None:
            site.base.network = Network(mode="share")  # type: ignore[attr-defined]

    def _running(self) -> State:
        """The other's state. It may be starting: in one haco file both do, side by side, their names taken before."""
        deadline = time.monotonic() + _UP_WITHIN_S
        while True:
            state = read_state(self.network.share)
            if state is not None and live_status(state) in ("running", "orphaned"):
                return state
            if not is_supervised(self.network.share) or time.monotonic() > deadline:
                raise self._not_running()
            select.select([], [], [], _LOOK_EVERY_S)  # nothing tells when it runs

    def _not_running(self) -> ContainerError:
        return ContainerError(
            f"cannot {self.describe()}",
            why="it is not running",
            hint=f"start {self.network.share} first",
            where=self.where,
        )


def plan_opening(network: NetworkSpec) -> list[Step]:
    """The step before the container's process exists."""
    return [OpenSharedNetwork(network)] if network.share else []


def plan_entering(network: NetworkSpec) -> list[Step]:
    """The child's step, before it becomes root of a user namespace."""
    return [EnterNamespace(JoinedNamespace(type="net", path=""))] if network.share else []

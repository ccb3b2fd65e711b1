"""Provisioning: scripts and functions that run inside a root file system to furnish it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from haconiwa.build.failures import subject_of
from haconiwa.build.marker import State, own_marker, write_marker
from haconiwa.build.place import Place, locked
from haconiwa.build.report import Report
from haconiwa.build.script import script_argv, success_line
from haconiwa.errors import BuildError, ConfigError, Problem
from haconiwa.host.programs import run_checked
from haconiwa.lifecycle.oneshot import run_once
from haconiwa.spec.model import (
    DEFAULT_CAPABILITIES,
    DEFAULT_PATH,
    CapabilitiesSpec,
    ContainerSpec,
    MountSpec,
    ProvisionStep,
)
from haconiwa.spec.record import replace

_LONGEST_NAME = 64
_CAPABILITIES = frozenset(DEFAULT_CAPABILITIES) | {"audit_write", "kill", "mknod", "sys_chroot", "sys_nice"}
"""The default ones, and what package managers and the programs that they start need beside them."""

_ENVIRON = {"PATH": DEFAULT_PATH, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
_MOUNTS = (
    MountSpec(kind="procfs", source="proc", destination="/proc"),
    MountSpec(kind="sysfs", source="sysfs", destination="/sys"),
    MountSpec(kind="devtmpfs", source="tmpfs", destination="/dev"),
    MountSpec(kind="devpts", source="devpts", destination="/dev/pts"),
    MountSpec(kind="shm", source="tmpfs", destination="/dev/shm"),
    MountSpec(kind="filesystem", source="tmpfs", destination="/tmp", fstype="tmpfs", options="nosuid,mode=1777"),
)


def provision(spec: ContainerSpec, report: Report, *, only: Sequence[str] = ()) -> None:
    """Run the provisioning steps of a container in its existing root file system.

    Args:
        spec: The container.
        report: Is told what happens.
        only: Names of the steps to run; all unless given.

    Raises:
        ConfigError: There is no step of a name in `only`.
        BuildError: There is no root, somebody else is at work on it, or a step failed; later ones have not run.
        HaconiwaError: A step could not be started.
    """
    steps = _chosen(spec, only)
    if spec.rootfs is None:
        raise ConfigError(Problem(f"{spec.name}: chroot_to is not set, there is nothing to provision"))
    place = Place(spec.rootfs.path)
    if not os.path.isdir(place.root):
        hint = "make it with haconiwa create"
        raise BuildError(f'the root file system "{place.root}" does not exist', subject=spec.name, hint=hint)
    with subject_of(spec.name, place.root), locked(place):
        if only:
            run_steps(spec, steps, report)
        else:
            provision_root(spec, place, report)


def _chosen(spec: ContainerSpec, only: Sequence[str]) -> tuple[ProvisionStep, ...]:
    known = [step.name for step in spec.provision.steps]
    if unknown := [name for name in only if name not in known]:
        hint = f"there are {', '.join(known)}" if known else "there are none"
        raise ConfigError([Problem(f'{spec.name}: no provisioning step "{name}"', hint=hint) for name in unknown])
    return tuple(step for step in spec.provision.steps if not only or step.name in only)


def provision_root(spec: ContainerSpec, place: Place, report: Report) -> None:
    """Run every step; the marker tells when they have not come to their end. The caller holds the lock."""
    marker = own_marker(place)
    if marker:
        write_marker(place, State.BOOTSTRAPPED, marker.strategy, place.root, image=marker.image)
    run_steps(spec, spec.provision.steps, report)
    if marker:
        write_marker(place, State.COMPLETE, marker.strategy, place.root, image=marker.image)


def run_steps(spec: ContainerSpec, steps: Sequence[ProvisionStep], report: Report) -> None:
    """Run steps in their order, up to the first that fails.

    Raises:
        HaconiwaError: With the line of the haco file that added the step.
    """
    if spec.provision.skip or not steps:
        report.step(f"No provisioning for {spec.name}")
        return
    report.step("Start provisioning...")
    for step in steps:
        report.step(f"Running provisioning with {'shell script' if step.kind == 'shell' else 'Python function'}...")
        with subject_of(spec.name, where=step.where):
            _run_step(spec, step, report)
        report.step(success_line(step.sh) if step.kind == "shell" else f"Command success: {step.name} returned")
    report.success("Success!")


def _run_step(spec: ContainerSpec, step: ProvisionStep, report: Report) -> None:
    """Run one step in a container of its own, started by a child of ours that hands its output over line by line."""
    derived = provision_spec(spec, step)
    stdin, function = (step.code.encode(), None) if isinstance(step.code, str) else (b"", step.code)

    def run() -> int:
        signal.signal(signal.SIGTERM, _interrupt)
        with suppress(KeyboardInterrupt):
            return run_once(derived, stdin=stdin, output_fd=1, function=function)
        return 128 + signal.SIGTERM

    argv = (step.sh, "-xe") if step.kind == "shell" else (step.name,)
    run_checked(
        run,
        lambda text: report.line(f"provision.{step.name}", text),
        argv=argv,
        hint=f"run it again with haconiwa provision --run-only {step.name}",
        what=f'the provisioning step "{step.name}" failed',
        isolated=False,
    )


def _interrupt(_number: int, _frame: object) -> None:
    """Let the container of the step be killed on the way out."""
    raise KeyboardInterrupt


def provision_spec(spec: ContainerSpec, step: ProvisionStep) -> ContainerSpec:
    """The container in which a step runs: the real root, with the mounts, rights and environment that tools expect.

    It has the host's network, and none of the container's own mounts, hooks, limits and users.
    """
    return ContainerSpec(
        name=f"provision-{spec.name}"[:_LONGEST_NAME],
        hostname=spec.hostname or spec.name,
        init_command=script_argv(step.sh),
        environ={**_ENVIRON},
        rootfs=replace(spec.rootfs, readonly=False) if spec.rootfs else None,
        root_mounts=spec.root_mounts,
        mounts=_MOUNTS,
        network_etc="/etc",
        namespaces=("mount", "ipc", "uts", "pid"),
        capabilities=CapabilitiesSpec(bounding=_CAPABILITIES),
        stdio={},
        metadata={},
        sources={},
    )

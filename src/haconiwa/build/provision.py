"""Provisioning: scripts and functions that run inside a root file system to furnish it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from haconiwa.build.copying import copy_into_root, source_mount
from haconiwa.build.failures import subject_of
from haconiwa.build.layer import stand_alone
from haconiwa.build.marker import State, own_marker, write_marker
from haconiwa.build.mount_points import unmade_on_failure
from haconiwa.build.place import Place, locked
from haconiwa.build.report import Report
from haconiwa.build.script import script_argv, success_line
from haconiwa.build.steps import digest_of, is_due, kept_steps
from haconiwa.errors import BuildError, ConfigError, HaconiwaError, HookError, Problem
from haconiwa.host.paths import cache_dir
from haconiwa.host.programs import run_checked
from haconiwa.lifecycle.oneshot import run_once
from haconiwa.spec.build import ProvisionStep
from haconiwa.spec.model import DEFAULT_CAPABILITIES, DEFAULT_PATH, CapabilitiesSpec, ContainerSpec, MountSpec
from haconiwa.spec.names import PACKAGE_CACHES
from haconiwa.spec.record import replace

_LONGEST_NAME = 64
_KINDS = {"shell": "shell script", "python": "Python function", "copy": "files of the host"}
_OF_THE_NETWORK = {"audit_read", "net_raw"}
_CAPABILITIES = (frozenset(DEFAULT_CAPABILITIES) - _OF_THE_NETWORK) | {
    "audit_write", "kill", "mknod", "sys_chroot", "sys_nice",
}  # fmt: skip
"""The default ones without those that reach into the host's network and its audit log, which steps share, and what
package managers and the programs that they start need beside them."""

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
    place = Place(spec.rootfs.path, spec.rootfs.trusted_uids)
    if not os.path.isdir(place.root):
        skipped = spec.bootstrap and spec.bootstrap.skip
        hint = "skip_bootstrap leaves making it to you" if skipped else "make it with haconiwa create"
        raise BuildError(f'the root file system "{place.root}" does not exist', subject=spec.name, hint=hint)
    with subject_of(spec.name, place.root), locked(place):
        stand_alone(place, report)
        with nullcontext() if own_marker(place) else unmade_on_failure(place.root):
            if only:
                run_steps(spec, steps, report, lambda _step: True, lambda _step: None)
            else:
                provision_root(spec, place, report)


def _chosen(spec: ContainerSpec, only: Sequence[str]) -> tuple[ProvisionStep, ...]:
    known = [step.name for step in spec.provision.steps]
    if unknown := [name for name in only if name not in known]:
        hint = f"there are {', '.join(known)}" if known else "there are none"
        raise ConfigError([Problem(f'{spec.name}: no provisioning step "{name}"', hint=hint) for name in unknown])
    return tuple(step for step in spec.provision.steps if not only or step.name in only)


def provision_root(spec: ContainerSpec, place: Place, report: Report) -> None:
    """Run every step that is due; the marker tells which ones have come to their end. The caller holds the lock.

    A run that failed or was interrupted is gone on with.
    """
    steps = spec.provision.steps
    marker = own_marker(place)
    if marker is None:
        run_steps(spec, steps, report, lambda _step: True, lambda _step: None)
        return
    found = marker
    is_new = marker.state is State.COMPLETE
    done = kept_steps(steps, marker.steps) if is_new else dict(marker.steps)

    def remember(state: State) -> None:
        write_marker(place, state, found.strategy, place.root, image=found.image, steps=done)

    def is_wanted(step: ProvisionStep) -> bool:
        return is_due(step, done, digest_of(step, dict(spec.provision.environ)))

    def finish(step: ProvisionStep) -> None:
        done[step.name] = digest_of(step, dict(spec.provision.environ))
        remember(State.BOOTSTRAPPED)

    remember(State.BOOTSTRAPPED)
    run_steps(spec, steps, report, is_wanted, finish)
    remember(State.COMPLETE)


def run_steps(
    spec: ContainerSpec,
    steps: Sequence[ProvisionStep],
    report: Report,
    is_wanted: Callable[[ProvisionStep], bool],
    finish: Callable[[ProvisionStep], None],
) -> None:
    """Run steps in their order, up to the first that fails.

    Args:
        spec: The container.
        steps: The steps.
        report: Is told what happens.
        is_wanted: Whether a step has to run.
        finish: Called with each step that has come to its end.

    Raises:
        HaconiwaError: With the line of the haco file that added the step.
    """
    if spec.provision.skip or not steps:
        report.step(f"No provisioning for {spec.name}")
        return
    report.step("Start provisioning...")
    for step in steps:
        with subject_of(spec.name, where=step.where):
            if not is_wanted(step):
                report.step(f"Provisioning step {step.name} is done already")
                continue
            report.step(f"Running provisioning with {_KINDS[step.kind]}...")
            _run_step(spec, step, report)
            finish(step)
        report.step(_success(step))
    report.success("Success!")


def _success(step: ProvisionStep) -> str:
    if step.kind == "shell":
        return success_line(step.sh)
    return f"Command success: {step.name} " + ("copied" if step.kind == "copy" else "returned")


def _run_step(spec: ContainerSpec, step: ProvisionStep, report: Report) -> None:
    """Run one step in a container of its own, started by a child of ours that hands its output over line by line."""
    derived = provision_spec(spec, step)
    stdin, function = _work_of(step)
    what = f'the provisioning step "{step.name}" failed'
    hint = f"run it again with haconiwa provision --run-only {step.name} {step.where.file if step.where else 'FILE'}"

    def run() -> int:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return run_once(derived, stdin=stdin, output_fd=1, function=function)
        except KeyboardInterrupt:
            return 128 + signal.SIGTERM
        except HookError as error:
            sys.stdout.write("".join(f"  in: {name} ({file}:{line})\n" for file, line, name in error.frames))
            raise BuildError(what, why=error.why, hint=hint) from None
        except HaconiwaError as error:
            error.subject = spec.name  # the name of the step's container is ours alone
            raise

    argv = (step.sh, "-xe") if step.kind == "shell" else (step.name,)
    run_checked(
        run,
        lambda text: report.line(f"provision.{step.name}", text),
        argv=argv,
        hint=hint,
        what=what,
        isolated=False,
    )


def _work_of(step: ProvisionStep) -> tuple[bytes, Callable[[], object] | None]:
    """What the step's program reads, or the function that runs in its place."""
    if step.kind == "copy":
        return b"", lambda: copy_into_root(step)
    return (step.code.encode(), None) if isinstance(step.code, str) else (b"", step.code)


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
        environ={**_ENVIRON, **dict(spec.provision.environ)},
        rootfs=replace(spec.rootfs, readonly=False) if spec.rootfs else None,
        root_mounts=spec.root_mounts,
        mounts=(*_MOUNTS, *_cache_mounts(spec), *([source_mount(step)] if step.kind == "copy" else [])),
        network_etc="/etc",
        namespaces=("mount", "ipc", "uts", "pid"),
        unprivileged=spec.unprivileged,  # then we are in its user namespace already
        keeps_groups=spec.keeps_groups,
        gid_mappings=spec.gid_mappings,
        capabilities=CapabilitiesSpec(bounding=_CAPABILITIES),
        stdio={},
        metadata={},
        sources={},
    )


def packages_dir() -> str:
    """Where the downloads of package managers are kept that containers share."""
    return os.path.join(cache_dir(), "packages")


def _cache_mounts(spec: ContainerSpec) -> list[MountSpec]:
    mounts = []
    for manager in spec.provision.shared_caches:
        source = os.path.join(packages_dir(), manager)
        os.makedirs(source, 0o755, exist_ok=True)
        mounts.append(MountSpec(kind="bind", source=source, destination=PACKAGE_CACHES[manager]))
    return mounts

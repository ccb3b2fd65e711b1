"""Making a root file system: bootstrap beside its place, rename, provision."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from haconiwa.build.failures import subject_of
from haconiwa.build.function import run_python
from haconiwa.build.job import Job
from haconiwa.build.layer import stand_alone
from haconiwa.build.marker import Marker, State, own_marker, remove_marker, sync_directory, write_marker
from haconiwa.build.place import Place, locked, refuse_open
from haconiwa.build.provision import provision as provision_existing
from haconiwa.build.provision import provision_root
from haconiwa.build.remove import discard
from haconiwa.build.report import Report
from haconiwa.build.reuse import Reuse
from haconiwa.build.script import run_script, success_line
from haconiwa.build.strategies import load_strategy
from haconiwa.errors import BuildError, ConfigError, HaconiwaError, HostError, Problem, describe_errno
from haconiwa.host.layers import drop_base
from haconiwa.host.subvolumes import make_directory
from haconiwa.host.tree import mounts_below, remove_tree
from haconiwa.spec.build import BootstrapSpec, PostprocessSpec
from haconiwa.spec.model import ContainerSpec, RootfsSpec

_OF_ROOT = ("debootstrap", "lxc")
"""Strategies whose programs make device nodes and mounts that a user namespace is not allowed."""

_FULL = 1 << 16  # free bytes below which a failure is put down to the disk


def create(spec: ContainerSpec, report: Report, *, force: bool = False, provision: bool = True) -> None:
    """Bootstrap and provision the root file system of a container.

    A complete root, and a directory that is not ours and not empty, is left alone. A root whose provisioning has not
    come to its end is provisioned again, and one that is not ours when the file skips its bootstrap.

    Args:
        spec: The container.
        report: Is told what happens.
        force: Remove a root that we have made, and make it again; nothing that is kept of others is taken.
        provision: Also run the provisioning steps.

    Raises:
        ConfigError: The haco file does not say what to make, or in a way that cannot work.
        HostError: A program is missing, or the strategy takes root.
        BuildError: A command failed, or somebody else is at work on this root. Nothing that looks complete is left;
            what was complete before `force` is gone.
    """
    rootfs, bootstrap = _asked_for(spec)
    if spec.unprivileged and bootstrap.strategy in _OF_ROOT and not bootstrap.skip:
        raise HostError(
            f'the strategy "{bootstrap.strategy}" needs root',
            hint='root can make an archive of what it makes, with haconiwa archive, for the strategy "tarball"',
            where=bootstrap.where,
            subject=spec.name,
        )
    place = Place(rootfs.path, rootfs.trusted_uids)
    if bootstrap.skip:
        report.step(f"Bootstrap of {spec.name} is skipped")
        if provision:
            _furnish(spec, place, report)
        return
    with subject_of(spec.name, place.root, bootstrap.where):
        refuse_open(place)
        with _umask(0o077):
            os.makedirs(place.parent, exist_ok=True)
        with locked(place):
            reuse = None
            if _is_wanted(place, report, force=force):
                steps = provision and spec.provision.steps and not spec.provision.skip
                reuse = Reuse(spec, bootstrap, place, report)
                with _umask(0o022):  # what is made for the container must not depend on who makes it
                    state = State.BOOTSTRAPPED if steps else State.COMPLETE
                    if force or not _take(reuse, bootstrap, place, report, state):
                        _build(spec, bootstrap, place, reuse, report, state)
            elif not rootfs.overlay:
                stand_alone(place, report)
            marker = own_marker(place)
            if provision and marker and marker.state is State.BOOTSTRAPPED:
                provision_root(spec, place, report)
                marker = own_marker(place)
                if reuse and marker and not spec.provision.skip:
                    reuse.keep_complete(marker)


def _furnish(spec: ContainerSpec, place: Place, report: Report) -> None:
    """Provision a root that somebody else has made; one of ours only when that has not come to its end yet."""
    marker = own_marker(place)
    if spec.provision.steps and not spec.provision.skip and (marker is None or marker.state is State.BOOTSTRAPPED):
        provision_existing(spec, report)


def _asked_for(spec: ContainerSpec) -> tuple[RootfsSpec, BootstrapSpec]:
    if spec.rootfs is None:
        raise ConfigError(Problem(f"{spec.name}: chroot_to is not set, there is nothing to create"))
    if spec.bootstrap is None:
        hint = 'such as config.bootstrap.strategy = "host"'
        raise ConfigError(Problem(f"{spec.name}: no bootstrap strategy is set", spec.rootfs.where, hint))
    return spec.rootfs, spec.bootstrap


def _is_wanted(place: Place, report: Report, *, force: bool) -> bool:
    """Whether there is something to build; clears the leftovers of an earlier attempt."""
    remove_tree(place.partial)
    marker = own_marker(place)
    if force and marker:
        discard(place)
    elif _is_occupied(place.root):
        _explain(place, marker, report, force=force)
        return False
    elif place.root in mounts_below(place.root):
        hint = "use a folder below it as the root"
        raise BuildError(f'cannot make "{place.root}"', why="it is a mount point", hint=hint)
    remove_marker(place)
    drop_base(place.root)
    return True


def _is_occupied(path: str) -> bool:
    """Whether something is there that must not be lost."""
    return os.path.lexists(path) and (not os.path.isdir(path) or bool(os.listdir(path)))


def _explain(place: Place, marker: Marker | None, report: Report, *, force: bool) -> None:
    """Say why what is there is left alone.

    Raises:
        BuildError: It must not be used as it is.
    """
    if not os.path.isdir(place.root):
        raise BuildError(f'cannot make "{place.root}"', why="it is there and no directory")
    if marker and marker.state is State.BUILDING:
        hint = "haconiwa create --force removes it and builds it again"
        raise BuildError(f'"{place.root}" is what an interrupted script has left', hint=hint)
    if marker:
        provisioned = "" if marker.state is State.COMPLETE else ", but its provisioning did not come to its end"
        report.step(f"Rootfs {place.root} is already there{provisioned}")
    else:
        why = "is not empty and was not made by haconiwa" + (", not even --force touches it" if force else "")
        report.step(f"Rootfs {place.root} {why}: left alone")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _take(reuse: Reuse, bootstrap: BootstrapSpec, place: Place, report: Report, state: State) -> bool:
    """Make the root from one that is kept; whether there was one."""
    with _undone_on_failure(place, bootstrap):
        os.mkdir(place.partial, 0o700)
        found = reuse.take(state)
        if found:
            _settle(place, found, place.partial_root)
    remove_tree(place.partial)
    if found:
        report.success("Success!")
    return found is not None


def _build(
    spec: ContainerSpec, bootstrap: BootstrapSpec, place: Place, reuse: Reuse, report: Report, state: State
) -> None:
    """Fill a private directory, mark it, and rename it to its place in one step."""
    strategy = load_strategy(bootstrap.strategy)
    report.step(f"Creating rootfs of {spec.name}...")
    report.step(f"Start bootstrapping rootfs with {strategy.LABEL}...")
    with _undone_on_failure(place, bootstrap):
        job = _prepare(spec, bootstrap, place, reuse, report)
        image = strategy.bootstrap(job)
        made = _made(place, bootstrap)
        for step in bootstrap.postprocess:
            _postprocess(step, made, report)
        _give_to_owner(spec, made)
        reuse.keep_bootstrapped(made, image)
        _settle(place, Marker(state=state, strategy=bootstrap.strategy, image=image), made)
    remove_tree(place.partial)
    report.success("Success!")


def _settle(place: Place, marker: Marker, made: str) -> None:
    """Mark a directory, and rename it to its place: from that moment on the root is there, and known to be complete."""
    write_marker(place, marker.state, marker.strategy, made, image=marker.image, steps=marker.steps)
    if made != place.root:
        with suppress(FileNotFoundError):
            os.rmdir(place.root)  # rename(2) replaces an empty directory, but not one that is a subvolume
        os.rename(made, place.root)
        sync_directory(place.parent)


def _prepare(spec: ContainerSpec, bootstrap: BootstrapSpec, place: Place, reuse: Reuse, report: Report) -> Job:
    if _makes_final_path(bootstrap):
        write_marker(place, State.BUILDING, bootstrap.strategy)
    scratch = os.path.join(place.partial, "scratch")
    os.mkdir(place.partial, 0o700)
    os.mkdir(scratch)
    make = make_directory if reuse.keeps else os.mkdir
    make(place.partial_root)
    os.chmod(place.partial_root, 0o755)
    return Job(
        spec=spec, bootstrap=bootstrap, root=place.partial_root, scratch=scratch, final=place.root, report=report
    )


def _made(place: Place, bootstrap: BootstrapSpec) -> str:
    """The directory that the strategy has filled."""
    if os.listdir(place.partial_root):
        return place.partial_root
    if _makes_final_path(bootstrap) and _is_occupied(place.root):
        return place.root
    raise BuildError(f'the strategy "{bootstrap.strategy}" made an empty root file system')


def _makes_final_path(bootstrap: BootstrapSpec) -> bool:
    """Scripts written for the original fill the root's own path instead of $ROOTFS."""
    return bootstrap.strategy == "shell"


def _postprocess(step: PostprocessSpec, root: str, report: Report) -> None:
    def line(text: str) -> None:
        report.line(f"postprocess.{step.kind}", text)

    with subject_of("", where=step.where):
        if step.kind == "shell":
            report.step("Running postprocess with shell script...")
            run_script(str(step.code), root, line, "the postprocess script failed")
            report.step(success_line("/bin/sh"))
        else:
            report.step("Running postprocess with Python code...")
            run_python(step.code, root, line)


def _give_to_owner(spec: ContainerSpec, root: str) -> None:
    owner = spec.rootfs.owner if spec.rootfs else None
    if owner:
        os.chown(root, *owner, follow_symlinks=False)


@contextmanager
def _undone_on_failure(place: Place, bootstrap: BootstrapSpec) -> Iterator[None]:
    """Remove what an interrupted or failed bootstrap has made; what cannot be removed stays marked as not complete."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, BuildError) and _is_full(place.parent):
            error.why = f"{error.why}; {describe_errno(errno.ENOSPC)}"  # not every tool says so
        with suppress(HaconiwaError, OSError):
            _undo(place, bootstrap)
        raise


def _undo(place: Place, bootstrap: BootstrapSpec) -> None:
    marker = own_marker(place)
    if marker is None or marker.state is State.BUILDING:  # else the rename has happened, and all is well
        if _makes_final_path(bootstrap) and _is_occupied(place.root):
            remove_tree(place.root)
        remove_marker(place)
        drop_base(place.root)
    remove_tree(place.partial)


def _is_full(path: str) -> bool:
    disk = os.statvfs(path)
    return disk.f_bfree * disk.f_frsize < _FULL or (disk.f_files > 0 and disk.f_ffree == 0)

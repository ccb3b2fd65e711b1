"""Copying files of the host into a root file system, from within: no link in the root leads anywhere else."""

from __future__ import annotations

import os
import shutil
import stat
import sys

from haconiwa.errors import BuildError
from haconiwa.spec.build import ProvisionStep
from haconiwa.spec.model import MountSpec

_SHOWN_AT = "/tmp/.haconiwa-copy"
"""Below the file system for temporary files that every step has for itself."""


def source_mount(step: ProvisionStep) -> MountSpec:
    """The mount that shows the source to the step, read-only.

    Raises:
        BuildError: There is no such file or directory.
    """
    try:
        mode = os.stat(step.source).st_mode
    except OSError as error:
        raise BuildError(f'cannot copy "{step.source}"', why=error.strerror or "", where=step.where) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BuildError(f'cannot copy "{step.source}"', why="it is neither a file nor a directory", where=step.where)
    return MountSpec(
        kind="bind", source=step.source, destination=_SHOWN_AT, readonly=True, recursive=False, where=step.where
    )


def copy_into_root(step: ProvisionStep) -> None:
    """Copy what is shown to its destination; the copies belong to root, modes and times are kept.

    A directory's content goes into the destination directory, and adds to what is there. A file goes to the path, or
    into the directory where one is there or the path ends in a slash.

    Runs in: the step's container.
    """
    if os.path.isdir(_SHOWN_AT):
        target = step.destination.rstrip("/") or "/"
        for folder, folders, files in os.walk(_SHOWN_AT):
            below = os.path.normpath(os.path.join(target, os.path.relpath(folder, _SHOWN_AT)))
            _make_directory(folder, below)
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in (*files, *links):
                _copy(os.path.join(folder, name), os.path.join(below, name))
    else:
        target = step.destination
        if target.endswith("/") or os.path.isdir(target):
            target = os.path.join(target, os.path.basename(step.source))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy(_SHOWN_AT, target)
    sys.stdout.write(f"{step.source} -> {target}\n")


def _make_directory(source: str, target: str) -> None:
    """A directory that is there already keeps its mode."""
    if not os.path.isdir(target):
        os.makedirs(target)
        shutil.copystat(source, target)


def _copy(source: str, target: str) -> None:
    """Copy a file or a link in the place of what is there, which may be a link or a program that runs."""
    if os.path.lexists(target):
        os.unlink(target)
    shutil.copy2(source, target, follow_symlinks=False)

"""Which provisioning steps are due, and how it is told that a step would do something else than the last time."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

from haconiwa.host.files import sha256_of
from haconiwa.spec.build import ProvisionStep


def kept_steps(steps: Sequence[ProvisionStep], done: Mapping[str, str]) -> dict[str, str]:
    """What a new run remembers of earlier ones: steps that need not run each time."""
    lasting = {step.name for step in steps if step.run != "always"}
    return {name: digest for name, digest in done.items() if name in lasting}


def is_due(step: ProvisionStep, done: Mapping[str, str], digest: str) -> bool:
    """Whether a step has to run.

    Args:
        step: The step.
        done: The steps that have come to their end, each with its digest.
        digest: Of the step as it is now.
    """
    if step.run == "once":
        return step.name not in done
    return done.get(step.name) != digest


def digest_of(step: ProvisionStep, environ: Mapping[str, str]) -> str:
    """A digest of all that a step does: its code, the files that it copies, its shell and environment.

    Raises:
        OSError: A file to copy cannot be read.
    """
    digest = hashlib.sha256()
    parts: list[object] = [step.kind, step.sh, step.source, step.destination, *sorted(environ.items())]
    for part in (*parts, *code_parts(step.code), *tree_parts(step.source)):
        digest.update(repr(part).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def code_parts(code: str | Callable[..., Any]) -> Iterator[object]:
    """What tells code or a function from another one."""
    if isinstance(code, str):
        yield code
    elif isinstance(compiled := getattr(code, "__code__", None), CodeType):
        yield from _compiled_parts(compiled)


def _compiled_parts(code: CodeType) -> Iterator[object]:
    """What a function does, without where it is written."""
    yield from (code.co_code, code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _compiled_parts(constant)
        else:
            yield constant


def tree_parts(path: str) -> Iterator[object]:
    """What tells a file or a tree of files from another one; nothing without a path.

    Raises:
        OSError: A file cannot be read.
    """
    if not path:
        return
    yield from _file_parts(path, "")
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted([*folders, *files]):
            yield from _file_parts(os.path.join(folder, name), os.path.relpath(folder, path))


def _file_parts(path: str, shown: str) -> Iterator[object]:
    mode = os.lstat(path).st_mode
    yield from (shown, os.path.basename(path), mode)
    if stat.S_ISLNK(mode):
        yield os.readlink(path)
    elif stat.S_ISREG(mode):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield sha256_of(fd)
        finally:
            os.close(fd)

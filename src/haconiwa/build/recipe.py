"""What a root file system is made from, as a key: the same key means that the same would be made again."""

from __future__ import annotations

import hashlib
import os
import platform
import re

from haconiwa.build.steps import code_parts, digest_of, tree_parts
from haconiwa.host.apt import host_keyring, host_mirror
from haconiwa.spec.build import BootstrapSpec, ProvisionStep
from haconiwa.spec.model import ContainerSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORM = "1"
"""Of the key and of what is kept; another one finds nothing of an older version's."""

_DEFAULT = ("debootstrap", "lxc")
"""Strategies whose outcome takes long and follows from what the file says."""

_PINNED = re.compile(r"docker://.*@sha256:[0-9a-f]{64}")
_IMAGE_FILE = re.compile(r"(?:oci-archive|docker-archive|dir|oci):(.*?)(?::[^/:]*)?")


def bootstrap_key(spec: ContainerSpec, bootstrap: BootstrapSpec) -> str:
    """The key of what the bootstrap makes, postprocessing included; empty when it is not to be kept.

    Raises:
        OSError: A file that it is made from cannot be read.
    """
    if not _is_kept(bootstrap):
        return ""
    return _digest(_parts(spec, bootstrap))


def complete_key(spec: ContainerSpec, bootstrap: BootstrapSpec) -> str:
    """The key of what bootstrap and provisioning make; empty when it is not to be kept.

    Raises:
        OSError: A file that it is made from cannot be read.
    """
    first = bootstrap_key(spec, bootstrap)
    steps = spec.provision.steps
    if not first or not (bootstrap.options.get("cache") or all(map(_is_text, steps))):
        return ""
    environ = dict(spec.provision.environ)
    return _digest([first, *((step.name, digest_of(step, environ)) for step in steps)]) if steps else first


def _is_kept(bootstrap: BootstrapSpec) -> bool:
    wanted = bootstrap.options.get("cache")
    if wanted is not None:
        return bool(wanted)
    pinned = bootstrap.strategy == "oci" and _PINNED.fullmatch(str(bootstrap.options.get("image")))
    return bool(bootstrap.strategy in _DEFAULT or pinned) and not any(callable(s.code) for s in bootstrap.postprocess)


def _is_text(step: ProvisionStep) -> bool:
    """Whether it can be told what a step does: a function can depend on anything."""
    return not callable(step.code)


def _parts(spec: ContainerSpec, bootstrap: BootstrapSpec) -> Iterator[object]:
    yield from (_FORM, bootstrap.strategy, platform.machine(), spec.rootfs.owner if spec.rootfs else None)
    if spec.unprivileged:  # the files of the root belong to what its ids are mapped to
        yield from (spec.uid_mappings, spec.gid_mappings)
    for name, value in sorted(bootstrap.options.items()):
        if name != "cache":
            yield from (name, *(code_parts(value) if name == "code" else [value]))
    for step in bootstrap.postprocess:
        yield from (step.kind, *code_parts(step.code))
    for path in _files(bootstrap):
        yield from tree_parts(path)
    if bootstrap.strategy == "debootstrap" and not bootstrap.options.get("mirror_url"):
        release = str(bootstrap.options.get("debian_release", ""))
        yield from (host_mirror(release), host_keyring(release))


def _files(bootstrap: BootstrapSpec) -> Iterator[str]:
    """The files of the host whose content gets into the root."""
    image = _IMAGE_FILE.fullmatch(str(bootstrap.options.get("image", "")))
    candidates = [bootstrap.options.get("archive_path"), bootstrap.options.get("keyring"), image and image.group(1)]
    for path in candidates:
        if path and os.path.exists(path):
            yield path


def _digest(parts: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()

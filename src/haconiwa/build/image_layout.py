"""Writing an OCI image of one layer as a layout on disk.

See the OCI image specification: image-layout.md, config.md.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from haconiwa.build.image import config_of
from haconiwa.host.files import sha256_of
from haconiwa.spec.image import ImageSpec
from haconiwa.spec.model import ContainerSpec

TAG = "latest"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def write(spec: ContainerSpec, path: str, write_layer: Callable[[str], str], date: int | None) -> None:
    """Write a layout.

    Args:
        spec: The container whose command, environment, user and directory become the image's.
        path: Host path of the directory to make.
        write_layer: Writes the root as a tar with gzip to a path; returns the SHA-256 of the tar.
        date: When the image says that it was made, in seconds since 1970; it does not say when None.
    """
    blobs = os.path.join(path, "blobs", "sha256")
    os.makedirs(blobs)
    layer_path = os.path.join(blobs, "layer")
    digest = write_layer(layer_path)
    layer = _adopt(layer_path, _LAYER)
    config = _blob(blobs, _CONFIG, _config(spec, f"sha256:{digest}", date))
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [layer]}
    described = _blob(blobs, _MANIFEST, manifest)
    described["annotations"] = {"org.opencontainers.image.ref.name": TAG}
    _write_json(os.path.join(path, "oci-layout"), {"imageLayoutVersion": "1.0.0"})
    _write_json(os.path.join(path, "index.json"), {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]})


def image_of_container(spec: ContainerSpec) -> ImageSpec:
    """What an image of the container says about running it."""
    uid, gid = spec.user.uid, spec.user.gid
    user = "" if uid is None else f"{uid}" + ("" if gid is None else f":{gid}")
    workdir = spec.workdir if spec.workdir != "/" else ""
    return ImageSpec(command=spec.init_command, environ=dict(spec.environ), user=user, workdir=workdir)


def architecture() -> str:
    """This machine's, in the words of images."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _config(spec: ContainerSpec, diff_id: str, date: int | None) -> dict[str, Any]:
    content: dict[str, Any] = {
        "architecture": architecture(),
        "os": "linux",
        "config": config_of(image_of_container(spec)),
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    if date is not None:
        content["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(date))
    return content


def _blob(folder: str, media_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    path = os.path.join(folder, "new")
    _write_json(path, content)
    return _adopt(path, media_type)


def _adopt(path: str, media_type: str) -> dict[str, Any]:
    """Give a file the name of its digest; its descriptor."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        digest, size = sha256_of(fd), os.fstat(fd).st_size
    finally:
        os.close(fd)
    os.rename(path, os.path.join(os.path.dirname(path), digest))
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _write_json(path: str, content: Mapping[str, Any]) -> None:
    with open(path, "x", encoding="utf-8") as file:
        json.dump(content, file, sort_keys=True)

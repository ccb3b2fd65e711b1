"""What tests of building share: container specs and a report that remembers."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from haconiwa.build.job import Job
from haconiwa.build.report import Report
from haconiwa.host.usr import shared_paths
from haconiwa.spec.build import BootstrapSpec, PostprocessSpec, ProvisionSpec, ProvisionStep
from haconiwa.spec.model import ContainerSpec, MountSpec, RootfsSpec

StrPath = str | os.PathLike[str]

_LARGE = 1 << 22  # may be a bomb


class Recorder(Report):
    """Remembers what it is told.

    Attributes:
        told: Steps and successes, in order.
        lines: (prefix, text) of the tools' lines.
        on_line: Called with each text first.
    """

    def __init__(self, on_line: Callable[[str], object] = lambda _text: None) -> None:
        self.told: list[str] = []
        self.lines: list[tuple[str, str]] = []
        self.on_line = on_line

    def step(self, text: str) -> None:
        self.told.append(text)

    def aside(self, text: str) -> None:
        self.told.append(text)

    def line(self, prefix: str, text: str) -> None:
        self.on_line(text)
        self.lines.append((prefix, text))

    def success(self, text: str) -> None:
        self.told.append(text)

    def texts(self) -> list[str]:
        """The tools' lines without their prefixes."""
        return [text for _, text in self.lines]


def container(
    root: StrPath,
    strategy: str | None = None,
    *,
    name: str = "web",
    steps: tuple[ProvisionStep, ...] = (),
    postprocess: tuple[PostprocessSpec, ...] = (),
    owner: tuple[int, int] | None = None,
    **options: Any,
) -> ContainerSpec:
    """A container with a root file system and a way to make it."""
    shown = shared_paths() if strategy == "host" else ()
    bootstrap = BootstrapSpec(strategy=strategy, options=options, postprocess=postprocess) if strategy else None
    return ContainerSpec(
        name=name,
        environ={},
        stdio={},
        metadata={},
        sources={},
        rootfs=RootfsSpec(path=os.fspath(root), owner=owner),
        root_mounts=tuple(MountSpec(kind="bind", source=path, destination=path, readonly=True) for path in shown),
        bootstrap=bootstrap,
        provision=ProvisionSpec(steps=steps),
    )


def shell_step(code: str, name: str = "shell-1", sh: str = "/bin/sh") -> ProvisionStep:
    return ProvisionStep(name=name, kind="shell", code=code, sh=sh)


def job(strategy: str, *, name: str = "web", **options: Any) -> Job:
    """A job for what only makes a command line."""
    spec = container("/srv/web", strategy, name=name, **options)
    assert spec.bootstrap is not None
    return Job(
        spec=spec,
        bootstrap=spec.bootstrap,
        root="/srv/.web.partial/rootfs",
        scratch="/srv/.web.partial/scratch",
        final="/srv/web",
        report=Recorder(),
    )


def write_image(path: Path, layers: Sequence[bytes], config: Mapping[str, Any] | None = None) -> Path:
    """An OCI layout with one image, tagged ``image``.

    Args:
        path: The directory to make.
        layers: Tars, compressed with gzip, from the lowest to the highest.
        config: The part of its configuration that is called so.
    """
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    def as_json(content: object) -> bytes:
        return json.dumps(content).encode()

    def diff_id(layer: bytes) -> str:
        with suppress(OSError, EOFError):
            layer = gzip.decompress(layer) if len(layer) < _LARGE else layer
        return f"sha256:{hashlib.sha256(layer).hexdigest()}"

    rootfs = {"type": "layers", "diff_ids": [diff_id(layer) for layer in layers]}
    about = {"architecture": "amd64", "os": "linux", "config": config or {}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "config": blob(as_json(about), "config.v1+json"),
        "layers": [blob(layer, "layer.v1.tar+gzip") for layer in layers],
    }
    described = blob(as_json(manifest), "manifest.v1+json")
    described["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (path / "oci-layout").write_bytes(as_json({"imageLayoutVersion": "1.0.0"}))
    (path / "index.json").write_bytes(as_json({"schemaVersion": 2, "manifests": [described]}))
    return path

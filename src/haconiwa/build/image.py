"""Reading an OCI image from a layout on disk. What is in it may be hostile; every blob is checked by its digest.

See the OCI image specification: image-layout.md, manifest.md, config.md.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from haconiwa.build.unpack import open_archive
from haconiwa.errors import BuildError, printable
from haconiwa.host.files import sha256_of
from haconiwa.spec.image import ImageSpec
from haconiwa.spec.record import Record
from haconiwa.spec.values import Refused, argument, environ_key, inside

_LARGEST = 4 << 20  # of a manifest or configuration, as registries have it
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LAYER = re.compile(r"application/vnd\.(oci\.image\.layer\.v1|docker\.image\.rootfs\.diff)\.tar([.+](gzip|zstd))?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,255})?")
_MOST_LAYERS = 1000
_IDS = 2**32 - 1


class Layer(Record):
    """One layer of an image.

    Attributes:
        digest: Of its blob, as ``sha256:…``.
        size: Of the blob, in bytes.
    """

    digest: str
    size: int


class Layout:
    """An image in a layout.

    Args:
        path: Host path of the layout, which holds one image.
        blobs: Folder of the blobs, when it is not in the layout.

    Attributes:
        layers: From the lowest to the highest.
    """

    def __init__(self, path: str, blobs: str = "") -> None:
        self._blobs = blobs or os.path.join(path, "blobs")
        index = _parse(_read(os.path.join(path, "index.json")), "the index")
        manifests = _list_of(index, "manifests")
        if len(manifests) != 1:
            raise BuildError("cannot read the image", why=f"its layout holds {len(manifests)} images")
        manifest = self._json(manifests[0])
        self.layers = [_layer(entry) for entry in _list_of(manifest, "layers")]
        if len(self.layers) > _MOST_LAYERS:
            raise BuildError("cannot read the image", why=f"it has more than {_MOST_LAYERS} layers")
        config = self._json(manifest.get("config")).get("config")
        self.config: Mapping[str, Any] = config if isinstance(config, dict) else {}

    def open_layer(self, layer: Layer) -> int:
        """A descriptor of a layer whose content is what its digest says."""
        return self._open(layer.digest)

    def _json(self, descriptor: object) -> dict[str, Any]:
        fd = self._open(_digest(descriptor))
        with open(fd, "rb") as file:
            return _parse(file.read(_LARGEST), "the image")

    def _open(self, digest: str) -> int:
        fd = open_archive(os.path.join(self._blobs, *digest.split(":")))
        if sha256_of(fd) != digest.partition(":")[2]:
            os.close(fd)
            hint = f"remove {os.path.join(self._blobs, *digest.split(':'))}, and it is fetched again"
            raise BuildError(f'the blob "{digest}" of the image is damaged', hint=hint)
        return fd


def image_of(config: Mapping[str, Any]) -> ImageSpec:
    """What an image's configuration says about running it.

    Raises:
        BuildError: A value that no container could have.
    """
    command = (*_texts(config, "Entrypoint"), *_texts(config, "Cmd"))
    user, workdir = config.get("User") or "", config.get("WorkingDir") or ""
    try:
        return ImageSpec(
            command=tuple(argument(word) for word in command),
            environ=dict(_variables(_texts(config, "Env"))),
            user=_user(user),
            workdir=inside(workdir) if workdir else "",
        )
    except Refused as refused:
        raise BuildError("cannot use the image", why=f"in its configuration, {refused}") from None


def config_of(image: ImageSpec) -> dict[str, Any]:
    """The configuration that says the same; `image_of` undoes it."""
    config = {
        "Cmd": list(image.command),
        "Env": [f"{name}={value}" for name, value in sorted(image.environ.items())],
        "User": image.user,
        "WorkingDir": image.workdir,
    }
    return {key: value for key, value in config.items() if value}


def _user(value: object) -> str:
    text = argument(value)
    parts = text.split(":") if text else []
    if text and not _USER.fullmatch(text):
        raise Refused(f'"{printable(text[:60])}" is no user')
    if any(part.isdigit() and (len(part) > 10 or int(part) >= _IDS) for part in parts):
        raise Refused(f'"{text}" is no user')
    return text


def _variables(texts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if equals:
            yield environ_key(name), argument(value)


def _texts(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BuildError("cannot read the image", why=f'"{key}" of its configuration is no list of text')
    return tuple(value)


def _layer(entry: object) -> Layer:
    digest = _digest(entry)
    kind, size = entry.get("mediaType"), entry.get("size")  # type: ignore[attr-defined]  # _digest has looked
    if not isinstance(kind, str) or not _LAYER.fullmatch(kind):
        raise BuildError("cannot read the image", why=f'it has a layer of the type "{printable(str(kind)[:100])}"')
    return Layer(digest=digest, size=size if isinstance(size, int) else 0)


def _digest(descriptor: object) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BuildError("cannot read the image", why="it has a part without a sha256 digest")
    return digest


def _list_of(content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise BuildError("cannot read the image", why=f'it has no list "{key}"')
    return value


def _read(path: str) -> bytes:
    with open(open_archive(path), "rb") as file:
        return file.read(_LARGEST)


def _parse(text: bytes, what: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise BuildError(f"cannot read {what}", why="it is no JSON object")
    return content

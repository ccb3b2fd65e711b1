"""The strategy oci: layers over each other, what an image says about running it, registries, and what is no image."""

from __future__ import annotations

import gzip
import io
import json
import os
import select
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from haconiwa.build.create import create
from haconiwa.build.image import Layer, Layout, config_of, image_of
from haconiwa.build.marker import own_marker
from haconiwa.build.place import Place
from haconiwa.build.strategies.oci import blobs_dir
from haconiwa.errors import BuildError, HaconiwaError
from haconiwa.spec.image import ImageSpec
from tests.conftest import RunDirs
from tests.support.build import Recorder, container, write_image
from tests.support.filesystems import on_a_small_disk
from tests.support.hostile import add, directory, link
from tests.support.program import Program

pytestmark = [pytest.mark.requires("root", "skopeo"), pytest.mark.usefixtures("run_dirs")]

Fill = Callable[[tarfile.TarFile], None]
CAP_NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")


def layer(fill: Fill) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        fill(archive)
    return gzip.compress(content.getvalue())


def lower(archive: tarfile.TarFile) -> None:
    for name in ("a", "a/deep", "b", "c", "d", "kept", "usr", "usr/lib"):
        directory(archive, name)
    for name in (
        "a/one",
        "a/deep/two",
        "b/old",
        "c/old",
        "d/old",
        "kept/file",
        "file",
        "usr/lib/gone",
        "usr/lib/stays",
    ):
        add(archive, name)
    link(archive, "lib", "usr/lib")
    link(archive, "loop", "loop")


def upper(archive: tarfile.TarFile) -> None:
    add(archive, ".wh.file", b"")  # a file goes
    add(archive, ".wh.a", b"")  # a directory goes with all that is in it
    add(archive, ".wh.missing", b"")
    add(archive, "loop/.wh.x", b"")
    directory(archive, "b")
    add(archive, "b/new")
    add(archive, "b/.wh..wh..opq", b"")  # after what it does not concern
    add(archive, "c", b"now a file")
    directory(archive, "d")  # stays what it was, with what it had
    link(archive, "hard", "kept/file", tarfile.LNKTYPE)
    add(archive, "lib/.wh.gone", b"")  # through a link within the root
    add(archive, "ping", b"", mode=0o4755, uid=7, pax_headers={"SCHILY.xattr.user.note": "yes"})
    add(archive, "file\n", b"odd")
    add(archive, "null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)


def third(archive: tarfile.TarFile) -> None:
    add(archive, ".wh.file\n", b"")
    link(archive, "d", "kept")  # a link in the place of a directory
    directory(archive, "a")  # again, and empty


def files(top: Path) -> list[str]:
    found = [os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names]
    return sorted(found)


def made(tmp_path: Path, layers: list[bytes], config: dict[str, Any] | None = None, **options: Any) -> Recorder:
    image = write_image(tmp_path / "image", layers, config)
    report = Recorder()
    create(container(tmp_path / "web", "oci", image=f"oci:{image}:image", **options), report)
    return report


def test_layers_lie_over_each_other(tmp_path: Path) -> None:
    report = made(tmp_path, [layer(lower), layer(upper)])
    web = tmp_path / "web"
    assert files(web) == sorted(
        ["b/new", "c", "d/old", "file\n", "hard", "kept/file", "loop", "ping", "usr/lib/stays"]
    )  # fmt: skip
    assert not (web / "a").exists()
    assert (web / "lib").is_symlink()
    assert os.path.samefile(web / "hard", web / "kept/file")
    status = os.stat(web / "ping")
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (7, 0o4755)
    assert os.getxattr(web / "ping", "user.note") == b"yes"
    assert 'left out the device node "null"' in report.texts()
    assert [text[:14] for text in report.texts() if text.startswith("layer ")] == ["layer 1 of 2: ", "layer 2 of 2: "]


def test_a_third_layer(tmp_path: Path) -> None:
    made(tmp_path, [layer(lower), layer(upper), layer(third)], allow_devices=True)
    web = tmp_path / "web"
    assert os.readlink(web / "d") == "kept"
    assert os.listdir(web / "a") == []
    assert not (web / "file\n").exists()
    assert stat.S_ISCHR(os.stat(web / "null").st_mode)


def test_layers_are_kept_on_another_disk_than_the_root(tmp_path: Path) -> None:
    image = write_image(tmp_path.with_name(f"{tmp_path.name}-image"), [layer(lower), layer(upper)])
    spec = container(tmp_path / "web", "oci", image=f"oci:{image}:image")
    on_a_small_disk(tmp_path, "8m", lambda: create(spec, Recorder()))
    assert len(os.listdir(f"{blobs_dir()}/sha256")) == 4
    assert os.listdir(blobs_dir()) == ["sha256"]


def test_layers_are_kept_and_checked(tmp_path: Path) -> None:
    made(tmp_path, [layer(lower)])
    blobs = [Path(blobs_dir()) / "sha256" / name for name in os.listdir(f"{blobs_dir()}/sha256")]
    assert len(blobs) == 3
    assert os.stat(blobs_dir()).st_mode & 0o777 == 0o700
    largest = max(blobs, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    with pytest.raises(BuildError, match=r'the blob "sha256:.*" of the image is damaged'):
        Layout(f"{tmp_path}/image", blobs_dir()).open_layer(Layer(digest=f"sha256:{largest.name}", size=0))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ImageSpec(environ={})),
        (
            {
                "Entrypoint": ["/e"],
                "Cmd": ["c", ""],
                "Env": ["A=1=2", "B=", "C"],
                "User": "me:7",
                "WorkingDir": "/srv/",
            },
            ImageSpec(command=("/e", "c", ""), environ={"A": "1=2", "B": ""}, user="me:7", workdir="/srv"),
        ),
        ({"Entrypoint": None, "Cmd": None, "Env": None, "User": None}, ImageSpec(environ={})),
    ],
)
def test_what_an_image_says(config: dict[str, Any], expected: ImageSpec) -> None:
    assert image_of(config) == expected
    assert image_of(config_of(expected)) == expected


@pytest.mark.parametrize(
    "config",
    [
        {"Cmd": "/bin/sh"}, {"Cmd": [1]}, {"Cmd": ["a\0b"]}, {"Env": {"A": "1"}}, {"Env": ["=x"]}, {"Env": ["A=\0"]},
        {"Env": ["A\n=1"]}, {"User": "a b"}, {"User": ":"}, {"User": "-1"}, {"User": "99999999999"}, {"User": 5},
        {"User": "4294967295"}, {"WorkingDir": "relative"}, {"WorkingDir": "/../x"}, {"WorkingDir": "/\x1b"},
    ],
)  # fmt: skip
def test_what_no_image_can_say(config: dict[str, Any]) -> None:
    with pytest.raises(BuildError, match=r"cannot (use|read) the image"):
        image_of(config)


def test_a_record_is_beside_the_root(tmp_path: Path) -> None:
    made(tmp_path, [layer(lower)], {"Cmd": ["/bin/x"], "User": "7"})
    marker = own_marker(Place(str(tmp_path / "web")))
    assert marker is not None
    assert marker.image == ImageSpec(command=("/bin/x",), environ={}, user="7")


def busybox_layer(template: Path) -> bytes:
    return subprocess.run(["tar", "-C", template, "-cz", "."], check=True, capture_output=True).stdout


HACO = """
from haconiwa import define
with define() as config:
    config.name = {name!r}
    config.chroot_to({root!r})
    with config.bootstrap as b:
        b.strategy = "oci"
        b.image = {image!r}
        b.tls_verify = False
    config.mount_independent("procfs")
    config.namespace.unshare("pid", "uts")
    {more}
"""

CONFIG = {
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ['echo "$GREETING $PATH $PWD $(id -u):$(id -g)"'],
    "Env": ["GREETING=hello", "PATH=/bin:/image"],
    "User": "12:34",
    "WorkingDir": "/etc",
}


@pytest.mark.setting("bootstrap.image")
@pytest.mark.requires("busybox")
def test_the_image_gives_the_defaults_and_the_file_wins(
    busybox_template: Path, haconiwa: Program, run_dirs: RunDirs, haco_file: Any
) -> None:
    image = write_image(run_dirs.base / "image", [busybox_layer(busybox_template)], CONFIG)

    def file(more: str = "") -> Path:
        root = str(run_dirs.base / "web")
        path: Path = haco_file(HACO.format(name="oci-web", root=root, image=f"oci:{image}:image", more=more))
        return path

    started = haconiwa("start", "-b", file())
    assert "hello /bin:/image /etc 12:34\n" in started.stdout + started.stderr
    planned = json.loads(haconiwa("inspect", file()).stdout)[0]
    assert planned["command"] == [*CONFIG["Entrypoint"], *CONFIG["Cmd"]]
    again = haconiwa("start", file('config.environ["GREETING"] = "bye"; config.uid = 5; config.workdir = "/"'))
    assert "bye /bin:/image / 5:5\n" in again.stdout
    other = haconiwa("start", file(), "--", "/bin/sh", "-c", "echo other $GREETING")
    assert "other hello\n" in other.stdout
    whole = haconiwa("start", file('config.init_command = ["/bin/echo", "own"]'))
    assert "own\n" in whole.stdout


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on the loopback device; its address."""
    config = tmp_path / "registry.yml"
    log = tmp_path / "registry.log"
    config.write_text(
        "version: 0.1\nlog: {level: info}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        "http: {addr: '127.0.0.1:0'}\n",
        encoding="ascii",
    )  # fmt: skip
    with open(log, "wb") as output:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=output, stderr=output)
    try:
        yield f"127.0.0.1:{_port(process)}"
    finally:
        process.terminate()
        process.wait()


def _port(process: subprocess.Popen[bytes]) -> int:
    """The port that a process listens on, as soon as it does."""
    ended = os.pidfd_open(process.pid)
    try:
        for _ in range(2000):
            command = ["ss", "-Hltnp"]
            lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
            mine = [line for line in lines if f"pid={process.pid}," in line]
            if mine:
                return int(mine[0].split()[3].rpartition(":")[2])
            assert not select.select([ended], [], [], 0.01)[0], "the registry has ended"
    finally:
        os.close(ended)
    raise AssertionError("the registry does not listen")


@pytest.mark.setting("bootstrap.tls_verify")
@pytest.mark.requires("registry")
def test_an_image_from_a_registry(tmp_path: Path, registry: str) -> None:
    image = write_image(tmp_path / "image", [layer(lower), layer(upper)], {"Cmd": ["/x"]})
    pushed = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"]
    name = f"docker://{registry}/group/web:1"
    subprocess.run([*pushed, f"oci:{image}:image", name], check=True, capture_output=True)
    create(container(tmp_path / "web", "oci", image=name, tls_verify=False), Recorder())
    assert "b/new" in files(tmp_path / "web")
    with pytest.raises(BuildError, match='"skopeo" failed') as raised:
        create(container(tmp_path / "tls", "oci", image=name), Recorder())
    assert any("HTTP response to HTTPS client" in line for line in raised.value.last_lines)
    with pytest.raises(BuildError) as raised:
        create(container(tmp_path / "tag", "oci", image=f"{name}2", tls_verify=False), Recorder())
    assert any("manifest unknown" in line for line in raised.value.last_lines)
    assert not (tmp_path / "tag").exists()


def test_an_image_from_a_docker_archive(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", [layer(lower), layer(upper)])
    archive = f"docker-archive:{tmp_path}/image.tar"
    copied = ["skopeo", "--insecure-policy", "copy", f"oci:{image}:image", f"{archive}:web:1"]
    subprocess.run(copied, check=True, capture_output=True)
    create(container(tmp_path / "web", "oci", image=archive), Recorder())
    assert "b/new" in files(tmp_path / "web")


@pytest.mark.parametrize(
    "config", [{"Cmd": "sh"}, {"Env": ["A=\0"]}, {"User": "a b"}, {"WorkingDir": "x"}, {"Cmd": [["x"]]}]
)
def test_an_image_with_a_bad_configuration_leaves_nothing(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(HaconiwaError):
        made(tmp_path, [layer(lower)], config)
    assert os.listdir(tmp_path) == ["image"]


def test_an_image_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    with pytest.raises(BuildError, match='"skopeo" failed'):
        create(container(tmp_path / "web", "oci", image=f"oci:{tmp_path}/image:image"), Recorder())
    assert os.listdir(tmp_path) == ["image"]

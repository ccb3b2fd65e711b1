"""Archives that come by HTTP, from a server of the test's own."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.build.download import downloads_dir
from haconiwa.errors import BuildError
from tests.support.build import Recorder, container
from tests.support.filesystems import on_a_small_disk
from tests.support.web import Server, served

pytestmark = [pytest.mark.requires("root"), pytest.mark.usefixtures("run_dirs")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "tree/bin").mkdir(parents=True)
    (tmp_path / "tree/bin/file").touch()
    content = subprocess.run(["tar", "-C", tmp_path / "tree", "-cz", "."], capture_output=True, check=True).stdout
    with served(content) as one:
        yield one


def digest(server: Server) -> str:
    return hashlib.sha256(server.content).hexdigest()


def fetch(tmp_path: Path, url: str, sha256: str = "") -> Recorder:
    report = Recorder()
    create(container(tmp_path / "web", "tarball", archive_path=url, sha256=sha256), report)
    return report


@pytest.mark.setting("bootstrap.sha256")
@pytest.mark.parametrize("path", ["file", "moved"])
def test_an_archive_is_fetched_and_checked(tmp_path: Path, server: Server, path: str) -> None:
    report = fetch(tmp_path, server.url(path), digest(server))
    assert os.listdir(tmp_path / "web") == ["bin"]
    assert any(digest(server) in text for text in report.texts())


def test_what_is_known_is_fetched_once(tmp_path: Path, server: Server) -> None:
    fetch(tmp_path, server.url("file"), digest(server))
    create(
        container(tmp_path / "other", "tarball", archive_path=server.url("gone"), sha256=digest(server)), Recorder()
    )  # fmt: skip
    assert server.asked == ["/file"]
    kept = Path(downloads_dir()) / digest(server)
    assert os.stat(downloads_dir()).st_mode & 0o777 == 0o700
    kept.write_bytes(b"damaged")
    create(container(tmp_path / "third", "tarball", archive_path=server.url("file"), sha256=digest(server)), Recorder())
    assert kept.read_bytes() == server.content


def test_it_is_kept_on_another_disk_than_the_root(tmp_path: Path, server: Server) -> None:
    small = tmp_path / "small"
    small.mkdir()
    on_a_small_disk(small, "8m", lambda: fetch(small, server.url("file"), digest(server)))
    assert os.listdir(downloads_dir()) == [digest(server)]


@pytest.mark.setting("bootstrap.sha256")
@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("file", "0" * 64, "is not what was expected: its sha256 is "),
        ("missing", "", "the server answered 404 Not Found"),
        ("short", "", "IncompleteRead"),
        ("outside", "", "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("outside", "0" * 64, "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("moved", "", 'it leads to "http://'),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, server: Server, path: str, sha256: str, message: str) -> None:
    with pytest.raises(BuildError) as raised:
        fetch(tmp_path, server.url(path), sha256)
    assert message in str(raised.value)
    assert os.listdir(tmp_path) == ["tree"]


def test_a_server_that_is_not_there(tmp_path: Path, server: Server) -> None:
    url = "http://127.0.0.1:1/file"
    with pytest.raises(BuildError, match=r"web: cannot fetch .*: Connection refused \(ECONNREFUSED\)"):
        fetch(tmp_path, url, digest(server))


def test_a_local_file_by_url_is_checked_too(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "with blank.tgz"
    path.write_bytes(server.content)
    with pytest.raises(BuildError, match="is not what was expected"):
        fetch(tmp_path, f"file://{tmp_path}/with%20blank.tgz", "0" * 64)
    fetch(tmp_path, f"file://{tmp_path}/with%20blank.tgz", digest(server))
    assert os.listdir(tmp_path / "web") == ["bin"]

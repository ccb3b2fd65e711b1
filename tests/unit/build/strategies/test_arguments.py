from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.build import unpack
from haconiwa.build.strategies import NAMES, debootstrap, git, load_strategy, lxc, oci
from haconiwa.errors import ConfigError, HostError
from haconiwa.spec.git import _FLAGS, _WITH_VALUE
from tests.support.build import job

ROOT = "/srv/.web.partial/rootfs"


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_can_be_loaded_and_has_a_label(name: str) -> None:
    strategy = load_strategy(name)
    assert strategy.LABEL
    assert callable(strategy.bootstrap)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ConfigError, match='no strategy "os"'):
        load_strategy("os")


def test_lxc_command_line() -> None:
    asked = job("lxc", os_type="alpine", template_options=("--release", "v3.20"))
    assert lxc.arguments(asked) == [
        "--name=web",
        "--template=alpine",
        "--lxcpath=/srv/.web.partial/scratch",
        "--config=/dev/null",
        "--bdev=dir",
        f"--dir={ROOT}",
        "--",
        "--release",
        "v3.20",
    ]


def test_lxc_without_template_options_and_with_a_name() -> None:
    line = lxc.arguments(job("lxc", os_type="busybox", project_name="-x"))
    assert line[0] == "--name=-x"
    assert "--" not in line


def test_lxc_needs_a_template() -> None:
    with pytest.raises(ConfigError, match=r'os_type is not set, the strategy "lxc" needs it'):
        lxc.arguments(job("lxc"))


@pytest.mark.parametrize("name", ["no-such-system", "../../../bin/sh", "/nowhere/lxc-x"])
def test_lxc_template_that_is_not_there(name: str) -> None:
    with pytest.raises(HostError, match=f'LXC has no template "{name}"'):
        lxc.require_template(name)


@pytest.mark.parametrize(
    ("template", "programs"),
    [("debian", ("lxc-create", "debootstrap", "rsync")), ("alpine", ("lxc-create",))],
)
def test_programs_that_a_template_would_miss_too_late(template: str, programs: tuple[str, ...]) -> None:
    assert lxc.required_programs(template) == programs


@pytest.mark.setting("bootstrap.arch", "bootstrap.components", "bootstrap.keyring", "bootstrap.mirror_url")
def test_debootstrap_command_line() -> None:
    asked = job(
        "debootstrap",
        arch="arm64",
        variant="buildd",
        components="main,contrib",
        debian_release="bookworm",
        mirror_url="http://mirror.example/debian",
        keyring="/k.gpg",
    )
    assert debootstrap.arguments(asked) == [
        "--arch=arm64",
        "--variant=buildd",
        "--components=main,contrib",
        "--keyring=/k.gpg",
        "bookworm",
        ROOT,
        "http://mirror.example/debian",
    ]


def test_debootstrap_defaults() -> None:
    assert debootstrap.arguments(job("debootstrap"))[:3] == ["--variant=minbase", "stable", ROOT]


def test_debootstrap_leaves_a_release_that_this_machine_has_no_mirror_for_to_the_tool() -> None:
    assert debootstrap.arguments(job("debootstrap", debian_release="no-such"))[1:] == ["no-such", ROOT]


@pytest.mark.setting("bootstrap.tool")
def test_mmdebstrap_command_line() -> None:
    asked = job("debootstrap", tool="mmdebstrap", arch="arm64", debian_release="x", mirror_url="http://m/debian")
    assert debootstrap.arguments(asked) == [
        "--mode=root", "--format=directory", "--architectures=arm64", "--variant=minbase", "x", ROOT, "http://m/debian",
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["debian_release", "mirror_url"])
def test_debootstrap_takes_no_option_for_a_name(option: str) -> None:
    with pytest.raises(ConfigError, match="would be an option of debootstrap"):
        debootstrap.arguments(job("debootstrap", **{option: "--unpack-tarball=/x"}))


@pytest.mark.setting("bootstrap.git_options")
def test_git_command_line() -> None:
    line = git.arguments(job("git", git_url="https://git.example/root.git", git_options=("--depth", "1", "-b", "main")))
    clone = line.index("clone")
    assert set(line[1:clone:2]) == {"core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false"}
    assert line[clone:] == [
        "clone", "--template=", "--no-recurse-submodules", "--depth", "1", "-b", "main",
        "--", "https://git.example/root.git", ROOT,
    ]  # fmt: skip


@pytest.mark.setting("bootstrap.git_branch", "bootstrap.git_depth", "bootstrap.git_submodules")
def test_git_branch_depth_and_submodules() -> None:
    asked = job("git", git_url="https://h/x", git_branch="v1", git_depth=1, git_submodules=True)
    line = git.arguments(asked)
    assert line[line.index("--template=") + 1 : line.index("--")] == [
        "--branch=v1",
        "--depth=1",
        "--recurse-submodules",
    ]


@pytest.mark.parametrize(("url", "local"), [("https://h/x", False), ("/srv/x", True), ("file:///srv/x", True)])
def test_git_submodules_of_a_repository_from_elsewhere_are_not_local(url: str, local: bool) -> None:
    allowed = git.environment(job("git", git_url=url))["GIT_ALLOW_PROTOCOL"].split(":")
    assert ("file" in allowed) is local
    assert {"http", "https", "ssh", "git"} <= {*allowed}
    assert "ext" not in allowed


@pytest.mark.parametrize(
    "url",
    [
        "http://h/x", "https://user:pw@h/x.git", "ssh://git@h:22/x", "git://h/x", "file:///srv/x", "/srv/x",
        "/srv/a::b", "git@host.example:project/x.git", "host:x",
    ],
)  # fmt: skip
def test_git_urls_that_are_taken(url: str) -> None:
    assert git.arguments(job("git", git_url=url))[-2] == url


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c true", "ext::sh", "fd::7", "-u/bin/sh", "--upload-pack=x", "ssh://-oProxyCommand=x/y",
        "ssh://me@-oProxyCommand=x/y", "-oProxyCommand=x:y", "ftp://h/x", "rsync://h/x", "HTTPS+ext://h", "https:://h",
        "relative/path", "", "a\nb", "https://h/\x1b[2J", "::x", "http::https://h/x", "-host:path",
    ],
)  # fmt: skip
def test_git_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="git_url"):
        git.arguments(job("git", git_url=url))


@pytest.mark.parametrize(
    "options",
    [
        ["--upload-pack=x"], ["--upload-pack", "x"], ["-u", "x"], ["-ux"], ["--upload", "x"],
        ["-c", "core.sshCommand=x"],
        ["--config=core.fsmonitor=x"], ["--recurse-submodules"], ["--recursive"], ["--template=/x"],
        ["--separate-git-dir=/x"], ["--reference", "/x"], ["--bundle-uri=x"], ["--depth"], ["--depth", "--bare"],
        ["--quiet", "/etc"], ["--quiet=1"], ["--"], ["--bare"], ["--mirror"], ["-b=x"], [""],
    ],
)  # fmt: skip
def test_git_options_that_are_refused(options: list[str]) -> None:
    with pytest.raises(ConfigError, match="git_options"):
        git.arguments(job("git", git_url="/srv/x", git_options=options))


@given(st.lists(st.text(st.sampled_from("-abcu=/x "), min_size=1, max_size=8), max_size=4))
def test_git_never_takes_a_word_that_it_does_not_know(options: list[str]) -> None:
    try:
        line = git.arguments(job("git", git_url="/srv/x", git_options=options))
    except ConfigError:
        return
    taken = line[line.index("--no-recurse-submodules") + 1 : line.index("--")]
    assert taken == options
    assert all(not word.startswith("-") or word.partition("=")[0] in _FLAGS | _WITH_VALUE for word in taken)


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\0\0", "xz"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"./\0\0\0\0", ""),
        (b"", ""),
    ],
)
def test_compression_is_told_by_content(beginning: bytes, expected: str) -> None:
    assert unpack.decompressor(beginning) == expected


def test_tar_command_line() -> None:
    line = unpack.arguments(["--strip-components=1"])
    assert line[0] == "--extract"
    assert line[-2:] == ["--strip-components=1", "--file=-"]
    assert "--absolute-names" not in line


def test_skopeo_command_line() -> None:
    asked = job("oci", image="docker://registry.example/x:1", arch="arm64", tls_verify=False)
    line = oci.arguments(asked, "/s/image")
    assert line[-2:] == ["docker://registry.example/x:1", "oci:/s/image:image"]
    assert {"--override-arch=arm64", "--src-tls-verify=false"} <= {*line}


def test_skopeo_verifies_unless_told_otherwise() -> None:
    assert "--src-tls-verify=false" not in oci.arguments(job("oci", image="docker://h/x"), "/s/image")

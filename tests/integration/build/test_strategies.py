"""The strategies for real, on small trees."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.errors import BuildError
from haconiwa.spec.build import PostprocessSpec
from tests.support.build import Recorder, container

pytestmark = pytest.mark.requires("root")


def archive(tree: Path, path: Path, option: str) -> Path:
    subprocess.run(["tar", "-C", tree, option, "-cf", path, "."], check=True)
    return path


def difference(left: Path, right: Path) -> str:
    """What diff and a listing with modes, owners and link targets see."""
    listing = "find . -printf '%P %M %U:%G %l\\n' | sort"
    shown = [subprocess.run(["sh", "-c", listing], cwd=tree, capture_output=True, text=True) for tree in (left, right)]
    assert shown[0].stdout == shown[1].stdout
    command = ["diff", "-r", "--no-dereference", str(left), str(right)]
    return subprocess.run(command, capture_output=True, text=True).stdout


@pytest.mark.setting("bootstrap.strategy", "bootstrap.archive_path")
@pytest.mark.requires("busybox", "bzip2", "xz", "zstd")
@pytest.mark.parametrize("option", ["--gzip", "--bzip2", "--xz", "--zstd", "--sort=name"])
def test_tarball_of_every_compression(busybox_template: Path, tmp_path: Path, option: str) -> None:
    path = archive(busybox_template, tmp_path / "root.archive", option)
    report = Recorder()
    create(container(tmp_path / "web", "tarball", archive_path=str(path)), report)
    assert difference(busybox_template, tmp_path / "web") == ""
    assert report.told == ["Creating rootfs of web...", "Start bootstrapping rootfs with tar...", "Success!"]
    assert subprocess.run(["chroot", tmp_path / "web", "/bin/true"]).returncode == 0


@pytest.mark.setting("bootstrap.tar_options")
@pytest.mark.requires("busybox")
def test_tarball_with_options(busybox_template: Path, tmp_path: Path) -> None:
    path = archive(busybox_template, tmp_path / "root.tgz", "--gzip")
    options = ("--exclude=./etc/*", "--verbose")
    report = Recorder()
    create(container(tmp_path / "web", "tarball", archive_path=str(path), tar_options=options), report)
    assert os.listdir(tmp_path / "web/etc") == []
    assert ("bootstrap.tarball", "./bin/busybox") in report.lines


@pytest.mark.setting("bootstrap.allow_devices")
@pytest.mark.parametrize("allowed", [False, True])
def test_tarball_makes_devices_only_when_allowed(tmp_path: Path, allowed: bool) -> None:
    tree = tmp_path / "tree"
    (tree / "dev").mkdir(parents=True)
    (tree / "file").touch()
    os.mknod(tree / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    path = archive(tree, tmp_path / "root.tar", "--sort=name")
    report = Recorder()
    create(container(tmp_path / "web", "tarball", archive_path=str(path), allow_devices=allowed), report)
    assert (tmp_path / "web/file").exists()
    assert (tmp_path / "web/dev/null").exists() is allowed
    assert ('left out the device node "./dev/null"' in report.texts()) is not allowed


def test_tarball_keeps_setuid_owners_and_capabilities(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "su").touch()
    os.chown(tree / "su", 12, 34)
    os.chmod(tree / "su", 0o4751)
    (tree / "ping").touch()
    capability = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep
    os.setxattr(tree / "ping", "security.capability", capability)
    path = tmp_path / "root.tar"
    subprocess.run(["tar", "-C", tree, "--xattrs", "-cf", path, "."], check=True)
    create(container(tmp_path / "web", "tarball", archive_path=str(path)), Recorder())
    status = os.stat(tmp_path / "web/su")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12, 34, 0o4751)
    assert os.getxattr(tmp_path / "web/ping", "security.capability") == capability


def test_tarball_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r'web: cannot open ".*/no.tar": No such file or directory \(ENOENT\)'):
        create(container(tmp_path / "web", "tarball", archive_path=str(tmp_path / "no.tar")), Recorder())


@pytest.mark.setting("bootstrap.code")
def test_shell_is_run_whole_with_rootfs_as_directory(tmp_path: Path) -> None:
    report = Recorder()
    code = 'set -u\nx=1\necho "$x $ROOTFS $PWD"\ncat\nmkdir bin\nulimit -n > bin/limit\n'
    create(container(tmp_path / "web", "shell", code=code), report)
    private = f"{tmp_path}/.web.partial/rootfs"
    assert f"1 {private} {private}" in report.texts()
    assert {prefix for prefix, _ in report.lines} == {"bootstrap.shell"}
    assert os.listdir(tmp_path / "web") == ["bin"]
    assert report.told == [
        "Creating rootfs of web...",
        "Start bootstrapping rootfs with shell script...",
        "Command success: /bin/sh -xe exited 0",
        "Success!",
    ]


def test_shell_of_any_size(tmp_path: Path) -> None:
    code = f"mkdir bin; : {'x' * 300_000}\ntouch bin/end\n"
    create(container(tmp_path / "web", "shell", code=code), Recorder())
    assert os.listdir(tmp_path / "web/bin") == ["end"]


def test_shell_that_makes_the_final_path_itself(tmp_path: Path) -> None:
    root = tmp_path / "web"
    create(container(root, "shell", code=f"mkdir -p {root}/bin"), Recorder())
    assert os.listdir(root) == ["bin"]
    report = Recorder()
    create(container(root, "shell", code="exit 1"), report)
    assert report.told == [f"Rootfs {root} is already there"]


def test_mounts_and_processes_of_a_script_do_not_stay(tmp_path: Path) -> None:
    code = "mkdir m\nmount -t tmpfs tmpfs m\nsleep 1000 &\ntouch m/hidden\n"
    before = Path("/proc/self/mountinfo").read_text(encoding="ascii")
    create(container(tmp_path / "web", "shell", code=code), Recorder())
    assert Path("/proc/self/mountinfo").read_text(encoding="ascii") == before
    assert os.listdir(tmp_path / "web/m") == []


@pytest.mark.setting("bootstrap.code")
def test_python_function_gets_the_directory(tmp_path: Path) -> None:
    def fill(directory: str) -> None:
        print(f"filling {directory}")
        os.mkdir(os.path.join(directory, "bin"))

    report = Recorder()
    create(container(tmp_path / "web", "python", code=fill), report)
    assert report.lines == [("bootstrap.python", f"filling {tmp_path}/.web.partial/rootfs")]
    assert os.listdir(tmp_path / "web") == ["bin"]


def test_python_code_finds_the_directory(tmp_path: Path) -> None:
    code = "import os\nos.makedirs(rootfs + '/bin')\nassert os.getcwd() == rootfs\n"
    create(container(tmp_path / "web", "python", code=code), Recorder())
    assert os.listdir(tmp_path / "web") == ["bin"]


def test_python_that_raises_shows_the_users_frames_only(tmp_path: Path) -> None:
    def fill(directory: str) -> None:
        raise ValueError("bad\x1b[2J")

    report = Recorder()
    with pytest.raises(BuildError, match=r"raised ValueError: bad\\x1b\[2J"):
        create(container(tmp_path / "web", "python", code=fill), report)
    assert report.texts()[0].startswith(f'  File "{__file__}"')
    assert "src/haconiwa" not in "".join(report.texts())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("code", ["import os; os._exit(3)", "import sys; sys.exit(3)"])
def test_python_that_exits_has_failed(tmp_path: Path, code: str) -> None:
    with pytest.raises(BuildError, match="exited 3"):
        create(container(tmp_path / "web", "python", code=code), Recorder())


def test_what_python_changes_in_its_process_stays_there(tmp_path: Path) -> None:
    code = "import os\nos.mkdir('bin')\nos.environ['X_BUILD'] = '1'\nos.chdir('/')\nos.close(2)\n"
    before = os.getcwd()
    create(container(tmp_path / "web", "python", code=code), Recorder())
    assert (os.getcwd(), "X_BUILD" in os.environ) == (before, False)


@pytest.mark.setting("bootstrap.git_url")
@pytest.mark.requires("git")
def test_git_clone_runs_nothing_of_the_repository(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    (origin / "bin").mkdir(parents=True)
    (origin / "bin/tool").write_text("#!/bin/sh\n", encoding="ascii")
    (origin / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% /x\n', encoding="ascii")
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *identity, *command], cwd=origin, check=True)
    hook = origin / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n", encoding="ascii")
    hook.chmod(0o755)
    report = Recorder()
    create(container(tmp_path / "web", "git", git_url=str(origin), git_options=("--depth", "1")), report)
    assert sorted(os.listdir(tmp_path / "web")) == [".git", ".gitmodules", "bin"]
    assert not (tmp_path / "hook-ran").exists()
    assert not (tmp_path / "web/.git/hooks").exists()
    assert report.told[1] == "Start bootstrapping rootfs with git clone..."


def test_host_is_a_private_skeleton_without_secrets(tmp_path: Path) -> None:
    root = tmp_path / "web"
    create(container(root, "host"), Recorder())
    for path in ("usr", "proc", "sys", "dev", "run/lock", "tmp", "home", "root", "var/tmp", "var/log"):
        assert os.path.isdir(root / path)
        assert os.listdir(root / path) == ([] if path != "run" else ["lock"])
    modes = {path: stat.S_IMODE(os.stat(root / path).st_mode) for path in ("", "tmp", "var/tmp", "root", "etc")}
    assert modes == {"": 0o755, "tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "etc": 0o755}
    for secret in ("shadow", "gshadow", "machine-id", "ssh", "ssl/private", "security/opasswd", "sudoers"):
        assert not os.path.lexists(root / "etc" / secret)
    assert (root / "etc/hostname").read_text(encoding="ascii") == "web\n"
    assert (root / "etc/nsswitch.conf").read_text(encoding="ascii").startswith("passwd: files\n")
    assert {os.path.islink(root / "bin"), os.path.islink("/bin")} != {True, False}


def test_host_copies_only_what_everybody_may_read_and_no_link_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "web"
    create(container(root, "host"), Recorder())
    for parent, directories, files in os.walk(root / "etc"):
        for name in (*directories, *files):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            assert stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_IROTH
            assert status.st_mode & 0o7000 == 0
            assert (status.st_uid, status.st_gid) == (0, 0)
            if os.path.islink(path) and name != "mtab":
                folder = "/" + os.path.relpath(parent, root)
                target = os.path.normpath(os.path.join(folder, os.readlink(path)))
                assert target.startswith(("/usr/", "/etc/"))


@pytest.mark.setting("bootstrap.paths")
def test_host_shows_more_paths(tmp_path: Path) -> None:
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/file").touch()
    root = tmp_path / "web"
    paths, extra = ("/usr",), (f"{tmp_path}/data/deep", f"{tmp_path}/data/file")
    create(container(root, "host", paths=paths, extra=extra), Recorder())
    assert os.path.isdir(f"{root}{tmp_path}/data/deep")
    assert os.path.isfile(f"{root}{tmp_path}/data/file")
    with pytest.raises(BuildError, match=r'cannot show "/no/such" of the host: No such file'):
        create(container(tmp_path / "other", "host", extra=("/no/such",)), Recorder())


def test_the_umask_of_the_caller_does_not_matter(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        create(container(tmp_path / "web", "host"), Recorder())
        create(container(tmp_path / "script", "shell", code="touch file"), Recorder())
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    for path in ("web/etc/passwd", "web/var/log", "web/usr", "script/file"):
        assert os.stat(tmp_path / path).st_mode & stat.S_IROTH


@pytest.mark.setting("bootstrap.postprocess")
def test_postprocess_runs_in_order_before_the_root_is_there(tmp_path: Path) -> None:
    seen = []

    def look(text: str) -> None:
        seen.append((text, os.path.exists(tmp_path / "web")))

    def second(directory: str) -> None:
        print("second", os.listdir(directory))

    steps = (
        PostprocessSpec(kind="shell", code="touch $ROOTFS/first\necho first"),
        PostprocessSpec(kind="python", code=second),
    )
    report = Recorder(look)
    create(container(tmp_path / "web", "shell", code="mkdir bin", postprocess=steps), report)
    assert ("first", False) in seen
    assert ("second ['first', 'bin']" in report.texts()) or ("second ['bin', 'first']" in report.texts())
    assert {prefix for prefix, _ in report.lines} == {"bootstrap.shell", "postprocess.shell", "postprocess.python"}


def test_a_postprocess_that_fails_leaves_nothing(tmp_path: Path) -> None:
    steps = (PostprocessSpec(kind="shell", code="exit 4"),)
    with pytest.raises(BuildError, match="web: the postprocess script failed: exited 4"):
        create(container(tmp_path / "web", "shell", code="mkdir bin", postprocess=steps), Recorder())
    assert os.listdir(tmp_path) == []


@pytest.mark.setting("rootfs_owner")
def test_the_owner_is_given_the_root(tmp_path: Path) -> None:
    create(container(tmp_path / "web", "shell", code="mkdir bin", owner=(1234, 5678)), Recorder())
    status = os.stat(tmp_path / "web")
    assert (status.st_uid, status.st_gid) == (1234, 5678)
    marker = json.loads((tmp_path / ".web.haconiwa.json").read_text(encoding="ascii"))
    assert marker["inode"] == status.st_ino

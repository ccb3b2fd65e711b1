"""Rules, profiles and the cache, seen from inside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")

STATUS = "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp|Uid)' /proc/self/status"

ENOUGH_FOR_BUSYBOX = """
    access arch_prctl brk execve exit exit_group fstat getegid geteuid getgid getrandom getuid mmap mprotect munmap
    newfstatat open openat prctl prlimit64 read readlink readlinkat rseq rt_sigaction set_robust_list set_tid_address
    setgid setuid uname write
""".split()

USER_NAMESPACE = """
config.namespace.set_uid_mapping(min=0, max=9, offset=100000)
config.namespace.set_gid_mapping(min=0, max=9, offset=100000)
"""


def status(box: Box, settings: str = "", **options: object) -> dict[str, list[str]]:
    box.write(settings, **options)  # type: ignore[arg-type]
    lines = [line.split() for line in box.sh(STATUS).splitlines()]
    return {key.rstrip(":"): values for key, *values in lines}


def without_filters(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {key: values for key, values in found.items() if not key.startswith("Seccomp")}


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "config.no_new_privs = True",
        "config.uid = 1000",
        'config.uid = 1000; config.capabilities.ambient("net_raw")',
        'config.capabilities.drop("all")',
        'config.capabilities.allow("sys_admin")',
        USER_NAMESPACE,
    ],
    ids=["plain", "no_new_privs", "uid", "ambient", "no capabilities", "sys_admin", "user namespace"],
)
def test_the_filter_is_there_and_nothing_else_has_changed(box: Box, settings: str) -> None:
    found = status(box, settings)
    without = status(box, f'{settings}\nconfig.seccomp.profile = "unconfined"')
    assert (found["Seccomp"], found["Seccomp_filters"]) == (["2"], ["1"])
    assert (without["Seccomp"], without["Seccomp_filters"]) == (["0"], ["0"])
    assert without_filters(found) == without_filters(without)


def test_privileged_containers_have_none(box: Box) -> None:
    assert status(box, "config.capabilities.reset_to_privileged()")["Seccomp"] == ["0"]
    settings = 'config.capabilities.reset_to_privileged()\nconfig.seccomp.profile = "default"'
    assert status(box, settings)["Seccomp"] == ["2"]


@pytest.mark.setting("seccomp.filter")
def test_rules(box: Box) -> None:
    box.write(
        """
        from haconiwa import arg
        with config.seccomp.filter() as rule:
            rule.allow("chmod", "fchmodat", when=arg(1 if os.uname().machine == "x86_64" else 2) == 0o700)
            rule.errno("chmod", "fchmodat", "fchmodat2", code="EROFS")
            rule.errno("link", "linkat", code=38)
            rule.kill("rmdir", "unlinkat")
            rule.log("symlink", "symlinkat")
            rule.trap("truncate", "ftruncate")
            rule.trace("mknod", "mknodat", message=5)
        """
    )
    script = """
        touch /tmp/x; chmod 700 /tmp/x && echo 700; chmod 600 /tmp/x; ln /tmp/x /tmp/y; ln -s x /tmp/z && echo linked
        mkdir /tmp/d; rmdir /tmp/d; echo $?
        truncate -s 1 /tmp/x; echo $?
        mkfifo /tmp/f; echo $?
    """
    done = box.run("/bin/sh", "-c", script)
    assert done.stdout.split() == ["700", "linked", "159", "159", "1"]
    assert "chmod: /tmp/x: Read-only file system" in done.stderr
    assert done.stderr.count("Function not implemented") == 2


def test_the_end_of_the_first_process_is_told(box: Box) -> None:
    box.write('config.seccomp.filter().kill("mkdir", "mkdirat")')
    done = box.run("mkdir", "/tmp/x", expect=159)
    assert "finish detected: signaled(31), by seccomp" in done.stderr
    events = [json.loads(line) for line in box.haconiwa("events", "--json", box.name).stdout.splitlines()]
    ended = next(event for event in events if event["event"] == "exited")
    assert (ended["reason"], ended["exit_status"]) == ("seccomp", 159)


@pytest.mark.parametrize("settings", ["", "config.no_new_privs = True", "config.uid = 1000"])
def test_a_filter_with_nothing_but_what_the_program_needs(box: Box, settings: str) -> None:
    box.write(
        f"""
        {settings}
        with config.seccomp.filter(default="kill") as rule:
            rule.allow(*{ENOUGH_FOR_BUSYBOX!r})
        """
    )
    assert box.run("echo", "lives").stdout == "lives\n"
    box.run("mkdir", "/tmp/x", expect=159)
    assert "cannot execute" in box.fails("nothing-of-the-kind", expect=127)


def test_attach_has_the_rules_too(box: Box) -> None:
    box.write('config.seccomp.filter().errno("mkdir", "mkdirat", code="EROFS")')
    box.daemon()
    assert "Read-only file system" in box.attach("mkdir", "/tmp/x", expect=1).stderr
    assert "Seccomp_filters:\t2" in box.attach("cat", "/proc/self/status").stdout
    shown = json.loads(box.haconiwa("inspect", box.name).stdout)[0]["config"]["seccomp"]
    assert shown["profile"] == "default"
    assert shown["filters"][0]["rules"][0]["names"] == ["mkdir", "mkdirat"]
    box.stop()


def test_plan_tells(box: Box) -> None:
    box.write('config.seccomp.filter(default="log").errno("mkdir", "mkdirat")')
    assert "load the seccomp filters: the default profile; 1 rule, else log\n" in box.haconiwa("plan", box.file).stdout


def profile(folder: Path, text: str = "") -> Path:
    path = folder / "own.json"
    allowed = [{"names": ENOUGH_FOR_BUSYBOX, "action": "SCMP_ACT_ALLOW"}]
    path.write_text(text or json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 30, "syscalls": allowed}))
    return path


def test_a_profile_in_dockers_form(box: Box) -> None:
    path = profile(box.folder)
    box.write('config.seccomp.profile = "own.json"')
    assert "Read-only file system" in box.run("mkdir", "/tmp/x", expect=1).stderr
    box.run("true")
    path.chmod(0o666)
    for command in ("check", "start"):
        told = box.haconiwa(command, box.file, expect=2).stderr
        assert f'{box.file}:{box.settings_line}: seccomp.profile: others can write to "{path}"' in told
    path.chmod(0o644)
    profile(box.folder, '{"defaultAction": "SCMP_ACT_ERNO"}')
    for command in ("check", "start"):
        told = box.haconiwa(command, box.file, expect=2).stderr
        assert f'{box.settings_line}: seccomp.profile: "own.json": defaultAction: "SCMP_ACT_ERNO" is no action' in told
    with path.open("r+b") as file:
        file.truncate(100 << 20)
    assert "is larger than 1048576 bytes" in box.haconiwa("check", box.file, expect=2).stderr
    path.unlink()
    os.mkfifo(path)
    assert "is not a regular file" in box.haconiwa("check", box.file, expect=2).stderr


def test_the_recorded_profile_counts_for_attach(box: Box) -> None:
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}
    path = profile(box.folder, json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    box.write('config.seccomp.profile = "own.json"')
    box.daemon()
    path.unlink()
    assert "Read-only file system" in box.attach("mkdir", "/tmp/x", expect=1).stderr
    box.stop()


def test_what_is_cached_is_used_and_what_is_planted_is_not(box: Box) -> None:
    cache = Path(os.environ["HACONIWA_CACHE_DIR"]) / "seccomp"
    assert status(box)["Seccomp_filters"] == ["1"]
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    assert status(box)["Seccomp_filters"] == ["1"]
    assert file.stat().st_mtime_ns == before
    os.chown(file, 1000, 1000)
    assert status(box)["Seccomp_filters"] == ["1"]
    assert file.stat().st_uid == 0
    file.write_bytes(b"damaged")
    assert status(box)["Seccomp_filters"] == ["1"]
    assert file.stat().st_size > 1000
    cache.chmod(0o777)
    assert status(box)["Seccomp_filters"] == ["1"]


def test_provisioning_is_filtered(box: Box) -> None:
    box.write(
        rest='config.provision.run_shell("grep Seccomp: /proc/self/status; unshare true && echo unshared || true")'
    )
    done = box.haconiwa("provision", box.file)
    said = done.stdout + done.stderr
    assert "Seccomp:\t2" in said
    assert "unshared\n" not in said

"""A haco file that uses every setting, for the type checkers; `test_typing.py` loads it too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import assert_type

from haconiwa import Barn, Base, Call, Container, arg, define

CALLS = {"ticks": 0}


def other_sources(c: Container) -> None:
    """What needs another strategy, or a host that has it, than the rest of this file."""
    c.add_device("/dev/fuse", access="rw")
    c.lxcfs_root = "/var/lib/lxcfs"
    c.rootfs.idmap = True
    c.namespace.map_ids("auto")
    c.bootstrap.image = "oci:/srv/images/base:latest"
    c.bootstrap.tls_verify = True
    c.bootstrap.cache = True
    c.rootfs.overlay = True
    c.bootstrap.tool = "mmdebstrap"
    c.bootstrap.sha256 = "0" * 64
    c.bootstrap.max_size = "4G"
    c.bootstrap.timeout_sec = 600
    c.bootstrap.git_branch = "main"
    c.bootstrap.git_depth = 1
    c.bootstrap.git_submodules = False
    c.provision.copy("motd", "/etc/motd", run="changed")
    c.provision.share_cache("apt")


def hardened(c: Container) -> None:
    """A helper that is used for several containers."""
    c.no_new_privs = True
    c.capabilities.drop("net_raw")
    c.capabilities.allow("sys_ptrace")
    c.capabilities.ambient("net_bind_service")
    c.resource.set_limit("NOFILE", 1024, 4096)
    c.support_reload("cgroup", "resource")
    c.resource.set_limit("CORE", "unlimited")
    c.cgroup["memory.max"] = "256M"
    c.cgroup["io.max"] = ["8:0 rbps=1M"]
    c.cgroup["hugetlb.2MB.max"] = 0
    assert_type(c.cgroup["memory.max"], str)
    with c.cgroup("v1") as v1:
        v1["memory.swappiness"] = 10
    with c.cgroup("v2") as v2:
        v2.assign_only = True
        del c.cgroup["io.max"]
    c.cgroup_name = "typed-groups"
    c.seccomp.profile = "default"
    with c.seccomp.filter(default="errno", code="ENOSYS") as rule:
        rule.kill("keyctl", "add_key")
        rule.errno("socket", code="EAFNOSUPPORT", when=arg(0) == 17)
        rule.trap("ioctl", when=[arg(1) & 0xFFFFFFFF == 0x5412, arg(0) < 3])
        rule.trace("ptrace", message=7)
        rule.log("chmod")
        rule.allow("execve", "execveat")

        @rule.notify("mkdir")
        def told(call: Call) -> int | str:
            return "EPERM" if call.read_string(call.args[0]) else 0

        rule.notify("rmdir", handler=told, when=arg(0) != 0)


with define() as config:
    config.name = "typed"
    config.hostname = "typed.example"
    config.domainname = "example"
    config.init_command = ["/bin/sh", "-c", "true"]
    config.init_command = "/bin/sh"
    config.init_command = Path("/bin/sh")
    config.environ = {"LANG": "C.UTF-8", "PORT": 8080}
    config.environ["HOME_PAGE"] = "https://example.org/"
    config.environ.update(EDITOR="vi")
    config.workdir = "/srv"
    config.uid = 1000
    config.uid = "www-data"
    config.gid = 1000
    config.groups = ["audio", 44]
    config.metadata = {"team": "red"}
    config.container_pid_file = "/run/typed.pid"
    config.wait_interval = 20
    config.log_level = "debug"
    config.acts_as_session_leader()

    root = config.chroot_to("/var/lib/haconiwa/typed")
    data: os.PathLike[str] = root / "data"
    config.rootfs.readonly = True
    config.rootfs.overlay = True
    config.rootfs_owner(uid=1000, gid=1000)
    config.filesystem.use_legacy_chroot = False
    config.filesystem.masked_paths.append("/proc/interrupts")
    config.filesystem.readonly_paths += ["/opt"]
    config.filesystem.masked_paths = ["/proc/kcore", root / "secret"]
    config.filesystem.add_masked_path("/proc/keys")
    config.filesystem.add_readonly_path(root / "usr")

    with config.bootstrap as b:
        b.strategy = "debootstrap"
        b.arch = "amd64"
        b.variant = "minbase"
        b.components = ["main", "contrib"]
        b.debian_release = "bookworm"
        b.mirror_url = "http://deb.example.org/debian"
        b.keyring = Path("/usr/share/keyrings/example.gpg")
        b.postprocess("shell", "true")
        b.postprocess("python", lambda directory: directory.upper())
    with config.provision as p:
        p.run_shell("true")
        p.run_shell("true", name="second", sh="/bin/bash")

        @p.run_python
        def third() -> None: ...

    config.add_mount_point("/srv/data", to=data, readonly=True)
    config.add_mount_point("tmpfs", to=root / "tmp", fs="tmpfs", options="size=16m")
    config.add_mount_point(Path("/srv/more"), to="/more", optional=True, recursive=False)
    config.mount_network_etc(root, host_root="/etc")
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm", "mqueue", host=False)

    config.namespace.unshare("mount", "ipc", "uts", "pid", "user", "cgroup", "time")
    config.namespace.use_netns("blue")
    config.namespace.unshare("ipc", persist_in=Path("/run/kept"))
    config.namespace.set_time_offset(monotonic=5, boottime=-5)
    config.apparmor = "garden"
    config.apparmor_profile = "garden"
    config.sysctl["net.ipv4.ip_forward"] = 1
    config.oom_score_adj = 500
    config.umask = 0o027
    config.umask = "027"
    config.personality = "linux32"
    config.landlock.allow_read("/usr", root / "etc")
    config.landlock.allow_write(Path("/tmp"))
    config.landlock.allow_execute("/bin")
    config.landlock.allow_bind(80, 443)
    config.landlock.allow_connect(53)
    config.namespace.set_uid_mapping(min=0, max=65536, offset=100000)
    config.namespace.set_gid_mapping(min=0, max=65536, offset=100000)
    hardened(config)
    config.command.set_stdin(file="/dev/null")
    config.command.set_stdout(host_file="/var/log/typed.log")
    config.command.set_stderr(host_file=Path("/var/log/typed.err"))
    config.daemonize()
    config.cancel_daemonize()


@config.add_general_hook("setup")
def announce(barn: Barn) -> None:
    """A hook of the barn."""
    print(barn.containers)


@config.add_general_hook("before_fork", on_error="continue")
async def prepare(base: Base) -> None:
    """A hook that waits for something."""
    print(base.name)


@config.add_readiness_hook(port=80, timeout=60)
def came_up(base: Base, ok: bool) -> bool:
    """A readiness hook decides."""
    return ok and base.attach(["/bin/true"], stdin=b"", timeout_sec=5).exit_status == 0


config.add_readiness_hook(exec=["/bin/true"], interval_msec=500)
config.healthcheck(http="http://localhost/", action=lambda base: base.stop())
config.add_cgroup_hook(lambda base: base.stop(), type="oom", timeout_sec=5)
config.restart_policy("on-failure", max_retries=5, backoff_sec=2)


@config.add_async_hook(sec=3, interval_msec=1000, limit_count=10, timeout_sec=2)
def tick(base: Base) -> int:
    """A timer; other decorators see the function as it is."""
    CALLS["ticks"] += 1
    return base.pid


@config.add_signal_handler("USR1")
def on_signal(base: Base) -> None:
    """A signal handler."""
    base.log("signal")


@config.validate_real_id
def may_use(ruid: int, rgid: int) -> bool:
    """Who may use this file."""
    return ruid == 0 and rgid == 0


config.add_general_hook("teardown_container", lambda base: print(base.exit_status))
config.add_async_hook(tick, min=1)
config.after_spawn(tick, hour=1)
config.add_handler("TTIN", on_signal)


def read_back(c: Container) -> None:
    """What is read is of plain types."""
    assert_type(c.name, str)
    assert_type(c.uid, int | str | None)
    assert_type(c.init_command, tuple[str, ...])
    assert_type(c.rootfs.readonly, bool)
    assert_type(c.bootstrap.strategy, str | None)
    paths: list[str] = c.filesystem.masked_paths
    environ: dict[str, str] = c.environ
    print(paths, environ)


read_back(config)

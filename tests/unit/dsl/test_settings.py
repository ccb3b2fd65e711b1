"""What each setting becomes in the spec."""
# ruff: noqa: E501 - tables are easier to read with one row a line

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.kernel.names import CAPABILITIES
from haconiwa.spec.model import (
    DEFAULT_CAPABILITIES,
    DEFAULT_MASKED_PATHS,
    DEFAULT_READONLY_PATHS,
    ContainerSpec,
    IdMapping,
    UserSpec,
)
from haconiwa.spec.record import replace
from haconiwa.spec.sysctls import path_of

Settings = Callable[[str], ContainerSpec]


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("c.name = 'a' * 64", "name", "a" * 64),
        ("c.name = '_web.1-x'", "name", "_web.1-x"),
        ("c.hostname = 'web.example'; c.namespace.unshare('uts')", "hostname", "web.example"),
        ("c.name = 'web'; c.namespace.unshare('uts')", "hostname", "web"),
        ("c.name = 'web'", "hostname", None),
        ("c.domainname = 'example'; c.namespace.unshare('uts')", "domainname", "example"),
        ("c.init_command = '/bin/sh'", "init_command", ("/bin/sh",)),
        ("c.init_command = '/opt/my program'", "init_command", ("/opt/my program",)),
        ("c.init_command = ['sh', '-c', 'a\\nb', '']", "init_command", ("sh", "-c", "a\nb", "")),
        ("c.init_command = ('sleep', '1')", "init_command", ("sleep", "1")),
        ("import pathlib; c.init_command = pathlib.Path('/bin/sh')", "init_command", ("/bin/sh",)),
        ("c.environ = {'A': 'b', 'N': 7, 'E': ''}", "environ", {"A": "b", "N": "7", "E": ""}),
        ("c.environ['A'] = 'x\\ny'", "environ", {"A": "x\ny"}),
        ("c.workdir = '/srv//a/./b/'", "workdir", "/srv/a/b"),
        ("c.metadata = {'team': 'red', 'port': 80}", "metadata", {"team": "red", "port": "80"}),
        ("c.container_pid_file = '/run/x.pid'", "container_pid_file", "/run/x.pid"),
        ("c.wait_interval = 10", "wait_interval", 10),
        ("c.log_level = 'debug'", "log_level", "debug"),
        ("c.no_new_privs = True", "no_new_privs", True),
        ("c.apparmor = 'web'", "apparmor", "web"),
        ("c.apparmor = 'web'; c.apparmor_profile = 'db'; assert c.apparmor == 'db'", "apparmor", "db"),
        ("c.selinux_context = 'u:r:t:s0:c1,c2'", "selinux_context", "u:r:t:s0:c1,c2"),
        ("c.umask = 0o027", "umask", 0o027),
        ("c.umask = '0077'", "umask", 0o077),
        ("c.oom_score_adj = -1000", "oom_score_adj", -1000),
        ("c.personality = 'i686'", "personality", "linux32"),
        ("c.personality = 'amd64'", "personality", "linux"),
        ("c.acts_as_session_leader()", "session_leader", True),
        ("c.daemonize()", "session_leader", True),
        ("c.daemonize(); c.cancel_daemonize()", "session_leader", False),
        ("c.mount_network_etc()", "network_etc", "/etc"),
        ("c.mount_network_etc(host_root='/srv/etc')", "network_etc", "/srv/etc"),
        ("c.uid = 1000; c.gid = '100'; c.groups = ['audio', 5, '0']", "user", UserSpec(uid=1000, gid=100, groups=("audio", 5, 0))),
        ("c.uid = 'www-data'", "user", UserSpec(uid="www-data")),
        ("c.uid = 'host$'", "user", UserSpec(uid="host$")),
        ("c.uid = 4294967294", "user", UserSpec(uid=4294967294)),
        ("import enum\nclass E(enum.IntEnum):\n  A = 7\nc.uid = E.A", "user", UserSpec(uid=7)),
        ("import enum\nclass E(enum.StrEnum):\n  A = 'web'\nc.name = E.A", "name", "web"),
    ],
)  # fmt: skip
@pytest.mark.setting("acts_as_session_leader", "cancel_daemonize", "metadata", "wait_interval")
def test_basics(settings: Settings, line: str, field: str, expected: object) -> None:
    value = getattr(settings(line), field)
    assert (replace(value, where=None) if isinstance(value, UserSpec) else value) == expected


def test_values_are_of_plain_types(settings: Settings) -> None:
    spec = settings("import enum\nclass E(enum.IntEnum):\n  A = 7\nclass S(str): pass\nc.uid = E.A\nc.name = S('x')\n")
    assert (type(spec.user.uid), type(spec.name), type(spec.environ)) == (int, str, dict)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("c.chroot_to('/r')", ("mount", "cgroup")),
        ("c.chroot_to('/r'); c.namespace.enter('cgroup', '/proc/1/ns/cgroup')", ("mount",)),
        ("c.add_mount_point('/srv', to='/srv')", ("mount",)),
        ("c.mount_independent('procfs')", ("mount",)),
        ("c.mount_network_etc()", ("mount",)),
        ("c.namespace.set_uid_mapping(min=0, max=1, offset=5); c.namespace.set_gid_mapping(min=0, max=1, offset=5)", ("user",)),
        ("c.namespace.set_time_offset(boottime=5)", ("time",)),
        ("c.namespace.unshare('time', 'cgroup', 'net', 'pid'); c.namespace.unshare('pid', 'mount')", ("mount", "pid", "net", "cgroup", "time")),
        ("", ()),
    ],
)  # fmt: skip
def test_what_implies_a_namespace(settings: Settings, line: str, expected: tuple[str, ...]) -> None:
    assert settings(line).namespaces == expected


def test_root(settings: Settings) -> None:
    spec = settings(
        """
        c.chroot_to("/srv/r/")
        c.rootfs.readonly = True
        c.rootfs_owner(uid=1000, gid=100)
        c.filesystem.use_legacy_chroot = True
        """
    )
    root = spec.rootfs
    assert root is not None
    assert (root.path, root.readonly, root.owner, root.use_legacy_chroot) == ("/srv/r", True, (1000, 100), True)
    assert (spec.masked_paths, spec.readonly_paths) == (DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS)


def test_masked_and_readonly_paths(settings: Settings) -> None:
    spec = settings(
        """
        root = c.chroot_to("/r")
        c.filesystem.add_masked_path("/proc/kcore")
        c.filesystem.add_masked_path(root / "proc" / "interrupts")
        c.filesystem.readonly_paths = []
        c.filesystem.add_readonly_path("/etc")
        c.filesystem.readonly_paths += ["/opt"]
        """
    )
    assert spec.masked_paths == (*DEFAULT_MASKED_PATHS, "/proc/interrupts")
    assert spec.readonly_paths == ("/etc", "/opt")


def test_the_defaults_are_not_changed_by_a_file(settings: Settings) -> None:
    settings("c.chroot_to('/r'); c.filesystem.masked_paths.clear()")
    assert settings("c.chroot_to('/r')").masked_paths == DEFAULT_MASKED_PATHS


@pytest.mark.parametrize(
    "to",
    [
        "root / 'data'",
        "root / '/data'",
        "root / 'data/'",
        "root / '.' / 'data'",
        "'/r/data'",
        "'/data'",
        "str(root) + '/data'",
        "pathlib.Path('/r/data')",
        "pathlib.Path(root) / 'data'",
        "root / pathlib.Path('data')",
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_all_forms_of_a_destination(settings: Settings, to: str, late: bool) -> None:
    lines = ["import pathlib", "root = c.chroot_to('/r')", f"c.add_mount_point('/srv', to={to})"]
    if late and "root" not in to:
        lines[1:] = lines[:0:-1]
    assert settings("\n".join(lines)).mounts[0].destination == "/data"


def test_a_path_of_the_root_is_inside_even_when_it_looks_like_one_of_the_host(settings: Settings) -> None:
    assert settings("root = c.chroot_to('/r'); c.add_mount_point('/x', to=root / 'r' / 'd')").mounts[0].destination == (
        "/r/d"
    )


def test_a_root_path_is_a_path_of_the_host(settings: Settings) -> None:
    spec = settings(
        """
        import os
        root = c.chroot_to("/r")
        tmp = root / "tmp"
        c.metadata = {"path": tmp, "text": str(root), "fs": os.fspath(tmp), "repr": repr(tmp), "inside": tmp.inside,
                      "same": str(tmp == root / "/tmp" and hash(tmp) == hash(root / "tmp") and tmp != root)}
        """
    )
    assert spec.metadata == {
        "path": "/r/tmp",
        "text": "/r",
        "fs": "/r/tmp",
        "repr": "RootPath('/r/tmp')",
        "inside": "/tmp",
        "same": "True",
    }


def test_mounts(settings: Settings, tmp_path: Path) -> None:
    spec = settings(
        """
        c.add_mount_point("data", to="/a", readonly=True, optional=True, recursive=False, options="nosuid,nodev")
        c.add_mount_point("none", to="/b", fs="tmpfs", data="size=1m,mode=755")
        """
    )
    bind, tmpfs = spec.mounts
    assert (bind.kind, bind.source, bind.options) == ("bind", str(tmp_path / "data"), "nosuid,nodev")
    assert (bind.readonly, bind.optional, bind.recursive) == (True, True, False)
    assert (tmpfs.kind, tmpfs.source, tmpfs.fstype, tmpfs.options) == (
        "filesystem",
        "none",
        "tmpfs",
        "size=1m,mode=755",
    )


def test_independent_mounts_come_first_and_in_their_order(settings: Settings) -> None:
    spec = settings(
        """
        c.add_mount_point("none", to="/dev/x", fs="tmpfs")
        c.mount_independent("mqueue", "shm", "devpts")
        c.mount_independent("devtmpfs", "shm", host=True)
        c.mount_independent("procfs", "sysfs", hidepid="invisible")
        c.mount_independent("cgroup")
        """
    )
    assert [mount.options for mount in spec.mounts] == ["hidepid=invisible", *7 * [""]]
    assert [mount.readonly for mount in spec.mounts if mount.kind == "cgroup"] == [True]
    assert spec.namespaces == ("mount", "cgroup")
    assert [(mount.kind, mount.destination, mount.host) for mount in spec.mounts] == [
        ("procfs", "/proc", False),
        ("sysfs", "/sys", False),
        ("devtmpfs", "/dev", True),
        ("devpts", "/dev/pts", False),
        ("shm", "/dev/shm", False),
        ("mqueue", "/dev/mqueue", False),
        ("cgroup", "/sys/fs/cgroup", False),
        ("filesystem", "/dev/x", False),
    ]


def test_namespaces_to_enter(settings: Settings, tmp_path: Path) -> None:
    spec = settings(
        """
        c.namespace.enter("ipc", "/proc/1/ns/ipc")
        c.namespace.enter("uts", via="ns/uts")
        c.namespace.use_netns("blue")
        """
    )
    assert [(joined.type, joined.path) for joined in spec.joined_namespaces] == [
        ("ipc", "/proc/1/ns/ipc"),
        ("uts", str(tmp_path / "ns/uts")),
        ("net", "/run/netns/blue"),
    ]


def test_id_maps(settings: Settings) -> None:
    spec = settings(
        """
        c.namespace.set_uid_mapping(min=0, max=1000, offset=100000)
        c.namespace.set_uid_mapping(min=1000, max=1, offset=1000)
        c.namespace.set_gid_mapping(min=0, max=4294967295, offset=0)
        """
    )
    assert spec.uid_mappings == (
        IdMapping(container_id=0, host_id=100000, size=1000),
        IdMapping(container_id=1000, host_id=1000, size=1),
    )
    assert spec.gid_mappings == (IdMapping(container_id=0, host_id=0, size=4294967295),)


def test_limits(settings: Settings) -> None:
    spec = settings(
        """
        c.resource.set_limit("NOFILE", 64)
        c.resource.set_limit("rlimit_core", 0, "unlimited")
        c.resource.set_limit("CPU", "unlimited")
        c.resource.set_limit("NOFILE", 128, 256)
        """
    )
    assert [(limit.name, limit.soft, limit.hard) for limit in spec.rlimits] == [
        ("NOFILE", 128, 256),
        ("CORE", 0, None),
        ("CPU", None, None),
    ]


DEFAULTS = frozenset(DEFAULT_CAPABILITIES)


@pytest.mark.parametrize(
    ("line", "bounding", "ambient"),
    [
        ("", DEFAULTS, ""),
        ("c.capabilities.reset_to_privileged(); c.capabilities.drop('bpf')", frozenset(CAPABILITIES) - {"bpf"}, ""),
        ("c.capabilities.allow('CAP_SYS_ADMIN', 'chown', 'Chown')", DEFAULTS | {"sys_admin"}, ""),
        ("c.capabilities.drop('cap_chown', 'kill')", DEFAULTS - {"chown"}, ""),
        ("c.capabilities.allow('audit_read'); c.capabilities.drop('chown')", DEFAULTS - {"chown"}, ""),
        ("c.capabilities.allow('all')", None, ""),
        ("c.capabilities.allow('all'); c.capabilities.allow('kill')", None, ""),
        ("c.capabilities.allow('all'); c.capabilities.drop('bpf')", frozenset(CAPABILITIES) - {"bpf"}, ""),
        ("c.capabilities.drop('all'); c.capabilities.allow('kill')", frozenset({"kill"}), ""),
        ("c.capabilities.drop('all'); c.capabilities.reset_to_privileged()", None, ""),
        ("c.capabilities.ambient('net_raw'); c.capabilities.ambient('chown')", DEFAULTS, "chown net_raw"),
    ],
)
def test_capabilities(settings: Settings, line: str, bounding: frozenset[str] | None, ambient: str) -> None:
    capabilities = settings(f"c.namespace.unshare('net'); {line}").capabilities
    assert (capabilities.bounding, capabilities.ambient) == (bounding, frozenset(ambient.split()))


@pytest.mark.parametrize(
    ("line", "has_it"),
    [
        ("", False),
        ("c.capabilities.allow('kill')", False),
        ("c.capabilities.allow('audit_read')", True),
        ("c.capabilities.allow('audit_read'); c.capabilities.drop('audit_read')", False),
        ("c.capabilities.allow('all'); c.capabilities.drop('bpf')", True),
        ("c.capabilities.reset_to_privileged(); c.capabilities.drop('bpf')", True),
        ("c.namespace.unshare('net')", True),
        ("c.namespace.enter('net', '/proc/self/ns/net')", True),
        ("c.network.mode = 'none'", True),
        ("c.network.share('other')", False),
    ],
)
def test_the_audit_log_of_the_host_is_not_for_containers_of_its_network(
    settings: Settings, line: str, has_it: bool
) -> None:
    bounding = settings(line).capabilities.bounding
    assert bounding is not None
    assert ("audit_read" in bounding) is has_it


def test_streams(settings: Settings, tmp_path: Path) -> None:
    stdio = settings(
        """
        c.command.set_stdin(host_file="in")
        c.command.set_stdout(file="/var/log/out")
        c.command.set_stderr(host_file="/tmp/err")
        """
    ).stdio
    assert {name: (stream.file, stream.host_file) for name, stream in stdio.items()} == {
        "stdin": (None, str(tmp_path / "in")),
        "stdout": ("/var/log/out", None),
        "stderr": (None, "/tmp/err"),
    }


@pytest.mark.parametrize(
    ("lines", "strategy", "options"),
    [
        ("b.strategy = 'lxc-create'; b.os_type = 'alpine'; b.project_name = 'p'; b.template_options = ['-r', '3']",
         "lxc", {"os_type": "alpine", "project_name": "p", "template_options": ("-r", "3")}),
        ("b.strategy = 'debootstrap'; b.debian_release = 'bookworm'; b.components = ['main', 'contrib']; b.keyring = '/k'",
         "debootstrap", {"debian_release": "bookworm", "components": "main,contrib", "keyring": "/k"}),
        ("b.strategy = 'git-clone'; b.git_url = 'https://example.org/r.git'; b.git_options = ['--depth', '1']",
         "git", {"git_url": "https://example.org/r.git", "git_options": ("--depth", "1")}),
        ("b.strategy = 'git'; b.git_url = '/srv/r'", "git", {"git_url": "/srv/r"}),
        ("b.strategy = 'unarchive'; b.archive_path = '/a.tar'; b.tar_options = ['-v']; b.allow_devices = True",
         "tarball", {"archive_path": "/a.tar", "tar_options": ("-v",), "allow_devices": True}),
        ("b.strategy = 'shell'; b.code = '\\n    a\\n      b\\n\\n    c\\n  '", "shell", {"code": "a\n  b\n\nc\n"}),
        ("b.strategy = 'python'; b.code = 'x = 1'", "python", {"code": "x = 1\n"}),
        ("b.strategy = 'host'", "host", {}),
        ("b.strategy = 'host'; b.paths = ['/usr', '/opt']; b.extra = ['/srv']",
         "host", {"paths": ("/usr", "/opt"), "extra": ("/srv",)}),
    ],
)  # fmt: skip
def test_strategies(settings: Settings, lines: str, strategy: str, options: dict[str, object]) -> None:
    bootstrap = settings(f"c.chroot_to('/r')\nwith c.bootstrap as b:\n    {lines}\n").bootstrap
    assert bootstrap is not None
    assert (bootstrap.strategy, dict(bootstrap.options)) == (strategy, options)


def test_relative_paths_of_strategies(settings: Settings, tmp_path: Path) -> None:
    git = settings(
        "c.chroot_to('/r'); c.bootstrap.strategy = 'git'; c.bootstrap.git_url = 'repositories/root'"
    ).bootstrap
    tarball = settings(
        "c.chroot_to('/r'); c.bootstrap.strategy = 'tarball'; c.bootstrap.archive_path = 'a.tar'"
    ).bootstrap
    assert git is not None
    assert tarball is not None
    assert git.options["git_url"] == str(tmp_path / "repositories/root")
    assert tarball.options["archive_path"] == str(tmp_path / "a.tar")


@pytest.mark.setting("bootstrap.function")
def test_the_function_of_the_python_strategy(settings: Settings) -> None:
    bootstrap = settings(
        """
        c.chroot_to("/r")
        with c.bootstrap as b:
            b.strategy = "python"
            @b.function
            def fill(directory):
                return "filled " + directory
        b.postprocess("python", lambda directory: 0)
        b.postprocess("shell", "  ls")
        b.skip()
        """
    ).bootstrap
    assert bootstrap is not None
    assert bootstrap.options["code"]("x") == "filled x"
    assert [(post.kind, callable(post.code)) for post in bootstrap.postprocess] == [("python", True), ("shell", False)]
    assert bootstrap.skip


@pytest.mark.setting("bootstrap.extra")
def test_the_hosts_directories_are_mounted_in_the_root(settings: Settings) -> None:
    spec = settings("c.chroot_to('/r'); c.bootstrap.strategy = 'host'")
    assert spec.root_mounts[0].destination == spec.root_mounts[0].source == "/usr"
    assert all(mount.kind == "bind" and mount.readonly for mount in spec.root_mounts)
    chosen = settings("c.chroot_to('/r'); b = c.bootstrap; b.strategy = 'host'; b.paths = ['/opt']; b.extra = ['/srv']")
    assert [mount.destination for mount in chosen.root_mounts] == ["/opt", "/srv"]


@pytest.mark.setting("provision.clear")
def test_provision(settings: Settings) -> None:
    provision = settings(
        """
        c.chroot_to("/r")
        with c.provision as p:
            p.run_shell("gone")
            p.clear()
            p.run_shell("a")
        with c.provision as p:
            p.run_shell("b", name="named", sh="/bin/bash")
            @p.run_python
            def third(): return 3
            p.run_python(lambda: 4, name="fourth")
        """
    ).provision
    assert [(step.name, step.kind, step.sh) for step in provision.steps] == [
        ("shell-1", "shell", "/bin/sh"),
        ("named", "shell", "/bin/bash"),
        ("python-3", "python", "/bin/sh"),
        ("fourth", "python", "/bin/sh"),
    ]
    assert [step.code() for step in provision.steps[2:] if callable(step.code)] == [3, 4]
    assert not provision.skip


@pytest.mark.parametrize("line", ["c.skip_provision()", "c.provision.skip()"])
def test_skipping_the_provision(settings: Settings, line: str) -> None:
    assert settings(f"c.chroot_to('/r'); c.provision.run_shell('x'); {line}").provision.skip


def test_skipping_the_bootstrap(settings: Settings) -> None:
    bootstrap = settings("c.chroot_to('/r'); c.bootstrap.strategy = 'host'; c.skip_bootstrap()").bootstrap
    assert bootstrap is not None
    assert bootstrap.skip


def test_settings_can_be_read_back(settings: Settings) -> None:
    settings(
        """
        assert c.name.startswith("haconiwa-")
        assert (c.uid, c.hostname, c.environ, c.init_command) == (None, None, {}, ("/bin/bash",))
        c.uid = "7"
        c.environ = {"A": "b"}
        c.bootstrap.strategy = "git-clone"
        c.chroot_to("/r")
        c.bootstrap.git_url = "https://example.org/"
        assert (c.uid, c.environ["A"], c.bootstrap.strategy) == (7, "b", "git")
        """
    )


def test_sources_tell_the_line_of_each_setting(settings: Settings) -> None:
    sources = settings("c.uid = 1\nc.chroot_to('/r')\nc.rootfs.readonly = True\nc.uid = 2\n").sources
    assert {name: str(where) for name, where in sources.items()} == {
        "uid": "test.haco:6",
        "chroot_to": "test.haco:4",
        "rootfs.readonly": "test.haco:5",
    }


def test_landlock(settings: Settings) -> None:
    spec = settings("root = c.chroot_to('/r'); c.landlock.allow_read('/etc', root / 'srv'); c.landlock.allow_bind(80)")
    assert [(rule.access, rule.path, rule.port) for rule in spec.landlock] == [
        ("read", "/etc", 0),
        ("read", "/srv", 0),
        ("bind", "", 80),
    ]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("net.ipv4.ip_forward", "net.ipv4.ip_forward"),
        ("net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net.ipv4.conf.eth0/1.forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net.ipv4.conf.eth0/1.forwarding"),
    ],
)
def test_sysctls(settings: Settings, name: str, kept: str) -> None:
    spec = settings(f"c.namespace.unshare('net'); c.sysctl[{name!r}] = 1")
    assert [(sysctl.name, sysctl.value) for sysctl in spec.sysctls] == [(kept, "1")]
    assert path_of(kept).startswith("net/ipv4/")


def test_kept_namespaces(settings: Settings) -> None:
    spec = settings(
        "c.namespace.unshare('net', persist_in='/run/n'); c.namespace.unshare('ipc', 'uts', persist_in='/k/')"
    )
    assert {kept.type: kept.path for kept in spec.persisted_namespaces} == {
        "net": "/run/n",
        "ipc": "/k/ipc",
        "uts": "/k/uts",
    }
    assert spec.namespaces == ("ipc", "uts", "net")


def test_capabilities_that_are_named(settings: Settings) -> None:
    spec = settings("c.capabilities.allow('kill', 'bpf'); c.capabilities.drop('bpf')")
    assert spec.capabilities.named == {"kill"}
    assert settings("c.capabilities.allow('net_admin'); c.capabilities.drop('all')").capabilities.named == frozenset()

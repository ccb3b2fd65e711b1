"""The text of the files that ``haconiwa new`` writes.

An option that is commented out has no space after its ``#``, prose has one: so a reader, and a test, can tell them
apart. Each block of such lines can be uncommented alone.
"""

from __future__ import annotations

from haconiwa.cli.haco_samples import SAMPLES

_FILE = """\
# -*- mode: python -*-  vim: ft=python
#
# A haco file: it describes a container, in Python. Made by "haconiwa new"; see what start would do with
# "haconiwa plan", and whether all is right with "haconiwa check". Options that are commented out are rarer.
from haconiwa import Barn, Base, arg, define

with define() as config:
    # ------------------------------------------------------------------------------------------------- what runs
    config.name = @NAME@  # also the host name, as "uname -n" shows
    config.init_command = @INIT@  # PID 1; a program, or a list: ["/usr/sbin/nginx", "-g", "daemon off;"]

    # The program's environment is exactly this and defaults for PATH, HOME, container and TERM.
    #config.environ["LANG"] = "C.UTF-8"
    # Where it starts, as seen inside.
    #config.workdir = "/root"
    # Who it runs as: numbers, or names of the container's own passwd and group.
    #config.uid = 1000
    #config.gid = 1000
    #config.groups = [1000]
    # Names in the uts namespace; the host name is the container's name otherwise.
    #config.hostname = "garden"
    #config.domainname = "example.org"
    # Words of your own, for "haconiwa ps --json" and "haconiwa inspect".
    #config.metadata["role"] = "test"
    # Accepted for old files: every program leads a session of its own.
    #config.acts_as_session_leader()

    # ------------------------------------------------------------------------------------------- root file system
    root = config.chroot_to(@ROOT@)  # a path: root / "tmp" is /tmp inside

    with config.bootstrap as b:
@BOOTSTRAP@
        # On the host, after that: a script in the new directory, or kind "python".
        #b.postprocess("shell", "touch etc/made-by-haconiwa")
        # Make nothing: the directory is there already.
        #b.skip()
    # The same from outside the block, as children of a barn need it.
    #config.skip_bootstrap()

    with config.provision as p:
        # Inside the new root, in this order, with the host's network. "haconiwa provision" runs them again.
@PROVISION@
        #p.run_python(lambda: print("a function, run inside"), name="hello")
        # A file or directory of the host; only when it is another one than the last time, or only "once".
        #p.copy("motd", to="/etc/motd", run="changed")
        # Variables for the steps, and packages that are downloaded once for all containers.
        #p.environ["LANG"] = "C.UTF-8"
        #p.share_cache("apt", "apk", "dnf")
        # Forget the steps so far, or keep them and run none.
        #p.clear()
        #p.skip()
    #config.skip_provision()

    # Read-only, with everything below.
    #config.rootfs.readonly = True
    # In a user namespace its files show with the container's ids, unless its owner is mapped or this says no.
    #config.rootfs.idmap = False
    # A layer of its own for what it writes, so that containers can share the root; see "haconiwa diff".
    #config.rootfs.overlay = True
    # Owner of the root directory itself on the host, after create.
    #config.rootfs_owner(uid=0, gid=0)
    # chroot(2) in place of pivot_root(2).
    #config.filesystem.use_legacy_chroot = True
    # What shows nothing, and what cannot be written; both lists have defaults below /proc and /sys.
    #config.filesystem.add_masked_path("/etc/secret")
    #config.filesystem.add_readonly_path("/etc")
    #config.filesystem.masked_paths = []
    #config.filesystem.readonly_paths = []

    # ----------------------------------------------------------------------------------------------------- mounts
    config.add_mount_point("tmpfs", to=root / "tmp", fs="tmpfs")
    # Without fs= a bind mount. A relative source starts from this file's folder.
    #config.add_mount_point("/srv/data", to="/data", readonly=True, optional=True, recursive=False, options="nosuid")
    # Any option of mount(8); directories of an overlay are the host's.
    #config.add_mount_point("overlay", to="/opt", fs="overlay", options="lowerdir=/srv/a:/srv/b")
    # The host's resolv.conf and hosts.
    config.mount_network_etc(root, host_root="/etc")
    # File systems of its own: /proc, /sys, a private /dev with harmless nodes, terminals, shared memory.
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    #config.mount_independent("mqueue")
    # Its own control groups, read-only.
    #config.mount_independent("cgroup")
    # All devices of the host: only for containers that you trust.
    #config.mount_independent("devtmpfs", host=True)
    # One device more than the harmless ones: the same path on the host and inside.
    #config.add_device("/dev/null", access="rw")
    # /proc/cpuinfo, meminfo and the like of this container, where the lxcfs daemon runs.
    #config.lxcfs_root = "/var/lib/lxcfs"

    # ------------------------------------------------------------------------------------- what it has for itself
    config.namespace.unshare("mount", "ipc", "uts", "pid")
    #config.namespace.unshare("net", "time")
    #config.namespace.enter("net", "/run/netns/blue")
    #config.namespace.use_netns("blue")
    # A user namespace, which an ordinary user needs; its ids are those that /etc/subuid and /etc/subgid set aside for
    # the user, or for root or "haconiwa".
    @MAP_IDS@config.namespace.map_ids("auto")
    # The same by hand: 65536 ids from 0 inside are 100000 and up on the host.
    #config.namespace.set_uid_mapping(min=0, max=65536, offset=100000)
    #config.namespace.set_gid_mapping(min=0, max=65536, offset=100000)
    # Kept when the container has ended, until "haconiwa rm --namespaces".
    #config.namespace.unshare("ipc", persist_in="/run/garden/ipc")
    # Clocks of its own, in seconds from the host's.
    #config.namespace.set_time_offset(boottime=86400)

    # ---------------------------------------------------------------------------------------------------- network
    # Its own, connected to the bridge haconiwa0: an address, names, and the way out. Any of these asks for it.
    #config.network.mode = "bridge"  # or "none": loopback only; or "host", which is the default
    #config.network.container_ip = "auto"  # or an address of the bridge's network
    # Another bridge, made when missing; and the names of the interface's ends.
    #config.network.bridge_name, config.network.bridge_ip = "garden0", "10.9.0.1/24"
    #config.network.bridge_ip, config.network.netmask = "10.0.0.1", "255.255.255.0"
    #config.network.veth_guest, config.network.veth_host = "eth0", "garden-web"
    # A name for "ip netns"; and let that and the bridge stay at the end.
    #config.network.namespace, config.network.cleanup = "garden", False
    # IPv4 only; the largest packet; what resolves names, and names of your own.
    #config.network.container_ip, config.network.ipv6, config.network.mtu = "auto", False, 1400
    #config.network.container_ip, config.network.dns, config.network.search = "auto", ["192.0.2.53"], ["example.org"]
    #config.network.container_ip, config.network.hosts["db"] = "auto", "10.0.0.9"
    # A port of the host that leads inside; "8000-8010" for several; ip= for one address of the host.
    #config.network.publish(8080, to=80, proto="tcp", ip="127.0.0.1")
    # Connect to these and to nothing else.
    #config.network.allow_egress("deb.example.org:443", "10.1.0.0/16", "192.0.2.53:53", proto="tcp")
    # Most that leaves and reaches it.
    #config.network.upload, config.network.download = "10mbit", "100mbit"
    # A further interface: to another bridge, or beside one of the host's.
    #config.network.add_interface("eth1", bridge_name="garden1", bridge_ip="10.8.0.1/24")
    #config.network.add_interface("eth2", macvlan="enp1s0", container_ip="192.168.1.20/24")
    # The network of another container.
    #config.network.share("other")

    # -------------------------------------------------------------------------------------- limits and privileges
    # Soft and hard limit, see getrlimit(2); "unlimited" is one.
    #config.resource.set_limit("NOFILE", 1024, 4096)
    # What "haconiwa reload" may change while it runs; both unless set.
    #config.support_reload("resource")
    # Limits of everything inside together, by the names of cgroup v2, which work on v1 too; "max" is no limit.
    #config.cgroup["memory.max"] = "256M"
    #config.cgroup["cpu.max"] = "50000 100000"
    #config.cgroup["pids.max"] = 512
    # Files of one version that mean nothing in the other.
    #config.cgroup("v1")["memory.swappiness"] = 10
    #config.cgroup("v2").assign_only = True
    # Name of the control groups below /haconiwa; the container's own otherwise.
    #config.cgroup_name = "garden"
    # Capabilities beyond, or below, the usual few; "all" is one. net_admin needs the net namespace.
    #config.capabilities.allow("sys_ptrace")
    #config.capabilities.drop("net_raw")
    # Kept by a program that is not root.
    #config.capabilities.ambient("net_bind_service")
    # Everything that root may on the host.
    #config.capabilities.reset_to_privileged()
    # No program gains privileges by exec: sudo and ping do not work.
    #config.no_new_privs = True
    # System calls: a profile like Docker's is in force; "unconfined" is none, "profile.json" one in Docker's form.
    #config.seccomp.profile = "default"
    # On top of it, the first rule that fits decides; default= is for all other calls.
    #with config.seccomp.filter(default="allow") as rule:
    #    rule.errno("chmod", "fchmod", "fchmodat", code="EPERM")
    #    rule.kill("socket", when=arg(0) == 17)
    # With the first rule only that may be reached which a rule allows; paths are those inside, ports TCP.
    #config.landlock.allow_read("/etc", "/proc")
    #config.landlock.allow_execute("/usr", "/bin", "/lib")
    #config.landlock.allow_write("/tmp", "/dev")
    #config.landlock.allow_bind(8080)
    #config.landlock.allow_connect(443)
    # A loaded profile of AppArmor, or a context of SELinux.
    #config.apparmor = "garden"
    #config.apparmor_profile = "garden"
    #config.selinux_context = "system_u:system_r:container_t:s0"
    # Kernel parameters of its own ipc (shm, msg, sem, mqueue) and net namespaces.
    #config.sysctl["kernel.shmmni"] = 4096
    # Ended sooner than others when memory runs out.
    #config.oom_score_adj = 500
    #config.umask = 0o027
    # A 32-bit system on a 64-bit machine.
    #config.personality = "linux32"

    # --------------------------------------------------------------------------------- in the background, supervisor
    #config.daemonize()
    #config.cancel_daemonize()
    # Streams of a daemon: file= is inside, host_file= on the host; otherwise its log in /var/log/haconiwa.
    #config.command.set_stdin(file="/dev/null")
    #config.command.set_stdout(host_file="/var/log/garden.out")
    #config.command.set_stderr(host_file="/var/log/garden.err")
    # Holds the supervisor's pid; /run/haconiwa-NAME.pid otherwise.
    #config.container_pid_file = "/run/garden.pid"
    #config.log_level = "debug"
    #config.wait_interval = 100
    # Who may use this file, by the real ids of the caller.
    #config.validate_real_id(lambda uid, gid: uid == 0)

    # Several containers in one file, a barn: each starts from a copy of all that was set until here.
    #for number in range(2):
    #    with config.define() as child:
    #        child.name = f"child-{number}"
    #        # Started once those are ready, or with condition "started" once they run; stopped before them.
    #        child.after = [] if number == 0 else ["child-0"]
    #        child.condition = "ready"

# ----------------------------------------------------------------------------------------------------------- hooks
# Functions of yours, called in this order, with the live container or for (barn) with the barn:
#
#   setup (barn)                      before anything is started
#   before_fork                       in the supervisor, as all but these marked (child)
#   after_network_created
#   immediately_after_fork_on_parent  the container's process exists: base.pid
#   after_fork (child)                in it, right after the fork
#   after_network_initialized (child)
#   before_chroot (child)             namespaces and mounts are there, and the host's root still
#   after_chroot (child)              in the new root; nothing can be imported any more
#   before_start_wait                 the program runs
#   after_reload                      "haconiwa reload" has changed its limits
#   teardown_container                it has ended: base.exit_status
#   after_failure                     it ended with failure
#   system_failure (barn)             a supervisor failed
#   teardown (barn)                   all have ended

#@config.add_general_hook("before_start_wait")
#def started(base: Base) -> None:
#    base.log(f"runs as pid {base.pid}")

# Interrupted after that time; base.attach runs a command inside.
#@config.add_general_hook("before_start_wait", timeout_sec=10)
#def look_inside(base: Base) -> None:
#    base.log(base.attach(["/bin/hostname"]).stdout)

#@config.add_general_hook("teardown", on_error="abort")
#def ended(barn: Barn) -> None:
#    print(f"{barn.name} ended with {barn.exit_status}")

# In the supervisor, after 3 s and then every second, ten times at most; units are msec, sec, min, hour.
#@config.add_async_hook(sec=3, interval_msec=1000, limit_count=10)
#def tick(base: Base) -> None:
#    print(f"{base.name} is {base.status}")

# The same under its other name.
#config.after_spawn(lambda base: base.log("a minute later"), min=1)

# Ready once somebody listens there; or http=, exec=, file=, or what the function returns.
#@config.add_readiness_hook(port=80, timeout=60)
#def came_up(base: Base, ok: bool) -> bool:
#    return ok

# Whether it still works: by port=, http=, exec=, file= or a function. The action: restart, stop, none or a function.
#config.healthcheck(exec=["/bin/true"], interval_sec=30, retries=3, action="restart")

# When memory gets scarce (level= low, medium, critical); or type="oom", "pids_max".
#@config.add_cgroup_hook(type="memory_pressure", level="medium")
#def scarce(base: Base) -> None:
#    base.log(base.cgroup["memory.current"])

# Start it again when it has failed: no, on-failure, always.
#config.restart_policy("on-failure", max_retries=5, backoff_sec=1)

# When the supervisor receives USR1, USR2, TTIN or TTOU.
#@config.add_signal_handler("USR1")
#def asked(base: Base) -> None:
#    base.kill("HUP")

# The same under its other name.
#config.add_handler("USR2", lambda base: base.stop())
"""

_GLOBAL = """\
# -*- mode: python -*-  vim: ft=python
#
# Defaults for every haco file on this machine; executed before each of them.
from haconiwa import configure

with configure() as g:
    # How much supervisors say: debug, info, warning or error.
    g.log_level = "info"
    # Milliseconds between a supervisor's looks at what cannot wake it.
    #g.wait_interval = 50
    # Bootstrap strategy of "haconiwa new", and of a haco file that uses bootstrap and names none.
    #g.strategy = "host"
    # Folder below which "haconiwa new" places root file systems.
    #g.roots = "/var/lib/haconiwa"
    # The bridge that containers with a network are connected to.
    #g.bridge_name = "haconiwa0"
    #g.bridge_ip = "10.0.0.1/24"
    # Users whose haco files may be loaded, besides root and the caller.
    #g.trusted_uids = [1000]
    # Whether supervisors in the background tell journald or syslog too what they say.
    #g.syslog = True
"""


def haco_text(name: str, root: str, strategy: str, *, own_ids: bool = False) -> str:
    """A haco file.

    Args:
        name: The container's.
        root: Absolute host path of the root file system.
        strategy: A canonical name of a bootstrap strategy.
        own_ids: It has a user namespace, as a container of an ordinary user must.
    """
    sample = SAMPLES[strategy]
    text = _FILE.replace("@BOOTSTRAP@", _indented(f'b.strategy = "{strategy}"\n{sample.bootstrap}'.rstrip("\n")))
    text = text.replace("@PROVISION@", _indented(_provision(sample.provision)))
    text = text.replace("@MAP_IDS@", "" if own_ids else "#")
    return (
        text.replace("@INIT@", literal(sample.init)).replace("@NAME@", literal(name)).replace("@ROOT@", literal(root))
    )


def global_text() -> str:
    """A global config."""
    return _GLOBAL


def _provision(script: str) -> str:
    if not script:
        return 'pass\n#p.run_shell("echo hello from $(pwd)", name="hello", sh="/bin/sh")'
    lines = "\n".join(f"    {line}" for line in script.splitlines())
    return f'p.run_shell("""\n{lines}\n""")'


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" if line else "" for line in text.splitlines())


def literal(text: str) -> str:
    """A text as Python writes it, in double quotes where that is simple."""
    return f'"{text}"' if text.isprintable() and not {'"', "\\"} & set(text) else repr(text)

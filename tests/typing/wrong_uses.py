"""What the type checkers must reject in a haco file.

Each line carries an ignore comment: a checker that finds nothing wrong with it complains about the comment.
"""

from __future__ import annotations

import haconiwa
from haconiwa import Base, Container, define

config = define()
root = config.chroot_to("/var/lib/haconiwa/web")

# values of the wrong type
config.name = 7  # type: ignore[assignment]
config.name = b"web"  # type: ignore[assignment]
config.name = None  # type: ignore[assignment]
config.uid = 1.5  # type: ignore[assignment]
config.init_command = 7  # type: ignore[assignment]
config.init_command = ["sleep", 7]  # type: ignore[list-item]
config.environ = ["A=b"]  # type: ignore[assignment]
config.environ["A"] = 1.5  # type: ignore[assignment]
config.log_level = "loud"  # type: ignore[assignment]
config.wait_interval = "50"  # type: ignore[assignment]
config.no_new_privs = "yes"  # type: ignore[assignment]
config.filesystem.masked_paths.append(7)  # type: ignore[arg-type]
config.bootstrap.strategy = "docker"  # type: ignore[assignment]
config.bootstrap.git_options = 7  # type: ignore[assignment]
config.chroot_to(b"/r")  # type: ignore[arg-type]
config.rootfs_owner(uid="root", gid=0)  # type: ignore[arg-type]

# names that do not exist, or not yet
config.hostnam = "web"  # type: ignore[attr-defined]
config.bootstrap.stratgy = "host"  # type: ignore[attr-defined]
config.checkpoint  # type: ignore[attr-defined]  # noqa: B018
haconiwa.defin()  # type: ignore[attr-defined]

# methods and sections are not assigned
config.daemonize = True  # type: ignore[method-assign,assignment]
config.namespace = {}  # type: ignore[misc,assignment]

# wrong words and arguments
config.namespace.unshare("mnt")  # type: ignore[arg-type]
config.namespace.unshare("net", persist_in=7)  # type: ignore[arg-type]
config.personality = "i8086"  # type: ignore[assignment]
config.landlock.allow_bind("http")  # type: ignore[arg-type]
config.namespace.set_uid_mapping(0, 1000, 100000)  # type: ignore[call-arg]
config.mount_independent("proc")  # type: ignore[arg-type]
config.add_mount_point("/srv", "/srv")  # type: ignore[call-arg]
config.resource.set_limit("NOFILES", 7)  # type: ignore[arg-type]
config.resource.set_limit("NOFILE", "infinity")  # type: ignore[arg-type]
config.capabilities.allow(21)  # type: ignore[arg-type]
root + "tmp"  # type: ignore[operator]

# functions
config.add_general_hook("before_forc", print)  # type: ignore[call-overload]
config.add_general_hook("setup", lambda: None)  # type: ignore[call-overload]
config.add_general_hook("setup", "print")  # type: ignore[call-overload]
config.add_async_hook(days=1)  # type: ignore[call-overload]
config.add_signal_handler("TERM")  # type: ignore[call-overload]
config.provision.run_python(lambda base: base)  # type: ignore[type-var]


@config.add_general_hook("before_fork")  # type: ignore[type-var]
def two_arguments(base: Base, more: int) -> None:
    print(base, more)


# a child is no barn
child = config.define()
child.daemonize()  # type: ignore[attr-defined]
child.define()  # type: ignore[attr-defined]


def common(c: Container) -> None:
    c.define()  # type: ignore[attr-defined]

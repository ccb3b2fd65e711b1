"""A haco file of several containers, for the type checkers; `test_typing.py` loads it too."""

from __future__ import annotations

from haconiwa import define

with define() as barn:
    barn.daemonize()
    barn.chroot_to("/var/lib/haconiwa/8cfccb3d")
    for i in range(3):
        with barn.define() as c:
            c.name = f"child-{i}"
            c.init_command = ["/bin/sleep", str(30 + 10 * i)]
            if i > 0:
                c.skip_bootstrap()
                c.skip_provision()

    with barn.define() as c:
        c.name = "lxc"
        with c.bootstrap as b:
            b.strategy = "lxc"
            b.os_type = "alpine"
            b.project_name = "garden"
            b.template_options = ["--release", "edge"]
    with barn.define() as c:
        c.name = "git"
        with c.bootstrap as b:
            b.strategy = "git"
            b.git_url = "https://example.org/root.git"
            b.git_options = ("--depth", "1")
    with barn.define() as c:
        c.name = "tarball"
        with c.bootstrap as b:
            b.strategy = "tarball"
            b.archive_path = "/srv/root.tar.gz"
            b.tar_options = ["--verbose"]
            b.allow_devices = False
    with barn.define() as c:
        c.name = "shell"
        with c.bootstrap as b:
            b.strategy = "shell"
            b.code = "mkdir bin"
            b.skip()
        with c.provision as p:
            p.run_shell("true")
            p.clear()
            p.skip()
    with barn.define() as c:
        c.name = "host"
        c.namespace.enter("ipc", "/proc/1/ns/ipc")
        c.selinux_context = "system_u:system_r:container_t:s0"
        c.capabilities.reset_to_privileged()
        with c.bootstrap as b:
            b.strategy = "host"
            b.paths = ["/usr"]
            b.extra = ["/opt"]
    with barn.define() as c:
        c.name = "python"
        with c.bootstrap as b:
            b.strategy = "python"

            @b.function
            def fill(directory: str) -> None:
                """Fill the root file system."""
                print(directory)

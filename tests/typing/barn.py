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
    with barn.define(after=["tarball"], condition="started") as c:
        c.name = "git"
        c.after = "tarball"
        c.condition = "ready"
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

    with barn.define() as c:
        c.name = "network"
        c.network.mode = "bridge"
        c.network.namespace = "garden"
        c.network.container_ip = "10.9.0.5"
        c.network.bridge_name = "garden0"
        c.network.bridge_ip = "10.9.0.1"
        c.network.netmask = "255.255.255.0"
        c.network.veth_host = "garden-host"
        c.network.veth_guest = "eth0"
        c.network.cleanup = False
        c.network.ipv6 = False
        c.network.mtu = 1400
        c.network.dns = ["192.0.2.53"]
        c.network.search = ("example.org",)
        c.network.hosts["db"] = "10.9.0.9"
        c.network.upload = "10mbit"
        c.network.download = 10**8
        c.network.publish(8080, to=80, proto="tcp", ip="127.0.0.1")
        c.network.publish("8000-8010", proto="udp")
        c.network.allow_egress("deb.example.org:443", "10.1.0.0/16", proto="tcp")
        c.network.add_interface("eth1", bridge_name="garden1", bridge_ip="10.8.0.1/24")
        c.network.add_interface("eth2", macvlan="enp1s0", container_ip="192.168.1.20/24")
    with barn.define() as c:
        c.name = "beside"
        c.network.share("network")

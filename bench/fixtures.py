"""What is measured: one small root file system, and each tool's own description of the same container on it."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
from collections.abc import Iterable

from bench.oci_filter import oci_filter
from tests.support.rootfs import make_busybox_root

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_HACO = """\
from haconiwa import define

with define() as config:
    config.name = "bench"
    config.init_command = "/bin/true"
    config.chroot_to({root!r})
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    config.namespace.unshare("mount", "ipc", "uts", "pid", "net", "cgroup")
"""

_LIMITS = """\
    config.cgroup["cpu.max"] = "50000 100000"
    config.cgroup["cpuset.cpus"] = "0"
    config.cgroup["io.weight"] = 200
    config.cgroup["memory.max"] = "256M"
    config.cgroup["pids.max"] = 100
"""

_LXC = """\
lxc.rootfs.path = dir:{root}
lxc.uts.name = bench
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed sys:ro
lxc.autodev = 1
lxc.execute.cmd = /bin/true
"""

_LAUNCHER = """\
#!{python} -ISXno_debug_ranges
import sys
sys.path.insert(0, {source!r})
from haconiwa.cli.main import main
sys.exit(main())
"""


class Fixtures:
    """The files that the tools need, below one directory.

    Args:
        base: An existing empty directory on the host.
        python: The interpreter that runs haconiwa.

    Attributes:
        root: The root file system: Debian's static busybox.
        haconiwa: The command, which runs a compiled copy of this source tree.
        haco: The haco file.
        unconfined_haco: The same without seccomp filters.
        limited_haco: The same with limits of five controllers.
        network_haco: The same container on a bridge.
        bundle: The OCI bundle.
        filtered_bundle: The same with our default seccomp profile.
        lxc_config: The configuration file of LXC.
        lxc_path: A directory for its state.
    """

    def __init__(self, base: str, python: str) -> None:
        self.base = base
        self.root = make_busybox_root(os.path.join(base, "root"))
        self._add_lxc_init()
        self.haconiwa = self._make_launcher(python)
        self.haco = self._write("bench.haco", _HACO.format(root=self.root))
        on_a_bridge = _HACO.format(root=self.root) + '    config.network.container_ip = "auto"\n'
        self.network_haco = self._write("network.haco", on_a_bridge)
        unconfined = _HACO + '    config.seccomp.profile = "unconfined"\n'
        self.unconfined_haco = self._write("unconfined.haco", unconfined.format(root=self.root))
        self.limited_haco = self._write("limited.haco", _HACO.format(root=self.root) + _LIMITS)
        self.lxc_config = self._write("lxc.conf", _LXC.format(root=self.root))
        self.lxc_path = os.path.join(base, "lxc")
        self.bundle = os.path.join(base, "bundle")
        self.filtered_bundle = os.path.join(base, "filtered-bundle")
        os.mkdir(self.lxc_path)

    def make_bundle(self, runtime: str) -> None:
        """Write the bundles: what `spec` of an OCI runtime gives, with our root, and a cgroup namespace as well."""
        os.mkdir(self.bundle)
        subprocess.run([runtime, "spec"], check=True, cwd=self.bundle)
        with open(os.path.join(self.bundle, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        config["root"] = {"path": self.root, "readonly": False}
        config["process"] |= {"terminal": False, "args": ["/bin/true"]}
        config["hostname"] = "bench"
        types = {namespace["type"] for namespace in config["linux"]["namespaces"]}
        config["linux"]["namespaces"] += [{"type": kind} for kind in _absent(types, ("cgroup", "network"))]
        self._write("bundle/config.json", json.dumps(config))
        os.mkdir(self.filtered_bundle)
        config["linux"]["seccomp"] = oci_filter()
        self._write("filtered-bundle/config.json", json.dumps(config))

    def make_bridge(self) -> None:
        """Make the bridge that the containers with a network are connected to."""
        subprocess.run([self.haconiwa, "--quiet", "new", "--bridge"], check=True)

    def _make_launcher(self, python: str) -> str:
        source = os.path.join(self.base, "src")
        shutil.copytree(
            os.path.join(TREE, "src/haconiwa"),
            os.path.join(source, "haconiwa"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        compiled = subprocess.run([python, "-I", "-m", compileall.__name__, "-q", source], check=False)
        if compiled.returncode != 0:
            raise RuntimeError(f"{python} cannot compile the source tree")
        path = self._write("haconiwa", _LAUNCHER.format(python=python, source=source))
        os.chmod(path, 0o755)
        return path

    def _add_lxc_init(self) -> None:
        """lxc-execute runs its own init, which must be in the root."""
        for path in ("/usr/sbin/init.lxc.static", "/sbin/init.lxc.static"):
            if os.path.exists(path):
                shutil.copy2(path, os.path.join(self.root, "sbin"))
                return

    def _write(self, name: str, text: str) -> str:
        path = os.path.join(self.base, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


def _absent(have: set[str], wanted: Iterable[str]) -> list[str]:
    return [kind for kind in wanted if kind not in have]

"""QEMU with Debian's kernel for virtual machines, in software: up in five seconds, with all that the kernel has.

Its root is this machine's through virtiofs. The kernel's package is unpacked in the user's cache, not installed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.vm.guest import DIE_WITH_US, KERNEL_OPTIONS, Job, reported_status

WORDS = ("qemu", "kmod", "busybox")
"""What it needs, in the words of tests/support/requirements.py."""

_VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
_PACKAGE = "linux-image-cloud-amd64"
_BOOT_MODULES = ("virtio_pci", "virtio_console", "virtiofs", "overlay")

_PROLOGUE = """\
ROOT=/lower RW=/rw NEW=/new
$B mkdir -p /proc /sys /dev /lower /rw
$B mount -t proc proc /proc
$B mount -t devtmpfs dev /dev
for module in {modules}; do $B insmod /modules/$module; done
$B mount -t virtiofs -o ro root /lower
$B mount -t tmpfs -o size=90% tmpfs /rw
"""

_EPILOGUE = """\
$B mkdir -p $NEW/lib/modules && $B mount --bind /lower{modules} $NEW/lib/modules
$B cp /command $NEW/run/command
exec $B switch_root $NEW /bin/bash /run/command
"""


def run(job: Job) -> int | None:
    """Run a job.

    Returns:
        The command's exit status; None when the guest has not told it.
    """
    kernel = unpacked_kernel()
    with tempfile.TemporaryDirectory(prefix="haconiwa-vm-") as scratch:
        Path(scratch, "initrd").write_bytes(initramfs(kernel, job))
        with _shared_root(scratch) as root_socket:
            process = subprocess.Popen(_argv(job, kernel, scratch, root_socket), stdin=subprocess.DEVNULL)
            try:
                process.wait(job.timeout_s)
            except subprocess.TimeoutExpired:
                pass
            finally:
                process.kill()
                process.wait()
        return reported_status(Path(scratch, "serial").read_text(encoding="utf-8", errors="replace"))


def unpacked_kernel() -> Path:
    """The folder with ``boot`` and ``lib/modules`` of Debian's kernel; fetched by apt the first time."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "haconiwa-tests" / "kernel"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            os.chmod(scratch, 0o755)
            depends = subprocess.run(["apt-cache", "depends", _PACKAGE], check=True, capture_output=True, text=True)
            package = depends.stdout.split("Depends:")[1].split()[0]
            subprocess.run(["apt-get", "-qq", "download", package], cwd=scratch, check=True, capture_output=True)
            archive = next(Path(scratch).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, f"{scratch}/kernel"], check=True)
            subprocess.run(["depmod", "-b", f"{scratch}/kernel", _version(Path(scratch, "kernel"))], check=True)
            with contextlib.suppress(OSError):  # somebody else was quicker
                os.rename(f"{scratch}/kernel", folder)
    return folder


def _version(kernel: Path) -> str:
    return next((kernel / "lib/modules").iterdir()).name


def initramfs(kernel: Path, job: Job) -> bytes:
    """The guest's first root: busybox, the modules that reach this machine's files, and two scripts."""
    base = kernel / "lib/modules" / _version(kernel)
    modules = _with_dependencies(base)
    names = " ".join(path.name for path in modules)
    init = job.init_script(_PROLOGUE.format(modules=names), _EPILOGUE.format(modules=base.parent))
    files = {
        "init": init.encode(),
        "command": job.command_script("/dev/hvc0", "/dev/ttyS0").encode(),
        "bin/busybox": Path(shutil.which("busybox") or "/bin/busybox").read_bytes(),
        **{f"modules/{path.name}": path.read_bytes() for path in modules},
    }
    entries = [(folder, stat.S_IFDIR | 0o755, b"") for folder in ("bin", "modules")]
    entries += [(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    return b"".join(_entry(*entry) for entry in [*entries, ("TRAILER!!!", 0, b"")])


def _with_dependencies(base: Path) -> list[Path]:
    """The modules of `_BOOT_MODULES` and what these need, in the order in which they can be loaded."""
    needs = {}
    for line in (base / "modules.dep").read_text(encoding="ascii").splitlines():
        path, _, others = line.partition(":")
        needs[Path(path).stem] = [path, *others.split()]
    ordered = [path for name in _BOOT_MODULES for path in reversed(needs.get(name, []))]
    return [base / path for path in dict.fromkeys(ordered)]


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """One member of an archive in the form that the kernel reads. See: cpio(5), New ASCII Format."""
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


@contextlib.contextmanager
def _shared_root(scratch: str) -> Iterator[str]:
    """The socket of the program that shows the guest this machine's files."""
    path = f"{scratch}/root"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        options = "source=/,cache=always,xattr,sandbox=chroot"
        argv = [*DIE_WITH_US, _VIRTIOFSD, f"--fd={listening.fileno()}", "-o", options, "--thread-pool-size=0"]
        fds = [listening.fileno()]
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=fds)
    try:
        yield path
    finally:
        server.kill()
        server.wait()


def _argv(job: Job, kernel: Path, scratch: str, root_socket: str) -> list[str]:
    size = f"{job.memory_mb}M"
    devices = {
        "-object": [f"memory-backend-memfd,id=memory,size={size},share=on"],
        "-chardev": [f"file,id=serial,path={scratch}/serial", "stdio,id=output,signal=off"],
        "-serial": ["chardev:serial"],
        "-device": ["virtio-serial-pci", "virtconsole,chardev=output"],
    }
    devices["-chardev"].append(f"socket,id=root,path={root_socket}")
    devices["-device"].append("vhost-user-fs-pci,chardev=root,tag=root")
    image = next((kernel / "boot").glob("vmlinuz-*"))
    return [
        *(*DIE_WITH_US, "qemu-system-x86_64", "-M", "q35,memory-backend=memory", "-m", size, "-smp", "2"),
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-no-reboot", "-kernel", str(image), "-initrd", f"{scratch}/initrd"),
        *("-append", " ".join(("console=ttyS0", "reboot=t", *KERNEL_OPTIONS))),
        *(word for option, values in devices.items() for value in values for word in (option, value)),
    ]

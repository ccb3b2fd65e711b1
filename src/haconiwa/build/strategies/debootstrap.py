"""``debootstrap``: a Debian or Ubuntu from its packages, by debootstrap or mmdebstrap."""

from __future__ import annotations

from haconiwa.build.job import Job
from haconiwa.host.apt import host_keyring, host_mirror
from haconiwa.host.programs import run_program
from haconiwa.host.tools import find_program

LABEL = "debootstrap"

_DEFAULT_RELEASE = "stable"
_DEFAULT_VARIANT = "minbase"


def arguments(job: Job) -> list[str]:
    """The command line after the program; what is not set is left to the tool, except for release and variant."""
    is_new = _tool(job) == "mmdebstrap"
    release = job.text("debian_release", _DEFAULT_RELEASE)
    mirror, keyring = job.text("mirror_url", ""), job.text("keyring", "")
    if not mirror:
        mirror, keyring = host_mirror(release), keyring or host_keyring(release)
    options = {
        "--architectures" if is_new else "--arch": job.text("arch", ""),
        "--variant": job.text("variant", _DEFAULT_VARIANT),
        "--components": job.text("components", ""),
        "--keyring": keyring,
    }
    positional = [release, job.root, mirror]
    for word in positional:
        if word.startswith("-"):  # debootstrap knows no "--"
            raise job.refuse(f'"{word}" would be an option of debootstrap')
    chosen = [f"{option}={value}" for option, value in options.items() if value]
    if is_new:
        chosen = ["--mode=root", "--format=directory", *chosen]
    return chosen + [word for word in positional if word]


def bootstrap(job: Job) -> None:
    """Run the tool; its mounts of /proc and /sys stay in a mount namespace of its own."""
    run_program([find_program(_tool(job)), *arguments(job)], job.line)


def _tool(job: Job) -> str:
    return job.text("tool", "debootstrap")

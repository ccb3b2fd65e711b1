"""``debootstrap``: a Debian or Ubuntu from its packages."""

from __future__ import annotations

from haconiwa.build.job import Job
from haconiwa.host.programs import find_program, run_program

LABEL = "debootstrap"

_DEFAULT_RELEASE = "stable"
_DEFAULT_VARIANT = "minbase"


def arguments(job: Job) -> list[str]:
    """The command line after the program; what is not set is left to the tool, except for release and variant."""
    options = {
        "--arch": job.text("arch", ""),
        "--variant": job.text("variant", _DEFAULT_VARIANT),
        "--components": job.text("components", ""),
        "--keyring": job.text("keyring", ""),
    }
    positional = [job.text("debian_release", _DEFAULT_RELEASE), job.root, job.text("mirror_url", "")]
    for word in positional:
        if word.startswith("-"):  # debootstrap knows no "--"
            raise job.refuse(f'"{word}" would be an option of debootstrap')
    return [f"{option}={value}" for option, value in options.items() if value] + [word for word in positional if word]


def bootstrap(job: Job) -> None:
    """Run debootstrap; its mounts of /proc and /sys stay in a mount namespace of its own."""
    run_program([find_program("debootstrap"), *arguments(job)], job.line)

"""``lxc``: any of LXC's templates, by lxc-create."""

from __future__ import annotations

import os

from haconiwa.build.job import Job
from haconiwa.errors import HostError
from haconiwa.host.programs import run_program
from haconiwa.host.tools import find_program

LABEL = "lxc-create"

_NEEDS = {
    "busybox": ("busybox",),
    "debian": ("debootstrap", "rsync"),
    "devuan": ("debootstrap", "rsync"),
    "fedora": ("curl", "rsync"),
    "kali": ("debootstrap", "rsync"),
    "oci": ("skopeo", "umoci", "jq"),
    "ubuntu": ("debootstrap", "rsync"),
}
"""Programs that templates miss only after they have downloaded a system."""

_TEMPLATES = ("/usr/share/lxc/templates", "/usr/local/share/lxc/templates")


def arguments(job: Job) -> list[str]:
    """The command line after the program. LXC's own record of the container goes to the scratch folder."""
    name = job.text("project_name", job.spec.name)
    template = job.text("os_type")
    line = [f"--name={name}", f"--template={template}", f"--lxcpath={job.scratch}", "--config=/dev/null"]
    line += ["--bdev=dir", f"--dir={job.root}"]
    if options := job.words("template_options"):
        line += ["--", *options]
    return line


def required_programs(template: str) -> tuple[str, ...]:
    """What must be installed for a template; lxc-create itself comes first."""
    return ("lxc-create", *_NEEDS.get(template, ()))


def bootstrap(job: Job) -> None:
    """Run lxc-create and forget the container that it records."""
    template = job.text("os_type")
    program, *_ = [find_program(name) for name in required_programs(template)]
    require_template(template)
    run_program([program, *arguments(job)], job.line)


def require_template(name: str) -> None:
    """Refuse a template that is not there: lxc-create says so in three lines, without the name of the package.

    Raises:
        HostError: It is missing.
    """
    if name.startswith("/"):
        found = os.path.exists(name)
    else:
        found = any(os.path.exists(f"{folder}/lxc-{name}") for folder in _TEMPLATES)
    if not found:
        there = sorted({entry[4:] for folder in _TEMPLATES if os.path.isdir(folder) for entry in os.listdir(folder)})
        hint = f"there are {', '.join(there)}" if there else "on Debian: apt-get install lxc-templates"
        raise HostError(f'LXC has no template "{name}"', hint=hint)

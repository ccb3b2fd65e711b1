"""``lxc``: any of LXC's templates, by lxc-create."""

from __future__ import annotations

import os

from haconiwa.build.job import Job
from haconiwa.errors import HostError
from haconiwa.host.programs import find_program, run_program

LABEL = "lxc-create"

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


def bootstrap(job: Job) -> None:
    """Run lxc-create and forget the container that it records."""
    program = find_program("lxc-create")
    _require_template(job.text("os_type"))
    run_program([program, *arguments(job)], job.line)


def _require_template(name: str) -> None:
    """lxc-create says the same in three lines, without the name of the package."""
    if name.startswith("/"):
        found = os.path.exists(name)
    else:
        found = any(os.path.exists(f"{folder}/lxc-{name}") for folder in _TEMPLATES)
    if not found:
        there = sorted({entry[4:] for folder in _TEMPLATES if os.path.isdir(folder) for entry in os.listdir(folder)})
        hint = f"there are {', '.join(there)}" if there else "on Debian: apt-get install lxc-templates"
        raise HostError(f'LXC has no template "{name}"', hint=hint)

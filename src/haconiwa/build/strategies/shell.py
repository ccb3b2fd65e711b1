"""``shell``: one script fills the directory."""

from __future__ import annotations

from haconiwa.build.job import Job
from haconiwa.build.script import run_script, success_line

LABEL = "shell script"


def bootstrap(job: Job) -> None:
    """Run the script with ``/bin/sh -xe``; ``$ROOTFS``, also the current directory, is to be filled."""
    run_script(job.text("code"), job.root, job.line, "the bootstrap script failed")
    job.report.step(success_line("/bin/sh"))

"""``python``: code or a function fills the directory."""

from __future__ import annotations

from haconiwa.build.function import run_python
from haconiwa.build.job import Job

LABEL = "Python code"


def bootstrap(job: Job) -> None:
    """Run the code, in which ``rootfs`` is the directory to fill, or call the function with it."""
    code = job.bootstrap.options.get("code")
    run_python(code if callable(code) else job.text("code"), job.root, job.line)

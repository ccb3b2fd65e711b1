"""``git``: a clone is the root file system.

A repository may be hostile, and git has many ways to run commands: only harmless transports and options pass, no hook
of a template is installed, and submodules are fetched only when that is asked for.
"""

from __future__ import annotations

from haconiwa.build.job import Job
from haconiwa.host.programs import run_program
from haconiwa.host.tools import find_program
from haconiwa.spec.git import PROTOCOLS, git_options, git_url
from haconiwa.spec.values import Refused

LABEL = "git clone"

_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false")


def arguments(job: Job) -> list[str]:
    """The command line after the program.

    Raises:
        ConfigError: A url or an option through which git would run commands or write elsewhere, or that it lacks.
    """
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    own = []
    if branch := job.text("git_branch", ""):
        own.append(f"--branch={branch}")
    if depth := job.bootstrap.options.get("git_depth"):
        own.append(f"--depth={depth}")
    own.append("--recurse-submodules" if job.bootstrap.options.get("git_submodules") else "--no-recurse-submodules")
    return [*settings, "clone", "--template=", *own, *_options(job), "--", _url(job), job.root]


def environment(job: Job) -> dict[str, str]:
    """Of git: a repository from elsewhere must not get submodules from this machine's files."""
    is_local = _url(job).startswith(("/", "file:"))
    protocols = [name for name in PROTOCOLS if name != "file" or is_local]
    return {"GIT_ALLOW_PROTOCOL": ":".join(protocols), "GIT_TERMINAL_PROMPT": "0"}


def _url(job: Job) -> str:
    try:
        return git_url(job.text("git_url"))
    except Refused as error:
        raise job.refuse(f"git_url {error}", error.hint) from None


def _options(job: Job) -> tuple[str, ...]:
    try:
        return git_options(job.words("git_options"))
    except Refused as error:
        raise job.refuse(f"git_options {error}", error.hint) from None


def bootstrap(job: Job) -> None:
    """Clone into the directory."""
    run_program([find_program("git"), *arguments(job)], job.line, environ=environment(job))

"""``git``: a clone is the root file system.

A repository may be hostile, and git has many ways to run commands: only harmless transports and options pass, no hook
of a template is installed, and submodules are fetched only when that is asked for.
"""

from __future__ import annotations

import re

from haconiwa.build.job import Job
from haconiwa.host.programs import find_program, run_program

LABEL = "git clone"

_PROTOCOLS = ("file", "git", "http", "https", "ssh")
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false")

_FLAGS = frozenset(
    "--single-branch --no-single-branch --no-tags --no-local --no-hardlinks --quiet -q --verbose -v --progress".split()
)
_WITH_VALUE = frozenset("--depth --branch -b --origin -o --filter --shallow-since --shallow-exclude --jobs -j".split())

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/@]*@)?(.*)", re.DOTALL)
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!:).+", re.DOTALL)


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
    protocols = [name for name in _PROTOCOLS if name != "file" or is_local]
    return {"GIT_ALLOW_PROTOCOL": ":".join(protocols), "GIT_TERMINAL_PROMPT": "0"}


def _url(job: Job) -> str:
    url = job.text("git_url")
    if url.startswith("-") or not url.isprintable():
        raise job.refuse(f'git_url "{url}" is not a url')
    if scheme := _SCHEME.fullmatch(url):
        if scheme[1] not in _PROTOCOLS or scheme[2].startswith("-"):
            raise job.refuse(f'git_url "{url}" is not allowed', f"use {', '.join(_PROTOCOLS)}, or a path")
    elif "::" in url.partition("/")[0]:  # ext::, fd:: and the like start programs
        raise job.refuse(f'git_url "{url}" names a helper program', "use a url or a path")
    elif not url.startswith("/") and not _SCP_LIKE.fullmatch(url):
        raise job.refuse(f'git_url "{url}" is neither a url nor an absolute path')
    return url


def _options(job: Job) -> list[str]:
    """The user's options, each known to be harmless; git would also take beginnings of names."""
    words = list(job.words("git_options"))
    accepted = []
    while words:
        option = words.pop(0)
        name, _, value = option.partition("=")
        if name in _WITH_VALUE and not value:
            if not words or words[0].startswith("-"):
                raise job.refuse(f'git_options "{option}" needs a value')
            accepted += [option, words.pop(0)]
        elif option in _FLAGS or (value and name in _WITH_VALUE and name.startswith("--")):
            accepted.append(option)
        else:
            known = ", ".join(sorted(_FLAGS | _WITH_VALUE))
            raise job.refuse(f'git_options "{option}" is not allowed', f"there are {known}")
    return accepted


def bootstrap(job: Job) -> None:
    """Clone into the directory."""
    run_program([find_program("git"), *arguments(job)], job.line, environ=environment(job))

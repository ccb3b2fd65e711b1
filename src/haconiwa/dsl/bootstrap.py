"""The sections ``config.bootstrap`` and ``config.provision``: how a root file system is made and furnished."""

from __future__ import annotations

from haconiwa.dsl.functions import function
from haconiwa.dsl.live import DictSetting
from haconiwa.dsl.node import Recording, Section, Setting
from haconiwa.dsl.paths import container_path, host_path
from haconiwa.spec.build import PostprocessSpec, ProvisionStep
from haconiwa.spec.names import PACKAGE_CACHES, STRATEGIES, STRATEGY_ALIASES
from haconiwa.spec.values import (
    Refused,
    argument,
    between,
    boolean,
    container_name,
    environ_key,
    environ_value,
    items,
    one_of,
    script,
    show,
    word,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal, TypeVar

    from haconiwa.dsl.paths import StrPath
    from haconiwa.spec.names import StrategyName

    DirectoryFunction = TypeVar("DirectoryFunction", bound=Callable[[str], object])
    StepFunction = TypeVar("StepFunction", bound=Callable[[], object])


def strategy_name(value: object) -> str:
    """A strategy under its canonical name."""
    known = (*STRATEGIES, *STRATEGY_ALIASES)
    hints = {"mruby": 'write "python" and give b.code Python, or a function'}
    name = one_of(value, known, "a bootstrap strategy", hints)
    return STRATEGY_ALIASES.get(name, name)


def _words(value: object) -> tuple[str, ...]:
    return tuple(items(value, argument, "a list of text"))


def _host_paths(value: object) -> tuple[str, ...]:
    return tuple(items(value, host_path, "a list of paths"))


def _tool(value: object) -> Any:
    return one_of(value, ("debootstrap", "mmdebstrap"), '"debootstrap" or "mmdebstrap"')


def _components(value: object) -> str:
    if issubclass(type(value), (list, tuple)):
        return ",".join(items(value, word, "a list of text"))
    return word(value, "text or a list of text")


def _git_url(value: object) -> str:
    from haconiwa.spec.git import git_url

    is_url = issubclass(type(value), str) and ":" in word(value)
    return git_url(word(value) if is_url else host_path(value))


def _git_options(value: object) -> tuple[str, ...]:
    from haconiwa.spec.git import git_options

    return git_options(_words(value))


def _archive(value: object) -> str:
    is_url = issubclass(type(value), str) and "://" in word(value)
    if not is_url:
        return host_path(value)
    url = word(value)
    if url.partition("://")[0].lower() not in ("http", "https", "file") or " " in url:
        raise Refused(f"{show(url)} is neither a path nor a url of http, https or file")
    return url


def _sha256(value: object) -> str:
    text = word(value, "a SHA-256 in hexadecimal").lower().removeprefix("sha256:")
    if len(text) != 64 or not set("0123456789abcdef").issuperset(text):
        raise Refused(f"{show(text)} is not a SHA-256 in hexadecimal")
    return text


def _size(value: object) -> int:
    from haconiwa.spec.amounts import size_bytes

    return size_bytes(value)


def _image(value: object) -> str:
    text = word(value, "an image")
    kind, _, name = text.partition(":")
    if kind == "docker" and name.startswith("//") and len(name) > 2 and " " not in name:
        return text
    if kind in ("oci", "oci-archive", "docker-archive", "dir") and name:
        return f"{kind}:{host_path(name)}"
    raise Refused(f"{show(text)} is not an image: docker://HOST/NAME:TAG, oci:DIRECTORY:TAG, docker-archive:FILE")


def _code(value: object) -> Any:
    return function(value, 1, coroutine=False) if callable(value) else script(value, "code (text) or a function")


class Bootstrap(Section):
    """How `haconiwa create` makes the root file system: a strategy, and what that strategy wants to know."""

    __slots__ = ()
    _section = "bootstrap"

    strategy: Setting[StrategyName, str | None] = Setting(strategy_name, None)
    """lxc, debootstrap, git, tarball, oci, shell, python or host."""

    cache: Setting[bool, bool | None] = Setting(boolean, None)
    """Keep a copy of what is made for the next container of the same recipe; unless set, debootstrap and lxc do."""

    project_name: Setting[str, str | None] = Setting(word, None)
    """lxc: the name lxc-create works under."""
    os_type: Setting[str, str | None] = Setting(word, None)
    """lxc: the template, as for ``lxc-create -t``."""
    template_options: Setting[Sequence[str], tuple[str, ...]] = Setting(_words, ())
    """lxc: arguments for the template."""

    arch: Setting[str, str | None] = Setting(word, None)
    """debootstrap, oci: architecture, such as ``arm64``; the host's unless set."""
    variant: Setting[str, str | None] = Setting(word, None)
    """debootstrap: such as ``minbase``."""
    components: Setting[str | Sequence[str], str | None] = Setting(_components, None)
    """debootstrap: such as ``main,contrib``, or a list."""
    debian_release: Setting[str, str | None] = Setting(word, None)
    """debootstrap: such as ``bookworm``."""
    mirror_url: Setting[str, str | None] = Setting(word, None)
    """debootstrap: where to download from; the host's own mirror of that distribution unless set."""
    keyring: Setting[StrPath, str | None] = Setting(host_path, None)
    """debootstrap: host path of the keyring; unless set, the host's own for that release, with its mirror."""
    tool: Setting[Literal["debootstrap", "mmdebstrap"], str] = Setting(_tool, "debootstrap")
    """debootstrap: the program that does it; mmdebstrap is the faster one."""

    git_url: Setting[StrPath, str | None] = Setting(_git_url, None)
    """git: what to clone: a URL, or a path on the host."""
    git_options: Setting[Sequence[str], tuple[str, ...]] = Setting(_git_options, ())
    """git: options of ``git clone``."""
    git_branch: Setting[str, str | None] = Setting(word, None)
    """git: the branch or tag; the repository's own choice unless set."""
    git_depth: Setting[int, int | None] = Setting(between(1, 2**31 - 1), None)
    """git: how many commits of the history are fetched; all unless set."""
    git_submodules: Setting[bool, bool] = Setting(boolean, False)
    """git: fetch the submodules too, from wherever the repository says."""

    archive_path: Setting[StrPath, str | None] = Setting(_archive, None)
    """tarball: host path or url of the archive (gz, bz2, xz, zst, or plain)."""
    sha256: Setting[str, str | None] = Setting(_sha256, None)
    """tarball: what the archive must have; needed for http without s."""
    tar_options: Setting[Sequence[str], tuple[str, ...]] = Setting(_words, ())
    """tarball: further options of tar."""
    allow_devices: Setting[bool, bool] = Setting(boolean, False)
    """tarball, oci: unpack device nodes too."""
    max_size: Setting[int | str, int | None] = Setting(_size, None)
    """tarball, oci: the most that an archive or layer may hold, such as ``"20G"``; what is free unless set."""
    timeout_sec: Setting[int, int] = Setting(between(1, 10**7, "a number of seconds"), 3600)
    """tarball, oci: how long unpacking an archive or layer may take."""

    image: Setting[str, str | None] = Setting(_image, None)
    """oci: ``docker://HOST/NAME:TAG``, ``oci:DIRECTORY:TAG``, ``oci-archive:FILE`` or ``docker-archive:FILE``."""
    tls_verify: Setting[bool, bool] = Setting(boolean, True)
    """oci: False talks to a registry by plain HTTP, or without checking its certificate."""

    code: Setting[str | Callable[[str], object], str | Callable[[str], object] | None] = Setting(_code, None)
    """shell: a script for ``/bin/sh -xe``; python: code, or a function of the directory to fill."""

    paths: Setting[Sequence[StrPath], tuple[str, ...]] = Setting(_host_paths, ())
    """host: which directories of the host are shown read-only; /usr and the like unless set."""
    extra: Setting[Sequence[StrPath], tuple[str, ...]] = Setting(_host_paths, ())
    """host: more of them, beside `paths`."""

    def function(self, function: DirectoryFunction) -> DirectoryFunction:
        """Decorator for the strategy python: the function gets the directory to fill."""
        self.code = function
        return function

    def postprocess(self, kind: Literal["shell", "python"], code: str | Callable[[str], object]) -> None:
        """Run something on the host after the strategy.

        Args:
            kind: What `code` is.
            code: A script for ``/bin/sh -xe``, Python code, or a function of the directory.
        """
        with Recording(self, "postprocess") as where:
            chosen: Any = one_of(kind, ("shell", "python"), '"shell" or "python"')
            parsed = script(code, "a script (text)") if chosen == "shell" else _code(code)
            added = PostprocessSpec(kind=chosen, code=parsed, where=where)
            self._values.setdefault("postprocess", []).append(added)

    def skip(self) -> None:
        """Make no root file system for this container."""
        with Recording(self, "skip"):
            self._values["skip"] = True


class Provision(Section):
    """What runs in the new root file system. Several blocks add up."""

    __slots__ = ()
    _section = "provision"

    environ: DictSetting = DictSetting(environ_key, environ_value)
    """Variables for the steps, besides PATH, HOME and what tools need that must not ask."""

    def run_shell(
        self,
        code: str,
        name: str | None = None,
        sh: StrPath = "/bin/sh",
        run: Literal["always", "once", "changed"] = "always",
    ) -> None:
        """Run a script with ``sh -xe`` in the new root.

        Args:
            code: The script; its common indentation is removed.
            name: For messages and ``--run-only``; ``shell-N`` for the Nth step unless given.
            sh: The shell, as seen inside.
            run: Each time that steps are run, only until it has succeeded once, or only when its text has changed.
        """
        with Recording(self, "run_shell") as where:
            self._add(name, "shell", where, run, code=script(code), sh=container_path(sh))

    def run_python(
        self,
        function: StepFunction,
        name: str | None = None,
        run: Literal["always", "once", "changed"] = "always",
    ) -> StepFunction:
        """Run a function in the new root; it takes no argument. Can be used as a decorator.

        Args:
            function: What to run.
            name: For messages and ``--run-only``; ``python-N`` for the Nth step unless given.
            run: As in `run_shell`.
        """
        with Recording(self, "run_python") as where:
            self._add(name, "python", where, run, code=check_step(function))
        return function

    def copy(
        self,
        src: StrPath,
        to: StrPath,
        name: str | None = None,
        run: Literal["always", "once", "changed"] = "always",
    ) -> None:
        """Copy a file or a directory of the host into the new root; the copies belong to root.

        Args:
            src: Host path; a relative one starts from the haco file's folder.
            to: As seen inside. A directory's content goes into it; a file too, where it ends in a slash or is there.
            name: For messages and ``--run-only``; ``copy-N`` for the Nth step unless given.
            run: As in `run_shell`.
        """
        with Recording(self, "copy") as where:
            ends_in_slash = type(to) is str and to.endswith("/")
            destination = container_path(to) + ("/" if ends_in_slash else "")
            self._add(name, "copy", where, run, source=host_path(src), destination=destination)

    def share_cache(self, *managers: Literal["apt", "apk", "dnf"]) -> None:
        """Keep what package managers download on the host, for the next root that needs it."""
        with Recording(self, "share_cache"):
            known = [one_of(manager, PACKAGE_CACHES, "one of apt apk dnf") for manager in managers]
            self._values.setdefault("shared_caches", []).extend(known)

    def _add(
        self, name: object, kind: Literal["shell", "python", "copy"], where: Any, run: object, **what: Any
    ) -> None:
        steps: list[ProvisionStep] = self._values.setdefault("steps", [])
        known = f"{kind}-{len(steps) + 1}" if name is None else container_name(name)
        when: Any = one_of(run, ("always", "once", "changed"), '"always", "once" or "changed"')
        steps.append(ProvisionStep(name=known, kind=kind, run=when, where=where, **what))

    def skip(self) -> None:
        """Run nothing."""
        with Recording(self, "skip"):
            self._values["skip"] = True

    def clear(self) -> None:
        """Forget the steps so far."""
        with Recording(self, "clear"):
            self._values["steps"] = []


def check_step(value: object) -> Callable[[], object]:
    """A function for `Provision.run_python`."""
    return function(value, 0, coroutine=False)

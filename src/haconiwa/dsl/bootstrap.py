"""The sections ``config.bootstrap`` and ``config.provision``: how a root file system is made and furnished."""

from __future__ import annotations

from haconiwa.dsl.functions import function
from haconiwa.dsl.node import Recording, Section, Setting
from haconiwa.dsl.paths import container_path, host_path
from haconiwa.spec.model import PostprocessSpec, ProvisionStep
from haconiwa.spec.names import STRATEGIES, STRATEGY_ALIASES
from haconiwa.spec.values import argument, boolean, container_name, items, one_of, script, word

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


def _components(value: object) -> str:
    if issubclass(type(value), (list, tuple)):
        return ",".join(items(value, word, "a list of text"))
    return word(value, "text or a list of text")


def _git_url(value: object) -> str:
    is_url = issubclass(type(value), str) and ":" in word(value)
    return word(value) if is_url else host_path(value)


def _code(value: object) -> Any:
    return function(value, 1, coroutine=False) if callable(value) else script(value, "code (text) or a function")


class Bootstrap(Section):
    """How `haconiwa create` makes the root file system: a strategy, and what that strategy wants to know."""

    __slots__ = ()
    _section = "bootstrap"

    strategy: Setting[StrategyName, str | None] = Setting(strategy_name, None)
    """lxc, debootstrap, git, tarball, shell, python or host."""

    project_name: Setting[str, str | None] = Setting(word, None)
    """lxc: the name lxc-create works under."""
    os_type: Setting[str, str | None] = Setting(word, None)
    """lxc: the template, as for ``lxc-create -t``."""
    template_options: Setting[Sequence[str], tuple[str, ...]] = Setting(_words, ())
    """lxc: arguments for the template."""

    arch: Setting[str, str | None] = Setting(word, None)
    """debootstrap: architecture; the host's unless set."""
    variant: Setting[str, str | None] = Setting(word, None)
    """debootstrap: such as ``minbase``."""
    components: Setting[str | Sequence[str], str | None] = Setting(_components, None)
    """debootstrap: such as ``main,contrib``, or a list."""
    debian_release: Setting[str, str | None] = Setting(word, None)
    """debootstrap: such as ``bookworm``."""
    mirror_url: Setting[str, str | None] = Setting(word, None)
    """debootstrap: where to download from; the tool's own choice unless set."""
    keyring: Setting[StrPath, str | None] = Setting(host_path, None)
    """debootstrap: host path of the keyring."""

    git_url: Setting[StrPath, str | None] = Setting(_git_url, None)
    """git: what to clone: a URL, or a path on the host."""
    git_options: Setting[Sequence[str], tuple[str, ...]] = Setting(_words, ())
    """git: options of ``git clone``."""

    archive_path: Setting[StrPath, str | None] = Setting(host_path, None)
    """tarball: host path of the archive (gz, bz2, xz, zst, or plain)."""
    tar_options: Setting[Sequence[str], tuple[str, ...]] = Setting(_words, ())
    """tarball: further options of tar."""
    allow_devices: Setting[bool, bool] = Setting(boolean, False)
    """tarball: unpack device nodes too."""

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

    def run_shell(self, code: str, name: str | None = None, sh: StrPath = "/bin/sh") -> None:
        """Run a script with ``sh -xe`` in the new root.

        Args:
            code: The script; its common indentation is removed.
            name: For messages and ``--run-only``; ``shell-N`` for the Nth step unless given.
            sh: The shell, as seen inside.
        """
        with Recording(self, "run_shell") as where:
            self._add(name, "shell", script(code), container_path(sh), where)

    def run_python(self, function: StepFunction, name: str | None = None) -> StepFunction:
        """Run a function in the new root; it takes no argument. Can be used as a decorator.

        Args:
            function: What to run.
            name: For messages and ``--run-only``; ``python-N`` for the Nth step unless given.
        """
        with Recording(self, "run_python") as where:
            self._add(name, "python", check_step(function), "/bin/sh", where)
        return function

    def _add(self, name: object, kind: Literal["shell", "python"], code: Any, sh: str, where: Any) -> None:
        steps: list[ProvisionStep] = self._values.setdefault("steps", [])
        known = f"{kind}-{len(steps) + 1}" if name is None else container_name(name)
        steps.append(ProvisionStep(name=known, kind=kind, code=code, sh=sh, where=where))

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

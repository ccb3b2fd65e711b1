"""How a root file system is made and furnished: what ``config.bootstrap`` and ``config.provision`` come to."""

from __future__ import annotations

from haconiwa.spec.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal

    from haconiwa.errors import Where


class PostprocessSpec(Record):
    """What runs on the host after a bootstrap: a shell script, Python code, or a function of the directory."""

    kind: Literal["shell", "python"]
    code: str | Callable[[str], Any]
    where: Where | None = None


class BootstrapSpec(Record):
    """How the root file system comes into being.

    Attributes:
        strategy: Canonical name: lxc debootstrap git tarball shell python host.
        options: The strategy's own attributes that were set, by name.
    """

    strategy: str
    options: Mapping[str, Any]
    postprocess: tuple[PostprocessSpec, ...] = ()
    skip: bool = False
    where: Where | None = None


class ProvisionStep(Record):
    """One provisioning step: a shell script for `sh`, a function that runs inside, or files to copy.

    Attributes:
        run: Each time, only until it has come to its end once, or when it would do something else than the last time.
        source: Absolute host path of what is copied.
        destination: As seen inside; ends in a slash for a directory.
    """

    name: str
    kind: Literal["shell", "python", "copy"]
    code: str | Callable[[], Any] = ""
    sh: str = "/bin/sh"
    run: Literal["always", "once", "changed"] = "always"
    source: str = ""
    destination: str = ""
    where: Where | None = None


class ProvisionSpec(Record):
    """What runs in the new root file system, in order; nothing when `skip`.

    Attributes:
        environ: Added to the environment of the steps, as (name, value).
        shared_caches: Package managers whose downloads are kept on the host.
    """

    steps: tuple[ProvisionStep, ...] = ()
    skip: bool = False
    environ: tuple[tuple[str, str], ...] = ()
    shared_caches: tuple[str, ...] = ()

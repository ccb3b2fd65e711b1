"""Who may use a haco file."""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import BarnSpec


def check_caller(spec: BarnSpec) -> None:
    """Ask the file who may use it.

    Raises:
        ContainerError: Not the caller.
    """
    uid, gid = os.getuid(), os.getgid()
    if spec.validate_real_id is not None and spec.validate_real_id(uid, gid) is not True:
        raise ContainerError(
            f'cannot use "{spec.file}"', why=f"its validate_real_id refuses user id {uid}, group id {gid}"
        )

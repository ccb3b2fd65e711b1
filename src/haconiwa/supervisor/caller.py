"""Who may use a haco file."""

from __future__ import annotations

import os

from haconiwa.errors import ContainerError, HookError
from haconiwa.lifecycle.hooks import call_function, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import BarnSpec


def check_caller(spec: BarnSpec) -> None:
    """Ask the file who may use it.

    Raises:
        ContainerError: Not the caller.
        HookError: Its function raised, so nobody may.
    """
    function = spec.validate_real_id
    if function is None:
        return
    uid, gid = os.getuid(), os.getgid()
    what = f'validate_real_id "{function_name(function)}"'
    try:
        answer = call_function(function, uid, what, more=(gid,))
    except HookError as error:
        error.subject = spec.file
        raise
    if answer is not True:
        raise ContainerError(
            f'cannot use "{spec.file}"', why=f"its validate_real_id refuses user id {uid}, group id {gid}"
        )

"""What the supervisor and the container's process say to each other until the program runs.

    supervisor                                container's process
    ──────────                                ───────────────────
    clone3 ────────────────────────────────▶  steps of the child …
    write the id maps, ``M`` ──────────────▶  … goes on as root of its user namespace
    hooks on the parent's side                …
                          ◀──────────── ``T`` with the terminal's master (to whoever relays it)
                                              … steps inside the new root
                          ◀──────────── ``R`` ready: only the exec is left
    record the state, ``X`` ───────────────▶  load the seccomp filters
                          ◀──────────── ``L`` with a listener, if functions decide system calls
                                              execve
                          ◀──────────── end of file: the exec succeeded (close-on-exec)
                          ◀──────────── ``W`` at any time: something went wrong and the start goes on, as data
                          ◀──────────── ``E`` at any time: a step failed, as data

One SOCK_SEQPACKET pair, one message a packet. A side that finds the other gone gives up.
"""

from __future__ import annotations

import os

from haconiwa.errors import (
    ContainerError,
    HaconiwaError,
    HookError,
    HostError,
    InternalError,
    Where,
    describe_errno,
    errno_hint,
    printable,
)
from haconiwa.isolation.step import Step
from haconiwa.lifecycle.hooks import user_frames

FAILED = b"E"
"""First byte of the message about a failed step."""
WENT_WRONG = b"W"
"""First byte of the message about what does not stop the start; the rest is the same."""
MESSAGE_SIZE = 65536
_FIELD_LIMIT = 1024


def encode_failure(index: int, error: BaseException, kind: bytes = FAILED) -> bytes:
    """A failure of the child as bytes. Uses nothing that could import, look up a codec or open a file."""
    fields = [str(index), type(error).__name__]
    if isinstance(error, HookError):
        fields += ["hook", "0", "0", error.what, error.why, error.hint]
        fields += [part for file, line, function in error.frames for part in (file, str(line), function)]
    elif isinstance(error, ContainerError):
        fields += ["container", str(error.errno), str(error.exit_status), error.what, error.why, error.hint]
    elif isinstance(error, HostError):
        fields += ["host", "0", "0", error.what, error.why, error.hint]
    elif isinstance(error, OSError) and error.errno is not None:
        fields += ["os", str(error.errno), "0", "", error.strerror or "", ""]
    else:
        fields += ["bug", "0", "0", "", str(error), ""]
        code = [(frame[0], str(frame[1]), frame[2]) for frame in user_frames(error.__traceback__)]
        fields += [part for frame in code for part in frame]
    # Escaped, so that any text can be encoded and no field has a NUL; cut, so that all of it fits into one packet.
    return kind + b"\0".join(printable(field).encode()[:_FIELD_LIMIT] for field in fields)


def decode_failure(message: bytes, steps: list[Step], subject: str) -> HaconiwaError:
    """The child's failure as an exception that names its step and the line that asked for it."""
    fields = [field.decode("utf-8", "replace") for field in message[1:].split(b"\0")]
    index, name, kind, number, status, what, why, hint = fields[:8]
    step = steps[min(int(index), len(steps) - 1)]
    rest = fields[8:]
    frames = tuple((rest[n], int(rest[n + 1]), rest[n + 2]) for n in range(0, len(rest) - 2, 3))
    if kind == "hook":
        return HookError(what, why=why, frames=frames, where=step.where, subject=subject)
    if kind == "container":
        return ContainerError(
            what, why=why, hint=hint, where=step.where, subject=subject, exit_status=int(status), errno=int(number)
        )
    if kind == "host":
        return HostError(what, why=why, hint=hint, where=step.where, subject=subject)
    if kind == "os":
        return step_error(step, OSError(int(number), why), subject)
    return InternalError(f"cannot {step.describe()}", why=f"{name}: {why}", subject=subject)


def step_error(step: Step, error: OSError, subject: str) -> ContainerError:
    """What the kernel refused, in the words of the step that asked for it."""
    number = error.errno or 0
    kernel_words = os.strerror(number)
    own_words = f"{error.strerror}: " if error.strerror and error.strerror != kernel_words else ""
    return ContainerError(
        f"cannot {step.describe()}",
        why=own_words + describe_errno(number),
        hint=step.hint(number) or errno_hint(number),
        where=step.where,
        subject=subject,
        errno=number,
    )


def place_of(error: HaconiwaError, where: Where | None) -> HaconiwaError:
    """The error with the line of its step, unless it has one."""
    error.where = error.where or where
    return error

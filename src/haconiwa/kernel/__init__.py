"""The kernel as Python functions: the only place with ctypes, ioctl and clone.

Each function is one system call with the name and the argument order of its manual page, and knows nothing of
containers. A failure is a `SyscallError` that shows the call the way strace(1) does. Descriptors that are made here
are close-on-exec, as all that Python makes (PEP 446).

What the standard library of Python 3.11 has is not wrapped again: ``os.pidfd_open``, ``signal.pidfd_send_signal``,
``os.setresuid``, ``os.setgroups``, ``resource.prlimit``, ``os.memfd_create``.
"""

from __future__ import annotations

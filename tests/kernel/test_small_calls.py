"""Host names, the session keyring and the loopback interface."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from haconiwa.kernel.errors import SyscallError
from haconiwa.kernel.keyctl import join_session_keyring
from haconiwa.kernel.namespaces import CLONE
from haconiwa.kernel.network import set_interface_up
from haconiwa.kernel.uts import setdomainname, sethostname
from tests.support.child import in_child


@pytest.mark.requires("root")
@pytest.mark.parametrize("name", ["web", "", "x" * 64, "caf\u00e9"])
def test_uts_names(name: str) -> None:
    def check() -> None:
        sethostname(name)
        setdomainname(name + "d" if len(name) < 64 else name)
        assert os.uname().nodename.encode("utf-8", "surrogateescape") == name.encode()
        with open("/proc/sys/kernel/domainname", encoding="utf-8") as file:
            assert file.read().rstrip("\n") == (name + "d" if len(name) < 64 else name)

    in_child(check, unshared=CLONE.NEWUTS)


@pytest.mark.requires("root")
def test_uts_failures() -> None:
    def check() -> None:
        for call in (sethostname, setdomainname):
            with pytest.raises(SyscallError) as caught:
                call("x" * 65)
            assert (caught.value.errno, caught.value.call) == (
                errno.EINVAL,
                f'{call.__name__}("{"x" * 65}", 65)',
            )
            with pytest.raises(ValueError, match="embedded null byte"):
                call("a\0b")
        os.setresuid(65534, 65534, 65534)
        for call in (sethostname, setdomainname):
            with pytest.raises(SyscallError) as caught:
                call("web")
            assert (caught.value.errno, caught.value.call) == (errno.EPERM, f'{call.__name__}("web", 3)')

    in_child(check, unshared=CLONE.NEWUTS)


def test_join_session_keyring_makes_a_new_one_each_time() -> None:
    def check() -> None:
        first = join_session_keyring()
        assert first > 0
        assert join_session_keyring() != first
        named = join_session_keyring("kernel-test")
        with open("/proc/keys", encoding="utf-8") as lines:
            assert any(line.startswith(f"{named:08x}") and "kernel-test: empty" in line for line in lines)

    in_child(check)


def test_join_session_keyring_failure() -> None:
    def check() -> None:
        with pytest.raises(SyscallError) as caught:
            join_session_keyring(".hidden")
        assert (caught.value.errno, caught.value.call) == (
            errno.EPERM,
            'keyctl(KEYCTL_JOIN_SESSION_KEYRING, ".hidden")',
        )

    in_child(check)


@pytest.mark.requires("root", "netns")
def test_set_interface_up_makes_loopback_work() -> None:
    def check() -> None:
        listener = socket.socket()
        listener.settimeout(10)
        with socket.socket() as before, pytest.raises(OSError, match="unreachable"):
            before.connect(("127.0.0.1", 9))
        set_interface_up("lo")
        set_interface_up("lo")  # once more does no harm
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname(), timeout=10):
            listener.accept()[0].close()
        listener.close()

    in_child(check, unshared=CLONE.NEWNET)


@pytest.mark.requires("root", "netns")
def test_set_interface_up_failures() -> None:
    def check() -> None:
        descriptors = len(os.listdir("/proc/self/fd"))
        with pytest.raises(SyscallError, match=r"SIOCGIFFLAGS, {\.\.\.}\): No such device \(ENODEV\)"):
            set_interface_up("nothing0")
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError, match=r"SIOCSIFFLAGS, {\.\.\.}\): Operation not permitted \(EPERM\)"):
            set_interface_up("lo")
        assert len(os.listdir("/proc/self/fd")) == descriptors

    in_child(check, unshared=CLONE.NEWNET)


@pytest.mark.parametrize("name", ["x" * 16, "l\0o"])
def test_no_name_of_an_interface(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an interface"):
        set_interface_up(name)

"""Small programs: their words, their failures, and where they run."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from haconiwa.errors import HostError
from haconiwa.host.tools import (
    Tool,
    ToolFailed,
    ToolHung,
    find_program,
    in_network_namespace,
    open_network_namespace,
    run_tool,
)
from haconiwa.kernel.namespaces import CLONE
from tests.support.child import in_child


def test_input_and_output() -> None:
    assert run_tool("copy", "cat", text="one\ntwo\n") == "one\ntwo\n"
    assert run_tool("copy much", "wc", "-c", text="x" * 300_000).strip() == "300000"


def test_its_first_words_are_the_reason() -> None:
    with pytest.raises(ToolFailed) as caught:
        run_tool("do it", "sh", "-c", "echo 'RTNETLINK answers: File exists' >&2; echo more >&2; exit 2")
    assert str(caught.value) == "cannot do it: File exists"
    with pytest.raises(ToolFailed, match="cannot do it: false failed"):
        run_tool("do it", "false")


def test_a_program_is_found_without_the_callers_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert os.path.isabs(find_program("tar"))


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(HostError) as raised:
        find_program("no-such-program")
    assert raised.value.lines() == [
        'error: the program "no-such-program" is missing',
        "  hint: install it, on Debian: apt-get install no-such-program",
    ]


def test_what_cannot_be_executed_is_no_program(tmp_path: Path) -> None:
    folders = [tmp_path / word for word in ("folder", "text", "first", "second")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "it").mkdir()
    for folder in folders[1:]:
        (folder / "it").touch(0o644 if folder == folders[1] else 0o755)
    assert find_program("it", ":".join(map(str, folders))) == str(folders[2] / "it")


def test_the_package_is_not_always_called_like_the_program() -> None:
    with pytest.raises(HostError) as raised:
        find_program("lxc-create", "/nowhere")
    assert raised.value.hint.endswith("apt-get install lxc")


def test_two_at_once() -> None:
    tools = [Tool("say", "sh", ("-c", f"echo {n}")) for n in range(2)]
    assert [tool.finish() for tool in tools] == ["0\n", "1\n"]


def own_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_one_that_does_not_end_is_killed() -> None:
    before = own_fds()
    tool = Tool("wait", "sh", ("-c", "trap '' TERM; exec sleep 60"))
    with pytest.raises(ToolHung, match=r"^cannot wait: sh still ran after 0\.05 s$"):
        tool.finish(timeout_s=0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(tool._pid, 0)
    assert own_fds() == before


LONG = "x" * 300_000
"""More than a pipe holds."""


def test_what_it_is_given_at_the_end() -> None:
    before = own_fds()
    assert Tool("count", "wc", ("-c",), None).finish(text=LONG) == f"{len(LONG)}\n"
    assert Tool("count", "wc", ("-c",), None).finish() == "0\n"
    with pytest.raises(ToolFailed, match=r"^cannot read: not me$"):
        Tool("read", "sh", ("-c", "echo not me; exit 1"), None).finish(text=LONG)
    assert own_fds() == before


def test_one_that_does_not_read_is_killed() -> None:
    before = own_fds()
    tool = Tool("wait", "sleep", ("60",), None)
    with pytest.raises(ToolHung, match=r"^cannot wait: sleep still ran after 0\.05 s$"):
        tool.finish(timeout_s=0.05, text=LONG)
    with pytest.raises(ProcessLookupError):
        os.kill(tool._pid, 0)
    assert own_fds() == before


def test_it_is_gone_whatever_keeps_us_from_waiting() -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    before = own_fds()
    tool = Tool("wait", "sleep", ("60",))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        tool.finish()
    signal.signal(signal.SIGALRM, former)
    with pytest.raises(ProcessLookupError):
        os.kill(tool._pid, 0)
    assert own_fds() == before


def test_it_is_gone_when_there_is_no_descriptor_left() -> None:
    def check() -> None:
        tool = Tool("wait", "sleep", ("60",))
        resource.setrlimit(resource.RLIMIT_NOFILE, (tool._output_fd + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        while True:
            try:
                os.dup(0)
            except OSError:
                break
        with pytest.raises(OSError, match="Too many open files"):
            tool.finish()
        with pytest.raises(ProcessLookupError):
            os.kill(tool._pid, 0)

    in_child(check)


def test_its_own_network_namespace_takes_no_right() -> None:
    def as_user() -> str:
        os.setresuid(65534, 65534, 65534)
        own_fd = open_network_namespace()
        return in_network_namespace(own_fd, lambda: "called")

    assert in_child(as_user if os.geteuid() == 0 else lambda: "called") == "called"


@pytest.mark.requires("root", "netns")
def test_another_network_namespace() -> None:
    def check() -> None:
        own = os.readlink("/proc/self/ns/net")
        other_fd = open_network_namespace(os.getppid())
        seen = in_network_namespace(other_fd, lambda: run_tool("look", "readlink", "/proc/self/ns/net"))
        assert seen.strip() != own == os.readlink("/proc/self/ns/net")
        with pytest.raises(ZeroDivisionError):
            in_network_namespace(other_fd, lambda: 1 // 0)
        assert own == os.readlink("/proc/self/ns/net")

    in_child(check, unshared=CLONE.NEWNET)

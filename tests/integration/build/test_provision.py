"""Provisioning steps in a real root file system."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.build.create import create
from haconiwa.build.marker import State, own_marker
from haconiwa.build.place import Place
from haconiwa.build.provision import provision
from haconiwa.errors import BuildError, ConfigError, HaconiwaError, Where
from haconiwa.kernel.capabilities import to_mask
from haconiwa.spec.build import ProvisionSpec, ProvisionStep
from haconiwa.spec.model import ContainerSpec
from haconiwa.spec.record import replace
from tests.conftest import RunDirs
from tests.support.build import Recorder, container, shell_step

pytestmark = pytest.mark.requires("root")

Make = Callable[..., ContainerSpec]


@pytest.fixture
def make(run_dirs: RunDirs) -> Make:
    """A container on the strategy host with the given steps; its root is below the test's directories."""

    def spec(*steps: ProvisionStep) -> ContainerSpec:
        return container(run_dirs.base / "web", "host", steps=steps)

    return spec


def created(spec: ContainerSpec) -> Recorder:
    report = Recorder()
    create(spec, report)
    return report


def root_of(spec: ContainerSpec) -> Path:
    assert spec.rootfs is not None
    return Path(spec.rootfs.path)


def state_of(spec: ContainerSpec) -> State:
    marker = own_marker(Place(str(root_of(spec))))
    assert marker is not None
    return marker.state


def test_what_is_said_is_word_for_word_that_of_the_walk_through(make: Make) -> None:
    report = created(make(shell_step("echo one"), shell_step("echo two", "second")))
    assert report.told == [
        "Creating rootfs of web...",
        "Start bootstrapping rootfs with the host's /usr...",
        "Success!",
        "Start provisioning...",
        "Running provisioning with shell script...",
        "Command success: /bin/sh -xe exited 0",
        "Running provisioning with shell script...",
        "Command success: /bin/sh -xe exited 0",
        "Success!",
    ]
    assert report.lines == [
        ("provision.shell-1", "+ echo one"),
        ("provision.shell-1", "one"),
        ("provision.second", "+ echo two"),
        ("provision.second", "two"),
    ]


@pytest.mark.setting("provision.run_shell")
def test_a_step_finds_what_tools_expect(make: Make) -> None:
    report = created(
        make(
            shell_step(
                """
                set +x
                echo $$ $PATH $HOME $DEBIAN_FRONTEND $(pwd) $(id -u) $(hostname)
                test -c /dev/null; test -d /dev/pts; test -r /proc/self/status; test -d /sys/kernel
                touch /tmp/x /root/x /etc/x
                tty < /dev/null || echo no tty
                mount | grep -c ' /usr .*ro,'
                ls /proc | grep -c '^[0-9]'
                """
            )
        )
    )
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    texts = [text for text in report.texts() if not text.startswith("+")]
    assert texts[0] == f"1 {path} /root noninteractive / 0 web"
    assert texts[1:3] == ["not a tty", "no tty"]
    assert texts[3] == "1"
    assert int(texts[4]) < 5


def test_a_step_has_no_right_on_the_hosts_network(make: Make) -> None:
    report = created(make(shell_step("set +x; grep -e CapBnd -e Seccomp: /proc/self/status")))
    mask = to_mask(
        "audit_write chown dac_override fowner fsetid kill mknod net_bind_service setfcap setgid setpcap setuid "
        "sys_chroot sys_nice".split()
    )
    assert " ".join(report.texts()[-2:]).split() == ["CapBnd:", f"{mask:016x}", "Seccomp:", "2"]


def test_temporary_files_and_mounts_of_a_step_do_not_stay(make: Make) -> None:
    spec = make(shell_step("touch /tmp/x /kept; grep -q ' /proc ' /proc/mounts"))
    created(spec)
    assert (root_of(spec) / "kept").exists()
    for path in ("tmp", "dev", "proc", "sys", "usr"):
        assert os.listdir(root_of(spec) / path) in ([], ["pts", "shm"], ["shm", "pts"])
    assert str(root_of(spec)) not in Path("/proc/self/mountinfo").read_text(encoding="ascii")


def test_a_program_that_reads_its_input_does_not_eat_the_script(make: Make) -> None:
    report = created(make(shell_step("cat\nread line || echo nothing to read\necho end")))
    assert [text for text in report.texts() if not text.startswith("+")] == ["nothing to read", "end"]


def test_a_script_may_be_larger_than_an_argument(make: Make) -> None:
    report = created(make(shell_step(f": {'x' * 400_000}\necho end")))
    assert report.texts()[-1] == "end"


def test_a_step_with_another_shell(make: Make) -> None:
    report = created(make(shell_step("a=(1 2 3); echo ${#a[@]}", sh="/bin/bash")))
    assert report.texts()[-1] == "3"
    assert "Command success: /bin/bash -xe exited 0" in report.told


def test_a_failing_step_stops_the_rest_and_the_next_create_goes_on(make: Make) -> None:
    where = Where("web.haco", 9)
    failing = replace(shell_step("touch /first; test -e /mended", "mend"), where=where)
    spec = make(failing, shell_step("touch /second", "last"))
    with pytest.raises(BuildError) as raised:
        created(spec)
    assert raised.value.lines() == [
        'error: web: the provisioning step "mend" failed: exited 1',
        "  at: web.haco:9",
        "  hint: run it again with haconiwa provision --run-only mend web.haco",
    ]
    assert (raised.value.status, raised.value.last_lines[-1]) == (1, "+ test -e /mended")
    assert state_of(spec) is State.BOOTSTRAPPED
    assert (root_of(spec) / "first").exists()
    assert not (root_of(spec) / "second").exists()
    (root_of(spec) / "mended").touch()
    report = created(spec)
    assert "but its provisioning did not come to its end" in report.told[0]
    assert (root_of(spec) / "second").exists()
    assert state_of(spec) is State.COMPLETE
    assert created(spec).told == [f"Rootfs {root_of(spec)} is already there"]


def test_an_error_in_the_middle_stops_a_script(make: Make) -> None:
    with pytest.raises(BuildError, match="exited 2"):
        created(make(shell_step("echo one\nls /no/such\necho two")))


def test_a_step_that_is_killed_tells_the_signal(make: Make) -> None:
    with pytest.raises(BuildError, match=r"exited 137"):
        created(make(shell_step("sh -c 'kill -9 $$'")))


def test_a_directory_of_somebody_elses_is_left_as_it_was_by_a_step_that_fails(make: Make) -> None:
    spec = make(shell_step("true"))
    root = root_of(spec)
    (root / "tmp").mkdir(parents=True)
    with pytest.raises(HaconiwaError) as caught:
        provision(replace(spec, root_mounts=()), Recorder())
    assert str(caught.value).startswith(f"{spec.name}: ")
    assert "provision-" not in str(caught.value)
    assert [path.name for path in root.iterdir()] == ["tmp"]


def test_a_shell_that_is_missing_is_named(make: Make) -> None:
    with pytest.raises(HaconiwaError, match=r"/bin/fish"):
        created(make(shell_step("true", sh="/bin/fish")))


@pytest.mark.setting("provision.run_python")
def test_a_function_runs_inside(make: Make) -> None:
    def inside() -> None:
        with open("/made-by-function", "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
        print("hello from", os.uname().nodename)

    spec = make(ProvisionStep(name="python-1", kind="python", code=inside))
    report = created(spec)
    assert report.lines == [("provision.python-1", "hello from web")]
    assert (root_of(spec) / "made-by-function").read_text(encoding="utf-8") == "1"


def test_a_function_that_raises_fails(make: Make) -> None:
    def inside() -> None:
        raise ValueError("boom")

    spec = make(ProvisionStep(name="python-1", kind="python", code=inside, where=Where("web.haco", 7)))
    report = Recorder()
    with pytest.raises(BuildError) as caught:
        create(spec, report)
    assert caught.value.lines() == [
        'error: web: the provisioning step "python-1" failed: ValueError: boom',
        "  at: web.haco:7",
        "  hint: run it again with haconiwa provision --run-only python-1 web.haco",
    ]
    line = inside.__code__.co_firstlineno + 1
    assert report.lines == [("provision.python-1", f"  in: inside ({__file__}:{line})")]
    assert state_of(spec) is State.BOOTSTRAPPED


@pytest.mark.parametrize("status", [0, 3])
def test_a_function_that_exits_has_failed(make: Make, status: int) -> None:
    spec = make(ProvisionStep(name="python-1", kind="python", code=lambda: sys.exit(status)))
    with pytest.raises(BuildError, match=rf'web: the provisioning step "python-1" failed: SystemExit: {status}$'):
        created(spec)


def test_only_some_steps_in_the_order_of_the_file(make: Make) -> None:
    spec = make(*(shell_step(f"echo {name} >> /order", name) for name in ("a", "b", "c")))
    create(spec, Recorder(), provision=False)
    provision(spec, Recorder(), only=["c", "a"])
    assert (root_of(spec) / "order").read_text(encoding="ascii") == "a\nc\n"


def test_provisioning_again_runs_every_step(make: Make) -> None:
    spec = make(shell_step("echo x >> /order"))
    created(spec)
    provision(spec, Recorder())
    assert (root_of(spec) / "order").read_text(encoding="ascii") == "x\nx\n"
    assert state_of(spec) is State.COMPLETE


def test_unknown_steps_are_named_with_those_there_are(make: Make) -> None:
    spec = make(shell_step("true", "a"), shell_step("true", "b"))
    with pytest.raises(ConfigError) as raised:
        provision(spec, Recorder(), only=["a", "x", "y"])
    assert raised.value.lines() == [
        'error: web: no provisioning step "x"; there are a, b',
        'error: web: no provisioning step "y"; there are a, b',
    ]


def test_a_root_that_is_missing_is_refused(make: Make) -> None:
    with pytest.raises(BuildError, match="does not exist") as raised:
        provision(make(shell_step("true")), Recorder())
    assert raised.value.hint == "make it with haconiwa create"


@pytest.mark.setting("provision.skip", "skip_provision")
def test_skipped_provisioning_runs_nothing(make: Make) -> None:
    spec = replace(make(), provision=ProvisionSpec(steps=(shell_step("exit 1"),), skip=True))
    report = created(spec)
    assert report.lines == []
    assert state_of(spec) is State.COMPLETE


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_step_is_killed_whole(make: Make, run_dirs: RunDirs, raised: type[BaseException]) -> None:
    """The fixture fails when a process, a mount or a runtime file of it stays."""

    def interrupt(text: str) -> None:
        if text == "ready":
            raise raised

    spec = make(shell_step("set +x; trap '' TERM INT; setsid sleep 1000 & sleep 1000 & echo ready; wait"))
    with pytest.raises(raised):
        create(spec, Recorder(interrupt))
    assert state_of(spec) is State.BOOTSTRAPPED


def test_a_killed_create_takes_its_step_along(make: Make, run_dirs: RunDirs) -> None:
    spec = make(shell_step("set +x; trap '' TERM INT; setsid sleep 1000 & echo ready; wait"))

    def die(text: str) -> None:
        if text == "ready":
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        create(spec, Recorder(die))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert state_of(spec) is State.BOOTSTRAPPED


def test_the_step_cannot_change_the_hosts_usr_or_names(make: Make) -> None:
    report = created(
        make(
            shell_step(
                "touch /usr/x || echo kept; hostname changed 2>/dev/null || true; echo > /etc/hosts || echo kept"
            )
        )
    )
    assert report.texts().count("kept") == 2
    assert os.uname().nodename != "changed"

"""``haconiwa start``: run the containers of a haco file."""

from __future__ import annotations

import os

from haconiwa.cli.output import message_fd
from haconiwa.cli.privilege import as_caller_may, with_files_of
from haconiwa.dsl.load import load_file
from haconiwa.errors import ConfigError, Problem
from haconiwa.image import keep_image
from haconiwa.spec.record import replace
from haconiwa.supervisor.barn import BarnOptions
from haconiwa.supervisor.caller import check_caller
from haconiwa.supervisor.run import run_barn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import BarnSpec, ContainerSpec

DESCRIPTION = """\
Run the containers of a haco file.

In the foreground the exit status is the container's, 128+n when signal n ended it; 125 when it could not be started,
126 when its command cannot be executed, 127 when there is no such command. On a terminal the program gets a terminal of
its own; typing Ctrl-] three times within a second ends it whatever it does. As a daemon, start returns when every
container runs, or says why not."""
EPILOG = """\
examples:
  haconiwa start web.haco                       run it
  haconiwa start web.haco -- /bin/sh -c 'id'    run something else in it
  haconiwa start -D web.haco                    run it in the background
  haconiwa start --ephemeral web.haco           and keep nothing of what it does to its root
  haconiwa start --adopt web.haco               look after it again, once its supervisor was killed"""
TAKES_COMMAND = True


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", help="the haco file")
    parser.add_argument("-D", "--daemon", action="store_true", help="run in the background")
    parser.add_argument("-T", "--no-daemon", action="store_true", help="run in the foreground whatever the file says")
    parser.add_argument("--wait-ready", action="store_true", help="as a daemon, return once every container is ready")
    parser.add_argument("-b", "--bootstrap", action="store_true", help="create the root file system first")
    parser.add_argument("-N", "--no-provision", action="store_true", help="with -b: bootstrap only")
    parser.add_argument("-q", dest="quiet", action="store_true", help="the same as --quiet")
    parser.add_argument("-v", "--verbose", action="store_true", help="with -b: print how long it has taken so far")
    parser.add_argument("-n", "--name", help="only this container of the file")
    parser.add_argument(
        "--adopt", action="store_true", help="look after what runs without its supervisor; start nothing"
    )
    parser.add_argument("--ephemeral", action="store_true", help="throw away what changes in the root file system")
    parser.add_argument("--timings", action="store_true", help="print how long each part of the start took")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Start, and in the foreground wait for the end."""
    if not arguments.timings:
        return _run(arguments, output, lambda _part: None)
    from haconiwa.supervisor.timings import Timings

    timings = Timings()
    try:
        return _run(arguments, output, timings.note)
    finally:
        for line in timings.lines():
            output.say(line)


def _run(arguments: SimpleNamespace, output: Output, note: Callable[[str], None]) -> int:
    loaded = select(load_file(arguments.file), arguments.name)
    note("the haco file")
    if not arguments.adopt:
        _refuse_contradictions(arguments, loaded)
    spec = as_caller_may(loaded, "start")
    if arguments.adopt:
        return _adopt(spec, arguments, output, note)
    if arguments.bootstrap:
        check_caller(spec)
        spec = _created(spec, arguments, output)
        note("the root file system")
    spec = _with_command(spec, tuple(arguments.command))
    if arguments.ephemeral:
        spec = replace(spec, containers=tuple(_ephemeral(container) for container in spec.containers))
    if arguments.daemon or arguments.no_daemon:
        spec = replace(spec, daemonize=arguments.daemon)
    if os.geteuid() != 0:
        _prepare(loaded, output)
    status = run_barn(spec, _options(spec, arguments, note))
    note("the start in the background" if spec.daemonize else "the last hooks")
    keep_image()
    return status


def _options(spec: BarnSpec, arguments: SimpleNamespace, note: Callable[[str], None]) -> BarnOptions:
    return BarnOptions(
        terminal=os.isatty(0) and os.isatty(1),
        message_fd=message_fd(),
        quiet=arguments.quiet,
        trace=arguments.debug,
        load=lambda: as_caller_may(load_file(spec.file), "reload"),
        wait_ready=arguments.wait_ready,
        note=note,
    )


def _adopt(spec: BarnSpec, arguments: SimpleNamespace, output: Output, note: Callable[[str], None]) -> int:
    """Nothing is started, so what says how to start is a mistake."""
    words = {
        "-T": arguments.no_daemon, "-b": arguments.bootstrap, "-N": arguments.no_provision,
        "--ephemeral": arguments.ephemeral, "a command": arguments.command,
    }  # fmt: skip
    if wrong := [word for word, given in words.items() if given]:
        raise ConfigError(Problem(f"--adopt goes on with what runs, so {' and '.join(wrong)} cannot be given"))
    from haconiwa.supervisor.adoption import adopt_barn

    status = adopt_barn(spec, _options(spec, arguments, note), output.say)
    note("the adoption in the background")
    return status


def _prepare(loaded: BarnSpec, output: Output) -> None:
    """What an ordinary user has to be told before a start."""
    from haconiwa.lifecycle.ordinary import prepare_start

    for line in prepare_start(loaded):
        output.say(line)


def _refuse_contradictions(arguments: SimpleNamespace, loaded: BarnSpec) -> None:
    if arguments.daemon and arguments.no_daemon:
        raise ConfigError(Problem("-D and -T contradict each other: in the background or in the foreground?"))
    if arguments.no_provision and not arguments.bootstrap:
        raise ConfigError(Problem("-N is about making the root file system", hint="add -b, or leave it out"))
    in_background = arguments.daemon or (loaded.daemonize and not arguments.no_daemon)
    if arguments.wait_ready and not in_background:
        raise ConfigError(Problem("--wait-ready is for containers in the background", hint="add -D"))


def load_usable(path: str) -> BarnSpec:
    """A haco file to work with, for a caller who may use it; a start asks about that itself.

    Raises:
        HaconiwaError: It cannot be loaded, or the caller may not.
    """
    spec = load_file(path)
    check_caller(spec)
    return spec


def select(spec: BarnSpec, name: str | None) -> BarnSpec:
    """The file with only the container of that name.

    Raises:
        ConfigError: It has no such container.
    """
    if name is None:
        return spec
    chosen = tuple(container for container in spec.containers if container.name == name)
    if not chosen:
        names = ", ".join(container.name for container in spec.containers)
        raise ConfigError(Problem(f'"{spec.file}" has no container "{name}"', hint=f"it has: {names}"))
    return replace(spec, containers=chosen)


def _ephemeral(container: ContainerSpec) -> ContainerSpec:
    """The container with a layer over its root that is thrown away at its end."""
    if container.rootfs is None:
        raise ConfigError(
            Problem(f"{container.name}: chroot_to is not set, so --ephemeral cannot keep it from changes")
        )
    return replace(container, rootfs=replace(container.rootfs, overlay=True, ephemeral=True))


def _with_command(spec: BarnSpec, command: tuple[str, ...]) -> BarnSpec:
    if not command:
        return spec
    if len(spec.containers) > 1:
        raise ConfigError(Problem("a command can be given to one container only", hint="choose it with -n NAME"))
    return replace(spec, containers=tuple(_running(command, container) for container in spec.containers))


def _running(command: tuple[str, ...], container: ContainerSpec) -> ContainerSpec:
    """The container with another command, which no line of the file names."""
    sources = {name: where for name, where in container.sources.items() if name != "init_command"}
    return replace(container, init_command=command, sources=sources)


def _created(spec: BarnSpec, arguments: SimpleNamespace, output: Output) -> BarnSpec:
    """The containers, once their root file systems are there, with what the images of those say."""
    from functools import partial

    from haconiwa.build.create import create
    from haconiwa.cli.progress import Progress
    from haconiwa.host.image_record import with_recorded_image

    provisioned = set()

    def make(container: ContainerSpec, *, provision: bool) -> int:
        with Progress(output, verbose=arguments.verbose) as progress:
            create(container, progress, provision=provision)
        return 0

    for container in spec.containers:
        job = (container.rootfs, container.provision)  # what several containers share is done once
        provision = not arguments.no_provision and job not in provisioned
        if status := with_files_of(container, partial(make, container, provision=provision)):
            raise SystemExit(status)  # it has said why
        provisioned.add(job)
    return replace(spec, containers=tuple(with_recorded_image(container) for container in spec.containers))

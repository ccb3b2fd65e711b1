"""``haconiwa new``: write a haco file to begin with."""

from __future__ import annotations

import os
import secrets

from haconiwa.cli.haco_template import global_text, haco_text
from haconiwa.dsl.load import load_defaults
from haconiwa.errors import ConfigError, HostError, Problem, describe_errno, printable
from haconiwa.host.paths import absolute, global_config, lib_dir
from haconiwa.host.tools import find_program
from haconiwa.spec.names import STRATEGIES, STRATEGY_ALIASES
from haconiwa.spec.values import Refused, container_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import Defaults

DESCRIPTION = """\
Write a commented haco file that is ready for haconiwa create and haconiwa start. A file that exists is never
overwritten.

With --bridge it makes the network bridge too, or only that when no FILE is given; it stays until
haconiwa network rm, or the next boot.

Every option is in it, the rarer ones commented out. Without --strategy the root file system is Alpine by lxc-create
where that is installed, else a skeleton over this machine's own /usr (strategy host), which needs nothing; the global
config may name another one. An ordinary user gets the strategy host, and a user namespace."""
EPILOG = """\
examples:
  haconiwa new test001.haco
  haconiwa new -n web -s debootstrap web.haco
  haconiwa new -N                       the bridge that containers with a network are connected to
  haconiwa new -G                       the global config, with defaults for every haco file"""


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("file", metavar="FILE", nargs="?", help="the haco file to write")
    parser.add_argument("-n", "--name", help="the container's name (default: haconiwa- and eight digits)")
    parser.add_argument("-r", "--root", metavar="DIR", help="where its root file system will be")
    known = (*STRATEGIES, *STRATEGY_ALIASES)
    parser.add_argument("-s", "--strategy", metavar="STRATEGY", choices=known, help=f"one of {' '.join(STRATEGIES)}")
    parser.add_argument("-G", "--global", dest="is_global", action="store_true", help="write the global config")
    parser.add_argument("-N", "--bridge", dest="make_bridge", action="store_true", help="make the network bridge")
    parser.add_argument("-B", "--bridge-name", metavar="NAME", help="its name (default: g.bridge_name, or haconiwa0)")
    parser.add_argument(
        "-I", "--bridge-ip", metavar="ADDRESS", help="its address (default: g.bridge_ip, or 10.0.0.1/24)"
    )


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Write one of the two files, or make the bridge, or both."""
    if arguments.make_bridge:
        _make_bridge(arguments, output)
        if not arguments.file and not arguments.is_global:
            return 0
    elif arguments.bridge_name or arguments.bridge_ip:
        raise ConfigError(Problem("--bridge-name and --bridge-ip are for --bridge", hint="add -N"))
    if arguments.is_global:
        if arguments.file or arguments.name or arguments.root or arguments.strategy:
            raise ConfigError(Problem("--global takes no FILE and no other options", hint="it goes to its own place"))
        _write(global_config(), global_text())
        output.say(f"create  {printable(global_config())}")
        return 0
    if not arguments.file:
        raise ConfigError(
            Problem("new takes a FILE to write, --global or --bridge", hint="haconiwa new --help explains it")
        )
    defaults = load_defaults()
    is_root = os.geteuid() == 0
    strategy, remark = choose_strategy(arguments.strategy or defaults.strategy, has_lxc=_has_lxc(), is_root=is_root)
    name, root = _name_and_root(arguments, defaults)
    _write(arguments.file, haco_text(name, root, strategy, own_ids=not is_root))
    if remark:
        output.say(remark)
    output.say(f"assign  new haconiwa name = {name}")
    output.say(f"assign  rootfs location = {printable(root)}")
    output.say(f"create  {printable(arguments.file)}")
    return 0


def _make_bridge(arguments: SimpleNamespace, output: Output) -> None:
    """Make the bridge that stays; one that is there and the same is left alone."""
    from haconiwa.cli.privilege import require_root
    from haconiwa.dsl.network_values import interface_name, prefixed
    from haconiwa.isolation.net.bridges import ensure_bridge
    from haconiwa.isolation.net.store import Store

    require_root("new --bridge")
    defaults = load_defaults()
    name = _checked("--bridge-name", interface_name, arguments.bridge_name or defaults.bridge_name)
    address = _checked("--bridge-ip", prefixed, arguments.bridge_ip or defaults.bridge_ip)
    notices: list[str] = []  # said later: every container with a network waits for the store
    with Store() as store:
        bridge = ensure_bridge(store, name, address, ipv6=True, on_demand=False, notice=notices.append)
    for notice in notices:
        output.say(notice)
    if not bridge.ours:
        raise HostError(f'cannot make the bridge "{name}"', why="there is an interface of that name that is not ours")
    output.say(f"bridge  {name} {' '.join(filter(None, (bridge.address, bridge.address6)))}")


def choose_strategy(wanted: str | None, *, has_lxc: bool, is_root: bool = True) -> tuple[str, str]:
    """The strategy of a new file, and what is to be said about it.

    Args:
        wanted: What the command line or else the global config says, also an alias.
        has_lxc: lxc-create is installed.
        is_root: Ordinary users cannot use it.
    """
    if wanted:
        return STRATEGY_ALIASES.get(wanted, wanted), ""
    if not is_root:
        return "host", "choose  strategy host, in a user namespace, since you are not root"
    return ("lxc", "") if has_lxc else ("host", "choose  strategy host, since lxc-create is not installed")


def _has_lxc() -> bool:
    try:
        find_program("lxc-create")
    except HostError:
        return False
    return True


def _name_and_root(arguments: SimpleNamespace, defaults: Defaults) -> tuple[str, str]:
    digits = secrets.token_hex(4)
    name = f"haconiwa-{digits}" if arguments.name is None else _checked("--name", container_name, arguments.name)
    folder = defaults.roots if defaults.roots and os.geteuid() == 0 else lib_dir()  # those are root's
    root = absolute(arguments.root or os.path.join(folder, digits if arguments.name is None else name))
    if root.strip("/") == "":
        raise ConfigError(Problem("--root: this is the host's own root"))
    return name, root


def _checked(option: str, parse: Callable[[object], str], value: str) -> str:
    try:
        return parse(value)
    except Refused as error:
        raise ConfigError(Problem(f"{option}: {error}", hint=error.hint)) from None


def _write(path: str, text: str) -> None:
    """Write a new file that nobody else can write to, as haco files have to be."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        exists = isinstance(error, FileExistsError)
        hint = "new never overwrites: remove it first, or take another name" if exists else ""
        raise HostError(f'cannot create "{path}"', why=describe_errno(error.errno or 0), hint=hint) from None

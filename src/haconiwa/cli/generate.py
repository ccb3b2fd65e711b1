"""``haconiwa generate``: files for other programs."""

from __future__ import annotations

import os
import shutil
import sys

from haconiwa.dsl.load import load_file
from haconiwa.errors import printable
from haconiwa.host.paths import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

    from haconiwa.cli.arguments import Parser
    from haconiwa.cli.output import Output
    from haconiwa.spec.model import BarnSpec

DESCRIPTION = """\
Print a unit for systemd that runs the containers of a haco file.

The service is up once every container is ready, or runs where nothing says when it is. Stopping it ends the containers
as haconiwa stop does; reloading it is haconiwa reload."""
EPILOG = """\
examples:
  haconiwa generate systemd web.haco | tee /etc/systemd/system/web.service
  haconiwa generate systemd web.haco | tee ~/.config/systemd/user/web.service     as an ordinary user"""

_UNIT = """\
# Made by haconiwa generate systemd; see systemd.service(5).
[Unit]
Description={description}
{after}RequiresMountsFor={mounts}

[Service]
Type=notify
ExecStart={start}
ExecReload={reload}
# TERM for haconiwa alone, which ends its containers and runs their hooks; KILL for what is left after that.
KillMode=mixed
TimeoutStartSec=infinity
TimeoutStopSec=30
# The containers' groups are made below the service's own.
Delegate=yes
Restart=on-failure

[Install]
WantedBy={target}
"""
_AFTER = "After=network-online.target\nWants=network-online.target\n"


def add_arguments(parser: Parser) -> None:
    """The command's own arguments."""
    parser.add_argument("kind", choices=("systemd",), help="what for")
    parser.add_argument("file", metavar="FILE", help="the haco file")


def run(arguments: SimpleNamespace, output: Output) -> int:
    """Print the unit."""
    output.result(unit(load_file(arguments.file), program(), of_user=os.geteuid() != 0).rstrip("\n"))
    return 0


def program() -> str:
    """Absolute path of this command."""
    name = sys.argv[0]
    return absolute(name if os.sep in name else shutil.which(name) or name)


def unit(spec: BarnSpec, command: str, *, of_user: bool = False) -> str:
    """The text of the unit.

    Args:
        spec: The haco file.
        command: Absolute path of haconiwa.
        of_user: For the service manager of an ordinary user, which knows other targets.
    """
    roots = (container.rootfs.path for container in spec.containers if container.rootfs)
    return _UNIT.format(
        after="" if of_user else _AFTER,
        target="default.target" if of_user else "multi-user.target",
        description=_plain(f"haconiwa: {spec.name}"),
        mounts=" ".join(_word(path) for path in dict.fromkeys((spec.file, *roots))),
        start=" ".join(_argument(word) for word in (command, "start", "--no-daemon", spec.file)),
        reload=" ".join(_argument(word) for word in (command, "reload", spec.file)),
    )


def _plain(text: str) -> str:
    return printable(text).replace("%", "%%")


def _word(text: str) -> str:
    """One word of a list. See: systemd.syntax(7), quoting."""
    escaped = "".join(rf"\x{ord(char):02x}" if char < " " or char in "\"'\\" else char for char in text)
    return (f'"{escaped}"' if escaped != text or " " in text else text).replace("%", "%%")


def _argument(text: str) -> str:
    """One argument of a command line, where a dollar would begin a variable."""
    return _word(text).replace("$", "$$")

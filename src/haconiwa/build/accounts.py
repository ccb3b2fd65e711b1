"""The accounts of a root file system that the ``host`` strategy makes: the system's own, without passwords."""

from __future__ import annotations

_FIRST_HUMAN = 1000
_NOBODY = 65534
_DEFAULT_PASSWD = "root:x:0:0:root:/root:/bin/sh"
_DEFAULT_GROUP = "root:x:0:"


def system_accounts(passwd_path: str = "/etc/passwd", group_path: str = "/etc/group") -> tuple[str, str]:
    """The texts of passwd and group: the host's system accounts, so that ownerships below /usr keep their names.

    No account has a password or says that there is one elsewhere, and no group has a member who is not there.

    Args:
        passwd_path: Host path.
        group_path: Host path.
    """
    default_user: list[str] = [*_DEFAULT_PASSWD.split(":")]
    default_group: list[str] = [*_DEFAULT_GROUP.split(":")]
    users = _system_lines(passwd_path, 7) or [default_user]
    groups = _system_lines(group_path, 4) or [default_group]
    names = {user[0] for user in users}
    for group in groups:
        group[3] = ",".join(member for member in group[3].split(",") if member in names)
    return _text(users), _text(groups)


def _system_lines(path: str, fields: int) -> list[list[str]]:
    """The lines of a file like passwd(5) with an id of the system, taken apart."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(":") for line in file]
    except OSError:
        return []
    return [line for line in lines if len(line) == fields and _is_system(line[2])]


def _is_system(number: str) -> bool:
    return number.isascii() and number.isdigit() and (int(number) < _FIRST_HUMAN or int(number) == _NOBODY)


def _text(lines: list[list[str]]) -> str:
    return "".join(":".join([name, "*", *rest]) + "\n" for name, _, *rest in lines)

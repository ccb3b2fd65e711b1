"""Who the program runs as. See: setresuid(2), setgroups(2), capabilities(7)."""

from __future__ import annotations

import errno
import os

from haconiwa.errors import ContainerError, describe_errno
from haconiwa.isolation.accounts import Account, parse_group, parse_passwd
from haconiwa.isolation.confined import read_file
from haconiwa.isolation.step import CHILD, INSIDE, Site, Step
from haconiwa.kernel.process import set_keepcaps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import ContainerSpec, UserSpec


class LookUpUser(Step):
    """Find the numbers and the home directory in the container's own files."""

    __slots__ = ("user",)

    def __init__(self, user: UserSpec) -> None:
        super().__init__(CHILD, user.where)
        self.user = user

    def describe(self) -> str:
        user = self.user
        names = [f'user "{user.uid}"'] if user.uid is not None else []
        names += [f'group "{group}"' for group in ([user.gid] if user.gid is not None else []) + list(user.groups)]
        return f"look up {', '.join(names) or 'the home directory of root'} in the container's passwd and group"

    def execute(self, site: Site) -> None:
        resolve_user(site, self.user)


def resolve_user(site: Site, user: UserSpec) -> None:
    """Set uid, gid, groups and home of a site whose root is open.

    Raises:
        ContainerError: A name that the container's files do not have.
    """
    accounts = parse_passwd(_content(site.root_fd, "/etc/passwd", user if isinstance(user.uid, str) else None))
    account = _find_account(accounts, user)
    if isinstance(user.uid, str):
        if account is None:
            raise _unknown("user", user.uid, "/etc/passwd", user)
        site.uid = account.uid
    else:
        site.uid = user.uid or 0
    site.home = os.fsdecode(account.home) if account and account.home.startswith(b"/") else "/"
    names = [name for name in (user.gid, *user.groups) if isinstance(name, str)]
    groups = parse_group(_content(site.root_fd, "/etc/group", user)) if names else {}
    if user.gid is not None:
        site.gid = _gid(user.gid, groups, user)
    else:
        site.gid = account.gid if account else site.uid
    site.groups = tuple(_gid(group, groups, user) for group in user.groups)


def _find_account(accounts: list[Account], user: UserSpec) -> Account | None:
    if isinstance(user.uid, str):
        name = os.fsencode(user.uid)
        return next((account for account in accounts if account.name == name), None)
    return next((account for account in accounts if account.uid == (user.uid or 0)), None)


def _gid(group: int | str, groups: dict[bytes, int], user: UserSpec) -> int:
    if isinstance(group, int):
        return group
    gid = groups.get(os.fsencode(group))
    if gid is None:
        raise _unknown("group", group, "/etc/group", user)
    return gid


def _unknown(kind: str, name: str, file: str, user: UserSpec) -> ContainerError:
    return ContainerError(
        f'cannot find the {kind} "{name}"',
        why=f'the container\'s "{file}" does not name it',
        hint="give a number, or create it while provisioning",
        where=user.where,
    )


def _content(root_fd: int, path: str, needed_for: UserSpec | None) -> bytes:
    """A file's bytes; where no name has to be found in it, one that cannot be read simply has none.

    Raises:
        ContainerError: It is needed and cannot be read.
    """
    try:
        return read_file(root_fd, path)
    except OSError as error:
        if needed_for is None:
            return b""
        words = "it is not a regular file" if error.errno == errno.EINVAL else describe_errno(error.errno or 0)
        what, hint = f'cannot read the container\'s "{path}"', "give a number, or make the file while provisioning"
        raise ContainerError(what, why=words, hint=hint, where=needed_for.where) from None


class SetIds(Step):
    """Change groups, group and user, keeping the capabilities until they are set, and read the ids back.

    Args:
        user: Whom the haco file names.
        keeps_groups: The supplementary groups cannot be changed.
    """

    __slots__ = ("keeps_groups",)

    def __init__(self, user: UserSpec, *, keeps_groups: bool) -> None:
        super().__init__(INSIDE, user.where)
        self.keeps_groups = keeps_groups

    def describe(self) -> str:
        return "set the user and group ids"

    def execute(self, site: Site) -> None:
        set_keepcaps(True)
        if not self.keeps_groups:
            os.setgroups(list(site.groups))
        os.setresgid(site.gid, site.gid, site.gid)
        os.setresuid(site.uid, site.uid, site.uid)
        if os.getresuid() != (site.uid,) * 3 or os.getresgid() != (site.gid,) * 3:
            raise ContainerError(f"cannot {self.describe()}", why="the kernel shows other ids than were set")

    def hint(self, number: int) -> str:
        return "in a user namespace every id used inside must be mapped"


def plan_lookup(spec: ContainerSpec) -> list[Step]:
    """The step before the root is entered."""
    return [LookUpUser(spec.user)]


def plan(spec: ContainerSpec) -> list[Step]:
    """The step inside."""
    return [SetIds(spec.user, keeps_groups=spec.keeps_groups)]

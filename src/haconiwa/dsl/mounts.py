"""The settings of the root and of what is mounted in it."""

from __future__ import annotations

from haconiwa.dsl.node import Node, Recording, Setting
from haconiwa.dsl.paths import RootPath, host_path, root_directory
from haconiwa.spec.model import INDEPENDENT_MOUNTS, MountSpec
from haconiwa.spec.values import Refused, boolean, inside, number, one_of, path_text, show, string, text, word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Never

    from haconiwa.dsl.paths import StrPath
    from haconiwa.spec.names import HidePid, IndependentMount

_PLACES = {
    "procfs": ("proc", "/proc"),
    "sysfs": ("sysfs", "/sys"),
    "devtmpfs": ("dev", "/dev"),
    "devpts": ("devpts", "/dev/pts"),
    "shm": ("shm", "/dev/shm"),
    "mqueue": ("mqueue", "/dev/mqueue"),
    "cgroup": ("cgroup", "/sys/fs/cgroup"),
}
"""Source and destination of each independent mount."""

_HIDEPID = ("noaccess", "invisible", "ptraceable")


class MountSettings(Node):
    """The part of a container that says what its root is and what is mounted there."""

    __slots__ = ()

    lxcfs_root: Setting[StrPath, str | None] = Setting(host_path, None)
    """Host path of a mounted lxcfs: /proc/cpuinfo, meminfo, stat and the like then tell of the container alone."""

    def chroot_to(self, path: StrPath) -> RootPath:
        """Make a directory the container's root. Implies the mount namespace.

        Args:
            path: On the host; a relative one starts from the haco file.

        Returns:
            The path, to be used as in ``root / "tmp"``.
        """
        with Recording(self, "chroot_to"):
            root = root_directory(path)
            self._values["root"] = root
            # A path below an earlier root, as inherited from the barn, is still a path below the root.
            self._values.setdefault("roots", []).append(root)
            return RootPath(root)
        return RootPath("")

    def rootfs_owner(self, *, uid: int, gid: int) -> None:
        """Give the root directory to a user and group of the host after `haconiwa create`."""
        with Recording(self, "rootfs_owner"):
            self._values["rootfs_owner"] = (_host_id("uid", uid), _host_id("gid", gid))

    def add_mount_point(
        self,
        src: StrPath,
        *,
        to: StrPath,
        fs: str | None = None,
        readonly: bool = False,
        options: str = "",
        data: str = "",
        optional: bool = False,
        recursive: bool = True,
        criu_ext_key: str | None = None,
        **unknown: Never,
    ) -> None:
        """Mount something in the container: a bind mount unless `fs` is given. Implies the mount namespace.

        Args:
            src: Host path of a file or directory (a relative one starts from the haco file), or with `fs` the
                file system's source.
            to: Where: ``root / "data"``, a host path below the root, or the path as seen inside. Made if missing.
            fs: A file system's name, as in /proc/filesystems.
            readonly: Nothing can be written there, nor below it.
            options: As for ``mount -o``. Relative directories of an overlay start from the haco file's folder.
            data: The original's name of `options`.
            optional: Do nothing when the source does not exist, as the option ``nofail`` says.
            recursive: A bind mount takes the mounts below its source along; readonly and options hold for them too.
            criu_ext_key: Name of the mount in a checkpoint; recorded, as there are no checkpoints yet.
            **unknown: Nothing.
        """
        with Recording(self, "add_mount_point") as where:
            if unknown:
                from haconiwa.dsl.unknown import refuse_keywords

                refuse_keywords(self, "add_mount_point", unknown)
            fstype = "" if fs is None else word(fs, "the name of a file system")
            words = [given for given in (_options(options, fstype), _options(data, fstype)) if given]
            if len(words) > 1:
                raise Refused("options= and data= are the same: give one")
            mount = MountSpec(
                kind="filesystem" if fstype else "bind",
                source=word(src, "the file system's source") if fstype else host_path(src),
                destination=_destination(to),
                fstype=fstype,
                options="".join(words),
                readonly=boolean(readonly),
                optional=boolean(optional) or any("nofail" in given.split(",") for given in words),
                recursive=boolean(recursive),
                criu_ext_key=None if criu_ext_key is None else text(criu_ext_key),
                where=where,
            )
            self._values.setdefault("mounts", []).append((mount, type(to) is RootPath))

    def add_device(
        self,
        path: StrPath,
        *,
        type: Literal["c", "b"] | None = None,
        major: int | None = None,
        minor: int | None = None,
        access: str = "rwm",
    ) -> None:
        """Give the container a device besides the harmless ones. Implies the mount namespace.

        Args:
            path: Of the host's node, and of the container's.
            type: ``c`` for a character device, ``b`` for a block device; as the host's node says unless given.
            major: Its first number; together with `type` and `minor`, or none of them.
            minor: Its second number.
            access: What the container may do with it: any of ``r`` read, ``w`` write, ``m`` make nodes.
        """
        with Recording(self, "add_device") as where:
            from haconiwa.dsl.device import device

            found = device(path, type, major, minor, access, where)
            self._values.setdefault("devices", {})[found.path] = found

    def mount_independent(
        self, *kinds: IndependentMount, host: bool = False, readonly: bool = True, hidepid: HidePid | None = None
    ) -> None:
        """Mount file systems of the container's own in their usual places. Implies the mount namespace.

        Args:
            kinds: procfs /proc, sysfs /sys (read-only), devtmpfs /dev (a private one with harmless nodes),
                devpts /dev/pts, shm /dev/shm, mqueue /dev/mqueue, cgroup /sys/fs/cgroup (the container's own
                groups, and implies the cgroup namespace).
            host: With devtmpfs: the host's own /dev with all its devices.
            readonly: With cgroup: False lets the container change its own groups, for service managers.
            hidepid: With procfs: what users who are not root learn of others' processes, see proc(5): ``noaccess`` that
                they are there, ``invisible`` nothing, ``ptraceable`` only of those they may trace, which goes for root.
        """
        with Recording(self, "mount_independent") as where:
            if not kinds:
                raise Refused("names no file system")
            whole_dev, writable = boolean(host), not boolean(readonly)
            names = [_independent(kind) for kind in kinds]
            if whole_dev and "devtmpfs" not in names:
                raise Refused("host= is for devtmpfs")
            if writable and "cgroup" not in names:
                raise Refused("readonly= is for cgroup")
            if hidepid is not None and "procfs" not in names:
                raise Refused("hidepid= is for procfs")
            made: dict[str, MountSpec] = self._values.setdefault("independent", {})
            for name in names:
                made[name] = MountSpec(
                    kind=name,  # type: ignore[arg-type]
                    source=_PLACES[name][0],
                    destination=_PLACES[name][1],
                    options="" if name != "procfs" or hidepid is None else _hidepid(hidepid),
                    readonly=not writable and name == "cgroup",
                    host=whole_dev and name == "devtmpfs",
                    where=where,
                )

    def mount_network_etc(self, root: StrPath | None = None, *, host_root: StrPath = "/etc") -> None:
        """Show the host's resolv.conf and hosts in the container's /etc. Implies the mount namespace.

        Args:
            root: The container's root; the one of `chroot_to` in any case.
            host_root: Host directory that has the files.
        """
        with Recording(self, "mount_network_etc"):
            if root is not None and host_path(root).rstrip("/") != self._values.get("root"):
                raise Refused(f"{show(path_text(root))} is not the root that chroot_to was given")
            self._values["network_etc"] = host_path(host_root)


def _host_id(name: str, value: object) -> int:
    from haconiwa.spec.values import ID_MAX

    return number(value, 0, ID_MAX, f"{name}= as a number")


def _destination(value: object) -> str:
    return value.inside if type(value) is RootPath else inside(value)


def _options(value: object, fstype: str) -> str:
    if type(value) is str and not value:
        return ""
    from haconiwa.dsl.mount_options import mount_options

    return mount_options(value, fstype)


def _independent(value: object) -> str:
    name = string(value, "the name of a file system")
    return one_of(name, INDEPENDENT_MOUNTS, f"one of {' '.join(INDEPENDENT_MOUNTS)}")


def _hidepid(value: object) -> str:
    return "hidepid=" + one_of(value, _HIDEPID, f"one of {' '.join(_HIDEPID)}")

"""Archives made to write outside of where they are unpacked, or to hurt whoever unpacks them."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable

Fill = Callable[[tarfile.TarFile, str], None]

REACHED = b"reached"


def add(archive: tarfile.TarFile, name: str, content: bytes = REACHED, **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def link(archive: tarfile.TarFile, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
    add(archive, name, b"", type=kind, linkname=target)


def directory(archive: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    add(archive, name, b"", type=tarfile.DIRTYPE, mode=mode)


def dot_dot(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "../outside/file")
    add(archive, "../../outside/file")
    add(archive, "x/../../../outside/file")


def absolute(archive: tarfile.TarFile, outside: str) -> None:
    add(archive, f"{outside}/file")


def absolute_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", outside)
    add(archive, "x/file")


def relative_link(archive: tarfile.TarFile, _outside: str) -> None:
    link(archive, "x", "../../outside")
    add(archive, "x/file")


def chain_of_links(archive: tarfile.TarFile, _outside: str) -> None:
    directory(archive, "a")
    directory(archive, "a/b")
    link(archive, "a/b/up", "..")
    link(archive, "up", "a/b/up/..")
    link(archive, "out", "up/../../outside")
    add(archive, "out/file")


def hard_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file", tarfile.LNKTYPE)
    add(archive, "x")
    link(archive, "y", "../../outside/file", tarfile.LNKTYPE)
    add(archive, "y")


def hard_link_to_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file")
    link(archive, "y", "x", tarfile.LNKTYPE)
    add(archive, "y")


def link_as_root(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, ".", outside)
    link(archive, "./", outside)
    add(archive, "./file")


def link_then_file(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file")
    add(archive, "x")


def mode_through_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", outside)
    directory(archive, "x", 0o777)
    directory(archive, "./x/", 0o7777)


def directory_becomes_link(archive: tarfile.TarFile, outside: str) -> None:
    directory(archive, "x")
    link(archive, "x", outside)
    add(archive, "x/file")
    link(archive, "x", outside)
    add(archive, "x/file")


def long_chain_of_links(archive: tarfile.TarFile, _outside: str) -> None:
    """Ends above PATH_MAX, where a check by path gives up and a write does not."""
    path = ""
    for step in "abcdefghijklmnop":
        part = os.path.join(path, "d" * 247)
        directory(archive, part)
        link(archive, os.path.join(path, step), "d" * 247)
        path = part
    linked = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    link(archive, linked, "../" * 16)
    link(archive, "escape", f"{linked}/../../outside")
    link(archive, "flag", "escape/file", tarfile.LNKTYPE)
    add(archive, "flag")
    add(archive, "escape/file")


def devices(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
    add(archive, "disk", b"", type=tarfile.BLKTYPE, devmajor=8, devminor=0)
    directory(archive, "dev")
    add(archive, "dev/mem", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=1)
    add(archive, "file")


def fifo_then_file(archive: tarfile.TarFile, _outside: str) -> None:
    directory(archive, "etc")
    add(archive, "etc/passwd", b"", type=tarfile.FIFOTYPE)
    add(archive, "etc/group", b"", type=tarfile.FIFOTYPE)
    add(archive, "etc/group")


def setuid(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "su", mode=0o6755)


def huge_owner(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x", uid=2**32, gid=2**32 + 1)


def odd_names(archive: tarfile.TarFile, _outside: str) -> None:
    for name in ("a\nb", "\x1b[2J", "-rf", "--checkpoint-action=exec=touch outside", "$(touch y)", "x" * 300):
        add(archive, name)
    add(archive, "../\x1b[31m\nred")


def trusted_attributes(archive: tarfile.TarFile, _outside: str) -> None:
    attributes = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.x": "y", "no.such.keyword": "1"}
    add(archive, "x", pax_headers=attributes)


def sparse_of_an_exabyte(archive: tarfile.TarFile, _outside: str) -> None:
    headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "x",
        "GNU.sparse.realsize": str(2**60),
    }
    content = f"1\n{2**60 - 512}\n512\n".encode().ljust(512, b"\0") + bytes(512)
    add(archive, "x", content, pax_headers=headers)


def no_name(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "")
    add(archive, "/")
    directory(archive, "//")


def path_longer_than_the_kernel_takes(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "/".join(["d" * 200] * 30))


def deep(archive: tarfile.TarFile, _outside: str) -> None:
    directory(archive, "/".join(["d"] * 400))


def member_of_every_kind(archive: tarfile.TarFile, _outside: str) -> None:
    for kind in b"0123456789ADKLMNSVXxgZ":
        if bytes([kind]) not in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            add(archive, f"member-{kind}", type=bytes([kind]), linkname="../../outside/file")


def duplicates_of_other_kinds(archive: tarfile.TarFile, outside: str) -> None:
    for _ in range(2):
        directory(archive, "x")
        add(archive, "x")
        link(archive, "x", outside)
        add(archive, "x", b"", type=tarfile.FIFOTYPE)
        link(archive, "x", "x", tarfile.LNKTYPE)


def loop_of_links(archive: tarfile.TarFile, _outside: str) -> None:
    link(archive, "a", "b")
    link(archive, "b", "a")
    add(archive, "a/file")


def hard_link_to_device(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
    link(archive, "copy", "null", tarfile.LNKTYPE)


def closed_directory(archive: tarfile.TarFile, _outside: str) -> None:
    directory(archive, "x", 0o000)
    add(archive, "x/file")
    directory(archive, "y", 0o7777)


def names_in_extended_headers(archive: tarfile.TarFile, outside: str) -> None:
    add(archive, "x", pax_headers={"path": "../../outside/file"})
    add(archive, "y", b"", type=tarfile.LNKTYPE, linkname="z", pax_headers={"linkpath": f"{outside}/file"})
    add(archive, "y")


def global_extended_header(archive: tarfile.TarFile, _outside: str) -> None:
    archive.pax_headers = {"path": "../../outside/file", "uid": "0", "size": "1"}
    archive.fileobj.write(tarfile.TarInfo.create_pax_global_header(archive.pax_headers))
    add(archive, "x")


def long_name_of_a_terabyte(archive: tarfile.TarFile, _outside: str) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**40
    archive.fileobj.write(header.tobuf(tarfile.GNU_FORMAT))
    add(archive, "x")


def old_sparse_map(archive: tarfile.TarFile, _outside: str) -> None:
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398] = header[398:410] = b"77777777777\0"  # a part at the end of the numbers
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    archive.fileobj.write(bytes(header))


def times_beyond_time(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x", mtime=-(2**62))
    add(archive, "y", mtime=2**62)


def odd_capability(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x", pax_headers={"SCHILY.xattr.security.capability": "\x01" * 400})
    add(archive, "y", pax_headers={"SCHILY.acl.access": "user:../../x:rwx,default:\x1b[2J"})


def attribute_through_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", f"{outside}/file")
    add(archive, "x", b"", type=tarfile.SYMTYPE, linkname=f"{outside}/file", pax_headers={"SCHILY.xattr.user.x": "y"})


def directory_over_file_and_back(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x")
    add(archive, "x/file")
    directory(archive, "y")
    add(archive, "y/deep")
    add(archive, "y")


def many_links_to_one(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x")
    for number in range(3000):
        link(archive, f"l{number}", "x", tarfile.LNKTYPE)


def whiteout_by_dot_dot(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "../../outside/.wh.file", b"")
    add(archive, "x/../../../outside/.wh.file", b"")
    add(archive, "x")


def whiteout_absolute(archive: tarfile.TarFile, outside: str) -> None:
    add(archive, f"{outside}/.wh.file", b"")
    add(archive, f"{outside}/.wh..wh..opq", b"")
    add(archive, "x")


def whiteout_through_link(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", outside)
    link(archive, "y", "../../outside")
    for folder in "xy":
        add(archive, f"{folder}/.wh.file", b"")
        add(archive, f"{folder}/.wh..wh..opq", b"")


def whiteout_of_dot_dot(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x")
    add(archive, ".wh...", b"")


def whiteout_of_dot(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x")
    add(archive, ".wh..", b"")


def whiteout_of_nothing(archive: tarfile.TarFile, _outside: str) -> None:
    add(archive, "x")
    add(archive, ".wh.", b"")
    add(archive, "y/.wh.\n\x1b", b"")


def link_out(archive: tarfile.TarFile, outside: str) -> None:
    link(archive, "x", outside)
    link(archive, "y", "../../outside")
    link(archive, "z", f"{outside}/file")


def files_in_links(archive: tarfile.TarFile, _outside: str) -> None:
    for folder in "xy":
        add(archive, f"{folder}/file")
        add(archive, f"{folder}/new")


def file_over_links(archive: tarfile.TarFile, _outside: str) -> None:
    for name in "xyz":
        add(archive, name, mode=0o6777)


def whiteouts_in_links(archive: tarfile.TarFile, _outside: str) -> None:
    for folder in "xy":
        add(archive, f"{folder}/.wh.file", b"")


def opaque_links(archive: tarfile.TarFile, _outside: str) -> None:
    for folder in "xy":
        add(archive, f"{folder}/.wh..wh..opq", b"")


def whiteouts_of_links(archive: tarfile.TarFile, _outside: str) -> None:
    for name in "xyz":
        add(archive, f".wh.{name}", b"")


def directories_over_links(archive: tarfile.TarFile, _outside: str) -> None:
    for name in "xyz":
        directory(archive, name, 0o7777)
        add(archive, f"{name}/.wh..wh..opq", b"")


def hard_links_in_links(archive: tarfile.TarFile, _outside: str) -> None:
    link(archive, "hard", "x/file", tarfile.LNKTYPE)
    link(archive, "harder", "z", tarfile.LNKTYPE)
    for name in ("hard", "harder"):
        add(archive, name)


LAYERS: dict[str, tuple[Fill, Fill]] = {
    function.__name__: (link_out, function)
    for function in (
        files_in_links, file_over_links, whiteouts_in_links, opaque_links, whiteouts_of_links, directories_over_links,
        hard_links_in_links,
    )
}  # fmt: skip
"""What fills a layer and one over it; both as in `CASES`."""


CASES: dict[str, Fill] = {
    function.__name__: function
    for function in (
        dot_dot, absolute, absolute_link, relative_link, chain_of_links, hard_link, hard_link_to_link,
        link_as_root, link_then_file, mode_through_link, directory_becomes_link, long_chain_of_links, devices,
        fifo_then_file, setuid, huge_owner, odd_names, trusted_attributes, sparse_of_an_exabyte, no_name,
        path_longer_than_the_kernel_takes, deep, member_of_every_kind, duplicates_of_other_kinds, loop_of_links,
        hard_link_to_device, closed_directory, names_in_extended_headers, global_extended_header,
        long_name_of_a_terabyte, old_sparse_map, times_beyond_time, odd_capability, attribute_through_link,
        directory_over_file_and_back, many_links_to_one, whiteout_by_dot_dot, whiteout_absolute,
        whiteout_through_link, whiteout_of_dot_dot, whiteout_of_dot, whiteout_of_nothing,
    )
}  # fmt: skip
"""Each fills an archive; it gets the host path of a directory that is ``../../outside`` from the one that is filled."""

"""Root file systems that try to get at the host while a container is started over them."""

from __future__ import annotations

import pytest

from tests.integration.box import Box

pytestmark = pytest.mark.requires("root", "busybox")


def test_a_link_for_proc_does_not_avoid_masks(box: Box) -> None:
    """The link leads elsewhere once the file's own mount covers a part of its way."""
    for path in ("proc", "tmp"):
        if (box.root / path).exists():
            (box.root / path).rmdir()
    (box.root / "tmp").mkdir()
    (box.root / "seen").mkdir()
    (box.root / "proc").symlink_to("/tmp/link")
    (box.root / "tmp/link").symlink_to("/seen")
    box.write('config.add_mount_point("tmpfs", to=root / "tmp", fs="tmpfs")')
    assert "Read-only file system" in box.run("sh", "-c", ": >> /seen/sys/kernel/core_pattern", expect=1).stderr
    assert box.run("cat", "/seen/keys").stdout == ""


@pytest.mark.parametrize(
    "line", [b"/proc/self/exe", b"/bin/ok\v/../../proc/self/exe", b"/bin/ok\r/../../proc/self/exe", b"/bin/magic"]
)
def test_a_script_does_not_lead_to_the_interpreter_of_the_host(box: Box, line: bytes) -> None:
    """For the kernel only blanks and tabs end the name of a script's interpreter."""
    (box.root / "bin/ok").symlink_to("busybox")
    (box.root / "bin/ok\v").mkdir()
    (box.root / "bin/ok\r").mkdir()
    (box.root / "bin/magic").symlink_to("/proc/1/exe")
    script = box.root / "script"
    script.write_bytes(b"#!" + line + b"\n")
    script.chmod(0o755)
    box.write()
    assert "ELOOP" in box.run("/script", expect=126).stderr


def test_scripts_run_as_the_kernel_runs_them(box: Box) -> None:
    for name, text in (("one", "#! /bin/two  a  b \n"), ("two", '#!/bin/sh\necho "$0 $#: $*"\n')):
        (box.root / "bin" / name).write_text(text)
        (box.root / "bin" / name).chmod(0o755)
    (box.root / "bin/linked").symlink_to("../bin/one")
    box.write()
    assert box.run("linked", "c").stdout == "/bin/two 3: a  b /bin/linked c\n"


def test_a_script_of_itself_ends(box: Box) -> None:
    (box.root / "script").write_text("#!/script\n")
    (box.root / "script").chmod(0o755)
    box.write()
    assert "ELOOP" in box.run("/script", expect=126).stderr


def test_looking_up_a_name_loads_no_module_of_the_container(box: Box) -> None:
    """One that nsswitch.conf names would be executed as the first process, with all privileges."""
    etc = box.root / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "nsswitch.conf").write_text("passwd: evil\ngroup: evil\nhosts: evil\n")
    (etc / "passwd").write_text("rose:*:7:7::/:/bin/sh\n")
    (etc / "hosts").write_text("192.0.2.7 garden.example\n")
    box.write(
        rest="""
        import pwd, socket
        @config.add_general_hook("after_chroot")
        def look(base):
            print(pwd.getpwnam("rose").pw_uid, socket.gethostbyname(b"garden.example"))
        """
    )
    assert "7 192.0.2.7" in box.run("true").stderr

"""No code of the container's root runs in our process, and no file of the host's is read once the root has changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.box import NAMESPACES, Box
from tests.support.program import TREE

pytestmark = pytest.mark.requires("root", "busybox")

EVIL = "import os\nos.close(os.open('/pwned', os.O_CREAT | os.O_WRONLY))\n"
MODULES = (
    "json", "traceback", "linecache", "encodings", "encodings/idna", "_strptime", "locale", "warnings", "gettext",
    "never_loaded", "haconiwa", "importlib", "asyncio", "sitecustomize", "copyreg", "calendar", "colorsys",
)  # fmt: skip


@pytest.fixture
def evil(box: Box) -> Box:
    """A box whose root has hostile modules at every place where this Python looks for its own."""
    places = {path for path in sys.path if path.startswith("/")} | {f"{TREE}/src", str(box.folder), "/"}
    for place in places:
        folder = box.root / place.lstrip("/")
        for name in MODULES:
            for path in (folder / f"{name}.py", folder / name / "__init__.py"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(EVIL)
    return box


def was_harmless(box: Box) -> bool:
    """Whether no module of the root was executed."""
    return not (box.root / "pwned").exists() and not Path("/pwned").exists()


def test_hostile_modules_are_not_imported_by_a_start(evil: Box) -> None:
    assert evil.run("echo", "ran").stdout == "ran\n"
    assert was_harmless(evil)


@pytest.mark.parametrize("namespaces", [NAMESPACES, ("mount",), (*NAMESPACES, "net", "cgroup")])
def test_hostile_modules_are_not_imported_by_a_start_that_fails(evil: Box, namespaces: tuple[str, ...]) -> None:
    evil.write('config.workdir = "/not/there"', namespaces=namespaces)
    assert 'cannot change to the directory "/not/there": No such file or directory (ENOENT)' in evil.fails("true")
    assert was_harmless(evil)


def test_hostile_modules_are_not_imported_by_an_attach(evil: Box) -> None:
    evil.daemon()
    assert evil.attach("echo", "ran").stdout == "ran\n"
    evil.attach("nothing-of-the-kind", expect=127)
    evil.attach("true", options=("-w", "/not/there"), expect=125)
    evil.stop()
    assert was_harmless(evil)


@pytest.mark.parametrize(
    "code",
    [
        "import json",
        "import colorsys",
        "from asyncio import run",
        "__import__('never_loaded')",
        "'x'.encode('idna')",
        "import importlib.util; importlib.util.find_spec('never_loaded').loader.load_module()",
    ],
)
def test_import_in_an_after_chroot_hook_is_refused(evil: Box, code: str) -> None:
    evil.write(
        rest=f"""
        @config.add_general_hook("after_chroot")
        def look(base):
            {code}
        """
    )
    messages = evil.fails("true")
    assert f'error: {evil.name}: the after_chroot hook "look" failed: ' in messages
    if code.startswith(("import json", "import colorsys", "__import__")):
        name = re.split(r"[ ']+", code)[1].strip("()'")
        assert f'cannot import "{name}" inside the container: import it at the top of the haco file' in messages
    assert re.search(rf"in: look \({re.escape(str(evil.file))}:\d+\)", messages)
    assert was_harmless(evil)


def test_what_was_imported_before_works_in_an_after_chroot_hook(evil: Box) -> None:
    evil.write(
        rest="""
        import json, re, time

        @config.add_general_hook("after_chroot")
        def look(base):
            print(json.dumps({"a": re.sub("x", "y", "x")}), time.strftime("%Y", time.localtime(0)))
        """
    )
    assert '{"a": "y"} 1970' in evil.run("true").stderr
    assert was_harmless(evil)


def test_exception_in_an_after_chroot_hook_reads_no_source(evil: Box) -> None:
    inside = evil.root / str(evil.file).lstrip("/")
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.write_text("the container's text\n" * 100)
    evil.write(
        rest="""
        @config.add_general_hook("after_chroot")
        def break_it(base):
            raise ValueError("no \\udc80 \\x1b[31m")
        """
    )
    messages = evil.fails("true")
    assert "ValueError: no \\udc80 \\x1b[31m" in messages
    assert "the container's text" not in messages
    assert was_harmless(evil)


def calls_after_pivot(trace: str) -> list[str]:
    """The lines of strace between the change of the root and the execution of the program, of that process."""
    pivots = [line for line in trace.splitlines() if "pivot_root(" in line]
    assert len(pivots) == 1
    pid = pivots[0].split()[0]
    lines = [line for line in trace.splitlines() if line.split()[0] == pid]
    begin = lines.index(pivots[0])
    end = next(
        number for number, line in enumerate(lines) if number > begin and ("execve(" in line or "execveat(" in line)
    )
    return lines[begin + 1 : end]


@pytest.mark.requires("strace")
def test_nothing_of_the_hosts_is_opened_between_pivot_root_and_execve(box: Box) -> None:
    box.write(
        'config.uid = "alice"\nconfig.groups = ["audio"]\nconfig.workdir = "/tmp"\nconfig.no_new_privs = True\n'
        'config.resource.set_limit("CORE", 0)',
        namespaces=(*NAMESPACES, "net", "cgroup"),
        rest='@config.add_general_hook("after_chroot")\ndef hook(base):\n    print(base.name)\n',
    )
    trace = box.folder / "trace"
    argv = ["strace", "-f", "-e", "trace=%file,openat2,pivot_root", "-o", str(trace)]
    subprocess.run(
        [*argv, box.haconiwa.path, "start", str(box.file), "--", "/bin/true"],
        check=True, capture_output=True, env=box.haconiwa.environ(),
    )  # fmt: skip
    lines = calls_after_pivot(trace.read_text(errors="replace"))
    paths = [path for line in lines for path in re.findall(r'"((?:[^"\\]|\\.)*)"', line)]
    assert set(paths) <= {"", ".", "/", "/tmp", "/bin", "true", "busybox"}, paths
    assert "busybox" in paths  # what /bin/true is a link to


def test_no_bytecode_is_written(box: Box) -> None:
    box.write(rest='@config.add_general_hook("after_chroot")\ndef hook(base):\n    pass\n')
    box.run("true")
    assert not list(box.folder.rglob("__pycache__"))
    assert not list(box.folder.rglob("*.pyc"))

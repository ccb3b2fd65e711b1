"""A haco file from its path to a spec: what is executed, what stops it, what is left behind."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import haconiwa
from haconiwa.dsl.load import load_file
from haconiwa.errors import EXIT_USAGE, ConfigError, Where
from haconiwa.host.paths import default_pid_file
from haconiwa.spec.model import DEFAULT_CAPABILITIES, BarnSpec, CapabilitiesSpec, ContainerSpec, MountSpec

Load = Callable[[str], BarnSpec]
Problems = Callable[[str], list[str]]
Write = Callable[[str], Path]

STOPPED = 'the load of "test.haco" stopped at line {}; the lines after it were not looked at'
ADD_MOUNT_POINT = "add_mount_point(src, to=, fs=, readonly=, options=, data=, optional=, recursive=, criu_ext_key=)"
NO_DEFIN = f"cannot import name 'defin' from 'haconiwa' ({haconiwa.__file__})"
WALK_THROUGH = '''
# -*- mode: python -*-  vim: ft=python
from haconiwa import define

with define() as config:
    config.name = "haconiwa-44bb30b9"          # also the host name, as `uname -n` shows
    config.init_command = "/bin/bash"           # PID 1
    root = config.chroot_to("/var/lib/haconiwa/44bb30b9")   # returns a path: root / "tmp"

    with config.bootstrap as b:
        b.strategy = "lxc"
        b.os_type = "alpine"
    with config.provision as p:
        p.run_shell("""
            apk add --update bash
        """)

    config.add_mount_point("tmpfs", to=root / "tmp", fs="tmpfs")
    config.mount_network_etc(root, host_root="/etc")
    config.mount_independent("procfs", "sysfs", "devtmpfs", "devpts", "shm")
    config.namespace.unshare("mount", "ipc", "uts", "pid")

from itertools import count
calls = count(1)

@config.add_async_hook(sec=3, interval_msec=1000)
def tick(base) -> None:
    print(f"async hook called {next(calls)} times [{base.pid}]")
'''


def test_the_walk_through(load: Load) -> None:
    barn = load(WALK_THROUGH)
    (container,) = barn.containers
    assert (barn.name, barn.daemonize, barn.hooks) == ("haconiwa-44bb30b9", False, ())
    assert container.name == container.hostname == "haconiwa-44bb30b9"
    assert container.init_command == ("/bin/bash",)
    assert container.rootfs is not None
    assert (container.rootfs.path, container.rootfs.where) == (
        "/var/lib/haconiwa/44bb30b9",
        Where("test.haco", 8),
    )
    assert container.namespaces == ("mount", "ipc", "uts", "pid", "cgroup")
    assert container.network_etc == "/etc"
    assert [(mount.kind, mount.destination) for mount in container.mounts] == [
        ("procfs", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("shm", "/dev/shm"),
        ("filesystem", "/tmp"),
    ]
    assert container.bootstrap is not None
    assert (container.bootstrap.strategy, dict(container.bootstrap.options)) == ("lxc", {"os_type": "alpine"})
    (step,) = container.provision.steps
    assert (step.name, step.kind, step.code, step.sh) == ("shell-1", "shell", "apk add --update bash\n", "/bin/sh")
    (timer,) = container.timers
    assert (timer.first_s, timer.interval_s, timer.limit_count) == (3, 1, None)
    assert container.container_pid_file == default_pid_file("haconiwa-44bb30b9")


def test_a_minimal_file_has_the_defaults(load: Load, tmp_path: Path) -> None:
    barn = load("from haconiwa import define\ndefine()\n")
    (container,) = barn.containers
    assert barn.file == str(tmp_path / "test.haco")
    assert container.name.startswith("haconiwa-")
    assert len(container.name) == len("haconiwa-12345678")
    empty = ContainerSpec(
        name=container.name,
        environ={},
        stdio={},
        metadata={},
        sources={},
        masked_paths=(),
        readonly_paths=(),
        capabilities=CapabilitiesSpec(bounding=frozenset(DEFAULT_CAPABILITIES) - {"audit_read"}),
        container_pid_file=default_pid_file(container.name),
    )
    assert container == empty


def test_the_default_name_comes_from_the_real_path(write: Write, tmp_path: Path) -> None:
    path = write("from haconiwa import define\ndefine()\n")
    (tmp_path / "link.haco").symlink_to(path)
    other = tmp_path / "other.haco.py"
    other.write_bytes(path.read_bytes())
    names = [load_file(str(p)).containers[0].name for p in (path, tmp_path / "link.haco", other)]
    assert names[0] == names[1] != names[2]


def test_the_file_is_a_module_of_its_own(load: Load, tmp_path: Path) -> None:
    barn = load(
        """
        import sys, __future__
        from haconiwa import define
        with define() as c:
            c.metadata = {"name": __name__, "file": __file__, "is module": str(sys.modules[__name__].c is c),
                          "last on path": sys.path[-1], "bytecode": str(not sys.dont_write_bytecode),
                          "annotations": str(type(f"{(lambda: 0).__annotations__}"))}
        def f(a: str): ...
        c.metadata["future"] = str(type(f.__annotations__["a"]))
        """
    )
    assert dict(barn.containers[0].metadata) == {
        "name": "__haco__",
        "file": str(tmp_path / "test.haco"),
        "is module": "True",
        "last on path": str(tmp_path),
        "bytecode": "False",
        "annotations": "<class 'str'>",
        "future": "<class 'type'>",  # dont_inherit: our own "from __future__ import annotations" does not apply
    }


def test_what_the_load_changed_is_changed_back(load: Load) -> None:
    before = (list(sys.path), list(sys.meta_path), sys.dont_write_bytecode)
    load("from haconiwa import define\ndefine()\n")
    with pytest.raises(ConfigError):
        load("1 / 0")
    assert (sys.path, sys.meta_path, sys.dont_write_bytecode) == before


def test_modules_beside_the_file_are_imported_and_leave_no_bytecode(load: Load, tmp_path: Path) -> None:
    (tmp_path / "haco_test_helper.py").write_text("NAME = 'helped'\n")
    importlib.invalidate_caches()
    try:
        barn = load("from haconiwa import define\nimport haco_test_helper\ndefine().name = haco_test_helper.NAME\n")
    finally:
        sys.modules.pop("haco_test_helper", None)
    assert barn.containers[0].name == "helped"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["haco_test_helper.py", "test.haco"]


def test_the_standard_library_goes_before_the_folder(load: Load, tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("raise SystemExit(3)\n")
    sys.modules.pop("colorsys", None)
    load("from haconiwa import define\nimport colorsys\ndefine()\n")


def test_what_is_executed_is_what_was_read(load: Load) -> None:
    barn = load(
        """
        with open(__file__, "w") as file:
            file.write("raise SystemExit(3)")
        from haconiwa import define
        define().name = "first"
        """
    )
    assert barn.containers[0].name == "first"


def test_functions_keep_their_module_after_another_load(load: Load) -> None:
    text = "from haconiwa import define\nvalue = {}\ndefine().add_general_hook('setup', lambda barn: value)\n"
    first, second = load(text.format(1)), load(text.format(2))
    assert [barn.hooks[0].function(None) for barn in (first, second)] == [1, 2]


def test_all_problems_come_in_the_order_of_the_lines(problems: Problems) -> None:
    found = problems(
        """
        from haconiwa import define
        def helper(c):
            c.uid = 1.5
        with define() as c:
            c.name = "a/b"
            helper(c)
            c.hostnam = "web"
            c.hostname = "web"
            c.domainname = 3
        """
    )
    assert found == [
        (
            "test.haco:4, called from test.haco:7: uid: expected a name or a number up to 4294967294, "
            "not a value of type float"
        ),
        'test.haco:6: name: "a/b" is not a name: 1-64 of A-Z a-z 0-9 _ . -, not beginning with "." or "-"',
        'test.haco:8: unknown name "hostnam"; did you mean "hostname"?',
        'test.haco:9: hostname: needs a uts namespace; add namespace.unshare("uts")',
        "test.haco:10: domainname: expected a host name, not 3",
    ]


def test_lines_of_a_helper_module(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "haco_test_other.py").write_text("def common(c):\n    c.uid = -1\n")
    importlib.invalidate_caches()
    try:
        found = problems("import haco_test_other\nfrom haconiwa import define\nhaco_test_other.common(define())\n")
    finally:
        sys.modules.pop("haco_test_other", None)
    assert found == [
        f"{tmp_path}/haco_test_other.py:2, called from test.haco:3: uid: -1 is not between 0 and 4294967294"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n", ['"test.haco" defines no container; with define() as config: …']),
        (
            "from haconiwa import define\ndefine()\ndefine()\n",
            [
                (
                    "test.haco:3: define() is called a second time, first at test.haco:2; "
                    "several containers in one file: barn.define()"
                )
            ],
        ),
        ("\nx = = 2\n", ["test.haco:2: invalid Python: invalid syntax"]),
        ("if 1:\npass\n", ["test.haco:2: invalid Python: expected an indented block after 'if' statement on line 1"]),
        ("raise SystemExit(3)\n", ["test.haco:1: the file called sys.exit()"]),
        ("import sys\nsys.exit()\n", ["test.haco:2: the file called sys.exit()"]),
        ("raise SystemExit('bye')\n", ["test.haco:1: the file called sys.exit(): bye"]),
        ("def f():\n    return {}['key']\nf()\n", ["test.haco:2, called from test.haco:3: KeyError: 'key'"]),
        ("import json\njson.loads('[')\n", ["test.haco:2: JSONDecodeError: Expecting value: line 1 column 2 (char 1)"]),
        ("import nothing_like_it\n", ["test.haco:1: ModuleNotFoundError: No module named 'nothing_like_it'"]),
        ("class E(Exception):\n    def __str__(self): raise E\nraise E\n", ["test.haco:3: E"]),
        ("raise ValueError('a\\x1b[2Jb\\n')\n", ["test.haco:1: ValueError: a\\x1b[2Jb\\x0a"]),
        ("raise GeneratorExit\n", ["test.haco:1: GeneratorExit"]),
        ("from haconiwa import ConfigError\nraise ConfigError('mine')\n", ["test.haco:2: mine"]),
        ("exec('x = = 1')\n", ["<string>:1: invalid Python: invalid syntax"]),
        (
            "from haconiwa import define\ndefine().add_mount_point()\n",
            ["test.haco:2: add_mount_point: lacks src; " + ADD_MOUNT_POINT],
        ),
        (
            "from haconiwa import define\ndefine().add_mount_point('/x')\n",
            ["test.haco:2: add_mount_point: lacks to=; " + ADD_MOUNT_POINT],
        ),
        (
            "# like Haconiwa.define\nx = 1  # Haconiwa::Base\nx = = 2\n",
            ["test.haco:3: invalid Python: invalid syntax"],
        ),
        (
            "import haconiwa\nhaconiwa.defin()\n",
            ["test.haco:2: AttributeError: module 'haconiwa' has no attribute 'defin'; did you mean \"define\"?"],
        ),
        (
            "from haconiwa import defin\n",
            [f'test.haco:1: ImportError: {NO_DEFIN}; did you mean "define"?'],
        ),
        ("c = define()\n", ["test.haco:1: NameError: name 'define' is not defined; from haconiwa import define"]),
        ("c = defin()\n", ["test.haco:1: NameError: name 'defin' is not defined"]),
        (
            "from haconiwa import configure\nconfigure()\n",
            ["test.haco:2: configure() belongs in the global config, this is a haco file"],
        ),
        (
            "Haconiwa.define do |config|\n  config.name = 'x'\nend\n",
            [
                (
                    "test.haco:1: this is a haco file in Ruby, for the haconiwa written in mruby; "
                    'this one reads Python; "haconiwa new FILE" writes one to start from'
                )
            ],
        ),
    ],
)
def test_what_stops_a_load(problems: Problems, text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_a_function_in_place_of_what_it_returns(problems: Problems) -> None:
    (found,) = problems("from haconiwa import define\nwith define as config:\n    pass # nothing\n")[:1]
    assert found.startswith("test.haco:2: TypeError: 'function' object does not support the context manager protocol")
    assert found.endswith("; a function has parentheses: with define() as config")


@pytest.mark.parametrize("after", ["c.uid = -1\n", "\n# the end\nc.uid = -1"])
def test_that_a_load_stopped_is_said_where_something_follows(problems: Problems, after: str) -> None:
    text = "from haconiwa import define\ndef f(c):\n    c.add_mount_point('/x')\nc = define()\nf(c)\n"
    assert problems(text + after) == [
        "test.haco:3, called from test.haco:5: add_mount_point: lacks to=; " + ADD_MOUNT_POINT,
        STOPPED.format(5),
    ]
    assert len(problems(f"{text}\n  # the end\n")) == 1


def test_recursion_without_end(problems: Problems) -> None:
    (found,) = problems("def f():\n    f()\nf()\n")
    assert found.startswith("test.haco:2, called from test.haco:2, ")
    assert found.endswith("RecursionError: maximum recursion depth exceeded")
    assert found.count("called from") == 8


def test_code_nested_too_deeply(problems: Problems) -> None:
    (found,) = problems("-" * 100_000 + "1\n")
    assert found.startswith(('"test.haco" cannot be compiled: ', "test.haco:1: invalid Python: "))


def test_an_interrupt_is_not_swallowed(load: Load) -> None:
    with pytest.raises(KeyboardInterrupt):
        load("raise KeyboardInterrupt\n")


def test_an_interrupt_from_outside_is_not_swallowed(load: Load) -> None:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            load("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass\n")
    finally:
        signal.signal(signal.SIGINT, handler)


def test_the_error_has_exit_status_2_and_lines(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("from haconiwa import define\nc = define()\nc.uid = -1\nc.gid = -1\n")
    assert caught.value.exit_status == EXIT_USAGE
    assert caught.value.lines() == [
        "error: test.haco:3: uid: -1 is not between 0 and 4294967294",
        "error: test.haco:4: gid: -1 is not between 0 and 4294967294",
    ]


def test_define_outside_of_a_load() -> None:
    from haconiwa import define

    with pytest.raises(ConfigError, match="work only in a file that haconiwa loads"):
        define()


def test_a_load_inside_a_load(load: Load, tmp_path: Path) -> None:
    (tmp_path / "inner.haco").write_text("from haconiwa import define\ndefine().name = 'inner'\n")
    barn = load(
        """
        from haconiwa import define
        from haconiwa.dsl.load import load_file
        inner = load_file("inner.haco")
        define().name = "outer-" + inner.containers[0].name
        """
    )
    assert barn.containers[0].name == "outer-inner"


def test_problems_before_an_exception_are_told_too(problems: Problems) -> None:
    assert problems("from haconiwa import define\nc = define()\nc.uid = -1\nc.nam\nc.gid = -1\n") == [
        "test.haco:3: uid: -1 is not between 0 and 4294967294",
        'test.haco:4: unknown name "nam"; did you mean "name"?',
        STOPPED.format(4),
    ]


def test_relative_paths_start_from_the_folder_of_the_real_file(tmp_path: Path, write: Write) -> None:
    path = write("from haconiwa import define\nc = define()\nc.chroot_to('root')\nc.add_mount_point('x', to='/x')\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.haco").symlink_to(path)
    (container,) = load_file(str(tmp_path / "elsewhere" / "link.haco")).containers
    assert container.rootfs is not None
    assert container.rootfs.path == str(tmp_path / "root")
    assert [mount.source for mount in container.mounts] == [str(tmp_path / "x")]


def test_the_line_of_a_link_is_that_of_the_name_given(tmp_path: Path, write: Write) -> None:
    (tmp_path / "link.haco").symlink_to(write("oops\n"))
    with pytest.raises(ConfigError, match=f"^{tmp_path}/link.haco:1: NameError"):
        load_file(str(tmp_path / "link.haco"))


def test_descriptors_of_the_file_stay_open(load: Load, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("content")
    barn = load(
        """
        from haconiwa import define
        file = open("data")
        define().add_general_hook("setup", lambda barn: file)
        """
    )
    with barn.hooks[0].function(None) as file:
        assert file.read() == "content"


def test_nothing_is_open_after_a_load(load: Load) -> None:
    load("from haconiwa import define\ndefine()\n")
    before = os.listdir("/proc/self/fd")
    load("from haconiwa import define\ndefine()\n")
    with pytest.raises(ConfigError):
        load("")
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_mount_says_where_it_was_asked_for(load: Load) -> None:
    text = """
    from haconiwa import define
    def mount(c, path):
        c.add_mount_point(path, to=path)
    mount(define(), "/srv")
    """
    expected = MountSpec(
        kind="bind",
        source="/srv",
        destination="/srv",
        where=Where("test.haco", 4, (("test.haco", 5),)),
    )
    assert load(text).containers[0].mounts == (expected,)

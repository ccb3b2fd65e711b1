"""Several containers in one file: what children take over, what they do not, and what comes too late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from haconiwa.host.paths import default_pid_file
from haconiwa.spec.model import BarnSpec

Load = Callable[[str], BarnSpec]
Problems = Callable[[str], list[str]]


def test_the_barn_of_the_reference(load: Load) -> None:
    barn = load(
        """
        from haconiwa import define
        with define() as barn:
            barn.daemonize()
            barn.chroot_to("/var/lib/haconiwa/8cfccb3d")
            for i in range(3):
                with barn.define() as c:
                    c.name = f"child-{i}"
                    c.init_command = ["/bin/sleep", str(30 + 10 * i)]
                    if i > 0:
                        c.skip_bootstrap()
        """
    )
    assert barn.daemonize
    assert [(c.name, c.init_command, c.session_leader) for c in barn.containers] == [
        ("child-0", ("/bin/sleep", "30"), True),
        ("child-1", ("/bin/sleep", "40"), True),
        ("child-2", ("/bin/sleep", "50"), True),
    ]
    assert [c.rootfs.path for c in barn.containers if c.rootfs] == ["/var/lib/haconiwa/8cfccb3d"] * 3


def test_children_get_copies_of_lists_dicts_and_sections_and_share_functions(load: Load) -> None:
    barn = load(
        """
        from haconiwa import define
        with define() as barn:
            root = barn.chroot_to("/r")
            barn.environ = {"A": "barn"}
            barn.metadata["m"] = "barn"
            barn.namespace.unshare("uts")
            barn.resource.set_limit("NOFILE", 10)
            barn.add_mount_point("/srv", to=root / "srv")
            barn.capabilities.drop("chown")
            barn.filesystem.masked_paths = ["/barn"]
            barn.bootstrap.strategy = "host"
            barn.provision.run_shell("barn")
            barn.command.set_stdin(file="/barn")
            @barn.add_general_hook("before_fork")
            def shared(base): ...
            with barn.define() as a:
                a.name = "a"
                a.environ["A"] = "a"
                a.metadata.clear()
                a.namespace.unshare("pid")
                a.resource.set_limit("NOFILE", 20)
                a.add_mount_point("/opt", to="/opt")
                a.capabilities.drop("setuid")
                a.filesystem.masked_paths.append("/a")
                a.bootstrap.paths = ["/usr"]
                a.provision.run_shell("a")
                a.command.set_stdin(file="/a")
                a.add_general_hook("before_fork", lambda base: 0)
            with barn.define() as b:
                b.name = "b"
        """
    )
    a, b = barn.containers
    assert (a.environ, b.environ) == ({"A": "a"}, {"A": "barn"})
    assert (a.metadata, b.metadata) == ({}, {"m": "barn"})
    assert (a.namespaces, b.namespaces) == (("mount", "uts", "pid", "cgroup"), ("mount", "uts", "cgroup"))
    assert ([x.soft for x in a.rlimits], [x.soft for x in b.rlimits]) == ([20], [10])
    assert ([m.destination for m in a.mounts], [m.destination for m in b.mounts]) == (["/srv", "/opt"], ["/srv"])
    assert a.capabilities.bounding is not None
    assert b.capabilities.bounding is not None
    assert b.capabilities.bounding - a.capabilities.bounding == {"setuid"}
    assert (a.masked_paths, b.masked_paths) == (("/barn", "/a"), ("/barn",))
    assert a.bootstrap is not None
    assert b.bootstrap is not None
    assert (dict(a.bootstrap.options), dict(b.bootstrap.options)) == ({"paths": ("/usr",)}, {})
    assert ([s.name for s in a.provision.steps], [s.name for s in b.provision.steps]) == (
        ["shell-1", "shell-2"],
        ["shell-1"],
    )
    assert (a.stdio["stdin"].file, b.stdio["stdin"].file) == ("/a", "/barn")
    assert (len(a.hooks), len(b.hooks)) == (2, 1)
    assert a.hooks[0].function is b.hooks[0].function
    assert (a.hostname, b.hostname) == ("a", "b")


def test_a_setter_copies_what_it_gets(load: Load) -> None:
    (container,) = load(
        """
        from haconiwa import define
        argv, environ, paths = ["sleep", "1"], {"A": "b"}, ["/proc/x"]
        c = define()
        c.chroot_to("/r")
        c.init_command, c.environ, c.filesystem.masked_paths = argv, environ, paths
        argv.append("2"); environ["C"] = "d"; paths.append("/proc/y")
        """
    ).containers
    assert container.init_command == ("sleep", "1")
    assert container.environ == {"A": "b"}
    assert container.masked_paths == ("/proc/x",)


def test_what_belongs_to_the_barn_is_not_inherited(load: Load) -> None:
    barn = load(
        """
        from haconiwa import define
        with define() as barn:
            barn.name = "farm"
            barn.container_pid_file = "/run/farm.pid"
            barn.validate_real_id(lambda uid, gid: uid == 0)
            barn.add_general_hook("setup", print)
            barn.add_general_hook("teardown", print)
            barn.add_general_hook("system_failure", print)
            with barn.define() as c:
                pass
        """
    )
    (child,) = barn.containers
    assert (barn.name, barn.container_pid_file) == ("farm", "/run/farm.pid")
    assert child.name.startswith("haconiwa-")
    assert child.container_pid_file == default_pid_file(child.name)
    assert child.hooks == ()
    assert [hook.point for hook in barn.hooks] == ["setup", "teardown", "system_failure"]
    assert barn.validate_real_id is not None
    assert barn.validate_real_id(0, 5)
    assert "name" not in child.sources


def test_hooks_of_the_barn_and_its_one_container_are_told_apart(load: Load) -> None:
    barn = load(
        "from haconiwa import define\nc = define()\nc.add_general_hook('setup', print)\n"
        "c.add_general_hook('after_failure', print)\n"
    )
    assert [hook.point for hook in barn.hooks] == ["setup"]
    assert [hook.point for hook in barn.containers[0].hooks] == ["after_failure"]
    assert barn.hooks_at("setup") == barn.hooks
    assert barn.containers[0].hooks_at("setup") == ()


def test_the_barns_own_matters_may_come_after_the_first_child(load: Load) -> None:
    barn = load(
        """
        from haconiwa import define
        with define() as barn:
            with barn.define() as c:
                c.name = "c"
            barn.name = "farm"
            barn.container_pid_file = "/run/farm.pid"
            barn.daemonize()
            barn.cancel_daemonize()
            barn.validate_real_id(lambda uid, gid: True)
        barn.add_general_hook("teardown", print)
        """
    )
    assert (barn.name, barn.daemonize, len(barn.hooks)) == ("farm", False, 1)


LATE = [
    ("barn.uid = 1", "uid"),
    ("barn.environ['A'] = 'b'", "environ"),
    ("barn.environ |= {'A': 'b'}", "environ"),
    ("barn.namespace.unshare('pid')", "namespace.unshare"),
    ("barn.filesystem.use_legacy_chroot = True", "filesystem.use_legacy_chroot"),
    ("barn.filesystem.masked_paths.append('/x')", "filesystem.masked_paths"),
    ("barn.add_general_hook('before_fork', print)", "add_general_hook"),
    ("barn.add_async_hook(print, sec=1)", "add_async_hook"),
    ("barn.skip_bootstrap()", "skip_bootstrap"),
    ("barn.provision.run_shell('x')", "provision.run_shell"),
]


@pytest.mark.parametrize(("line", "name"), LATE, ids=[line for line, _ in LATE])
def test_setting_on_the_barn_after_its_first_child(problems: Problems, line: str, name: str) -> None:
    found = problems(
        f"""
        from haconiwa import define
        with define() as barn:
            barn.chroot_to("/r")
            with barn.define() as c:
                c.name = "c"
            {line}
        """
    )
    assert found == [
        f"test.haco:7: {name}: set on the barn after its first child (test.haco:5); set it before, or in the child"
    ]


def test_a_child_may_be_set_after_its_block(load: Load) -> None:
    barn = load(
        "from haconiwa import define\nb = define()\nwith b.define() as c: pass\nc.name = 'late'\n"
        "d = b.define()\nd.name = 'd'\nc.uid = 7\n"
    )
    assert [(c.name, c.user.uid) for c in barn.containers] == [("late", 7), ("d", None)]


@pytest.mark.parametrize("name", ["define", "daemonize", "cancel_daemonize", "validate_real_id"])
def test_what_a_child_does_not_have(problems: Problems, name: str) -> None:
    assert problems(f"from haconiwa import define\ndefine().define().{name}()\n") == [
        f"test.haco:2: {name}: belongs to the barn, a child has none"
    ]


def test_a_child_has_no_hooks_of_the_barn(problems: Problems) -> None:
    assert problems("from haconiwa import define\ndefine().define().add_general_hook('setup', print)\n") == [
        'test.haco:2: add_general_hook: the hook point "setup" belongs to the barn, a child has none'
    ]


def test_two_containers_of_one_name(problems: Problems) -> None:
    text = "from haconiwa import define\nb = define()\nb.define().name = 'web'\nb.define().name = 'web'\n"
    assert problems(text) == [
        'test.haco:4: name: two containers are called "web", the first at test.haco:3; give each a name of its own'
    ]


def test_two_children_without_a_name(problems: Problems) -> None:
    (found,) = problems("from haconiwa import define\nb = define()\nb.define()\nb.define()\n")
    assert found.startswith('test.haco:4: name: two containers are called "haconiwa-')
    assert found.endswith('", the first at test.haco:3; give each a name of its own')


def test_two_containers_with_one_pid_file(problems: Problems) -> None:
    found = problems(
        """
        from haconiwa import define
        b = define()
        for name in ("a", "b"):
            c = b.define()
            c.name = name
            c.container_pid_file = "/run/x.pid"
        """
    )
    assert found == ['test.haco:7: container_pid_file: "/run/x.pid" is used twice']


def test_a_bad_value_on_the_barn_is_told_once(problems: Problems) -> None:
    found = problems(
        """
        from haconiwa import define
        b = define()
        b.hostname = "same"
        for name in ("a", "b", "c"):
            b.define().name = name
        """
    )
    assert found == ['test.haco:4: hostname: needs a uts namespace; add namespace.unshare("uts")']


def test_a_path_below_the_barns_root_stays_one_in_a_child_with_another_root(load: Load) -> None:
    barn = load(
        """
        from haconiwa import define
        b = define()
        b.chroot_to("/r")
        b.add_mount_point("/srv", to="/r/srv")
        c = b.define()
        c.chroot_to("/q")
        c.add_mount_point("/opt", to="/q/opt")
        """
    )
    assert [mount.destination for mount in barn.containers[0].mounts] == ["/srv", "/opt"]

"""The haco file that ``new`` writes, with each of its options uncommented."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.cli import new
from haconiwa.cli.arguments import parse
from haconiwa.cli.check import problems
from haconiwa.cli.haco_template import global_text, haco_text, literal
from haconiwa.cli.output import Output
from haconiwa.dsl.builder import Definition
from haconiwa.dsl.defaults import Configuration
from haconiwa.dsl.load import load_defaults, load_file
from haconiwa.dsl.sections import SECTIONS
from haconiwa.errors import ConfigError, HaconiwaError
from haconiwa.spec.model import HOOK_POINTS
from haconiwa.spec.names import REQUIRED_OPTIONS, SIGNALS, STRATEGIES, STRATEGY_ALIASES

OPTION = re.compile(r"^( *)#(?=\S|    )(.*)$", re.MULTILINE)
"""A commented line of code: prose has a space after the ``#``, a body four."""


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_CONFIG", str(tmp_path / "haconiwa.conf.py"))
    monkeypatch.setenv("HACONIWA_LIB_DIR", "/var/lib/haconiwa")
    monkeypatch.chdir(tmp_path)


def run(*argv: str) -> int:
    return new.run(parse("new", new, list(argv)), Output())


def blocks(text: str) -> list[tuple[int, int]]:
    """Line ranges of consecutive commented code of one kind."""
    lines = text.splitlines()
    found: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        if not OPTION.match(line):
            continue
        if found and found[-1][1] == number and belongs(lines[number - 1], line):
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found


def belongs(before: str, line: str) -> bool:
    """Whether a line cannot stand without the one before: a body, what is decorated, or the other half of the maps."""
    code = line.strip()[1:]
    return before.strip().startswith("#@") or code.startswith(" ") or "set_gid_mapping" in code


def uncommented(text: str, start: int, end: int) -> str:
    lines = text.splitlines()
    lines[start:end] = [OPTION.sub(r"\1\2", line) for line in lines[start:end]]
    return "\n".join(lines) + "\n"


def variants() -> Iterator[tuple[str, str]]:
    for strategy in STRATEGIES:
        text = haco_text("web", "/srv/web", strategy)
        for start, end in blocks(text) if strategy == "host" else own_blocks(text):
            yield f"{strategy}-{start + 1}", uncommented(text, start, end)


def own_blocks(text: str) -> list[tuple[int, int]]:
    """Those of the bootstrap block: everything else is the same for each strategy."""
    line = text[: text.index("with config.provision")].count("\n")
    return [(start, end) for start, end in blocks(text) if "#b." in text.splitlines()[start] and end <= line]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_new_writes_is_right(strategy: str, tmp_path: Path) -> None:
    assert run("-s", strategy, "web.haco") == 0
    assert problems("web.haco") == []
    (container,) = load_file("web.haco").containers
    assert container.bootstrap is not None
    assert container.bootstrap.strategy == strategy
    own = ("user",) if os.geteuid() else ()
    assert container.namespaces == ("mount", "ipc", "uts", "pid", *own, "cgroup")


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in variants()])
def test_each_option_can_be_uncommented(text: str) -> None:
    Path("web.haco").write_text(text, encoding="utf-8")
    load_file("web.haco")


def test_there_are_many_options() -> None:
    assert len(list(variants())) > 60


def test_every_setting_is_in_it() -> None:
    text = "".join(haco_text("web", "/srv/web", strategy) for strategy in STRATEGIES)
    code = "\n".join(line for line in text.splitlines() if not line.strip().startswith("# ") or OPTION.match(line))
    missing = [name for name in public(Definition) if not re.search(rf"(config|barn|child)\.{name}\b", code)]
    sections = SECTIONS
    for section in sections:
        short = {"bootstrap": "b", "provision": "p"}.get(section._section, f"config.{section._section}")
        missing += [f"{short}.{name}" for name in public(section) if not re.search(rf"{short}\.{name}\b", code)]
    assert missing == []


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def test_an_ordinary_user_gets_a_user_namespace_and_nothing_else_differs() -> None:
    roots, own = haco_text("web", "/srv/web", "host"), haco_text("web", "/srv/web", "host", own_ids=True)
    line = 'config.namespace.map_ids("auto")'
    assert own == roots.replace(f"#{line}", line)
    assert f"\n    {line}\n" in own


def test_every_hook_point_is_explained() -> None:
    text = haco_text("web", "/srv/web", "host")
    assert [point for point in HOOK_POINTS if f"\n#   {point} " not in text and f"\n#   {point}\n" not in text] == []
    assert [signal for signal in SIGNALS if signal not in text] == []


def test_required_options_are_live() -> None:
    for strategy, names in REQUIRED_OPTIONS.items():
        text = haco_text("web", "/srv/web", strategy)
        assert all(re.search(rf"^ +(b\.{name} =|@b\.function)", text, re.MULTILINE) for name in names), strategy


def test_says_what_it_assigns(capfd: pytest.CaptureFixture[str]) -> None:
    run("-s", "host", "web.haco")
    lines = capfd.readouterr().err.splitlines()
    digits = lines[0].rpartition("-")[2]
    assert re.fullmatch(r"[0-9a-f]{8}", digits)
    assert lines == [
        f"assign  new haconiwa name = haconiwa-{digits}",
        f"assign  rootfs location = /var/lib/haconiwa/{digits}",
        "create  web.haco",
    ]
    spec = load_file("web.haco").containers[0]
    assert spec.name == f"haconiwa-{digits}"
    assert spec.rootfs is not None
    assert spec.rootfs.path == f"/var/lib/haconiwa/{digits}"


def test_name_and_root_are_taken(tmp_path: Path) -> None:
    run("-s", "host", "-n", "web", "-r", 'here "quoted" \\ ü', "web.haco")
    spec = load_file("web.haco").containers[0]
    assert spec.name == "web"
    assert spec.rootfs is not None
    assert spec.rootfs.path == str(tmp_path / 'here "quoted" \\ ü')


def test_root_is_called_as_the_container() -> None:
    run("-s", "host", "-n", "web", "web.haco")
    spec = load_file("web.haco").containers[0]
    assert spec.rootfs is not None
    assert spec.rootfs.path == "/var/lib/haconiwa/web"


@pytest.mark.requires("busybox")
def test_the_shell_script_fills_a_directory_and_says_little(tmp_path: Path) -> None:
    run("-s", "shell", "web.haco")
    bootstrap = load_file("web.haco").containers[0].bootstrap
    assert bootstrap is not None
    root = tmp_path / "root"
    root.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-xec", str(bootstrap.options["code"])], cwd=root, check=True, capture_output=True, text=True
    )
    assert (root / "bin/ls").is_symlink()
    assert len(done.stderr.splitlines()) <= 3


def test_says_nothing_of_what_it_could_not_write(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HaconiwaError, match="No such file or directory"):
        run("-s", "host", "nowhere/web.haco")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("is_link", [False, True])
def test_never_overwrites(is_link: bool, tmp_path: Path) -> None:
    if is_link:
        Path("web.haco").symlink_to("nowhere")
    else:
        Path("web.haco").write_text("mine", encoding="ascii")
    with pytest.raises(HaconiwaError, match="File exists"):
        run("web.haco")
    assert is_link or Path("web.haco").read_text(encoding="ascii") == "mine"
    assert not Path("nowhere").exists()


def test_nobody_else_can_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    before = os.umask(0)
    try:
        run("-s", "host", "web.haco")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("web.haco").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["a b", "", "-x", ".x", "a/b", "x" * 65, "a\nb"])
def test_wrong_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a name"):
        run(f"--name={name}", "web.haco")
    assert not Path("web.haco").exists()


@pytest.mark.parametrize("root", ["/", "//", "/x/.."])
def test_the_hosts_root_is_refused(root: str) -> None:
    with pytest.raises(ConfigError, match="the host's own root"):
        run("-r", root, "web.haco")


def test_file_is_needed() -> None:
    with pytest.raises(
        ConfigError, match="new takes a FILE to write, --global or --bridge; haconiwa new --help explains it"
    ):
        run()


def test_strategy_follows_what_is_installed() -> None:
    assert new.choose_strategy(None, has_lxc=True) == ("lxc", "")
    strategy, remark = new.choose_strategy(None, has_lxc=False)
    assert strategy == "host"
    assert "lxc-create is not installed" in remark
    for alias, name in STRATEGY_ALIASES.items():
        assert new.choose_strategy(alias, has_lxc=True) == (name, "")


def test_alpine_gets_bash() -> None:
    text = haco_text("web", "/srv/web", "lxc")
    assert 'b.os_type = "alpine"' in text
    assert "apk add --update bash" in text


def test_global_config_is_written_and_used(tmp_path: Path) -> None:
    assert run("-G") == 0
    path = tmp_path / "haconiwa.conf.py"
    assert load_defaults().strategy is None
    for start, end in blocks(global_text()):
        path.write_text(uncommented(global_text(), start, end), encoding="utf-8")
        load_defaults()
    path.write_text(OPTION.sub(r"\1\2", global_text()), encoding="utf-8")
    assert load_defaults().strategy == "host"
    run("web.haco")
    bootstrap = load_file("web.haco").containers[0].bootstrap
    assert bootstrap is not None
    assert bootstrap.strategy == "host"
    with pytest.raises(HaconiwaError, match="File exists"):
        run("-G")


def test_global_config_names_every_setting() -> None:
    assert [name for name in public(Configuration) if f"g.{name} = " not in global_text()] == []


def test_global_config_takes_nothing_else() -> None:
    with pytest.raises(ConfigError, match="takes no FILE"):
        run("-G", "web.haco")


@given(st.text(st.characters(exclude_categories=[])))
def test_literal_is_that_text(text: str) -> None:
    assert eval(literal(text)) == text

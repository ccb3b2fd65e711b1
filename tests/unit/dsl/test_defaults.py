"""The global config: when it runs, what it sets, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from haconiwa.dsl.load import load_defaults
from haconiwa.errors import ConfigError
from haconiwa.spec.model import BarnSpec, Defaults

Load = Callable[[str], BarnSpec]
Problems = Callable[[str], list[str]]


def test_without_a_file_there_are_the_built_in_defaults() -> None:
    assert load_defaults() == Defaults(log_level="info", wait_interval=50, strategy=None, roots=None, trusted_uids=())


@pytest.mark.parametrize("text", ["# nothing yet\n", "\n", ""])
def test_a_file_that_configures_nothing(own_config: Path, text: str) -> None:
    own_config.write_text(text)
    assert load_defaults() == Defaults()


def test_everything_that_can_be_set(own_config: Path) -> None:
    own_config.write_text(
        """
from haconiwa import configure
with configure() as g:
    g.log_level = "debug"
    g.wait_interval = 10
    g.strategy = "git-clone"
with configure() as g:
    g.roots = "/srv/roots"
    g.trusted_uids = [1000, 1001]
    g.syslog = False
"""
    )
    expected = Defaults(
        log_level="debug", wait_interval=10, strategy="git", roots="/srv/roots", trusted_uids=(1000, 1001), syslog=False
    )
    assert load_defaults() == expected


def test_a_haco_file_starts_from_the_defaults(load: Load, own_config: Path) -> None:
    own_config.write_text(
        "from haconiwa import configure\nwith configure() as g:\n"
        "    g.log_level = 'debug'; g.wait_interval = 10; g.strategy = 'lxc'\n"
    )
    barn = load(
        """
        from haconiwa import define
        b = define()
        b.chroot_to("/r")
        b.bootstrap.os_type = "alpine"
        assert b.log_level == "debug"
        for name in ("a", "b"):
            c = b.define()
            c.name = name
        c.log_level = "error"
        """
    )
    a, b = barn.containers
    assert (a.log_level, b.log_level, a.wait_interval) == ("debug", "error", 10)
    assert a.bootstrap is not None
    assert a.bootstrap.strategy == "lxc"
    assert "log_level" not in a.sources


def test_a_default_strategy_alone_asks_for_no_root(load: Load, own_config: Path) -> None:
    own_config.write_text("from haconiwa import configure\nconfigure().strategy = 'lxc'\n")
    assert load("from haconiwa import define\ndefine()\n").containers[0].bootstrap is None


def test_what_is_wrong_with_it(problems: Problems, own_config: Path) -> None:
    own_config.write_text(
        "from haconiwa import configure\ng = configure()\ng.log_level = 'loud'\ng.garden = 'x'\n"
        "g.strategy = 'mruby'\ng.trusted_uids = ['bob']\n"
    )
    assert problems("from haconiwa import define\ndefine()\n") == [
        f'{own_config}:3: log_level: "loud" is not one of debug info warning error',
        f'{own_config}:4: unknown name "garden"',
        f'{own_config}:5: bootstrap.strategy: "mruby" is not a bootstrap strategy; '
        'write "python" and give b.code Python, or a function'.replace("bootstrap.strategy: ", "strategy: "),
        f'{own_config}:6: trusted_uids: expected a number, not "bob"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from haconiwa import define\ndefine()\n", "2: define() belongs in a haco file, this is the global config"),
        ("1 / 0\n", "1: ZeroDivisionError: division by zero"),
        ("x = = 1\n", "1: invalid Python: invalid syntax"),
    ],
)
def test_what_stops_it(own_config: Path, text: str, expected: str) -> None:
    own_config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_defaults()
    assert str(caught.value) == f"{own_config}:{expected}"


def test_it_is_frozen_when_it_has_ended(load: Load, own_config: Path) -> None:
    own_config.write_text("from haconiwa import configure\ng = configure()\n")
    barn = load(
        """
        import sys
        from haconiwa import define
        g = sys.modules["__haco_config__"].g
        def late(barn):
            g.log_level = "debug"
        define().add_general_hook("setup", late)
        """
    )
    with pytest.raises(ConfigError, match="log_level: cannot be set any more"):
        barn.hooks[0].function(None)

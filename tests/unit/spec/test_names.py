"""The tables of words agree with each other, with the types for editors, and with the kernel's."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest

from haconiwa.dsl.bootstrap import Bootstrap
from haconiwa.dsl.node import Setting
from haconiwa.kernel.names import CAPABILITIES
from haconiwa.spec import model, names

SPEC = Path(names.__file__).parent


def literals() -> dict[str, list[str]]:
    """The words of every ``Name = Literal[…]`` for type checkers."""
    text = (SPEC / "names.py").read_text() + (SPEC / "model.py").read_text()
    found = re.findall(r"^    (\w+) = Literal\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r'"([^"]*)"', words) for name, words in found}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LogLevel", names.LOG_LEVELS),
        ("SignalName", names.SIGNALS),
        ("LimitName", names.LIMITS),
        ("StrategyName", (*names.STRATEGIES, *names.STRATEGY_ALIASES)),
        ("IndependentMount", model.INDEPENDENT_MOUNTS),
        ("MountKind", ("bind", "filesystem", *model.INDEPENDENT_MOUNTS)),
        ("BarnPoint", model.BARN_POINTS),
        ("ContainerPoint", [point for point in model.HOOK_POINTS if point not in model.BARN_POINTS]),
        ("CapabilityName", ("all", *CAPABILITIES)),
        ("NamespaceType", model.NAMESPACE_TYPES),
        ("OnError", ("abort", "continue")),
    ],
)
def test_editors_are_offered_what_is_accepted(name: str, words: tuple[str, ...]) -> None:
    assert sorted(literals()[name]) == sorted(words)


def test_limits_are_known_to_the_system() -> None:
    assert all(hasattr(resource, f"RLIMIT_{name}") for name in names.LIMITS)


def test_the_default_capabilities_exist() -> None:
    assert set(model.DEFAULT_CAPABILITIES) <= set(CAPABILITIES)


def test_strategies_have_their_attributes() -> None:
    settings = {name for name, value in vars(Bootstrap).items() if isinstance(value, Setting)} - {"strategy"}
    assert {name for own in names.STRATEGIES.values() for name in own} == settings
    assert names.STRATEGIES.keys() == names.REQUIRED_OPTIONS.keys()
    for strategy, required in names.REQUIRED_OPTIONS.items():
        assert set(required) <= set(names.STRATEGIES[strategy])
    assert set(names.STRATEGY_ALIASES.values()) <= names.STRATEGIES.keys()

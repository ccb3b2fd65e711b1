"""From the path of a haco file to a checked `BarnSpec`."""

from __future__ import annotations

import os

from haconiwa.dsl.builder import Definition  # imported here: while a file loads, no bytecode would be kept of it
from haconiwa.dsl.execute import execute
from haconiwa.dsl.freeze import freeze
from haconiwa.dsl.loading import Loading
from haconiwa.dsl.source import Source, read_source
from haconiwa.errors import ConfigError, Problem
from haconiwa.host.paths import global_config
from haconiwa.spec.model import BarnSpec, Defaults
from haconiwa.spec.validate import validate


def load_file(path: str) -> BarnSpec:
    """Execute a haco file and check all it says. The global config is executed before, if there is one.

    Args:
        path: Host path of the file.

    Returns:
        The containers it describes; functions in it still belong to the file's module.

    Raises:
        ConfigError: Everything that is wrong with the file, in the order of its lines.
    """
    defaults = load_defaults()
    return load_source(read_source(path, defaults.trusted_uids), defaults)


def load_source(source: Source, defaults: Defaults) -> BarnSpec:
    """Execute a haco file that was read, as `load_file` does.

    Args:
        source: The file.
        defaults: What the global config says.

    Raises:
        ConfigError: Everything that is wrong with the file, in the order of its lines.
    """
    if not source.data.strip():
        raise ConfigError(Problem(f'"{source.file}" is empty', None, '"haconiwa new FILE" writes a haco file'))
    load = Loading(source.file, source.real_file, defaults)
    if not execute(source, load, "__haco__"):
        raise load.error()
    if load.barn is None:
        raise ConfigError(Problem(f'"{source.file}" defines no container', None, "with define() as config: …"))
    return _check(load, load.barn)


def _check(load: Loading, barn: Definition) -> BarnSpec:
    spec = freeze(barn)
    # What follows from a setting that was refused is not worth a line: "strategy: is not set".
    refused = {problem.what.partition(":")[0] for problem in load.problems}
    load.problems += [problem for problem in validate(spec) if problem.what.partition(":")[0] not in refused]
    if load.problems:
        raise load.error()
    return spec


def load_defaults() -> Defaults:
    """What the global config says, or the built-in defaults without one.

    Raises:
        ConfigError: What is wrong with the global config.
    """
    path = global_config()
    if not os.path.exists(path):
        return Defaults()
    source: Source = read_source(path)
    load = Loading(source.file, source.real_file, Defaults(), is_global=True)
    execute(source, load, "__haco_config__")
    if load.problems:
        raise load.error()
    return load.configuration._freeze() if load.configuration is not None else Defaults()

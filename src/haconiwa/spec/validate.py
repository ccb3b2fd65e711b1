"""Checks that need several settings together. Each is a small function; all problems of all containers are collected."""

from __future__ import annotations

from haconiwa.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.spec.model import BarnSpec


def validate(barn: BarnSpec) -> list[Problem]:
    """What is wrong with a barn and its containers, none of it with a single value."""
    return []

"""Everything that a container is divided into, also what a plain start does not load."""

from __future__ import annotations

from haconiwa.dsl import builder
from haconiwa.dsl.cgroup import Cgroup
from haconiwa.dsl.landlock import Landlock
from haconiwa.dsl.network import Network
from haconiwa.dsl.node import Section
from haconiwa.dsl.seccomp import Seccomp

SECTIONS: tuple[type[Section], ...] = (*builder.SECTIONS, Cgroup, Landlock, Network, Seccomp)
"""The classes of all sections."""

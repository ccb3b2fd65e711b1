"""The rarer steps of a start that an attach takes too. What is not asked for is not even loaded."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.isolation.step import Step
    from haconiwa.spec.model import ContainerSpec


def plan_confinement(spec: ContainerSpec) -> list[Step]:
    """Steps of all places; those inside are for before privileges are given up."""
    steps: list[Step] = []
    if spec.oom_score_adj is not None:
        from haconiwa.isolation import oom

        steps += oom.plan(spec)
    if spec.apparmor is not None or spec.selinux_context is not None:
        from haconiwa.isolation import labels

        steps += labels.plan_opening(spec)
    if spec.landlock:
        from haconiwa.isolation import landlock

        steps += landlock.plan(spec)
    if spec.personality is not None:
        from haconiwa.isolation import personality

        steps += personality.plan(spec)
    return steps


def plan_label(spec: ContainerSpec) -> list[Step]:
    """The step shortly before the exec."""
    if spec.apparmor is None and spec.selinux_context is None:
        return []
    from haconiwa.isolation import labels

    return labels.plan(spec)

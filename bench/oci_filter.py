"""The default seccomp profile in the form of an OCI runtime's config.json, as an engine writes its own there."""

from __future__ import annotations

import os
from typing import Any

from haconiwa.isolation.seccomp.default import default_policy
from haconiwa.isolation.seccomp.policy import EPERM, PolicyRule
from haconiwa.kernel.seccomp import RET
from haconiwa.spec.model import DEFAULT_CAPABILITIES

_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
_ERRNO_MASK = 0xFFFF


def oci_filter() -> dict[str, Any]:
    """``linux.seccomp`` for this machine.

    Rules of libseccomp have no order, so those that refuse some of what a later one allows are left out: four of about
    four hundred calls are filtered a little less than by haconiwa.
    """
    machine = os.uname().machine
    rules = default_policy(machine, frozenset(DEFAULT_CAPABILITIES)).rules
    allowed = {name for rule in rules if rule.action == RET.ALLOW for name in rule.names}
    kept = [rule for rule in rules if rule.action == RET.ALLOW or not allowed & set(rule.names)]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": _ARCHITECTURES[machine],
        "syscalls": [_rule(rule) for rule in kept],
    }


def _rule(rule: PolicyRule) -> dict[str, Any]:
    found: dict[str, Any] = {"names": list(rule.names), "action": "SCMP_ACT_ALLOW"}
    if rule.action != RET.ALLOW:
        found |= {"action": "SCMP_ACT_ERRNO", "errnoRet": rule.action & _ERRNO_MASK}
    if rule.when:
        found["args"] = [
            {"index": condition.index, "value": condition.mask, "valueTwo": condition.value, "op": "SCMP_CMP_MASKED_EQ"}
            if condition.operator == "=="
            else {"index": condition.index, "value": condition.value, "op": "SCMP_CMP_LT"}
            for condition in rule.when
        ]
    return found

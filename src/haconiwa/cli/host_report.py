"""What ``haconiwa check --host`` prints."""

from __future__ import annotations

import json

from haconiwa.cli.output import colours
from haconiwa.errors import EXIT_FAILURE, printable
from haconiwa.host.findings import look
from haconiwa.spec.record import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.cli.output import Output
    from haconiwa.host.finding import Finding

_COLOURS = {"ok": "32", "missing": "31;1", "no": "33"}


def report(output: Output, *, in_json: bool) -> int:
    """Print all findings.

    Returns:
        0 when nothing is missing that every container needs, else 125.
    """
    found = look()
    if in_json:
        output.result(json.dumps([to_plain(finding) for finding in found], indent=2))
    else:
        _print(found, output)
    return EXIT_FAILURE if any(_word(finding) == "missing" for finding in found) else 0


def _print(found: list[Finding], output: Output) -> None:
    group = ""
    for finding in found:
        if finding.group != group:
            group = finding.group
            output.result(f"{group}:")
        output.result(f"  {_shown(_word(finding))}  {printable(f'{finding.name:<28} {finding.detail}'.rstrip())}")
        if not finding.ok and finding.change:
            output.result(f"           -> {printable(finding.change)}")


def _word(finding: Finding) -> str:
    if finding.ok:
        return "ok"
    return "missing" if finding.needed else "no"


def _shown(word: str) -> str:
    padded = f"{word:<7}"
    return f"\x1b[{_COLOURS[word]}m{padded}\x1b[0m" if colours(1) else padded

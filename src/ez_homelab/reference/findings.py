"""doctor.md, from the recorded cases by which every check is tested: each row is what a check said of a real answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.doctor import CHECKS
from ez_homelab.doctor.finding import SEVERITIES
from ez_homelab.reference import CHECKOUT
from ez_homelab.reference.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = CHECKOUT / "tests" / "unit" / "doctor"

_INTRODUCTION = """\
# What `ez-homelab doctor` finds

Worst first: an `error` makes `up` stop before it changes anything (unless `up` itself mends it), a `warning` will hurt,
a `note` is for you to judge. Code and severity are stable; the sentences below are examples, taken from recorded
machines. In them stands what your machine has: its names, ports and sizes.

A check whose question was not answered says so: `<check>-unknown`, a warning. That is never taken for "fine"."""


def recorded_findings() -> dict[str, dict[str, Any]]:
    """For each code one finding that was recorded of it: the first of the case that comes last by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(CASES.glob("*/*.json"), reverse=True):
        for finding in json.loads(path.read_text(encoding="utf-8")).get("findings", []):
            found.setdefault(finding["code"], finding | {"check": path.parent.name})
    return found


def doctor_page() -> str:
    """Every finding code by check, with severity, meaning, cause and fix."""
    found = recorded_findings()
    lines = [_INTRODUCTION]
    for check in CHECKS:
        own = {code: finding for code, finding in found.items() if finding["check"] == check.name}
        lines += ["", f"## {check.name}: {check.about}", "", *_table(own)]
        lines += ["", f"Could not look: `{check.name}-unknown` (warning)."]
    return "\n".join(lines) + "\n"


def _table(findings: dict[str, dict[str, Any]]) -> Iterator[str]:
    by_severity = sorted(findings.items(), key=lambda item: (SEVERITIES.index(item[1]["severity"]), item[0]))
    rows = [
        (f"`{code}`", finding["severity"], *(cell(finding[field]) for field in ("what", "cause", "fix")))
        for code, finding in by_severity
    ]
    yield from table(("Code", "Severity", "What", "Likely cause", "Fix"), rows)

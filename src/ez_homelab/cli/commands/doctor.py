"""`ez-homelab doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told
from ez_homelab.errors import EXIT_FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ez_homelab.doctor import Finding

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command("doctor")
@lab_option
@json_option
@told
def doctor_command(lab_folder: Path | None, as_json: bool) -> None:
    """Find what is wrong or soon will be, worst first: its cause and one fix. Works before the first `up` as well."""
    lab = open_lab(lab_folder)
    if not lab.exists:
        # What a starter lab would need: the question before the first `up`.
        lab = lab.prospective("lab.localhost", "registry")
    findings = run(lab.doctor())
    if as_json:
        print_json({"findings": [finding.to_dict() for finding in findings]})
    else:
        show_findings(findings)
    if any(finding.blocking for finding in findings):
        sys.exit(EXIT_FAILED)


def show_findings(findings: Iterable[Finding]) -> None:
    """Each finding with its evidence, cause and fix; a word of reassurance where there is none."""
    found = list(findings)
    for finding in found:
        click.echo(f"{click.style(finding.severity, fg=COLOURS[finding.severity], bold=True)}: {finding.what}")
        for name, text in (("evidence", finding.evidence), ("cause", finding.cause), ("fix", finding.fix)):
            if text:
                click.echo(f"  {name:<9} {text}")
    if not found:
        click.secho("Nothing wrong was found.", fg="green")

"""`ez-homelab status`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told
from ez_homelab.errors import EXIT_FAILED, EXIT_UNREACHABLE

if TYPE_CHECKING:
    from pathlib import Path


@click.command("status")
@lab_option
@json_option
@told
def status_command(lab_folder: Path | None, as_json: bool) -> None:
    """Every app: address, state, evidence. Exit status 1 where one failed or is missing."""
    from ez_homelab.cli.terminal import show_table

    statuses = run(open_lab(lab_folder).status())
    if as_json:
        print_json({"apps": [asdict(status) for status in statuses]})
    else:
        rows = [(app.name, app.stack, app.state, app.address or "-", app.evidence) for app in statuses]
        show_table(("App", "Stack", "State", "Address", "Evidence"), rows)
    states = {status.state for status in statuses}
    if "unknown" in states:
        sys.exit(EXIT_UNREACHABLE)
    if states & {"failed", "missing"}:
        sys.exit(EXIT_FAILED)

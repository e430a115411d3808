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

    from ez_homelab.observe.states import AppStatus

MEGABYTE = 1024 * 1024


@click.command("status")
@lab_option
@json_option
@told
def status_command(lab_folder: Path | None, as_json: bool) -> None:
    """Every app: address, state, evidence. Exit status 1 where one failed or is missing.

    Of apps that sleep also how often they woke and how fast, and the memory that is free because they sleep.
    """
    from ez_homelab.cli.terminal import show_table
    from ez_homelab.observe.states import memory_saved

    statuses = run(open_lab(lab_folder).status())
    if as_json:
        print_json({"apps": [asdict(status) for status in statuses], "memory_saved": memory_saved(statuses)})
    else:
        rows = [(app.name, app.stack, app.state, app.address or "-", _evidence(app)) for app in statuses]
        show_table(("App", "Stack", "State", "Address", "Evidence"), rows)
        if saved := memory_saved(statuses):
            asleep = sum(app.state == "asleep" for app in statuses)
            click.echo(f"\nAsleep: {asleep} of {len(statuses)} apps; {saved // MEGABYTE} MB of memory saved now.")
    states = {status.state for status in statuses}
    if "unknown" in states:
        sys.exit(EXIT_UNREACHABLE)
    if states & {"failed", "missing"}:
        sys.exit(EXIT_FAILED)


def _evidence(app: AppStatus) -> str:
    """The evidence, and how fast the app wakes."""
    wakes = app.on_demand.wakes if app.on_demand else None
    if wakes is None or not wakes.count:
        return app.evidence
    fast = "" if wakes.p50 is None else f", half of them within {wakes.p50:.1f} s"
    slow = "" if wakes.p95 is None else f", 95 % within {wakes.p95:.1f} s"
    return f"{app.evidence}; {wakes.count} {'wake' if wakes.count == 1 else 'wakes'}{fast}{slow}"

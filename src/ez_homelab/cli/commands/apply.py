"""`ez-homelab apply`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told, yes_option
from ez_homelab.errors import EXIT_UNREACHABLE

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Plan


@click.command("apply")
@lab_option
@json_option
@yes_option
@click.option("--start-held", is_flag=True, help="Also start what a person stopped.")
@told
def apply_command(lab_folder: Path | None, as_json: bool, yes: bool, start_held: bool) -> None:
    """Make the servers match the lab file: show the plan, ask, do it, look again."""
    lab = open_lab(lab_folder, progress=not as_json)
    plan = run(plan_and_apply(lab, yes=yes or as_json, start_held=start_held, quiet=as_json))
    if as_json:
        print_json({"applied": plan.to_dict() if plan else None})
    if plan and plan.unknown:
        sys.exit(EXIT_UNREACHABLE)


async def plan_and_apply(lab: Homelab, *, yes: bool, start_held: bool = False, quiet: bool = False) -> Plan | None:
    """Plan, show, ask, apply; returns the plan, or None where the person said no."""
    from ez_homelab.cli.terminal import confirm, show_plan

    plan = await lab.plan(start_held=start_held)
    if not quiet:
        show_plan(plan)
    if not plan:
        return plan
    if not confirm("Do this?", yes=yes):
        click.echo("Nothing was changed.", err=True)
        return None
    await lab.apply(plan, start_held=start_held)
    return plan

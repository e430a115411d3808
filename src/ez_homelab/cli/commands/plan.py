"""`ez-homelab plan`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told
from ez_homelab.errors import EXIT_CHANGES, EXIT_UNREACHABLE

if TYPE_CHECKING:
    from pathlib import Path


@click.command("plan")
@lab_option
@json_option
@click.option("--check", is_flag=True, help="Exit with status 3 where there is something to do.")
@click.option("--start-held", is_flag=True, help="Also plan to start what a person stopped.")
@told
def plan_command(lab_folder: Path | None, as_json: bool, check: bool, start_held: bool) -> None:
    """Show what apply would do, and why. Changes nothing."""
    from ez_homelab.cli.terminal import show_plan

    plan = run(open_lab(lab_folder).plan(start_held=start_held))
    if as_json:
        print_json(plan.to_dict())
    else:
        show_plan(plan)
    if plan.unknown:
        sys.exit(EXIT_UNREACHABLE)
    if check and plan:
        sys.exit(EXIT_CHANGES)

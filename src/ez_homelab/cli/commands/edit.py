"""`ez-homelab add` and `ez-homelab remove`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.complete import complete_catalog, complete_lab
from ez_homelab.cli.face import (
    json_option,
    lab_option,
    open_lab,
    print_json,
    require_yes,
    run,
    told,
    wait_option,
    yes_option,
)
from ez_homelab.errors import EXIT_UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ez_homelab.config.files import Edit
    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Plan

    Change = Callable[[Homelab], tuple[Edit, Homelab]]


@click.command("add")
@click.argument("app", shell_complete=complete_catalog)
@lab_option
@json_option
@yes_option
@click.option("--stack", help="The stack it joins; made if missing. Default: named after the app's category.")
@click.option("--name", help="Its name in the lab, for a second copy of an app. Default: the app's own.")
@wait_option
@told
def add_command(
    app: str, lab_folder: Path | None, as_json: bool, yes: bool, stack: str | None, name: str | None, wait: float
) -> None:
    """Add an app to the lab: edit homelab.yaml (comments stay), show the plan, ask, apply."""
    require_yes(yes=yes, as_json=as_json)
    lab = open_lab(lab_folder, progress=not as_json, wait=wait)
    run(_carry_out(lab, lambda held: held.adding(app, stack=stack, name=name), as_json=as_json, yes=yes))


@click.command("remove")
@click.argument("name", shell_complete=complete_lab)
@lab_option
@json_option
@yes_option
@wait_option
@told
def remove_command(name: str, lab_folder: Path | None, as_json: bool, yes: bool, wait: float) -> None:
    """Take an app out of the lab: edit homelab.yaml, show the plan, ask, apply. Its data stays on the server."""
    require_yes(yes=yes, as_json=as_json)
    lab = open_lab(lab_folder, progress=not as_json, wait=wait)
    run(_carry_out(lab, lambda held: held.removing(name), as_json=as_json, yes=yes))


async def _carry_out(lab: Homelab, change: Change, *, as_json: bool, yes: bool) -> None:
    from ez_homelab.cli.commands.apply import carry_out

    async with lab.changing(unasked=yes) as held:
        edit, after = change(held)
        plan = await after.plan()
        if not _agreed(edit, plan, quiet=as_json, yes=yes):
            click.echo("Nothing was changed.", err=True)
            return
        edit.write()
        if plan:
            plan = await carry_out(after, plan, yes=yes, quiet=as_json)
    await _tell(after, edit, plan, as_json=as_json)


def _agreed(edit: Edit, plan: Plan, *, quiet: bool, yes: bool) -> bool:
    from ez_homelab.cli.terminal import confirm, show_plan

    if not quiet:
        click.echo(edit.diff())
        show_plan(plan)
    return confirm("Do this?", yes=yes)


async def _tell(after: Homelab, edit: Edit, plan: Plan, *, as_json: bool) -> None:
    from ez_homelab.cli.commands.apply import prove

    proof = await prove(after, plan, quiet=as_json) if plan else None
    if as_json:
        told = {"file": str(edit.path), "diff": edit.diff(), "applied": plan.to_dict()}
        print_json(told | {"proof": proof.to_dict() if proof else None})
    if plan.unknown:
        sys.exit(EXIT_UNREACHABLE)

"""`ez-homelab rollback`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, require_yes, run, told, yes_option
from ez_homelab.errors import EXIT_UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ez_homelab.config.files import Edit
    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Plan
    from ez_homelab.verify import Proof


@click.command("rollback")
@click.argument("number", type=int)
@lab_option
@json_option
@yes_option
@click.option(
    "--keep-lab-file", is_flag=True, help="Leave the lab's own files as they are; the next apply goes by them again."
)
@told
def rollback_command(number: int, lab_folder: Path | None, as_json: bool, yes: bool, keep_lab_file: bool) -> None:
    """Make the lab as generation NUMBER was: its files and images, and the lab's own files. Data stays as it is.

    Shows what changes, asks, applies, proves. This is a new generation; `ez-homelab history` lists them.
    """
    require_yes(yes=yes, as_json=as_json)
    lab = open_lab(lab_folder, progress=not as_json)
    run(_go_back(lab, number, yes=yes, as_json=as_json, keep_lab_file=keep_lab_file))


async def _go_back(lab: Homelab, number: int, *, yes: bool, as_json: bool, keep_lab_file: bool) -> None:
    async with lab.changing(unasked=yes) as held:
        edits, before = await held.rolling_back(number)
        edits = () if keep_lab_file else edits
        plan = await before.plan()
        if not as_json:
            _show(number, edits, plan)
        if (edits or plan) and not _agreed(number, yes=yes):
            click.echo("Nothing was changed.", err=True)
            return
        proof = await _carry_out(before, edits, plan, quiet=as_json)
    if as_json:
        told = [{"file": str(edit.path), "diff": edit.diff()} for edit in edits]
        document = {"generation": number, "edits": told, "applied": plan.to_dict()}
        print_json(document | {"proof": proof.to_dict() if proof else None})
    if plan.unknown:
        sys.exit(EXIT_UNREACHABLE)


def _agreed(number: int, *, yes: bool) -> bool:
    from ez_homelab.cli.terminal import confirm

    return confirm(f"Go back to generation {number}?", yes=yes)


def _show(number: int, edits: Sequence[Edit], plan: Plan) -> None:
    from ez_homelab.cli.terminal import show_plan

    if not edits and not plan and not plan.unknown:
        click.echo(f"Nothing to do: everything is as in generation {number}.")
        return
    for edit in edits:
        click.echo(edit.diff())
    show_plan(plan)
    click.echo("Data stays as it is: what apps stored since then is still there, also where the app was older then.")


async def _carry_out(lab: Homelab, edits: Sequence[Edit], plan: Plan, *, quiet: bool) -> Proof | None:
    from ez_homelab.cli.commands.apply import prove
    from ez_homelab.config.files import write_all

    write_all(edits)
    if not plan:
        return None
    await lab.apply(plan)
    return await prove(lab, plan, quiet=quiet)

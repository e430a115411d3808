"""`ez-homelab apply`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

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
from ez_homelab.errors import EXIT_UNREACHABLE, PlanStaleError, ProofError

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Plan
    from ez_homelab.verify import Proof

UNASKED_TRIES = 3
"""How often a run that asks nobody plans anew before it says that the servers do not keep still."""


@click.command("apply")
@lab_option
@json_option
@yes_option
@click.option("--start-held", is_flag=True, help="Also start what a person stopped.")
@click.option("--take-over", is_flag=True, help="Stand in the place of another lab that the server carries.")
@wait_option
@told
def apply_command(
    lab_folder: Path | None, as_json: bool, yes: bool, start_held: bool, take_over: bool, wait: float
) -> None:
    """Make the servers match the lab file: show the plan, ask, do it, look again."""
    require_yes(yes=yes, as_json=as_json)
    lab = replace(open_lab(lab_folder, progress=not as_json, wait=wait), take_over=take_over)
    plan, proof = run(_apply(lab, yes=yes, start_held=start_held, quiet=as_json))
    if as_json:
        print_json(
            {"applied": plan.to_dict() if plan is not None else None, "proof": proof.to_dict() if proof else None}
        )
    if plan is not None and plan.unknown:
        sys.exit(EXIT_UNREACHABLE)


async def _apply(lab: Homelab, *, yes: bool, start_held: bool, quiet: bool) -> tuple[Plan | None, Proof | None]:
    async with lab.changing(unasked=yes) as held:
        plan = await plan_and_apply(held, yes=yes, start_held=start_held, quiet=quiet)
    return plan, await prove(lab, plan, quiet=quiet) if plan else None


async def plan_and_apply(lab: Homelab, *, yes: bool, start_held: bool = False, quiet: bool = False) -> Plan | None:
    """Plan, show, ask, apply; returns the plan, or None where the person said no."""
    from ez_homelab.cli.terminal import confirm, show_plan

    plan = await lab.plan(start_held=start_held)
    if not quiet:
        show_plan(plan)
    if not plan:
        await lab.finish_record(plan)
        return plan
    if not confirm("Do this?", yes=yes):
        click.echo("Nothing was changed.", err=True)
        return None
    return await carry_out(lab, plan, yes=yes, start_held=start_held, quiet=quiet)


async def carry_out(lab: Homelab, plan: Plan, *, yes: bool, start_held: bool = False, quiet: bool = False) -> Plan:
    """Apply the plan; returns the one that was applied.

    Where nobody was asked, nobody's approval is at stake when the servers move between two looks (an app's health does,
    on a busy machine), and it is planned anew. Raises `PlanStaleError` where they keep moving, or a person was asked.
    """
    from ez_homelab.cli.terminal import show_plan

    for _ in range(UNASKED_TRIES - 1 if yes else 0):
        try:
            await lab.apply(plan, start_held=start_held)
        except PlanStaleError:
            plan = await lab.plan(start_held=start_held)
            if not quiet:
                show_plan(plan)
        else:
            return plan
    await lab.apply(plan, start_held=start_held)
    return plan


async def prove(lab: Homelab, plan: Plan, *, quiet: bool = False) -> Proof:
    """Prove the addresses that the plan touched and say where they are. Raises `ProofError` where one does not hold."""
    proof = await lab.verify_applied(plan)
    if proof.failures:
        raise ProofError(
            "the apps are up, and not everything that users rely on holds",
            evidence="\n".join(f"{row.subject}: {row.claim}: {row.evidence}" for row in proof.failures),
            fix="ez-homelab verify",
        )
    proven = {row.subject for row in proof.checks}
    for route in lab.desired.routes:
        if route.name in proven and not quiet:
            click.echo(f"{route.name} answers: {route.address}  ({len(proof.of(route.name))} proofs hold)")
    return proof

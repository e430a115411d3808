"""`ez-homelab up`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import lab_option, open_lab, run, told, yes_option
from ez_homelab.errors import EXIT_FAILED, EzError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.config.files import Edit
    from ez_homelab.config.model import ImageSource
    from ez_homelab.lab import Homelab
    from ez_homelab.up import Preparation
    from ez_homelab.verify import Proof

NOT_DONE = "Nothing was changed."


@click.command("up")
@lab_option
@yes_option
@click.option("--domain", default="lab.localhost", show_default=True, help="The domain of a lab that is made now.")
@click.option(
    "--images", type=click.Choice(["registry", "packages"]),
    help="Where a lab that is made now takes its images from. Default: asked, if no registry answers.",
)  # fmt: skip
@click.option(
    "--admin", metavar="NAME",
    help="The user name of the first admin, where the lab has no users.yaml. Default: $SUDO_USER, else admin.",
)  # fmt: skip
@told
def up_command(lab_folder: Path | None, yes: bool, domain: str, images: ImageSource | None, admin: str | None) -> None:
    """From a bare machine to apps over HTTPS: prerequisites, lab, apply, proof. Can be run again at any point.

    As long as no admin has a password, a one-time link is printed at the end by which the first one chooses it.
    """
    proof = run(_up(open_lab(lab_folder, progress=True), domain, images, admin, yes=yes))
    if proof is None or not proof.holds:
        sys.exit(EXIT_FAILED)


async def _up(lab: Homelab, domain: str, images: ImageSource | None, admin: str | None, *, yes: bool) -> Proof | None:
    from ez_homelab.cli.commands.apply import plan_and_apply
    from ez_homelab.up import install_all, prepare

    is_new = not lab.exists
    if is_new:
        lab = lab.prospective(domain, images or await _choose_images(yes=yes), admin)
    users = _first_users(lab, admin, is_new=is_new)
    preparation = await prepare(lab)
    if not _agreed(lab, preparation, users, is_new=is_new, yes=yes):
        click.echo(NOT_DONE, err=True)
        return None
    await install_all(lab, preparation.steps)
    if is_new:
        lab.create(lab.lab.domain, lab.lab.images.source, admin)
    elif users:
        users.write()
        lab = lab.with_users(users.after)
    async with lab.changing(unasked=yes) as held:
        plan = await plan_and_apply(held, yes=yes)
    if plan is None:
        return None
    if any(app.state == "starting" for app in await lab.status()):
        with lab.progress.step("wait for what is starting"):
            await lab.settle()
    with lab.progress.step("prove every address"):
        proof = await lab.verify_applied(plan, whole=True)
    await _show_result(lab, proof)
    await _show_first_link(lab)
    return proof


def _first_users(lab: Homelab, admin: str | None, *, is_new: bool) -> Edit | None:
    """The edit that makes a users.yaml, where an older lab has none. Raises `UsageError` where `admin` is too late."""
    if is_new:
        return None
    if not lab.has_users:
        return lab.users.starting(admin)[0]
    if admin and admin not in lab.people:
        raise UsageError(
            "--admin names the first admin of a lab without users.yaml, and this one has it",
            evidence=f"its users: {', '.join(lab.people) or 'none'}",
            fix=f"ez-homelab users add {admin} --groups admins",
        )
    return None


async def _choose_images(*, yes: bool) -> ImageSource:
    from ez_homelab.cli.terminal import confirm
    from ez_homelab.images.registry import registry_answers

    if await registry_answers():
        return "registry"
    click.echo("No image registry answers (registry-1.docker.io).")
    click.echo("The apps can be built on this machine instead, from Debian, PyPI and npm packages (package editions).")
    if confirm("Take package editions?", yes=yes):
        return "packages"
    raise UsageError(
        "no image registry answers, and package editions were turned down",
        fix="check the network, or run it again with --images packages",
    )


def _agreed(lab: Homelab, preparation: Preparation, users: Edit | None, *, is_new: bool, yes: bool) -> bool:
    from ez_homelab.cli.commands.doctor import show_findings
    from ez_homelab.cli.terminal import confirm

    if preparation.remarks:
        show_findings(preparation.remarks)
    if not preparation.steps and not is_new and not users:
        return True
    click.echo("Before the plan:")
    for step in preparation.steps:
        click.echo(f"  + {step.what}: {step.why}")
    if is_new:
        source = lab.lab.images.source
        click.echo(f"  + write a starter lab into {lab.folder}: domain {lab.lab.domain}, images from {source}")
    if users or (is_new and not lab.has_users):
        click.echo(f"  + write users.yaml: {', '.join(_admins(lab, users))} may sign in, as admin")
    return confirm("Do this?", yes=yes)


async def _show_result(lab: Homelab, proof: Proof) -> None:
    from ez_homelab.cli.terminal import show_table

    rows = []
    for app in await lab.status():
        checks = proof.of(app.name)
        passed = sum(check.state == "passed" for check in checks)
        told = f"{passed} of {len(checks)} proofs hold" if checks else app.evidence
        rows.append((app.name, app.address or "-", app.state, told))
    click.echo()
    show_table(("App", "Address", "State", "Proof"), rows)
    for check in proof.failures:
        click.secho(f"failed: {check.subject}: {check.claim}: {check.evidence}", fg="red")
    held = sum(check.state == "passed" for check in proof.checks)
    click.echo(f"\n{held} of {held + len(proof.failures)} proofs hold (ez-homelab verify shows each).")
    if lab.lab.domain.endswith(".localhost"):
        click.echo("This machine only: names under .localhost never leave it.")
    click.echo("To make browsers on this machine trust the certificates: ez-homelab trust")


def _admins(lab: Homelab, users: Edit | None) -> tuple[str, ...]:
    from ez_homelab.config.users import enabled_admins

    return enabled_admins((lab.with_users(users.after) if users else lab).people)


async def _show_first_link(lab: Homelab) -> None:
    """The way in for the first admin, as long as no admin has a password."""
    from ez_homelab.cli.commands.users import show_way

    try:
        way = await lab.users.first_admin_way()
    except EzError as error:
        later = f"ez-homelab users invite {' or '.join(_admins(lab, None)) or 'NAME'}"
        click.echo(f"No link for the first admin: {error.what}. Later: {later}", err=True)
        return
    if way:
        click.echo()
        show_way(way, f"To sign in as {way.user}, open this link and choose a password:")

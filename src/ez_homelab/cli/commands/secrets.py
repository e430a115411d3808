"""`ez-homelab secrets`: what the lab generated for its apps."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.complete import complete_lab
from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, require_yes, run, told, yes_option
from ez_homelab.errors import EXIT_UNREACHABLE, EzError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Plan
    from ez_homelab.secrets.table import SecretRow
    from ez_homelab.verify import Proof


@click.group("secrets")
def secrets_command() -> None:
    """The values that the lab made for its apps, or was given: which there are, one of them, a new one in its place.

    \b
    ez-homelab secrets list
    ez-homelab secrets show APP ID
    ez-homelab secrets rotate APP
    ez-homelab secrets set APP/ID
    """


def complete_secret(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The ids of the app's secrets; none where the store cannot be opened."""
    app = ctx.params.get("app")
    try:
        rows = open_lab(ctx.params.get("lab_folder")).secrets_table()
    except EzError:
        return []
    return [row.id for row in rows if row.instance == app and row.id.startswith(typed)]


@secrets_command.command("list")
@lab_option
@json_option
@told
def secrets_list_command(lab_folder: Path | None, as_json: bool) -> None:
    """Every secret without its value: whose it is, when it was made and rotated, who is given it."""
    from ez_homelab.cli.terminal import show_table

    rows = open_lab(lab_folder).secrets_table()
    if as_json:
        print_json({"secrets": [asdict(row) for row in rows]})
        return
    columns = ("App", "Secret", "Made", "Rotated", "Given to")
    show_table(
        columns, [(row.instance, row.id, row.made, _rotated(row), ", ".join(row.used_by) or "-") for row in rows]
    )


def _rotated(row: SecretRow) -> str:
    if row.pending:
        return "under way"
    return row.rotated or "-"


@secrets_command.command("show")
@click.argument("app", shell_complete=complete_lab)
@click.argument("secret", metavar="ID", shell_complete=complete_secret)
@lab_option
@json_option
@yes_option
@told
def secrets_show_command(app: str, secret: str, lab_folder: Path | None, as_json: bool, yes: bool) -> None:
    """Print one value, and nothing else, on standard output. Asks first: it may stay in a log or on a screen."""
    from ez_homelab.cli.terminal import confirm
    from ez_homelab.redaction import original_stdout

    if as_json and not yes:
        # Not `require_yes`, whose fix speaks of a plan.
        from ez_homelab.errors import UsageError

        raise UsageError("with --json nobody is asked whether the value may be shown", fix="add --yes")
    found = open_lab(lab_folder).secret(app, secret)
    if not confirm(f"Print the secret {secret} of {app} in plain text?", yes=yes):
        click.echo("Nothing was printed.", err=True)
        return
    value = found.reveal()
    text = json.dumps({"app": app, "id": secret, "value": value}, indent=2, ensure_ascii=False) if as_json else value
    click.echo(text, file=original_stdout())


@secrets_command.command("set")
@click.argument("app", metavar="APP[/ID]", shell_complete=complete_lab)
@click.argument("secret", metavar="[ID]", required=False, shell_complete=complete_secret)
@lab_option
@json_option
@yes_option
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from standard input: one line.")
@told
def secrets_set_command(
    app: str, secret: str | None, lab_folder: Path | None, as_json: bool, yes: bool, from_stdin: bool
) -> None:
    """Give a secret that nobody but you knows, such as a mail server's password: show the plan, ask, apply.

    The value is asked for twice, or read from standard input; it never stands in a command line.
    """
    from ez_homelab.cli.asked import ask_secret

    require_yes(yes=yes, as_json=as_json)
    lab = open_lab(lab_folder, progress=not as_json)
    instance, secret_id = _one(app, secret)
    value = ask_secret("Value", from_stdin=from_stdin)
    plan, proof = run(_apply(lab, lambda held: held.giving(instance, secret_id, value), yes=yes, quiet=as_json))
    _tell(instance, secret_id, plan, proof, as_json=as_json)


def _one(app: str, secret: str | None) -> tuple[str, str]:
    instance, slash, behind = app.partition("/")
    if bool(slash) == bool(secret) or not (secret or behind):
        from ez_homelab.errors import UsageError

        raise UsageError("which secret is meant?", fix="name one: ez-homelab secrets set APP/ID")
    return instance, secret or behind


@secrets_command.command("rotate")
@click.argument("app", shell_complete=complete_lab)
@click.argument("secret", metavar="[ID]", required=False, shell_complete=complete_secret)
@lab_option
@json_option
@yes_option
@told
def secrets_rotate_command(app: str, secret: str | None, lab_folder: Path | None, as_json: bool, yes: bool) -> None:
    """Put a new value in the place of one of an app's secrets, or of all: show the plan, ask, apply."""
    require_yes(yes=yes, as_json=as_json)
    lab = open_lab(lab_folder, progress=not as_json)
    plan, proof = run(_apply(lab, lambda held: held.rotating(app, secret), yes=yes, quiet=as_json))
    _tell(app, secret, plan, proof, as_json=as_json)


def _tell(app: str, secret: str | None, plan: Plan | None, proof: Proof | None, *, as_json: bool) -> None:
    if as_json:
        applied = plan.to_dict() if plan is not None else None
        print_json({"app": app, "id": secret, "applied": applied, "proof": proof.to_dict() if proof else None})
    if plan is not None and plan.unknown:
        sys.exit(EXIT_UNREACHABLE)


async def _apply(
    lab: Homelab, change: Callable[[Homelab], Homelab], *, yes: bool, quiet: bool
) -> tuple[Plan | None, Proof | None]:
    from ez_homelab.cli.commands.apply import plan_and_apply, prove

    async with lab.changing(unasked=yes) as held:
        plan = await plan_and_apply(change(held), yes=yes, quiet=quiet)
    return plan, await prove(lab, plan, quiet=quiet) if plan else None
